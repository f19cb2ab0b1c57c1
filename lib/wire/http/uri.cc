// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/uri.h"

#include <algorithm>

#include "lib/wire/http/text.h"

namespace netstor::http {

namespace {

constexpr bool is_unreserved(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

void percent_encode(std::string_view raw, Slash slash, std::string& out) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  out.reserve(out.size() + raw.size());
  for (const char each : raw) {
    if (is_unreserved(each) || (each == '/' && slash == Slash::keep)) {
      out.push_back(each);
      continue;
    }
    const auto byte = static_cast<unsigned char>(each);
    const char code[] = {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    out.append(code, 3);
  }
}

std::string percent_encoded(std::string_view raw, Slash slash) {
  std::string out;
  percent_encode(raw, slash, out);
  return out;
}

bool percent_decode(std::string_view encoded, Plus plus, std::string& out) {
  out.reserve(out.size() + encoded.size());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const char each = encoded[i];
    if (each == '+' && plus == Plus::space) {
      out.push_back(' ');
    } else if (each != '%') {
      out.push_back(each);
    } else {
      if (encoded.size() - i < 3) return false;
      const int high = hex_value(encoded[i + 1]);
      const int low = hex_value(encoded[i + 2]);
      if (high < 0 || low < 0) return false;
      out.push_back(static_cast<char>(high << 4 | low));
      i += 2;
    }
  }
  return true;
}

std::optional<Target> split_target(std::string_view target) {
  Target out;
  if (target.find('#') != std::string_view::npos) return std::nullopt;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() < scheme.size() || !equal_without_case(target.substr(0, scheme.size()), scheme))
      continue;
    target.remove_prefix(scheme.size());
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    out.authority = target.substr(0, end);
    if (out.authority.empty()) return std::nullopt;
    target.remove_prefix(end);
    // "http://host" and "http://host?q" mean the root.
    if (target.empty() || target.front() == '?') out.path = "/";
    break;
  }
  const std::size_t question = target.find('?');
  if (out.path.empty()) out.path = target.substr(0, question);
  if (out.path.empty() || (out.path.front() != '/' && target != "*")) return std::nullopt;
  if (question != std::string_view::npos) {
    out.has_query = true;
    out.query = target.substr(question + 1);
  }
  return out;
}

bool QueryReader::next() {
  while (!rest_.empty()) {
    const std::size_t end = std::min(rest_.find('&'), rest_.size());
    const std::string_view pair = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    has_value_ = equals != std::string_view::npos;
    name_ = pair.substr(0, equals);
    value_ = has_value_ ? pair.substr(equals + 1) : std::string_view();
    return true;
  }
  return false;
}

}  // namespace netstor::http
