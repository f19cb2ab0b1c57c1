// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/http/head_writer.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "lib/wire/http/text.h"

namespace netstor::http {

namespace {

bool breaks_a_head(std::string_view value) {
  return std::any_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7F;
  });
}

}  // namespace

void HeadWriter::put(std::string_view text) {
  if (!ok_ || text.size() > buffer_.size() - used_) {
    ok_ = false;
    return;
  }
  if (!text.empty()) std::memcpy(buffer_.data() + used_, text.data(), text.size());
  used_ += text.size();
}

void HeadWriter::request_line(std::string_view method, std::string_view target) {
  ok_ = ok_ && is_token(method) && !target.empty() &&
        std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7F; });
  put(method);
  put(" ");
  put(target);
  put(" HTTP/1.1\r\n");
}

void HeadWriter::status_line(unsigned status) {
  ok_ = ok_ && status >= 100 && status <= 999;
  char digits[4] = {};
  std::to_chars(digits, digits + 3, status);
  put("HTTP/1.1 ");
  put(digits);
  put(" ");
  put(reason_phrase(status));
  put("\r\n");
}

void HeadWriter::field(std::string_view name, std::string_view value) {
  ok_ = ok_ && is_token(name) && !breaks_a_head(value);
  put(name);
  put(": ");
  put(value);
  put("\r\n");
}

void HeadWriter::field(std::string_view name, std::uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  field(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

void HeadWriter::raw(std::string_view lines) { put(lines); }

bool HeadWriter::finish() {
  put("\r\n");
  return ok_;
}

std::string_view reason_phrase(unsigned status) noexcept {
  struct Phrase {
    unsigned status;
    std::string_view text;
  };
  static constexpr Phrase kPhrases[] = {
      {100, "Continue"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  };
  for (const Phrase& each : kPhrases) {
    if (each.status == status) return each.text;
  }
  return "";
}

}  // namespace netstor::http
