// SPDX-License-Identifier: Apache-2.0
// The program's own operator new and delete: malloc and free, with a count. Not a part of netstor_server:
// whoever links that keeps its own.

#include "server/netstord_allocations.h"

#include <cstdlib>
#include <new>

namespace netstor::server {

namespace {

constinit thread_local std::uint64_t allocations = 0;

void* counted(std::size_t size) {
  ++allocations;
  for (;;) {
    if (void* const block = std::malloc(size == 0 ? 1 : size)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

}  // namespace

std::uint64_t thread_allocations() noexcept { return allocations; }

}  // namespace netstor::server

// Not inlined: the compiler would compare the free() in one with the new of the other.
[[gnu::noinline]] void* operator new(std::size_t size) { return netstor::server::counted(size); }
[[gnu::noinline]] void* operator new[](std::size_t size) { return netstor::server::counted(size); }
// All of them: what one sanitizer's new gave, a delete of ours would be a mismatch for.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete[](void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
