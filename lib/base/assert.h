// SPDX-License-Identifier: Apache-2.0
#pragma once
// Assertions of one's own invariants, kept in release builds. What the world gets wrong is answered with
// an error instead.

namespace netstor::detail {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace netstor::detail

#define NETSTOR_ASSERT(condition)         \
  (static_cast<bool>(condition) ? void(0) \
                                : ::netstor::detail::assertion_failed(#condition, __FILE__, __LINE__))
