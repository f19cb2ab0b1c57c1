// SPDX-License-Identifier: Apache-2.0
#pragma once
// Counts what netstord allocates with new, each thread for itself.

#include <cstdint>

namespace netstor::server {

/// Of the calling thread, since it began.
std::uint64_t thread_allocations() noexcept;

}  // namespace netstor::server
