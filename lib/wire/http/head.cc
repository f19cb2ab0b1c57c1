// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/head.h"

#include <algorithm>
#include <cstring>

namespace netstor::http {

namespace {

constexpr std::string_view kEmptyLine = "\r\n";

// The first control character but the tab, which no value has: it should be the CR of the line's end. Eight
// bytes at once, as nearly all have none.
const char* find_control(const char* at, const char* end) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  while (at != end) {
    if (end - at >= 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      const std::uint64_t below_space = (word - kOnes * 0x20) & ~word & kHigh;
      const std::uint64_t no_delete = word ^ (kOnes * 0x7F);
      const std::uint64_t is_delete = (no_delete - kOnes) & ~no_delete & kHigh;
      if ((below_space | is_delete) == 0) {
        at += 8;
        continue;
      }
    }
    const auto byte = static_cast<unsigned char>(*at);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7F) return at;
    ++at;
  }
  return end;
}

bool has_control(std::string_view text) {
  return find_control(text.data(), text.data() + text.size()) != text.data() + text.size();
}

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

// Cuts the next line off, without its CR LF. The scanner has seen that they end so.
bool next_line(std::string_view& rest, std::string_view& line) {
  const void* const found = std::memchr(rest.data(), '\n', rest.size());
  if (found == nullptr) return false;
  const auto size = static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
  if (size == 0 || rest[size - 1] != '\r') return false;
  line = rest.substr(0, size - 1);
  rest.remove_prefix(size + 1);
  return true;
}

// One field off the front of `rest`, its line's end included.
HeadError next_field(std::string_view& rest, Field& out) {
  const char* const begin = rest.data();
  const char* const end = begin + rest.size();
  const char* at = begin;
  while (at != end && is_token_char(*at)) ++at;
  if (at == begin || at == end || *at != ':') return HeadError::field;
  out.name = {begin, static_cast<std::size_t>(at - begin)};
  const char* value = at + 1;
  while (value != end && is_blank(*value)) ++value;
  at = find_control(value, end);
  if (end - at < 2) return HeadError::line_end;
  if (at[0] != '\r' || at[1] != '\n') return HeadError::value;
  rest.remove_prefix(static_cast<std::size_t>(at + 2 - begin));
  while (at != value && is_blank(at[-1])) --at;
  out.value = {value, static_cast<std::size_t>(at - value)};
  return HeadError::none;
}

// What the fields say of the framing, gathered while they are read.
struct Seen {
  unsigned hosts = 0;
  bool chunked = false;
  bool close = false;
  bool stays = false;
  bool expects_continue = false;
};

HeadError note_transfer_encoding(std::string_view list, Seen& seen) {
  std::string_view element;
  bool any = false;
  while (next_element(list, element)) {
    any = true;
    if (seen.chunked || !equal_without_case(element, "chunked")) return HeadError::transfer_encoding;
    seen.chunked = true;
  }
  return any ? HeadError::none : HeadError::transfer_encoding;
}

HeadError note(const Field& field, MessageHead& head, Seen& seen) {
  switch (field.name.size()) {
    case 4:
      if (equal_without_case(field.name, "host")) ++seen.hosts;
      break;
    case 6:
      if (equal_without_case(field.name, "expect"))
        seen.expects_continue |= equal_without_case(field.value, "100-continue");
      break;
    case 10:
      if (equal_without_case(field.name, "connection")) {
        std::string_view list = field.value;
        std::string_view element;
        while (next_element(list, element)) {
          seen.close |= equal_without_case(element, "close");
          seen.stays |= equal_without_case(element, "keep-alive");
        }
      }
      break;
    case 14:
      if (equal_without_case(field.name, "content-length")) {
        if (head.content_length) return HeadError::length;
        // What fits into a signed number too, so that no sum of it and a head can overflow.
        head.content_length = decode_number(field.value, INT64_MAX);
        if (!head.content_length) return HeadError::length;
      }
      break;
    case 17:
      if (equal_without_case(field.name, "transfer-encoding"))
        return note_transfer_encoding(field.value, seen);
      break;
    default:
      break;
  }
  return HeadError::none;
}

HeadError decode_fields(std::string_view rest, MessageHead& head, Seen& seen, const HeadLimits& limits) {
  const unsigned fields_max = std::min(limits.fields_max, kFieldsMax);
  while (!rest.starts_with(kEmptyLine)) {
    if (rest.empty()) return HeadError::line_end;
    Field field;
    if (const HeadError error = next_field(rest, field); error != HeadError::none) return error;
    if (head.fields.size() == fields_max || !head.fields.add(field.name, field.value))
      return HeadError::head_too_long;
    if (const HeadError error = note(field, head, seen); error != HeadError::none) return error;
  }
  if (rest.size() != kEmptyLine.size()) return HeadError::field;
  if (seen.chunked && head.content_length) return HeadError::framing;
  // A recipient of HTTP/1.0 does not know the coding: framing there is a trap (RFC 9112, 6.1).
  if (seen.chunked && head.minor == 0) return HeadError::framing;
  head.keep_alive = !seen.close && (head.minor > 0 || seen.stays);
  return HeadError::none;
}

// "HTTP/1.1": HTTP-name is case-sensitive, one digit each.
HeadError decode_version(std::string_view text, unsigned& minor) {
  if (text.size() != 8 || text.substr(0, 5) != "HTTP/" || text[6] != '.' || !is_digit(text[5]) ||
      !is_digit(text[7]))
    return HeadError::start_line;
  if (text[5] != '1') return HeadError::version;
  minor = static_cast<unsigned>(text[7] - '0');
  return HeadError::none;
}

Method method_of(std::string_view name) {
  for (const Method each :
       {Method::get, Method::put, Method::head, Method::post, Method::delete_, Method::options}) {
    if (name == to_string(each)) return each;
  }
  return Method::other;
}

void reset(MessageHead& head) {
  head.fields.clear();
  head.framing = Framing::none;
  head.content_length.reset();
}

HeadError decode_request_line(std::string_view line, RequestHead& out) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || !is_token(line.substr(0, space))) return HeadError::start_line;
  out.method_name = line.substr(0, space);
  out.method = method_of(out.method_name);
  line.remove_prefix(space + 1);
  const std::size_t second = line.find(' ');
  if (second == 0 || second == std::string_view::npos) return HeadError::start_line;
  out.target = line.substr(0, second);
  if (const HeadError error = decode_version(line.substr(second + 1), out.minor); error != HeadError::none)
    return error;
  return is_visible(out.target) ? HeadError::none : HeadError::target;
}

HeadError decode_status_line(std::string_view line, ResponseHead& out) {
  // The space behind the status may be missing together with the reason; many servers leave it out.
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' '))
    return HeadError::start_line;
  if (const HeadError error = decode_version(line.substr(0, 8), out.minor); error != HeadError::none)
    return error;
  const auto status = decode_number(line.substr(9, 3));
  if (!status || *status < 100) return HeadError::start_line;
  out.status = static_cast<unsigned>(*status);
  out.reason = line.size() > 13 ? line.substr(13) : std::string_view();
  return has_control(out.reason) ? HeadError::value : HeadError::none;
}

HeadError check_sizes(std::string_view head, std::string_view line, const HeadLimits& limits) {
  if (line.size() > limits.line_bytes_max) return HeadError::line_too_long;
  return head.size() > limits.head_bytes_max ? HeadError::head_too_long : HeadError::none;
}

}  // namespace

HeadScanner::State HeadScanner::scan(std::string_view bytes, const HeadLimits& limits) {
  while (seen_ < bytes.size()) {
    const char* const from = bytes.data() + seen_;
    const auto* const found = static_cast<const char*>(std::memchr(from, '\n', bytes.size() - seen_));
    if (found == nullptr) {
      seen_ = bytes.size();
      break;
    }
    const auto at = static_cast<std::size_t>(found - bytes.data());
    if (at == line_ || bytes[at - 1] != '\r') return refuse(HeadError::line_end);
    if (line_ == 0 && at - 1 > limits.line_bytes_max) return refuse(HeadError::line_too_long);
    const bool last = at - line_ == 1;
    if (last && line_ == 0) return refuse(HeadError::start_line);
    line_ = seen_ = at + 1;
    if (line_ > limits.head_bytes_max) return refuse(HeadError::head_too_long);
    if (last) return State::found;
  }
  // A CR that may belong to the end is not counted against the line.
  if (line_ == 0 && bytes.size() > limits.line_bytes_max + 1) return refuse(HeadError::line_too_long);
  if (bytes.size() >= limits.head_bytes_max) return refuse(HeadError::head_too_long);
  return State::more;
}

HeadError decode_request(std::string_view head, RequestHead& out, const HeadLimits& limits) noexcept {
  reset(out);
  out.expects_continue = false;
  std::string_view rest = head;
  std::string_view line;
  if (!next_line(rest, line)) return HeadError::line_end;
  if (const HeadError error = check_sizes(head, line, limits); error != HeadError::none) return error;
  if (const HeadError error = decode_request_line(line, out); error != HeadError::none) return error;
  Seen seen;
  if (const HeadError error = decode_fields(rest, out, seen, limits); error != HeadError::none) return error;
  if (seen.hosts > 1 || (seen.hosts == 0 && out.minor > 0)) return HeadError::host;
  // HTTP/1.0 knows no interim answers.
  out.expects_continue = seen.expects_continue && out.minor > 0;
  if (seen.chunked)
    out.framing = Framing::chunked;
  else if (out.content_length.value_or(0) != 0)
    out.framing = Framing::length;
  return HeadError::none;
}

HeadError decode_response(std::string_view head, bool to_head, ResponseHead& out,
                          const HeadLimits& limits) noexcept {
  reset(out);
  std::string_view rest = head;
  std::string_view line;
  if (!next_line(rest, line)) return HeadError::line_end;
  if (const HeadError error = check_sizes(head, line, limits); error != HeadError::none) return error;
  if (const HeadError error = decode_status_line(line, out); error != HeadError::none) return error;
  Seen seen;
  if (const HeadError error = decode_fields(rest, out, seen, limits); error != HeadError::none) return error;
  const bool bodiless = to_head || out.status < 200 || out.status == 204 || out.status == 304;
  // Neither may have a transfer coding (RFC 9112, 6.1), and what follows it would be anyone's guess.
  if (seen.chunked && (out.status < 200 || out.status == 204)) return HeadError::framing;
  if (bodiless)
    out.framing = Framing::none;
  else if (seen.chunked)
    out.framing = Framing::chunked;
  else if (!out.content_length)
    out.framing = Framing::until_close;
  else
    out.framing = *out.content_length != 0 ? Framing::length : Framing::none;
  return HeadError::none;
}

HeadError decode_trailers(std::string_view trailers, Fields& out) noexcept {
  out.clear();
  std::string_view rest = trailers;
  while (!rest.starts_with(kEmptyLine)) {
    if (rest.empty()) return HeadError::line_end;
    Field field;
    if (const HeadError error = next_field(rest, field); error != HeadError::none) return error;
    if (!out.add(field.name, field.value)) return HeadError::head_too_long;
  }
  return rest.size() == kEmptyLine.size() ? HeadError::none : HeadError::field;
}

std::string_view to_string(Method method) noexcept {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::put:
      return "PUT";
    case Method::post:
      return "POST";
    case Method::delete_:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
    case Method::other:
      break;
  }
  return "";
}

std::string_view to_string(HeadError error) noexcept {
  switch (error) {
    case HeadError::none:
      return "no error";
    case HeadError::start_line:
      return "malformed start line";
    case HeadError::line_end:
      return "a line that does not end with CR LF";
    case HeadError::version:
      return "a version of HTTP other than 1";
    case HeadError::target:
      return "a forbidden character in the request's target";
    case HeadError::line_too_long:
      return "the start line is too long";
    case HeadError::head_too_long:
      return "the head is too long or has too many fields";
    case HeadError::field:
      return "malformed header field";
    case HeadError::value:
      return "a control character in a header field";
    case HeadError::length:
      return "Content-Length is not one number";
    case HeadError::framing:
      return "Transfer-Encoding where it may not be";
    case HeadError::transfer_encoding:
      return "a transfer coding other than chunked";
    case HeadError::host:
      return "not exactly one Host";
  }
  return "unknown error";
}

unsigned head_status(HeadError error) noexcept {
  switch (error) {
    case HeadError::line_too_long:
      return 414;
    case HeadError::head_too_long:
      return 431;
    case HeadError::transfer_encoding:
      return 501;
    case HeadError::version:
      return 505;
    default:
      return 400;
  }
}

}  // namespace netstor::http
