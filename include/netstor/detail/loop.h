// SPDX-License-Identifier: Apache-2.0
#pragma once
// What inline code must know of a shard's loop: its run queue, its clock, its door. Promised to nobody.

#include <netstor/options.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace netstor::detail {

/// Something that a loop runs once. The owner keeps it alive until then.
struct Runnable {
  Runnable* next = nullptr;
  void (*run)(Runnable&) noexcept = nullptr;
};

/// An alarm. The owner keeps it alive, and in place, while it is armed. One loop, one thread.
struct Timer {
  Time when{};
  void (*fire)(Timer&) noexcept = nullptr;
  std::size_t heap_index = kIdle;  // the loop's
  static constexpr std::size_t kIdle = ~std::size_t{0};
  bool armed() const noexcept { return heap_index != kIdle; }
};

/// The loop of one shard. Everything but post() belongs to the shard's thread.
class Loop {
 public:
  /// Runs `task` in this turn or the next, after what is queued already.
  void push(Runnable& task) noexcept {
    task.next = nullptr;
    *tail_ = &task;
    tail_ = &task.next;
  }
  /// The same from any thread; wakes the shard when it sleeps.
  virtual void post(Runnable& task) noexcept = 0;
  /// This turn's time.
  virtual Time now() const noexcept = 0;
  virtual void arm(Timer& timer, Time when) noexcept = 0;
  virtual void disarm(Timer& timer) noexcept = 0;
  virtual unsigned index() const noexcept = 0;
  /// One turn, for a caller that waits on an embedded shard's own thread; false where the shard has a
  /// thread of its own (then waiting would never end).
  virtual bool turn_embedded() noexcept = 0;

 protected:
  Loop() = default;
  ~Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  Runnable* head_ = nullptr;
  Runnable** tail_ = &head_;
};

/// The loop whose thread this is; null on foreign threads.
extern constinit thread_local Loop* current_loop;

/// Small blocks from a freelist of this thread: what coroutine frames and operation states are made of,
/// so that a steady state allocates nothing. Aborts when the machine is out of memory.
void* allocate_block(std::size_t size_bytes);
void release_block(void* block, std::size_t size_bytes) noexcept;

[[noreturn]] void panic(const char* what) noexcept;

}  // namespace netstor::detail
