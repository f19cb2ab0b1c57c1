// SPDX-License-Identifier: Apache-2.0
// The threads and the sharing of object_core.h; its files are in object_segments.cc.

#include "server/store/object_core.h"

#include "lib/base/assert.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace netstor::store {

namespace {

// So many changes are written together at most: the last one does not wait for ever, and one that is taken
// back does not cost more than that.
constexpr unsigned kBatchMax = 256;

}  // namespace

ObjectCore::ObjectCore(std::string path, ObjectStoreOptions options)
    : path_(std::move(path)), options_(std::move(options)) {}

Result<std::shared_ptr<ObjectCore>> ObjectCore::open(const std::string& path, ObjectStoreOptions options) {
  constexpr std::size_t kInlineMax = 64 << 10;
  constexpr std::uint64_t kSegmentMin = 16 << 20;
  if (options.inline_bytes_max > kInlineMax || options.segment_bytes < kSegmentMin ||
      options.segment_bytes % kExtentAlignment != 0 || options.helpers < 1 || options.helpers > 64) {
    return Error(ErrorKind::invalid_argument, "the object store: an option is beyond its limits");
  }
  auto core = std::make_shared<ObjectCore>(path, std::move(options));
  NETSTOR_CHECK_RETURN(core->check_version());
  NETSTOR_TRY_RETURN(core->ledger_, Ledger::open(*core->index_, core->options_));
  NETSTOR_CHECK_RETURN(core->open_segments());
  core->publish();
  core->threads_.emplace_back([raw = core.get()] { raw->commit_changes(); });
  for (unsigned i = 0; i < core->options_.helpers; ++i) {
    core->threads_.emplace_back([raw = core.get()] { raw->help(); });
  }
  return core;
}

ObjectCore::~ObjectCore() {
  {
    const std::scoped_lock lock(changes_mutex_, help_mutex_);
    ending_ = true;
  }
  changes_came_.notify_all();
  help_came_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::int64_t ObjectCore::now_ms() const {
  if (options_.now_ms) return options_.now_ms();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// --- the committer ------------------------------------------------------------------------------------

void ObjectCore::submit(Change& change) noexcept {
  change.following = nullptr;
  bool first = false;
  {
    const std::lock_guard lock(changes_mutex_);
    first = changes_ == nullptr;
    *changes_end_ = &change;
    changes_end_ = &change.following;
  }
  if (first) changes_came_.notify_one();
}

void ObjectCore::commit_changes() noexcept {
  for (;;) {
    Change* first = nullptr;
    {
      std::unique_lock lock(changes_mutex_);
      changes_came_.wait(lock, [this] { return ending_ || changes_ != nullptr; });
      if (changes_ == nullptr) return;
      first = changes_;
      Change* last = first;
      for (unsigned i = 1; i < kBatchMax && last->following != nullptr; ++i) last = last->following;
      changes_ = last->following;
      if (changes_ == nullptr) changes_end_ = &changes_;
      last->following = nullptr;
    }
    commit_batch(first);
  }
}

void ObjectCore::commit_batch(Change* first) noexcept {
  for (Change* change = first; change != nullptr; change = change->following) {
    ledger_->begin();
    change->apply(*change, *ledger_);
    change->outcome ? ledger_->keep() : ledger_->undo();
  }
  const Result<void> written = ledger_->commit();
  publish();
  free(ledger_->take_freed());
  const std::shared_lock posting(posting_mutex_);
  while (first != nullptr) {
    Change* const following = first->following;
    // One that changed nothing has decided by what did not become durable: it fails with the others.
    if (!written) first->outcome = written.error();
    first->home->post(*first);
    first = following;
  }
}

void ObjectCore::publish() noexcept {
  const std::lock_guard lock(published_mutex_);
  usage_ = ledger_->usage();
  if (buckets_ != nullptr && ledger_changes_ == ledger_->bucket_changes()) return;
  ledger_changes_ = ledger_->bucket_changes();
  buckets_ = std::make_shared<const BucketTable>(ledger_->buckets());
  bucket_changes_.fetch_add(1, std::memory_order_release);
}

ObjectCore::SharedBuckets ObjectCore::buckets() const {
  const std::lock_guard lock(published_mutex_);
  return buckets_;
}

ObjectUsage ObjectCore::usage() const {
  const std::lock_guard lock(published_mutex_);
  return usage_;
}

// --- the helpers --------------------------------------------------------------------------------------

void ObjectCore::submit(Help& help) noexcept {
  {
    const std::lock_guard lock(help_mutex_);
    help_.push_back(&help);
  }
  help_came_.notify_one();
}

void ObjectCore::help() noexcept {
  std::unique_lock lock(help_mutex_);
  for (;;) {
    help_came_.wait(lock, [this] { return ending_ || !help_.empty(); });
    if (help_.empty()) return;
    Help* const help = help_.front();
    help_.pop_front();
    lock.unlock();
    help->work(*help);
    if (help->home != nullptr) {
      const std::shared_lock posting(posting_mutex_);
      help->home->post(*help);
    } else {
      delete help;
    }
    lock.lock();
  }
}

void ObjectCore::wait_for_posts() noexcept { const std::lock_guard none(posting_mutex_); }

// --- who reads what -----------------------------------------------------------------------------------

ObjectCore::PinStripe& ObjectCore::stripe_of(const Extent& extent, std::uint64_t& name) noexcept {
  // A segment has less than 2^40 blocks.
  name = static_cast<std::uint64_t>(extent.segment) << 40 | extent.base / kExtentAlignment;
  return stripes_[name * 0x9e3779b97f4a7c15U >> 58];
}

void ObjectCore::pin(const std::vector<Extent>& extents) {
  for (const Extent& extent : extents) {
    if (extent.segment == 0) continue;
    std::uint64_t name = 0;
    PinStripe& stripe = stripe_of(extent, name);
    const std::lock_guard lock(stripe.mutex);
    ++stripe.pins[name].count;
  }
}

void ObjectCore::unpin(const std::vector<Extent>& extents) noexcept {
  std::vector<Extent> freed;
  for (const Extent& extent : extents) {
    if (extent.segment == 0) continue;
    std::uint64_t name = 0;
    PinStripe& stripe = stripe_of(extent, name);
    const std::lock_guard lock(stripe.mutex);
    const auto at = stripe.pins.find(name);
    NETSTOR_ASSERT(at != stripe.pins.end());
    if (--at->second.count > 0) continue;
    if (at->second.free_length > 0) {
      freed.push_back({extent.segment, extent.base, extent.base, at->second.free_length});
    }
    stripe.pins.erase(at);
  }
  give_back_space(std::move(freed));
}

void ObjectCore::free(std::vector<Extent> extents) {
  std::erase_if(extents, [this](const Extent& extent) {
    std::uint64_t name = 0;
    PinStripe& stripe = stripe_of(extent, name);
    const std::lock_guard lock(stripe.mutex);
    const auto at = stripe.pins.find(name);
    if (at == stripe.pins.end()) return false;
    at->second.free_length = extent.length;
    return true;
  });
  give_back_space(std::move(extents));
}

void ObjectCore::give_back_space(std::vector<Extent> extents) {
  if (extents.empty()) return;
  struct Punching : Help {
    ObjectCore* core = nullptr;
    std::vector<Extent> extents;
  };
  auto* const punching = new Punching;
  punching->core = this;
  punching->extents = std::move(extents);
  punching->work = [](Help& help) {
    auto& self = static_cast<Punching&>(help);
    for (const Extent& extent : self.extents) self.core->punch(extent);
  };
  submit(*punching);
}

}  // namespace netstor::store
