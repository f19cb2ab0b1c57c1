// SPDX-License-Identifier: Apache-2.0
// How the library ends a process whose state can no longer be trusted.

#include <netstor/detail/loop.h>
#include <netstor/result.h>

#include "lib/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace netstor::detail {

void panic(const char* what) noexcept {
  std::fprintf(stderr, "netstor: %s\n", what);
  std::abort();
}

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "netstor: %s:%d: this must hold and does not: %s\n", file, line, condition);
  std::abort();
}

void abort_with(const Error& error) noexcept {
  std::fprintf(stderr, "netstor: a result was used that is an error: %s\n", error.to_string().c_str());
  std::abort();
}

}  // namespace netstor::detail
