// SPDX-License-Identifier: Apache-2.0
//
// A queue whose host has to prove who it is: until it has, every other command is answered
// "authentication required" (NVMe Base 2.0, "NVMe In-band Authentication"). A queue on which that failed
// stays so, and is closed when its time is over.

#include <algorithm>

#include "lib/wire/fabrics/auth.h"
#include "server/nvmf/connection.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::FabricsType;
using nvme::GenericStatus;
using nvme::tcp::TargetRequest;

namespace {

// More than any message, and what Linux asks for.
constexpr std::uint32_t kTransferMax = 8192;

}  // namespace

void Connection::begin_authentication(const ShardSubsystem& subsystem, std::string_view host_nqn) {
  const nvme::AuthSecrets* const secrets = subsystem.secrets_of(host_nqn);
  if (secrets == nullptr) return;
  examiner_ = std::make_unique<nvme::DhChapController>(
      nvme::AuthIdentity{.host_nqn = std::string(host_nqn), .subsystem_nqn = std::string(subsystem.nqn())},
      *secrets);
  authentication_deadline_ = shard_.loop().now() + shard_.config().connect_timeout;
}

nvme::Status Connection::admit_authentication(TargetRequest& request) {
  const nvme::AuthTransfer transfer = nvme::decode_auth_transfer(request.command);
  if (transfer.protocol != nvme::kAuthProtocol || transfer.specific != nvme::AuthTransfer().specific ||
      transfer.bytes == 0 || transfer.bytes > kTransferMax) {
    return nvme::refused(GenericStatus::invalid_field);
  }
  const bool sent = request.command.fabrics_type() == FabricsType::authentication_send;
  request.plan =
      sent ? nvme::IoPlan{.to_controller = transfer.bytes} : nvme::IoPlan{.to_host = transfer.bytes};
  request.wants_in_place = true;
  return {};
}

void Connection::authenticate(TargetRequest& request) {
  IoRequest& io = io_[request.slot];
  const bool was_let_in = let_in(), had_failed = examiner_->failed();
  bool understood = true;
  if (request.plan.to_controller != 0) {
    std::vector<std::byte> message(request.in_place.begin(), request.in_place.end());
    if (request.in_place.empty()) {
      for (const iovec& piece : std::span(request.pieces, request.piece_count)) {
        const auto* const bytes = static_cast<const std::byte*>(piece.iov_base);
        message.insert(message.end(), bytes, bytes + piece.iov_len);
      }
    }
    understood = examiner_->received(message);
  } else {
    // The rest of what was asked for is zeroes.
    io.admin_data = std::make_unique<std::byte[]>(request.plan.to_host);
    understood = examiner_->send({io.admin_data.get(), request.plan.to_host}) != 0;
    io.pieces[0] = {.iov_base = io.admin_data.get(), .iov_len = request.plan.to_host};
    request.pieces = io.pieces;
    request.piece_count = 1;
    request.send_bytes = understood ? request.plan.to_host : 0;
  }
  if (examiner_->failed() && !had_failed) {
    ++shard_.counters().failed_authentications[examiner_->failure()];
    shard_.warn(net::Warnings::Kind::refused_host, [this] {
      return std::string(link_->peer()) + ": a host did not authenticate to " +
             std::string(subsystem_->nqn()) + ": " + std::string(to_string(examiner_->failure()));
    });
  }
  queue_.complete(request,
                  understood ? nvme::Status{} : nvme::refused(GenericStatus::command_sequence_error));
  if (let_in() != was_let_in) arm_timer();
}

}  // namespace netstor::nvmf
