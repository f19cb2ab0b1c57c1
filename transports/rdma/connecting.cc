// SPDX-License-Identifier: Apache-2.0
#include "transports/rdma/connecting.h"

#include "lib/base/assert.h"
#include "transports/opened_device.h"

#include <algorithm>
#include <cerrno>

namespace netstor::rdma {

namespace {

constexpr int kResolveMs = 2000;  // of an address, and of a route
// Of what is not acknowledged; 7, the most, is for ever to Soft-RoCE.
constexpr std::uint8_t kRetries = 6;

OpResult of_status(int status, int otherwise) noexcept {
  return OpResult::system(status < 0 ? -status : otherwise);
}

}  // namespace

void Connecting::start(RdmaPort& port, MessageConnectOp& op) {
  auto* const connecting = new Connecting(port, op);
  op.driver_words[0] = reinterpret_cast<std::uintptr_t>(connecting);
  connecting->begin();
}

void Connecting::cancel(MessageConnectOp& op) {
  auto* const connecting = reinterpret_cast<Connecting*>(op.driver_words[0]);
  if (connecting == nullptr) return;
  // Not here: whoever cancels may do so in the middle of an event that is for it.
  Alarm& alarm = connecting->alarm_;
  connecting->stopped_by_ = ErrorKind::cancelled;
  if (alarm.armed()) connecting->port_.loop().disarm(alarm);
  connecting->port_.loop().arm(alarm, connecting->port_.loop().now());
}

void Connecting::begin() {
  port_.eager(1);
  alarm_.connecting = this;
  alarm_.fire = [](detail::Timer& timer) noexcept {
    Connecting& connecting = *static_cast<Alarm&>(timer).connecting;
    connecting.end(OpResult::failure(connecting.stopped_by_));
  };
  if (op_.deadline != Time::max()) port_.loop().arm(alarm_, op_.deadline);
  if (const auto numeric = numeric_address(op_.address)) {
    addresses_.push_back(*numeric);
    return try_next();
  }
  address_ = op_.address;
  work_.connecting = done_.connecting = this;
  work_.run = [](detail::Runnable& self) noexcept {
    Connecting& connecting = *static_cast<Step&>(self).connecting;
    connecting.looked_up_result_ = look_up(connecting.address_, connecting.addresses_);
  };
  done_.run = [](detail::Runnable& self) noexcept { static_cast<Step&>(self).connecting->looked_up(); };
  looking_up_ = true;
  port_.context().run_blocking(work_, done_);
}

void Connecting::looked_up() {
  looking_up_ = false;
  if (ended_) {
    delete this;
  } else if (!looked_up_result_.ok) {
    end(looked_up_result_);
  } else {
    try_next();
  }
}

void Connecting::try_next() {
  if (next_ == addresses_.size()) return end(last_);
  const SocketAddress& to = addresses_[next_++];
  if (::rdma_create_id(port_.channel(), &id_, static_cast<Listening*>(this), RDMA_PS_TCP) != 0)
    return end(OpResult::system(errno));
  if (::rdma_resolve_addr(id_, nullptr, const_cast<sockaddr*>(to.get()), kResolveMs) != 0)
    return fail(OpResult::system(errno));
}

void Connecting::said(const rdma_cm_event& event) noexcept {
  switch (event.event) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
      if (::rdma_resolve_route(id_, kResolveMs) != 0) fail(OpResult::system(errno));
      return;
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
      return route_found();
    case RDMA_CM_EVENT_ESTABLISHED:
      return established(event);
    case RDMA_CM_EVENT_REJECTED:
      return refused(event);
    case RDMA_CM_EVENT_ADDR_ERROR:
      op_.detail = "no RDMA device reaches this address";
      return fail(of_status(event.status, EHOSTUNREACH));
    case RDMA_CM_EVENT_ROUTE_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
      return fail(of_status(event.status, EHOSTUNREACH));
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_DISCONNECTED:
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
      return fail(of_status(event.status, ECONNABORTED));
    default:
      return;
  }
}

void Connecting::route_found() {
  Result<void> begun = connect();
  if (begun) return;
  op_.detail = begun.error().text();
  end(result_of(begun.error()));
}

Result<void> Connecting::connect() {
  NETSTOR_TRY_RETURN(Card * card, port_.card(id_->verbs));
  NETSTOR_TRY_RETURN(link_, RdmaLink::make(port_, *card, id_, op_.shape));
  rdma_cm_id* const id = std::exchange(id_, nullptr);
  id->context = static_cast<Listening*>(this);
  rdma_conn_param wanted{};
  wanted.private_data = op_.private_data.data();
  wanted.private_data_len = static_cast<std::uint8_t>(op_.private_data.size());
  wanted.responder_resources =
      static_cast<std::uint8_t>(std::clamp(card->abilities().max_qp_rd_atom, 1, 255));
  wanted.initiator_depth =
      static_cast<std::uint8_t>(std::clamp(card->abilities().max_qp_init_rd_atom, 1, 255));
  wanted.retry_count = kRetries;
  wanted.rnr_retry_count = kNotReadyRetries;
  if (::rdma_connect(id, &wanted) != 0) return Error::system(errno, "ask for an RDMA connection");
  return {};
}

void Connecting::established(const rdma_cm_event& event) {
  link_->id()->context = static_cast<Listening*>(link_.get());
  link_->greet(event.param.conn.private_data, event.param.conn.private_data_len);
  link_->nudge_until_heard(true);
  op_.greeting = link_->greeting();
  op_.link = std::move(link_);
  end(OpResult::success());
}

// Somebody is there, and does not want us: other addresses of the same name are the same.
void Connecting::refused(const rdma_cm_event& event) {
  op_.greeting.length = event.param.conn.private_data_len;
  if (op_.greeting.length != 0)
    std::copy_n(static_cast<const std::byte*>(event.param.conn.private_data), op_.greeting.length,
                op_.greeting.bytes);
  fail(OpResult::system(ECONNREFUSED));
}

void Connecting::drop_attempt() {
  if (id_ != nullptr) ::rdma_destroy_id(std::exchange(id_, nullptr));
  if (!link_) return;
  auto* const closing = new Closing;
  closing->link = std::move(link_);
  closing->complete = [](Op& op) noexcept { delete &static_cast<Closing&>(op); };
  closing->link->id()->context = nullptr;
  closing->link->close(*closing);
}

void Connecting::fail(OpResult result) {
  last_ = result;
  drop_attempt();
  try_next();
}

void Connecting::end(OpResult result) {
  drop_attempt();
  if (alarm_.armed()) port_.loop().disarm(alarm_);
  port_.eager(-1);
  op_.driver_words[0] = 0;  // there is nothing left to cancel
  port_.finish(op_, result);
  ended_ = true;
  // The helper thread still writes here while it looks the name up.
  if (!looking_up_) delete this;
}

}  // namespace netstor::rdma
