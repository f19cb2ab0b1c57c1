// SPDX-License-Identifier: Apache-2.0
#include "transports/rdma/port.h"

#include <netstor/metrics.h>

#include "transports/rdma/connecting.h"
#include "transports/rdma/listener.h"
#include "transports/socket.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netstor::rdma {

namespace {

// So often the connection manager is asked while the shard does not sleep: it is a system call.
constexpr Duration kAskEvery = std::chrono::milliseconds(1);
constexpr unsigned kEventsMax = 64;  // of it in one turn

}  // namespace

std::string peer_text(rdma_cm_id& id) {
  SocketAddress address;
  const sockaddr* const at = ::rdma_get_peer_addr(&id);
  address.length = at->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  std::copy_n(reinterpret_cast<const std::byte*>(at), address.length,
              reinterpret_cast<std::byte*>(address.get()));
  return to_text(address);
}

Result<std::unique_ptr<RdmaPort>> RdmaPort::make(PortContext& context) {
  std::unique_ptr<RdmaPort> port(new RdmaPort(context));
  port->channel_ = ::rdma_create_event_channel();
  if (port->channel_ == nullptr) return Error::system(errno, "reach the RDMA connection manager");
  const int fd = port->channel_->fd;
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
    return Error::system(errno, "reach the RDMA connection manager");
  port->epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  port->event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (port->epoll_ < 0 || port->event_ < 0) return Error::system(errno, "epoll");
  NETSTOR_CHECK_RETURN(port->watch(fd));
  NETSTOR_CHECK_RETURN(port->watch(port->event_));
  return port;
}

RdmaPort::~RdmaPort() {
  // Connections that were given up on the way may still be closing; nobody turns this port any more.
  while (!closing_.empty()) {
    RdmaLink& link = *closing_.back();
    closing_.pop_back();
    link.end();
  }
  while (finished_.run(~0u) != 0) {
  }
  cards_.clear();
  if (channel_ != nullptr) ::rdma_destroy_event_channel(channel_);
  if (event_ >= 0) ::close(event_);
  if (epoll_ >= 0) ::close(epoll_);
}

Result<void> RdmaPort::watch(int fd) {
  epoll_event event{.events = EPOLLIN, .data = {}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return Error::system(errno, "epoll");
  return {};
}

// ---- Turns.

unsigned RdmaPort::poll(unsigned max) {
  unsigned done = 0;
  if (std::exchange(slept_, false)) {
    std::uint64_t count = 0;
    static_cast<void>(::read(event_, &count, sizeof count));
    for (const auto& card : cards_) card->clear_event();
    done += hear();
  } else if (eager_ > 0 || loop().now() - heard_ >= kAskEvery) {
    done += hear();
  }
  for (const auto& card : cards_) done += card->poll(max);
  if (!closing_.empty()) done += end_drained();
  return done + finished_.run(max);
}

unsigned RdmaPort::end_drained() {
  if (std::ranges::none_of(closing_, [](RdmaLink* each) { return each->drained(); })) return 0;
  unsigned ended = 0;
  // What a queue pair has received and nobody has seen goes with it.
  for (const auto& card : cards_) ended += card->poll(~0u);
  for (std::size_t i = 0; i < closing_.size();) {
    RdmaLink& link = *closing_[i];
    if (!link.drained()) {
      ++i;
      continue;
    }
    closing_.erase(closing_.begin() + static_cast<std::ptrdiff_t>(i));
    link.end();
    ++ended;
  }
  return ended;
}

// What the event carries is gone once it is acknowledged, and an id whose events are not cannot be destroyed:
// hence a copy of both first.
unsigned RdmaPort::hear() {
  heard_ = loop().now();
  unsigned heard = 0;
  rdma_cm_event* event = nullptr;
  for (unsigned i = 0; i < kEventsMax && ::rdma_get_cm_event(channel_, &event) == 0; ++i) {
    rdma_cm_event copy = *event;
    MessageGreeting greeting;
    if (event->param.conn.private_data != nullptr) {
      greeting.length = std::min<std::size_t>(event->param.conn.private_data_len, sizeof greeting.bytes);
      std::copy_n(static_cast<const std::byte*>(event->param.conn.private_data), greeting.length,
                  greeting.bytes);
    }
    copy.param.conn.private_data = greeting.length != 0 ? greeting.bytes : nullptr;
    copy.param.conn.private_data_len = static_cast<std::uint8_t>(greeting.length);
    const bool request = copy.event == RDMA_CM_EVENT_CONNECT_REQUEST;
    auto* const who = static_cast<Listening*>(request ? copy.listen_id->context : copy.id->context);
    // From here on an id that was handed over may move to another shard.
    ::rdma_ack_cm_event(event);
    ++heard;
    // What the other end said before it went, the reason perhaps, lies in the completion queues.
    if (copy.event == RDMA_CM_EVENT_DISCONNECTED) {
      for (const auto& card : cards_) heard += card->poll(~0u);
    }
    if (who != nullptr) who->said(copy);
  }
  return heard;
}

void RdmaPort::has_work(RdmaLink& link) noexcept {
  if (std::exchange(link.has_work, true)) return;
  link.next_with_work = std::exchange(with_work_, &link);
}

void RdmaPort::remove(RdmaLink& link) noexcept {
  if (!std::exchange(link.has_work, false)) return;
  RdmaLink** at = &with_work_;
  while (*at != &link) at = &(*at)->next_with_work;
  *at = link.next_with_work;
}

// Receives first: what is sent may let a peer send.
void RdmaPort::flush() {
  for (const auto& card : cards_) card->flush();
  while (with_work_ != nullptr) {
    RdmaLink& link = *std::exchange(with_work_, with_work_->next_with_work);
    link.has_work = false;
    link.flush();
  }
}

bool RdmaPort::may_sleep() {
  slept_ = true;
  if (!finished_.empty()) return false;
  if (!std::ranges::all_of(closing_, [](RdmaLink* each) { return each->settling(); })) return false;
  return std::ranges::all_of(cards_, [](const auto& card) { return card->arm(); });
}

void RdmaPort::sleep_until(Time deadline) {
  flush();
  if (!may_sleep()) return;
  const auto left = std::max(deadline - loop().now(), Duration::zero());
  const timespec timeout{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
  epoll_event found{};
  ::epoll_pwait2(epoll_, &found, 1, deadline == Time::max() ? nullptr : &timeout, nullptr);
}

void RdmaPort::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(event_, &one, sizeof one));
}

// ---- Cards and memory.

Result<Card*> RdmaPort::card(ibv_context* device) {
  for (const auto& each : cards_) {
    if (each->context() == device) return each.get();
  }
  NETSTOR_TRY_RETURN(std::unique_ptr<Card> made, Card::make(device));
  for (const MutableBytes memory : registered_) {
    if (!made->has_memory(memory) && !made->add_memory(memory)) ++context_.metrics().registrations_degraded;
  }
  NETSTOR_CHECK_RETURN(watch(made->fd()));
  cards_.push_back(std::move(made));
  return cards_.back().get();
}

// What a card refuses is copied instead. The same memory may be registered by several, for as long as each of
// them needs it.
Result<void> RdmaPort::register_memory(MutableBytes memory) {
  for (const auto& card : cards_) {
    if (!card->has_memory(memory) && !card->add_memory(memory)) ++context_.metrics().registrations_degraded;
  }
  registered_.push_back(memory);
  return {};
}

void RdmaPort::forget_memory(MutableBytes memory) noexcept {
  const auto same = [=](MutableBytes each) {
    return each.data() == memory.data() && each.size() == memory.size();
  };
  const auto one = std::ranges::find_if(registered_, same);
  if (one == registered_.end()) return;
  registered_.erase(one);
  if (std::ranges::any_of(registered_, same)) return;
  for (const auto& card : cards_) card->remove_memory(memory);
}

// ---- Connections.

void RdmaPort::connect_messages(MessageConnectOp& op) { Connecting::start(*this, op); }

void RdmaPort::cancel_messages(MessageConnectOp& op) { Connecting::cancel(op); }

Result<std::unique_ptr<Listener>> RdmaPort::listen(const Address& address) {
  return RdmaListener::make(*this, address);
}

Result<bool> RdmaPort::acknowledges_writes(const Address& address) {
  return RdmaListener::acknowledges_writes(address);
}

bool RdmaPort::reaches_all(const Card& card) const noexcept {
  return std::ranges::all_of(
      registered_, [&](MutableBytes each) { return card.find(each.data(), each.size()) != nullptr; });
}

const MessageGreeting& RdmaPort::asked(const Ticket& ticket) const noexcept {
  return Incoming::of(ticket).greeting;
}

Result<std::unique_ptr<MessageLink>> RdmaPort::adopt_messages(const Ticket& ticket, const MessageShape& shape,
                                                              std::span<const std::byte> private_data,
                                                              std::span<const std::byte> refusal) {
  return Incoming::accept(*this, ticket, shape, private_data, refusal);
}

void RdmaPort::refuse_messages(const Ticket& ticket, std::span<const std::byte> private_data) noexcept {
  Incoming::refuse(ticket, private_data);
}

}  // namespace netstor::rdma
