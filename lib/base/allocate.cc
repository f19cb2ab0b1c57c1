// SPDX-License-Identifier: Apache-2.0
// Small blocks from a freelist of the thread. A block may be released on another thread than it was taken
// on; it then joins that thread's list. Lists are bounded, so that memory cannot pile up on one side.
// Under the address sanitizer every block comes from the heap, so that a use after release is seen.

#include <netstor/detail/loop.h>

#include <array>
#include <cstdlib>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define NETSTOR_PLAIN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NETSTOR_PLAIN_HEAP 1
#endif
#endif

namespace netstor::detail {
namespace {

constexpr std::size_t kGrain = 64;
constexpr std::size_t kClasses = 32;  // up to 2 KiB
constexpr std::size_t kBlocksPerClassMax = 4096;

struct FreeBlock {
  FreeBlock* next;
};

struct FreeLists {
  std::array<FreeBlock*, kClasses> heads{};
  std::array<std::size_t, kClasses> counts{};
  bool ended = false;

  constexpr FreeLists() = default;
  ~FreeLists() {
    ended = true;
    for (FreeBlock*& head : heads) {
      while (head != nullptr) std::free(std::exchange(head, head->next));
    }
  }
};

constinit thread_local FreeLists lists;

void* from_heap(std::size_t size_bytes) {
  void* block = std::malloc(size_bytes);
  if (block == nullptr) panic("out of memory");
  return block;
}

}  // namespace

void* allocate_block(std::size_t size_bytes) {
#ifdef NETSTOR_PLAIN_HEAP
  return from_heap(size_bytes);
#else
  const std::size_t index = (size_bytes + kGrain - 1) / kGrain - 1;
  if (index >= kClasses) return from_heap(size_bytes);
  FreeBlock* block = lists.heads[index];
  if (block == nullptr) return from_heap((index + 1) * kGrain);
  lists.heads[index] = block->next;
  --lists.counts[index];
  return block;
#endif
}

void release_block(void* pointer, std::size_t size_bytes) noexcept {
#ifdef NETSTOR_PLAIN_HEAP
  static_cast<void>(size_bytes);
  std::free(pointer);
#else
  const std::size_t index = (size_bytes + kGrain - 1) / kGrain - 1;
  if (index >= kClasses || lists.ended || lists.counts[index] >= kBlocksPerClassMax) {
    std::free(pointer);
    return;
  }
  auto* block = static_cast<FreeBlock*>(pointer);
  block->next = lists.heads[index];
  lists.heads[index] = block;
  ++lists.counts[index];
#endif
}

}  // namespace netstor::detail
