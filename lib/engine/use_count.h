// SPDX-License-Identifier: Apache-2.0
#pragma once
// Coroutines of one object that end in no order (its own close and that of the runtime's end, say): whoever
// frees it does so when the last one is gone.
//
//   Part() : users_([](void* self) noexcept { static_cast<Part*>(self)->unused(); }, this) {}
//   Task<void> Part::close() { const UseCount::Use use(users_); … }
//   Task<void> end(Part* part) { …close… ; co_await part->users().none(); delete part; }
//
// Of one shard.

#include <netstor/task.h>

namespace netstor::detail {

class UseCount {
 public:
  /// `none_left(owner)` is the last thing that a last use does: the owner may be freed in it or from then on.
  UseCount(void (*none_left)(void* owner) noexcept, void* owner) noexcept
      : none_left_(none_left), owner_(owner) {}

  class Use {
   public:
    explicit Use(UseCount& count) noexcept : count_(count) { ++count_.users_; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() {
      if (--count_.users_ == 0) count_.none_left_(count_.owner_);
    }

   private:
    UseCount& count_;
  };

  /// Ready when there is no use.
  Task<void> none() {
    while (users_ > 0) NETSTOR_CHECK(co_await yield());
    co_return ok();
  }

 private:
  void (*none_left_)(void* owner) noexcept;
  void* owner_;
  unsigned users_ = 0;
};

}  // namespace netstor::detail
