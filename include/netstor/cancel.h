// SPDX-License-Identifier: Apache-2.0
#pragma once
// Stopping several pieces of work with one word.
//
//   CancelSource shutdown;
//   Future<void> copy = with_cancel(start_copy(), shutdown.token());
//   …
//   shutdown.cancel();          // asks every future that holds the token
//
// For one future, Future::cancel() is enough; for a time limit, with_deadline() (task.h).
//
// Thread rule: a source and its tokens belong to one shard.

#include <netstor/task.h>

namespace netstor {

class CancelSource;

namespace detail {
/// A doubly linked entry in a source's list.
struct CancelHook {
  CancelHook* previous = this;
  CancelHook* next = this;
  void (*asked)(CancelHook&) noexcept = nullptr;

  CancelHook() = default;
  CancelHook(const CancelHook&) = delete;
  CancelHook& operator=(const CancelHook&) = delete;
  ~CancelHook() { unlink(); }
  void unlink() noexcept {
    previous->next = next;
    next->previous = previous;
    previous = next = this;
  }
  void link_before(CancelHook& other) noexcept {
    previous = other.previous;
    next = &other;
    previous->next = this;
    other.previous = this;
  }
};
}  // namespace detail

/// The right to be told. Copies are cheap; the source must outlive the work that holds one.
class CancelToken {
 public:
  /// A token that is never cancelled.
  CancelToken() noexcept = default;
  bool cancelled() const noexcept;

 private:
  friend class CancelSource;
  template <class T>
  friend Future<T> with_cancel(Future<T>, CancelToken);
  explicit CancelToken(CancelSource* source) noexcept : source_(source) {}
  CancelSource* source_ = nullptr;
};

/// The right to cancel.
class CancelSource {
 public:
  CancelSource() = default;
  CancelSource(const CancelSource&) = delete;
  CancelSource& operator=(const CancelSource&) = delete;

  CancelToken token() noexcept { return CancelToken(this); }
  bool cancelled() const noexcept { return cancelled_; }
  /// Asks all work that holds a token, now and from now on. Idempotent.
  void cancel() noexcept {
    cancelled_ = true;
    while (hooks_.next != &hooks_) {
      detail::CancelHook& hook = *hooks_.next;
      hook.unlink();
      hook.asked(hook);
    }
  }

 private:
  template <class T>
  friend Future<T> with_cancel(Future<T>, CancelToken);
  detail::CancelHook hooks_;
  bool cancelled_ = false;
};

inline bool CancelToken::cancelled() const noexcept { return source_ != nullptr && source_->cancelled(); }

namespace detail {
template <class T>
struct FutureHook : CancelHook {
  explicit FutureHook(Future<T>* watched) noexcept : future(watched) {
    asked = [](CancelHook& self) noexcept { static_cast<FutureHook&>(self).future->cancel(); };
  }
  Future<T>* future;
};
template <class T>
Task<T> cancellable(Future<T> future, CancelHook* list) {
  FutureHook<T> hook(&future);
  hook.link_before(*list);
  Result<T> result = co_await future.join();
  co_return std::move(result);
}
}  // namespace detail

/// `future`, which is asked to stop when the token's source is cancelled.
template <class T>
Future<T> with_cancel(Future<T> future, CancelToken token) {
  if (token.source_ == nullptr) return future;
  if (token.source_->cancelled()) {
    future.cancel();
    return future;
  }
  return spawn(detail::cancellable(std::move(future), &token.source_->hooks_));
}

}  // namespace netstor
