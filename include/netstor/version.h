// SPDX-License-Identifier: Apache-2.0
//
// The version of netstor: one place that both the compiler and CMake read. The build parses the three
// macros below, so keep each on a line of its own.
//
//   static_assert(NETSTOR_VERSION_MAJOR == 0);
//   std::puts(netstor::kVersion);
//
// Threads: everything here may be called from any thread. Errors: none.
#pragma once

#define NETSTOR_VERSION_MAJOR 0
#define NETSTOR_VERSION_MINOR 1
#define NETSTOR_VERSION_PATCH 0

#define NETSTOR_DETAIL_STRING_(x) #x
#define NETSTOR_DETAIL_STRING(x) NETSTOR_DETAIL_STRING_(x)

namespace netstor {

/// The version of the headers that this translation unit was compiled against, "major.minor.patch".
inline constexpr char kVersion[] = NETSTOR_DETAIL_STRING(NETSTOR_VERSION_MAJOR) "." NETSTOR_DETAIL_STRING(
    NETSTOR_VERSION_MINOR) "." NETSTOR_DETAIL_STRING(NETSTOR_VERSION_PATCH);

/// The version of the library that the program runs with: differs from `kVersion` when a shared library was
/// replaced after compiling. Static storage, never null.
[[nodiscard]] const char* linked_version() noexcept;

}  // namespace netstor

#undef NETSTOR_DETAIL_STRING
#undef NETSTOR_DETAIL_STRING_
