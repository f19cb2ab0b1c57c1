// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/fields.h"

namespace netstor::http {

std::optional<std::string_view> Fields::find(std::string_view name) const {
  for (const Field& each : all()) {
    if (equal_without_case(each.name, name)) return each.value;
  }
  return std::nullopt;
}

unsigned Fields::count(std::string_view name) const {
  unsigned found = 0;
  for (const Field& each : all()) found += equal_without_case(each.name, name) ? 1 : 0;
  return found;
}

bool Fields::lists(std::string_view name, std::string_view keyword) const {
  for (const Field& each : all()) {
    if (!equal_without_case(each.name, name)) continue;
    std::string_view list = each.value;
    std::string_view element;
    while (next_element(list, element)) {
      if (equal_without_case(element, keyword)) return true;
    }
  }
  return false;
}

}  // namespace netstor::http
