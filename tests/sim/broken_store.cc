// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/broken_store.h"

#include "tests/sim/pattern.h"
#include "transports/sim/pieces.h"

#include <netstor/task.h>

#include <utility>
#include <vector>

namespace netstor::sim {

namespace {

constexpr unsigned kEvery = 8;  // one write in so many meets the defect
constexpr Duration kLate = std::chrono::milliseconds(20);
constexpr Duration kNever = std::chrono::minutes(20);  // longer than a simulation waits for anything

class BrokenStore final : public store::BlockStore {
 public:
  BrokenStore(detail::Loop& loop, std::unique_ptr<store::BlockStore> whole, Defect defect)
      : loop_(loop), whole_(std::move(whole)), defect_(defect) {
    alarm_.store = this;
    alarm_.fire = [](detail::Timer& timer) noexcept { static_cast<Alarm&>(timer).store->store_late(); };
    late_.complete = [](Op& op) noexcept { static_cast<store::StoreOp&>(op).user = nullptr; };
  }

  const store::StoreLimits& limits() const noexcept override { return whole_->limits(); }

  Submit submit(store::StoreOp& op) override {
    if (op.verb == DeviceVerb::flush && defect_ == Defect::ignore_flush) return answer(op);
    if (op.verb != DeviceVerb::write || ++writes_ % kEvery != 0) return whole_->submit(op);
    if (defect_ == Defect::complete_twice && twice_ == nullptr) return submit_twice(op);
    if (defect_ == Defect::misplace && op.offset + op.length < limits().size_bytes)
      op.offset += kPatternBytes;
    const bool free = !alarm_.armed() && late_.user == nullptr;
    if (defect_ == Defect::forget && free) {
      forgotten_ = &op;
      loop_.arm(alarm_, loop_.now() + kNever);
      return Submit::accepted;
    }
    if (defect_ == Defect::acknowledge_before_store && free) {
      bytes_.resize(op.length);
      PieceCursor(op.pieces, op.piece_count).take(bytes_.data(), bytes_.size());
      late_.verb = op.verb;
      late_.offset = op.offset;
      loop_.arm(alarm_, loop_.now() + kLate);
      return answer(op);
    }
    return whole_->submit(op);
  }

  void close(Op& closed) override {
    if (alarm_.armed()) loop_.disarm(alarm_);
    if (forgotten_ != nullptr) answer(*std::exchange(forgotten_, nullptr));
    whole_->close(closed);
  }

 private:
  struct Alarm : detail::Timer {
    BrokenStore* store = nullptr;
  };

  Submit answer(store::StoreOp& op) {
    op.side.later.op = &op;
    op.side.later.run = [](detail::Runnable& step) noexcept {
      store::StoreOp& done = *static_cast<store::StoreSide::Later&>(step).op;
      done.result = OpResult::success(done.length);
      done.complete(done);
    };
    loop_.push(op.side.later);
    return Submit::accepted;
  }
  Submit submit_twice(store::StoreOp& op) {
    twice_ = std::exchange(op.complete, [](Op& done) noexcept {
      auto& self = *static_cast<BrokenStore*>(done.user);
      void (*const complete)(Op&) noexcept = std::exchange(self.twice_, nullptr);
      complete(done);
      complete(done);
    });
    op.user = this;  // the watcher around us has no use for it
    const Submit submitted = whole_->submit(op);
    if (submitted == Submit::full) op.complete = std::exchange(twice_, nullptr);
    return submitted;
  }
  void store_late() {
    if (forgotten_ != nullptr) return static_cast<void>(answer(*std::exchange(forgotten_, nullptr)));
    piece_ = {bytes_.data(), bytes_.size()};
    late_.length = bytes_.size();
    late_.pieces = &piece_;
    late_.piece_count = 1;
    late_.user = this;
    if (whole_->submit(late_) == Submit::full) late_.user = nullptr;
  }

  detail::Loop& loop_;
  std::unique_ptr<store::BlockStore> whole_;
  const Defect defect_;
  unsigned writes_ = 0;
  void (*twice_)(Op&) noexcept = nullptr;  // what the write to be completed twice calls
  store::StoreOp* forgotten_ = nullptr;
  Alarm alarm_;
  std::vector<std::byte> bytes_;
  iovec piece_{};
  store::StoreOp late_;
};

class BrokenVolume final : public store::StoredVolume {
 public:
  BrokenVolume(std::unique_ptr<store::StoredVolume> whole, Defect defect)
      : StoredVolume(whole->identity()), whole_(std::move(whole)), defect_(defect) {}
  std::string_view kind() const noexcept override { return "broken"; }
  Future<std::unique_ptr<store::BlockStore>> open(PortContext& context) override {
    return whole_->open(context).then(
        [&context, defect = defect_](
            Result<std::unique_ptr<store::BlockStore>> opened) -> Result<std::unique_ptr<store::BlockStore>> {
          if (!opened) return std::move(opened).error();
          return std::unique_ptr<store::BlockStore>(
              std::make_unique<BrokenStore>(context.loop(), std::move(opened).value(), defect));
        });
  }

 private:
  std::unique_ptr<store::StoredVolume> whole_;
  const Defect defect_;
};

}  // namespace

std::unique_ptr<store::StoredVolume> make_broken_volume(std::unique_ptr<store::StoredVolume> whole,
                                                        Defect defect) {
  return std::make_unique<BrokenVolume>(std::move(whole), defect);
}

}  // namespace netstor::sim
