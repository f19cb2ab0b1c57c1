// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/etag.h"

#include <algorithm>

#include "lib/wire/http/text.h"

namespace netstor::http {

namespace {

constexpr bool is_tag_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != '"' && byte != 0x7F;
}

TagMatch match(std::string_view list, std::string_view opaque, bool strong) {
  TagReader reader(list);
  if (reader.any()) return TagMatch::yes;
  bool found = false;
  while (reader.next()) found |= reader.tag().opaque == opaque && !(strong && reader.tag().weak);
  // A list that goes wrong further on is wrong as a whole: acting on half of it could overwrite.
  if (reader.failed()) return TagMatch::malformed;
  return found ? TagMatch::yes : TagMatch::no;
}

}  // namespace

TagReader::TagReader(std::string_view value) : rest_(trimmed(value)), any_(rest_ == "*") {
  if (any_) rest_ = {};
}

bool TagReader::next() {
  while (!rest_.empty() && (rest_.front() == ',' || is_blank(rest_.front()))) rest_.remove_prefix(1);
  if (rest_.empty()) return false;
  tag_ = {};
  failed_ = true;  // until the tag is whole
  if (rest_.starts_with("W/")) {
    tag_.weak = true;
    rest_.remove_prefix(2);
  }
  std::string_view behind;
  if (rest_.starts_with('"')) {
    const std::size_t end = rest_.find('"', 1);
    if (end == std::string_view::npos) return false;
    tag_.opaque = rest_.substr(1, end - 1);
    behind = rest_.substr(end + 1);
  } else {
    const std::size_t end = std::min(rest_.find_first_of(", \t"), rest_.size());
    tag_.opaque = rest_.substr(0, end);
    behind = rest_.substr(end);
    if (tag_.opaque.empty() || tag_.weak) return false;
  }
  behind = trimmed(behind);
  if (!std::all_of(tag_.opaque.begin(), tag_.opaque.end(), is_tag_char)) return false;
  if (!behind.empty() && behind.front() != ',') return false;
  rest_ = behind;
  failed_ = false;
  return true;
}

TagMatch match_strongly(std::string_view list, std::string_view opaque) { return match(list, opaque, true); }
TagMatch match_weakly(std::string_view list, std::string_view opaque) { return match(list, opaque, false); }

}  // namespace netstor::http
