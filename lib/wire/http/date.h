// SPDX-License-Identifier: Apache-2.0
#pragma once
// Dates as HTTP and S3 write them. Years 1970 to 9999, UTC. Encoders answer text in the returned value; they
// allocate nothing.

#include <array>
#include <chrono>
#include <optional>
#include <string_view>

namespace netstor::http {

using WallTime = std::chrono::system_clock::time_point;

/// A short text that owns its characters.
struct DateText {
  std::array<char, 32> bytes{};
  unsigned size = 0;
  [[nodiscard]] std::string_view view() const { return {bytes.data(), size}; }
  operator std::string_view() const { return view(); }  // NOLINT: a text by any name
};

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
[[nodiscard]] DateText encode_http_date(WallTime time);
/// That form, and the two obsolete ones that a recipient has to know: "Sunday, 06-Nov-94 08:49:37 GMT" and
/// "Sun Nov  6 08:49:37 1994". The name of the day is not checked against the date.
[[nodiscard]] std::optional<WallTime> decode_http_date(std::string_view text);

/// "20130524T000000Z", the date of SigV4.
[[nodiscard]] DateText encode_basic_date(WallTime time);
/// "2009-10-12T17:50:30.000Z", the date of S3's XML.
[[nodiscard]] DateText encode_iso_date(WallTime time);
/// Both of these, with or without a fraction of up to nine digits, "Z" or an offset as "+01:30".
[[nodiscard]] std::optional<WallTime> decode_iso_date(std::string_view text);

}  // namespace netstor::http
