// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/connect.h"

#include "lib/engine/completion.h"
#include "lib/wire/fabrics/connect.h"
#include "transports/cause.h"
#include "transports/nvmeof/rdma_connection.h"
#include "transports/nvmeof/tcp_connection.h"

#include <array>

namespace netstor::nvmeof {

namespace {

Task<std::unique_ptr<Connection>> connect_tcp(NvmeofPort& port, const Target& target,
                                              Connection::Owner& owner, Connection::Plan plan) {
  auto linking = port.connect_link(target);
  NETSTOR_TRY(std::unique_ptr<Link> link, co_await std::move(linking));
  co_return std::unique_ptr<Connection>(std::make_unique<TcpConnection>(
      port, owner, std::move(link), plan.kind,
      nvme::tcp::HostQueueOptions{.depth = plan.depth,
                                  .header_digest = target.options.header_digest,
                                  .data_digest = target.options.data_digest,
                                  .in_capsule_max = plan.in_capsule_max,
                                  .transfer_max = plan.transfer_max}));
}

// A controller that refuses says why in four bytes, if it is one.
OpResult reason_of(const MessageConnectOp& op) noexcept {
  if (op.greeting.length < nvme::kRdmaRejectBytes) return op.result;
  const auto said = nvme::decode_rdma_reject(op.greeting.view().first<nvme::kRdmaRejectBytes>());
  if (said.recfmt != 0 || said.reason == nvme::RdmaRejectReason{}) return op.result;
  OpResult result = OpResult::failure(ErrorKind::disconnected, Origin::library,
                                      cause::rdma_reject(static_cast<std::int32_t>(said.reason)));
  return result;
}

Task<std::unique_ptr<Connection>> connect_rdma(NvmeofPort& port, const Target& target,
                                               Connection::Owner& owner, Connection::Plan plan) {
  if (plan.kind == Connection::Kind::admin) plan.in_capsule_max = 0;
  std::array<std::byte, nvme::kRdmaRequestBytes> asked{};
  nvme::encode(
      nvme::RdmaRequest{
          .qid = plan.qid, .hrqsize = static_cast<std::uint16_t>(plan.depth + 1), .hsqsize = plan.depth},
      std::span(asked));
  MessageConnectOp op;
  op.address = target.address;
  op.deadline = port.loop().now() + target.options.connect_timeout;
  op.shape = RdmaConnection::shape_of(plan);
  op.private_data = asked;
  MessagePort& messages = *port.message_port();
  CancellableCompletion connected(op, [&] { messages.cancel_messages(op); });
  messages.connect_messages(op);
  co_await connected;
  if (!op.result.ok) {
    Error error = reason_of(op).error("connect to " + target.address.host + " port " +
                                      std::to_string(target.address.port));
    co_return op.detail.empty() ? std::move(error) : std::move(error).with_context(op.detail);
  }
  auto connection = std::make_unique<RdmaConnection>(port, owner, std::move(op.link), plan);
  const std::uint16_t receives =
      op.greeting.length < nvme::kRdmaAcceptBytes
          ? std::uint16_t{0}
          : nvme::decode_rdma_accept(op.greeting.view().first<nvme::kRdmaAcceptBytes>()).crqsize;
  if (receives < plan.depth) {
    Op closing;
    Completion closed(closing);
    connection->close(closing);
    co_await closed;
    co_return Error(ErrorKind::protocol, "the controller lays out " + std::to_string(receives) +
                                             " receives for a queue of " + std::to_string(plan.depth));
  }
  co_return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace

Task<std::unique_ptr<Connection>> connect(NvmeofPort& port, const Target& target, Connection::Owner& owner,
                                          Connection::Plan plan) {
  return port.message_port() != nullptr ? connect_rdma(port, target, owner, plan)
                                        : connect_tcp(port, target, owner, plan);
}

}  // namespace netstor::nvmeof
