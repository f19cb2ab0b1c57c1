// SPDX-License-Identifier: Apache-2.0
//
// Heads, and the small grammars of their fields. Byte 0 chooses request or response; the rest is the head, as
// it would arrive. A head is read in the same way whole and byte by byte; all views lie inside of it; and
// what is accepted has exactly one framing.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/wire/http/date.h"
#include "lib/wire/http/etag.h"
#include "lib/wire/http/head.h"
#include "lib/wire/http/range.h"
#include "lib/wire/http/uri.h"

namespace {

using namespace netstor;
using namespace netstor::http;

constexpr HeadLimits kLimits{.line_bytes_max = 512, .head_bytes_max = 2048, .fields_max = 20};

void check_inside(std::string_view part, std::string_view whole) {
  NETSTOR_ASSERT(part.empty() ||
                 (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size()));
}

void check_fields(const MessageHead& head, std::string_view text) {
  unsigned lengths = 0;
  for (const Field& field : head.fields) {
    check_inside(field.name, text);
    check_inside(field.value, text);
    NETSTOR_ASSERT(is_token(field.name));
    NETSTOR_ASSERT(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    lengths += equal_without_case(field.name, "content-length") ? 1 : 0;
  }
  NETSTOR_ASSERT(lengths <= 1 && (lengths == 1) == head.content_length.has_value());
  NETSTOR_ASSERT(!(head.content_length && head.fields.has("transfer-encoding")));
  NETSTOR_ASSERT(head.framing != Framing::length || head.content_length.value_or(0) != 0);
}

void check_parts(std::string_view value) {
  if (const auto spec = decode_range(value)) {
    if (const auto range = resolve(*spec, 1000)) {
      NETSTOR_ASSERT(range->length != 0 && range->offset + range->length <= 1000);
      const auto again = decode_content_range(encode_content_range(range, 1000));
      NETSTOR_ASSERT(again && again->range && again->range->offset == range->offset);
    }
  }
  if (const auto content = decode_content_range(value); content && content->range)
    NETSTOR_ASSERT(content->range->length != 0);
  if (const auto time = decode_http_date(value))
    NETSTOR_ASSERT(decode_http_date(encode_http_date(*time)) == time);
  if (const auto time = decode_iso_date(value)) (void)encode_iso_date(*time);
  for (TagReader reader(value); reader.next();) check_inside(reader.tag().opaque, value);
  std::string decoded;
  if (percent_decode(value, Plus::literal, decoded)) {
    std::string back;
    NETSTOR_ASSERT(percent_decode(percent_encoded(decoded, Slash::keep), Plus::literal, back));
    NETSTOR_ASSERT(back == decoded);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  HeadScanner whole;
  const auto state = whole.scan(text, kLimits);
  HeadScanner cut;
  auto cut_state = HeadScanner::State::more;
  for (std::size_t end = 0; end <= text.size() && cut_state == HeadScanner::State::more; ++end)
    cut_state = cut.scan(text.substr(0, end), kLimits);
  NETSTOR_ASSERT(cut_state == state && cut.error() == whole.error());
  if (state != HeadScanner::State::found) return 0;
  NETSTOR_ASSERT(whole.size() == cut.size() && whole.size() <= kLimits.head_bytes_max);
  const std::string_view head = text.substr(0, whole.size());
  if ((data[0] & 1) == 0) {
    static RequestHead request;
    if (decode_request(head, request, kLimits) != HeadError::none) return 0;
    check_fields(request, head);
    NETSTOR_ASSERT(request.framing != Framing::until_close);
    if (const auto target = split_target(request.target)) {
      check_inside(target->path, head);
      for (QueryReader reader(target->query); reader.next();) check_parts(reader.value());
    }
    for (const Field& field : request.fields) check_parts(field.value);
  } else {
    static ResponseHead response;
    if (decode_response(head, (data[0] & 2) != 0, response, kLimits) != HeadError::none) return 0;
    check_fields(response, head);
    check_inside(response.reason, head);
    NETSTOR_ASSERT(response.status >= 100 && response.status <= 999);
  }
  return 0;
}
