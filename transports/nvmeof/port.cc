// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/port.h"

#include <netstor/uri.h>
#include <netstor/volume.h>

#include <charconv>

#include "lib/base/assert.h"
#include "lib/engine/completion.h"
#include "lib/wire/fabrics/nqn.h"
#include "lib/wire/fabrics/tcp_pdu.h"
#include "transports/nvmeof/device.h"
#include "transports/nvmeof/discovery.h"
#include "transports/opened_device.h"

namespace netstor::nvmeof {

NvmeofPort::NvmeofPort(PortContext& context, Port* links, MessagePort* messages)
    : context_(context), links_(links), messages_(messages), machine_(machine_identity(context.random())) {}

NvmeofPort::~NvmeofPort() { NETSTOR_ASSERT(connections_ == nullptr); }

void NvmeofPort::flush() {
  for (Connection* each = connections_; each != nullptr; each = each->next) each->flush();
}

void NvmeofPort::add(Connection& connection) noexcept {
  connection.next = connections_;
  if (connections_ != nullptr) connections_->previous = &connection;
  connections_ = &connection;
}

void NvmeofPort::remove(Connection& connection) noexcept {
  (connection.previous != nullptr ? connection.previous->next : connections_) = connection.next;
  if (connection.next != nullptr) connection.next->previous = connection.previous;
}

Result<Target> NvmeofPort::target_of(std::string_view text, const void* options) const {
  NETSTOR_TRY_RETURN(const Uri uri, Uri::parse(text));
  Target target;
  if (options != nullptr) target.options = *static_cast<const VolumeOptions*>(options);
  if (uri.host.empty()) return Error(ErrorKind::invalid_argument, "the URI has no host");
  target.subnqn = uri.path.empty() ? "" : uri.path.substr(1);
  if (messages_ != nullptr && (target.options.header_digest || target.options.data_digest))
    return Error(ErrorKind::unsupported, "NVMe/RDMA has no digests: the card checks what it carries");
  if (messages_ != nullptr && !target.options.tls_key.empty())
    return Error(ErrorKind::unsupported, "NVMe/RDMA has no TLS: VolumeOptions::tls_key is for NVMe/TCP");
  target.address = {.host = uri.host, .port = uri.port != 0 ? uri.port : nvme::tcp::kIanaPort};
  if (!target.subnqn.empty() && !nvme::bearable_nqn(target.subnqn)) {
    return Error(ErrorKind::invalid_argument,
                 "the URI's path is no subsystem NQN (at most 223 bytes of UTF-8)");
  }
  for (const auto& [name, value] : uri.query) {
    if (name != "ns")
      return Error(ErrorKind::invalid_argument,
                   "the URI's '" + name + "=' is unknown; ns=, the namespace, is known");
  }
  if (const auto ns = uri.find("ns")) {
    const auto [end, code] = std::from_chars(ns->data(), ns->data() + ns->size(), target.nsid);
    if (code != std::errc() || end != ns->data() + ns->size() || target.nsid == 0 ||
        target.nsid == nvme::kNsidAll) {
      return Error(ErrorKind::invalid_argument, "the URI's ns= must be a namespace number from 1 on");
    }
  }
  target.host = machine_;
  if (!target.options.host_nqn.empty()) {
    NETSTOR_TRY_RETURN(target.host, host_identity(target.options.host_nqn));
  }
  return target;
}

Task<std::unique_ptr<Link>> NvmeofPort::connect_link(const Target& target) {
  return target.options.tls_key.empty() ? connect_tcp(target) : connect_tls(target);
}

Task<std::unique_ptr<Link>> NvmeofPort::connect_tls(const Target& target) {
  if (tls_ == nullptr) {
    NETSTOR_TRY(tls_, tls::Context::make({.role = tls::Role::client, .pre_shared_keys = true}));
  }
  std::optional<Error> refusal;
  const unsigned first = tls_form_;
  for (unsigned tried = 0; tried < kTlsForms; ++tried) {
    const unsigned form = (first + tried) % kTlsForms;
    auto key = tls_key_of(target, form);
    if (!key && key.error().kind() == ErrorKind::unsupported) continue;
    if (!key) co_return std::move(key).error();
    auto connecting = connect_tcp(target);
    NETSTOR_TRY(std::unique_ptr<Link> link, co_await std::move(connecting));
    auto shaking = shake_hands(*this, target, std::move(link), tls_, *std::move(key));
    Result<std::unique_ptr<Link>> secure = co_await std::move(shaking);
    if (secure) {
      tls_form_ = form;
      co_return std::move(secure);
    }
    // Some targets say that they do not know a key, others just end the connection.
    const bool refused = secure.error().kind() == ErrorKind::permission_denied ||
                         secure.error().kind() == ErrorKind::disconnected;
    if (!refused) co_return std::move(secure).error();
    if (!refusal || secure.error().kind() == ErrorKind::permission_denied)
      refusal = std::move(secure).error();
  }
  co_return std::move(*refusal);
}

Task<std::unique_ptr<Link>> NvmeofPort::connect_tcp(const Target& target) {
  ConnectOp op;
  op.address = target.address;
  op.deadline = loop().now() + target.options.connect_timeout;
  CancellableCompletion connected(op, [&] { links_->cancel_connect(op); });
  links_->connect(op);
  co_await connected;
  if (!op.result.ok) {
    co_return op.result.error("connect to " + target.address.host + " port " +
                              std::to_string(target.address.port));
  }
  co_return std::move(op.link);
}

Task<void> NvmeofPort::open_device(OpenOp& op) {
  NETSTOR_TRY(Target target, target_of(op.uri, op.options));
  if (target.subnqn.empty()) {
    co_return Error(ErrorKind::invalid_argument,
                    "the URI names a discovery service; add the subsystem's NQN as its path");
  }
  auto opening = NvmeofDevice::open(*this, target, op);
  NETSTOR_TRY(op.device, co_await std::move(opening));
  co_return ok();
}

Task<void> NvmeofPort::discover_into(DiscoverOp& op) {
  auto asking = nvmeof::discover(*this, op.uri, op.options);
  NETSTOR_TRY(*op.found, co_await std::move(asking));
  co_return ok();
}

Task<void> NvmeofPort::answer(Op& op, std::string& detail, Future<void> work) {
  op.driver_words[0] = reinterpret_cast<std::uintptr_t>(&work);
  Result<void> done = co_await work.join();
  op.driver_words[0] = 0;
  if (!done) detail = done.error().text();
  finish(op, done ? OpResult::success() : result_of(done.error()));
  co_return ok();
}

void NvmeofPort::cancel(Op& op) noexcept {
  auto* const work = reinterpret_cast<Future<void>*>(static_cast<std::uintptr_t>(op.driver_words[0]));
  if (work != nullptr) work->cancel();
}

void NvmeofPort::open(OpenOp& op) { spawn(answer(op, op.detail, spawn(open_device(op)))).detach(); }
void NvmeofPort::cancel_open(OpenOp& op) { cancel(op); }
void NvmeofPort::discover(DiscoverOp& op) { spawn(answer(op, op.detail, spawn(discover_into(op)))).detach(); }
void NvmeofPort::cancel_discover(DiscoverOp& op) { cancel(op); }

}  // namespace netstor::nvmeof
