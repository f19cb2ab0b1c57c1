// SPDX-License-Identifier: Apache-2.0
#include "lib/object/rdma_session.h"

#include "lib/base/assert.h"

#include <cerrno>
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

/// Nothing: there is a link, and the endpoint's word that it takes part.
std::optional<RdmaFailure> RdmaSession::failure_to_connect() const {
  using s3::RdmaStatus;
  const std::string to =
      "no RDMA connection to " + connect_.address.host + " port " + std::to_string(connect_.address.port);
  const auto said = s3::decode_rdma_welcome(connect_.greeting.view());
  if (said == RdmaStatus::version || (link_ != nullptr && said != RdmaStatus::accepted))
    return RdmaFailure{.why = to + ": what answers there speaks " +
                              std::string(s3::to_string(RdmaStatus::version))};
  if (link_ != nullptr && !link_->broken()) return std::nullopt;
  if (said == RdmaStatus::ticket || said == RdmaStatus::resources)
    return RdmaFailure{.kind = said == RdmaStatus::ticket ? ErrorKind::disconnected : ErrorKind::exhausted,
                       .why = to + ": the endpoint refused it: " + std::string(s3::to_string(*said)),
                       .passing = true};
  const OpResult how = link_ != nullptr ? OpResult::failure(ErrorKind::disconnected) : connect_.result;
  // What has no card on the way to it has none the next time.
  const bool no_card = how.origin == Origin::system && how.native == ENODEV;
  const bool passing = !no_card && (how.kind == ErrorKind::disconnected || how.kind == ErrorKind::timed_out ||
                                    how.kind == ErrorKind::exhausted);
  std::string why = how.error(to).text();
  if (!connect_.detail.empty()) why += " (" + connect_.detail + ")";
  return RdmaFailure{.kind = passing ? how.kind : ErrorKind::unsupported,
                     .why = std::move(why),
                     .passing = passing,
                     .origin = how.origin,
                     .native = how.native};
}

void RdmaSession::was_connected() noexcept {
  link_ = std::move(connect_.link);
  auto failure = failure_to_connect();
  if (failure) failure_ = std::move(*failure);
  if (link_ == nullptr) return was_closed();
  // Who accepts without the words of this protocol is somebody else.
  if (closing_ || failure) return link_->close(closed_);
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
  if (std::exchange(closing_, true) || closed_already_) return;
  if (!connecting_) return link_->close(closed_);
  // One that was made and is not wanted is closing already.
  if (link_ == nullptr) port_.cancel_messages(connect_);
}

void RdmaSession::message_came(std::uint32_t, std::span<const std::byte>, std::uint32_t) noexcept {
  if (!closing_) owner_.rdma_lost();
}

void RdmaSession::link_lost(OpResult) noexcept {
  if (!closing_) owner_.rdma_lost();
}

}  // namespace netstor::object
