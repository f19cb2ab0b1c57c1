// SPDX-License-Identifier: Apache-2.0
#pragma once
// The inside of an ObjectStore that all shards share: the thread that decides and commits changes, the
// helpers that wait for the disk, the data files (segments), and who reads which of their bytes.

#include "server/store/object_ledger.h"
#include "server/store/safe_file.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_map>

namespace netstor::store {

/// A data file. Space is taken from its front to its end and never twice; what is given back becomes a hole.
struct Segment {
  std::uint32_t number = 0;
  std::string path;
  Descriptor fd;
  std::uint64_t size = 0;
  std::uint64_t next = 0;  ///< of the shard alone that takes from it
  std::atomic<bool> failed{
      false};  ///< a flush failed: what was written since the last one is not to be relied on
};

/// All extents begin at a multiple of it, so that each can be given back alone.
inline constexpr std::uint64_t kExtentAlignment = 4096;

/// A change on its way to the committer and back.
struct Change : detail::Runnable {
  Change* following = nullptr;
  detail::Loop* home = nullptr;
  void (*apply)(Change&, Ledger&) = nullptr;  ///< on the committer; leaves its answer in `outcome`
  Result<void> outcome;
  std::coroutine_handle<> waiting;
};

/// Something for a helper thread.
struct Help : detail::Runnable {
  detail::Loop* home = nullptr;  ///< null: nobody waits, the helper deletes it
  void (*work)(Help&) = nullptr;
  std::coroutine_handle<> waiting;
  virtual ~Help() = default;
};

class ObjectCore {
 public:
  static Result<std::shared_ptr<ObjectCore>> open(const std::string& path, ObjectStoreOptions options);
  ObjectCore(std::string path, ObjectStoreOptions options);
  ~ObjectCore();
  ObjectCore(const ObjectCore&) = delete;
  ObjectCore& operator=(const ObjectCore&) = delete;

  const ObjectStoreOptions& options() const noexcept { return options_; }
  ObjectIndex& index() noexcept { return *index_; }
  std::int64_t now_ms() const;
  void submit(Change& change) noexcept;
  void submit(Help& help) noexcept;
  /// Whoever had an answer may end before the thread that posted it is done with waking it: call this before
  /// the loop goes. Blocks for the length of a post.
  void wait_for_posts() noexcept;

  using SharedBuckets = std::shared_ptr<const BucketTable>;
  std::uint64_t bucket_changes() const noexcept { return bucket_changes_.load(std::memory_order_acquire); }
  SharedBuckets buckets() const;
  ObjectUsage usage() const;

  /// A segment with at least `bytes` left, for one shard alone until it is given back. Blocks.
  Result<std::shared_ptr<Segment>> take_segment(std::uint64_t bytes);
  void give_back(std::shared_ptr<Segment> segment);
  std::shared_ptr<Segment> segment(std::uint32_t number) const;

  // Who reads what. An extent that is freed while it is pinned is given back with the last pin.
  void pin(const std::vector<Extent>& extents);
  void unpin(const std::vector<Extent>& extents) noexcept;
  /// Nobody has these any more. Their space is given back by a helper.
  void free(std::vector<Extent> extents);

 private:
  struct Pin {
    std::uint64_t count = 0;
    std::uint64_t free_length = 0;  ///< not 0: freed, and so long
  };
  struct PinStripe {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, Pin> pins;
  };
  static constexpr std::size_t kStripes = 64;

  Result<void> check_version();
  Result<void> open_segments();
  Result<std::shared_ptr<Segment>> open_segment(std::uint32_t number, const std::string& path);
  Result<void> sweep(Segment& segment);
  Result<std::shared_ptr<Segment>> make_segment();
  PinStripe& stripe_of(const Extent& extent, std::uint64_t& name) noexcept;
  void give_back_space(std::vector<Extent> extents);
  void punch(const Extent& extent) noexcept;
  void commit_changes() noexcept;
  void commit_batch(Change* first) noexcept;
  void publish() noexcept;
  void help() noexcept;

  std::string path_;
  ObjectStoreOptions options_;
  std::unique_ptr<ObjectIndex> index_;
  std::unique_ptr<Ledger> ledger_;  ///< the committer's

  mutable std::mutex published_mutex_;
  SharedBuckets buckets_;
  ObjectUsage usage_;
  std::atomic<std::uint64_t> bucket_changes_{1};
  std::uint64_t ledger_changes_ = 0;

  mutable std::mutex segments_mutex_;
  std::unordered_map<std::uint32_t, std::shared_ptr<Segment>> segments_;
  std::vector<std::shared_ptr<Segment>> idle_segments_;
  std::uint32_t last_segment_ = 0;

  std::array<PinStripe, kStripes> stripes_;

  std::mutex changes_mutex_;
  std::condition_variable changes_came_;
  Change* changes_ = nullptr;
  Change** changes_end_ = &changes_;
  std::mutex help_mutex_;
  std::condition_variable help_came_;
  std::deque<Help*> help_;
  std::shared_mutex posting_mutex_;  ///< shared by who posts to a loop
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

/// `co_await Committing(core, [&](Ledger& ledger) { return ledger.…; })`: the answer, once it is durable.
template <class F>
class Committing : Change {
 public:
  using Answer = std::invoke_result_t<F&, Ledger&>;
  Committing(ObjectCore& core, F function) : core_(core), function_(std::move(function)) {
    home = detail::current_loop;
    apply = [](Change& change, Ledger& ledger) {
      auto& self = static_cast<Committing&>(change);
      self.answer_.emplace(self.function_(ledger));
      if (!*self.answer_) self.outcome = self.answer_->error();
    };
    run = [](Runnable& self) noexcept { static_cast<Committing&>(self).waiting.resume(); };
  }
  Committing(const Committing&) = delete;
  Committing& operator=(const Committing&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    waiting = handle;
    core_.submit(*this);
  }
  Answer await_resume() {
    if (!outcome) return std::move(outcome).error();
    return std::move(*answer_);
  }

 private:
  ObjectCore& core_;
  F function_;
  std::optional<Answer> answer_;
};

/// `co_await Helped(core, [&] { … })`: what the function answers, on a helper thread.
template <class F>
class Helped : Help {
 public:
  using Answer = std::invoke_result_t<F&>;
  Helped(ObjectCore& core, F function) : core_(core), function_(std::move(function)) {
    home = detail::current_loop;
    work = [](Help& help) {
      auto& self = static_cast<Helped&>(help);
      self.answer_.emplace(self.function_());
    };
    run = [](Runnable& self) noexcept { static_cast<Helped&>(self).waiting.resume(); };
  }
  Helped(const Helped&) = delete;
  Helped& operator=(const Helped&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    waiting = handle;
    core_.submit(*this);
  }
  Answer await_resume() { return std::move(*answer_); }

 private:
  ObjectCore& core_;
  F function_;
  std::optional<Answer> answer_;
};

}  // namespace netstor::store
