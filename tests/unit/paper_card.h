// SPDX-License-Identifier: Apache-2.0
#pragma once
// A card that only keeps books, for the client's end of S3 over RDMA: how connections go is the test's to
// say, and nothing moves.

#include "lib/wire/s3/rdma.h"
#include "transports/message_link.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace netstor {

class PaperCard;

/// A link on which all goes as its card says.
class PaperLink final : public MessageLink {
 public:
  PaperLink(PaperCard& card, bool broken) : card_(card), is_broken_(broken) {}
  void observe(MessageObserver& who) noexcept override { observer_ = &who; }
  bool broken() const noexcept override { return is_broken_; }
  Submit submit(MessageOp& op) override;
  std::optional<RemoteMemory> open_window(std::uint16_t, iovec memory, bool, MessageOp* opened) override;
  void window_ended(std::uint16_t) noexcept override {}
  bool has_windows() const noexcept override { return true; }
  bool reaches(const iovec* pieces, unsigned) const noexcept override {
    return !registered_around(*pieces).empty();
  }
  MutableBytes registered_around(iovec memory) const noexcept override;
  MutableBytes scratch() noexcept override { return {}; }
  void give_back(std::uint32_t) noexcept override {}
  std::uint32_t inline_bytes() const noexcept override { return 0; }
  unsigned room() const noexcept override { return 1; }
  unsigned transfer_works() const noexcept override { return 1; }
  const MessageGreeting& greeting() const noexcept override { return greeting_; }
  void close(Op& closed) override;
  std::string_view peer() const noexcept override { return "paper"; }
  std::string describe() const override { return "paper"; }

  /// It breaks, and says so: as with a real one nobody sees the first without the second.
  void lose() {
    if (std::exchange(is_broken_, true)) return;
    observer_->link_lost(OpResult::failure(ErrorKind::disconnected));
  }

 private:
  PaperCard& card_;
  bool is_broken_;
  MessageObserver* observer_ = nullptr;
  MessageGreeting greeting_;
};

inline std::vector<std::byte> words(s3::RdmaStatus status) {
  const auto bytes = encode(status);
  return {bytes.begin(), bytes.end()};
}

/// How a connection goes, and what is said to it.
struct PaperAnswer {
  OpResult result{};
  std::vector<std::byte> says = words(s3::RdmaStatus::accepted);
};

class PaperCard final : public MessagePort {
 public:
  unsigned poll(unsigned) override {
    std::vector<Op*> now;
    now.swap(done);
    for (Op* const op : now) op->complete(*op);
    return static_cast<unsigned>(now.size());
  }
  void flush() override {}
  int fd() const noexcept override { return -1; }
  void sleep_until(Time) override {}
  void wake() noexcept override {}
  Result<void> register_memory(MutableBytes memory) override {
    if (refuses) return Error(ErrorKind::exhausted, "no more");
    registered.push_back(memory);
    return {};
  }
  void forget_memory(MutableBytes memory) noexcept override {
    const auto one = std::ranges::find_if(registered, [&](MutableBytes each) {
      return each.data() == memory.data() && each.size() == memory.size();
    });
    if (one != registered.end()) registered.erase(one);
  }
  Result<bool> acknowledges_writes(const Address&) override { return true; }
  void connect_messages(MessageConnectOp& op) override {
    ++connects;
    if (is_silent) return silent.push_back(&op);
    const PaperAnswer how = answers.empty() ? PaperAnswer{} : answers.front();
    if (!answers.empty()) answers.pop_front();
    std::ranges::copy(how.says, op.greeting.bytes);
    op.greeting.length = how.says.size();
    if (!how.result.ok) return finish(op, how.result);
    auto made = std::make_unique<PaperLink>(*this, breaks);
    link = made.get();
    op.link = std::move(made);
    finish(op, how.result);
  }
  void cancel_messages(MessageConnectOp& op) override {
    if (std::erase(silent, &op) != 0) finish(op, OpResult::failure(ErrorKind::cancelled));
  }
  const MessageGreeting& asked(const Ticket&) const noexcept override { return greeting_; }
  Result<std::unique_ptr<MessageLink>> adopt_messages(const Ticket&, const MessageShape&,
                                                      std::span<const std::byte>,
                                                      std::span<const std::byte>) override {
    return Error(ErrorKind::unsupported, "no listener");
  }
  void refuse_messages(const Ticket&, std::span<const std::byte>) noexcept override {}

  /// From the next poll().
  void finish(Op& op, OpResult how = {}) {
    op.result = how;
    done.push_back(&op);
    if (done.size() == 1 && wants_poll) wants_poll();
  }

  std::vector<MutableBytes> registered;
  std::vector<Op*> done;
  std::function<void()> wants_poll;
  PaperLink* link = nullptr;  ///< the last one
  unsigned connects = 0;
  std::deque<PaperAnswer> answers;  ///< to the next connections; those that follow are made
  bool is_silent = false;           ///< connections are answered nothing, but that they were cancelled
  std::vector<MessageConnectOp*> silent;
  bool breaks = false;  ///< connections are made, and are broken before anybody looks
  bool refuses = false;

 private:
  MessageGreeting greeting_;
};

inline Submit PaperLink::submit(MessageOp& op) {
  card_.finish(op, is_broken_ ? OpResult::failure(ErrorKind::disconnected) : OpResult::success());
  return Submit::accepted;
}

inline std::optional<RemoteMemory> PaperLink::open_window(std::uint16_t, iovec memory, bool,
                                                          MessageOp* opened) {
  if (is_broken_ || registered_around(memory).empty()) return std::nullopt;
  card_.finish(*opened);
  return RemoteMemory{.address = 1, .key = 1};
}

inline MutableBytes PaperLink::registered_around(iovec memory) const noexcept {
  const auto* const begin = static_cast<const std::byte*>(memory.iov_base);
  const auto found = std::ranges::find_if(card_.registered, [&](MutableBytes each) {
    return begin >= each.data() && begin + memory.iov_len <= each.data() + each.size();
  });
  return found == card_.registered.end() ? MutableBytes{} : *found;
}

inline void PaperLink::close(Op& closed) {
  is_broken_ = true;
  card_.finish(closed);
}

}  // namespace netstor
