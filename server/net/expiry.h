// SPDX-License-Identifier: Apache-2.0
#pragma once
// When a key of any kind holds no longer: by the wall clock, as operators wrote it. Looked at whenever the
// key is used, so that nothing has to happen at that moment.

#include <netstor/result.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/wire/http/date.h"

namespace netstor::net {

/// Nothing: it holds for good.
using Expiry = std::optional<http::WallTime>;

inline bool passed(const Expiry& expiry) { return expiry && *expiry <= std::chrono::system_clock::now(); }

/// "2026-12-31T23:59:59Z"; invalid_argument says so.
inline Result<Expiry> parse_expiry(std::string_view text) {
  if (const auto time = http::decode_iso_date(text)) return Expiry(*time);
  return Error(ErrorKind::invalid_argument, "expected a time as 2026-12-31T23:59:59Z, before the year 2262");
}

/// Milliseconds since 1970, as they are kept; 0: it holds for good.
inline Expiry expiry_of(std::int64_t ms) {
  if (ms == 0) return std::nullopt;
  return http::WallTime(std::chrono::milliseconds(ms));
}
/// invalid_argument for what is no time, or one that the clock (nanoseconds, 64 bits) cannot say.
inline Result<void> check_milliseconds(std::int64_t ms) {
  constexpr std::int64_t kYear2262 = 9'214'646'400'000;
  if (ms >= 0 && ms < kYear2262) return ok();
  return Error(ErrorKind::invalid_argument,
               "until_ms: expected milliseconds since 1970, before the year 2262");
}
inline std::int64_t milliseconds_of(const Expiry& expiry) {
  if (!expiry) return 0;
  return std::chrono::duration_cast<std::chrono::milliseconds>(expiry->time_since_epoch()).count();
}

}  // namespace netstor::net
