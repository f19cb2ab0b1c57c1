// SPDX-License-Identifier: Apache-2.0
#include "lib/object/rdma_session.h"

#include "lib/base/assert.h"

#include <algorithm>
#include <utility>

namespace netstor::object {
namespace {

// The endpoint says nothing over the connection; a receive is there for one that does.
constexpr MessageShape kShape{.receive_bytes = 64, .receives = 1, .operations = 4, .windows = 1};
constexpr std::uint16_t kWindow = 0;

}  // namespace

RdmaSession::RdmaSession(MessagePort& port, detail::ShardLoop& loop, Owner& owner, const s3::RdmaOffer& offer,
                         const std::string& host, Time deadline)
    : port_(port),
      loop_(loop),
      owner_(owner),
      id_(offer.session),
      bytes_max_(offer.bytes_max),
      greeting_(encode(s3::RdmaGreeting{.session = offer.session, .ticket = offer.ticket})) {
  connect_.user = opened_.user = released_.user = closed_.user = this;
  connect_.complete = [](Op& op) noexcept { static_cast<RdmaSession*>(op.user)->was_connected(); };
  opened_.complete = [](Op& op) noexcept {
    auto& session = *static_cast<RdmaSession*>(op.user);
    if (op.result.ok && !session.closing_) session.owner_.rdma_opened();
  };
  released_.complete = [](Op& op) noexcept {
    auto& session = *static_cast<RdmaSession*>(op.user);
    // What failed is over when the link is closed.
    if (!op.result.ok || session.closing_) return;
    session.let_go();
    session.owner_.rdma_released();
  };
  closed_.complete = [](Op& op) noexcept { static_cast<RdmaSession*>(op.user)->was_closed(); };
  released_.verb = MessageOp::Verb::close_window;
  released_.window = kWindow;
  connect_.address = {.host = offer.host.empty() ? host : offer.host, .port = offer.port};
  connect_.deadline = deadline;
  connect_.shape = kShape;
  connect_.private_data = greeting_;
  port_.connect_messages(connect_);
}

RdmaSession::~RdmaSession() { NETSTOR_ASSERT(closed_already_ && !holding_); }

void RdmaSession::was_connected() noexcept {
  link_ = std::move(connect_.link);
  if (link_ == nullptr) return was_closed();
  // Who accepts without the words of this protocol is somebody else.
  const auto welcome = s3::decode_rdma_welcome(connect_.greeting.view());
  if (closing_ || welcome != s3::RdmaStatus::accepted || link_->broken()) return link_->close(closed_);
  connecting_ = false;
  link_->observe(*this);
  began_ = loop_.now();
  owner_.rdma_connected();
}

void RdmaSession::was_closed() noexcept {
  link_.reset();
  let_go();
  const bool never_there = std::exchange(connecting_, false) && !closing_;
  closed_already_ = true;
  never_there ? owner_.rdma_connected() : owner_.rdma_closed();
}

bool RdmaSession::open(iovec memory, bool writable, Duration life) {
  NETSTOR_ASSERT(connected() && !holding_);
  if (link_->has_windows()) {
    // One that is there, another request's perhaps, has to outlast this request, too.
    borrowed_ = link_->registered_around(memory);
    if (borrowed_.empty()) borrowed_ = {static_cast<std::byte*>(memory.iov_base), memory.iov_len};
    static_cast<void>(port_.register_memory(borrowed_));  // whether it did is told by what comes next
  }
  const auto opened = link_->open_window(kWindow, memory, writable, &opened_);
  if (!opened) {
    let_go();
    return false;
  }
  holding_ = true;
  const Duration expires = loop_.now() - began_ + life;
  token_ = encode(s3::RdmaToken{.session = id_,
                                .sequence = ++sequence_,
                                .expires_ms = static_cast<std::uint64_t>(
                                    std::chrono::duration_cast<std::chrono::milliseconds>(expires).count()),
                                .address = opened->address,
                                .length = memory.iov_len,
                                .key = opened->key});
  return true;
}

void RdmaSession::release() {
  const Submit submitted = link_->submit(released_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void RdmaSession::let_go() noexcept {
  if (!borrowed_.empty()) port_.forget_memory(std::exchange(borrowed_, {}));
  holding_ = false;
}

void RdmaSession::close() {
  if (!std::exchange(closing_, true) && !connecting_ && !closed_already_) link_->close(closed_);
}

void RdmaSession::message_came(std::uint32_t, std::span<const std::byte>, std::uint32_t) noexcept {
  if (!closing_) owner_.rdma_lost();
}

void RdmaSession::link_lost(OpResult) noexcept {
  if (!closing_) owner_.rdma_lost();
}

}  // namespace netstor::object
