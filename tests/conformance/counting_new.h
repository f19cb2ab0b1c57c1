// SPDX-License-Identifier: Apache-2.0
#pragma once
// Counts what this program allocates with new. Included by one source of a program. Not inlined: the compiler
// would compare the free() in one with the new of the other.

#include <atomic>
#include <cstdlib>
#include <new>

namespace netstor::conformance {
inline std::atomic<unsigned long> allocations{0};

inline void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const block = std::malloc(size == 0 ? 1 : size)) return block;
  std::abort();
}
}  // namespace netstor::conformance

// NOLINTBEGIN(misc-definitions-in-headers): one source of a program has them, as said above
[[gnu::noinline]] void* operator new(std::size_t size) { return netstor::conformance::counted(size); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return netstor::conformance::counted(size); }
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete[](void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
// NOLINTEND(misc-definitions-in-headers)
