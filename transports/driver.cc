// SPDX-License-Identifier: Apache-2.0
// The bodies that the driver contract shares: how a result is made from an errno value and said to people,
// and what a port answers to what it cannot do.

#include <netstor/ext/device.h>
#include <netstor/ext/driver.h>
#include <netstor/ext/link.h>

#include "lib/base/errno.h"
#include "lib/wire/fabrics/connect.h"
#include "lib/wire/fabrics/rdma_fault.h"
#include "lib/wire/nvme/status.h"
#include "transports/cause.h"

#include <cstring>

namespace netstor {
namespace {

/// A port without the ability has no completion queue of its own either, so the shard's run queue carries
/// the answer: it comes later, from the same thread. Lives until it has run.
struct Unsupported : detail::Runnable {
  explicit Unsupported(Op& refused) : op(refused) {
    run = [](detail::Runnable& self) noexcept {
      Op& answered = static_cast<Unsupported&>(self).op;
      delete &static_cast<Unsupported&>(self);
      answered.result = OpResult::failure(ErrorKind::unsupported);
      answered.complete(answered);
    };
  }
  Op& op;
};

void answer_unsupported(Op& op) {
  if (detail::current_loop != nullptr)
    detail::current_loop->push(*new Unsupported(op));
  else
    detail::panic("a port was called outside of its shard");
}

/// Why a path was lost, where no errno value says it.
std::string_view reason(ErrorKind cause) noexcept {
  switch (cause) {
    case ErrorKind::protocol:
      return "the other end broke the protocol";
    case ErrorKind::timed_out:
      return "the other end did not answer in time";
    case ErrorKind::not_found:
      return "the other end does not have it any more";
    default:
      return to_string(cause);
  }
}

/// Codes from 80h on mean something else after each kind of command.
bool means_one_thing(nvme::Status status) noexcept {
  return status.sct() != nvme::StatusType::command_specific || status.sc() < 0x80;
}

/// Of enum ibv_wc_status, whose numbers are the kernel's interface.
std::string_view said_by_card(std::int32_t status) noexcept {
  switch (status) {
    case 1:
      return "a message was longer than the room for it";
    case 4:
      return "memory that is not registered was named";
    case 5:
      return "the connection was broken off";
    case 6:
      return "a memory window could not be opened";
    case 9:
    case 11:
      return "the other end refused what was asked of it";
    case 10:
      return "the other end does not let us into its memory there";
    case 12:
      return "the other end does not answer";
    case 13:
      return "the other end was not ready to receive";
    default:
      return "the card failed";
  }
}

}  // namespace

std::string cause::text(std::int32_t native) {
  if (native == kClosedByPeer) return "closed by the other end";
  if (native == kDataDigest) return "data digest error";
  if ((native & kRdma) != 0) return std::string(said_by_card(native & 0xFF));
  if ((native & kRdmaReject) != 0) {
    return "the controller refused the connection: " +
           std::string(nvme::to_string(static_cast<nvme::RdmaRejectReason>(native & 0xFFFF)));
  }
  if ((native & kNvmeTcp) == 0 && (native & kNvmeRdma) != 0) {
    return "the other end broke the protocol: " +
           std::string(nvme::rdma::to_string(static_cast<nvme::rdma::HostFault>(native & 0xFF)));
  }
  if ((native & kNvmeTcp) == 0) return {};
  std::string words = (native & kSaidByPeer) != 0 ? "the other end ended the connection: "
                                                  : "the other end broke the protocol: ";
  words += nvme::tcp::to_string(static_cast<nvme::tcp::Fes>(native >> 16 & 0xFF));
  if ((native & 0xFFFF) != 0xFFFF) words += " at byte " + std::to_string(native & 0xFFFF);
  return words;
}

OpResult OpResult::as_lost_path() const noexcept {
  OpResult lost = *this;
  if (origin == Origin::library && kind != ErrorKind::disconnected && native < cause::kFirst)
    lost.native = static_cast<std::int32_t>(kind);
  lost.kind = ErrorKind::disconnected;
  return lost;
}

OpResult OpResult::system(int errno_value, Effect effect) noexcept {
  return failure(kind_of_errno(errno_value), Origin::system, errno_value, effect);
}

Error OpResult::error(std::string_view what) const {
  if (origin == Origin::system) {
    return {kind, std::string(what) + ": " + std::strerror(native), effect, origin, native};
  }
  std::string text = std::string(what) + ": ";
  if (origin == Origin::library && native >= cause::kFirst) {
    return {kind, text + cause::text(native), effect};
  }
  text += to_string(kind);
  if (origin == Origin::library) {
    if (kind == ErrorKind::disconnected && native != 0) {
      text += ": ";
      text += reason(static_cast<ErrorKind>(native));
    }
    return {kind, std::move(text), effect};
  }
  const auto status = nvme::Status::from_raw(static_cast<std::uint16_t>(native));
  if (origin == Origin::nvme && means_one_thing(status)) {
    text += ": ";
    text += nvme::to_string(status);
  }
  return {kind, std::move(text), effect, origin, native};
}

Result<void> Port::register_memory(MutableBytes) { return {}; }
void Port::forget_memory(MutableBytes) noexcept {}

void Port::connect(ConnectOp& op) { answer_unsupported(op); }
void Port::cancel_connect(ConnectOp&) {}
void Port::open(OpenOp& op) { answer_unsupported(op); }
void Port::discover(DiscoverOp& op) { answer_unsupported(op); }
void Port::cancel_open(OpenOp&) {}
void Port::cancel_discover(DiscoverOp&) {}

Result<std::unique_ptr<Listener>> Port::listen(const Address&) {
  return Error(ErrorKind::unsupported, "this driver cannot listen");
}
Result<std::unique_ptr<Link>> Port::adopt(const Ticket&) {
  return Error(ErrorKind::unsupported, "this driver has no connections to adopt");
}
void Port::refuse(const Ticket&) noexcept {}

}  // namespace netstor
