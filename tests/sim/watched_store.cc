// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/watched_store.h"

#include <netstor/task.h>

#include <deque>
#include <utility>

namespace netstor::sim {

namespace {

class WatchedStore final : public store::BlockStore {
 public:
  WatchedStore(std::unique_ptr<store::BlockStore> inner, StoreWatch& watch)
      : inner_(std::move(inner)), watch_(watch) {
    closing_.user = this;
    closing_.complete = [](Op& op) noexcept { static_cast<WatchedStore*>(op.user)->ended(); };
  }

  const store::StoreLimits& limits() const noexcept override { return inner_->limits(); }

  // The inner store gets an operation of our own, which is used only once: so a second completion is never
  // taken for the first one of another operation.
  Submit submit(store::StoreOp& op) override {
    Shadow& shadow = shadows_.emplace_back();
    shadow.store = this;
    shadow.original = &op;
    shadow.verb = op.verb;
    shadow.force_unit_access = op.force_unit_access;
    shadow.offset = op.offset;
    shadow.length = op.length;
    shadow.pieces = op.pieces;
    shadow.piece_count = op.piece_count;
    shadow.expected = op.expected;
    shadow.expected_count = op.expected_count;
    shadow.complete = [](Op& done) noexcept {
      auto& self = static_cast<Shadow&>(done);
      self.store->completed(self);
    };
    submitting_ = true;
    const Submit submitted = inner_->submit(shadow);
    submitting_ = false;
    if (submitted == Submit::full) {
      shadows_.pop_back();
    } else {
      ++outstanding_;
    }
    return submitted;
  }

  void close(Op& closed) override {
    closed_ = &closed;
    inner_->close(closing_);
  }

 private:
  struct Shadow : store::StoreOp {
    WatchedStore* store = nullptr;
    store::StoreOp* original = nullptr;  // until completion
  };

  void completed(Shadow& shadow) noexcept {
    store::StoreOp* const original = std::exchange(shadow.original, nullptr);
    if (original == nullptr) return watch_.report("the store completed an operation twice");
    if (submitting_) watch_.report("the store completed an operation inside submit()");
    --outstanding_;
    ++watch_.completed;
    original->result = shadow.result;
    original->complete(*original);
  }
  void ended() noexcept {
    if (outstanding_ > 0) watch_.report("the store was closed with operations in flight");
    closed_->result = closing_.result;
    closed_->complete(*closed_);
  }

  std::unique_ptr<store::BlockStore> inner_;
  StoreWatch& watch_;
  std::deque<Shadow> shadows_;
  std::uint64_t outstanding_ = 0;
  bool submitting_ = false;
  Op closing_;
  Op* closed_ = nullptr;
};

class WatchedVolume final : public store::StoredVolume {
 public:
  WatchedVolume(std::unique_ptr<store::StoredVolume> inner, StoreWatch& watch)
      : StoredVolume(inner->identity()), inner_(std::move(inner)), watch_(watch) {}
  std::string_view kind() const noexcept override { return inner_->kind(); }
  Future<std::unique_ptr<store::BlockStore>> open(PortContext& context) override {
    return inner_->open(context).then([this](Result<std::unique_ptr<store::BlockStore>> opened)
                                          -> Result<std::unique_ptr<store::BlockStore>> {
      if (!opened) return std::move(opened).error();
      return std::unique_ptr<store::BlockStore>(
          std::make_unique<WatchedStore>(std::move(opened).value(), watch_));
    });
  }
  Result<void> sync() override { return inner_->sync(); }

 private:
  std::unique_ptr<store::StoredVolume> inner_;
  StoreWatch& watch_;
};

}  // namespace

std::unique_ptr<store::StoredVolume> make_watched_volume(std::unique_ptr<store::StoredVolume> inner,
                                                         StoreWatch& watch) {
  return std::make_unique<WatchedVolume>(std::move(inner), watch);
}

}  // namespace netstor::sim
