// SPDX-License-Identifier: Apache-2.0
//
// A queue whose host has to prove who it is: until it has, every other command is answered
// "authentication required" (NVMe Base 2.0, "NVMe In-band Authentication"). A queue on which that failed
// stays so, and is closed when its time is over.

#include <algorithm>

#include "lib/engine/elsewhere.h"
#include "lib/wire/fabrics/auth.h"
#include "server/nvmf/connection.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::FabricsType;
using nvme::GenericStatus;
using nvme::TargetRequest;

namespace {

// More than any message, and what Linux asks for.
constexpr std::uint32_t kTransferMax = 8192;

std::vector<std::byte> payload_of(const TargetRequest& request) {
  std::vector<std::byte> bytes(request.in_place.begin(), request.in_place.end());
  if (!bytes.empty()) return bytes;
  for (const iovec& piece : std::span(request.pieces, request.piece_count)) {
    const auto* const from = static_cast<const std::byte*>(piece.iov_base);
    bytes.insert(bytes.end(), from, from + piece.iov_len);
  }
  return bytes;
}

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
  // The examiner is not here at the moment; a host that does not wait for answers is none that we know.
  if (examining_) return queue_.complete(request, nvme::refused(GenericStatus::command_sequence_error));
  examining_ = true;
  spawn(examine(request)).detach();
}

// A number of Diffie-Hellman's takes a millisecond or more, which the shard's I/O would wait for.
Task<void> Connection::examine(TargetRequest& request) {
  ++holds_;
  IoRequest& io = io_[request.slot];
  const bool said = request.plan.to_controller != 0;
  examined_ = examined_ || said;
  std::vector<std::byte> message;
  if (said) {
    message = payload_of(request);
  } else {
    // The rest of what was asked for is zeroes.
    io.admin_data = std::make_unique<std::byte[]>(request.plan.to_host);
  }
  const std::span<std::byte> answer(io.admin_data.get(), request.plan.to_host);
  bool understood = false;
  Elsewhere thinking(shard_.context(), [&] {
    understood = said ? examiner_->received(message) : examiner_->send(answer) != 0;
  });
  co_await thinking;
  --holds_;
  examining_ = false;
  authenticated_ = examiner_->authenticated();
  if (!said && understood) {
    io.pieces[0] = {.iov_base = answer.data(), .iov_len = answer.size()};
    request.pieces = io.pieces;
    request.piece_count = 1;
    request.send_bytes = request.plan.to_host;
  }
  if (examiner_->failed() && !failure_told_) tell_of_examination();
  queue_.complete(request,
                  understood ? nvme::Status{} : nvme::refused(GenericStatus::command_sequence_error));
  if (closing_) {
    finish_if_idle();
  } else {
    arm_timer();
    schedule_flush();
  }
  co_return ok();
}

void Connection::tell_of_examination() { tell_of_failure(to_string(examiner_->failure())); }

// The examiner is not asked: it may be a helper thread's at the moment.
void Connection::tell_of_no_end() { tell_of_failure(kUnfinishedAuthentication); }

void Connection::tell_of_failure(std::string_view why) {
  failure_told_ = true;
  ++shard_.counters().failed_authentications[why];
  shard_.warn(net::Warnings::Kind::refused_host, [this, why] {
    return std::string(peer()) + ": host " + host_nqn_ + " did not authenticate to " +
           std::string(subsystem_->nqn()) + ": " + std::string(why);
  });
}

void Connection::tell_of_no_authentication() {
  ++shard_.counters().failed_authentications[kNoAuthentication];
  shard_.warn(net::Warnings::Kind::refused_host, [this] {
    return std::string(peer()) + ": host " + host_nqn_ + " did not begin to authenticate to " +
           std::string(subsystem_->nqn()) + ", and has to";
  });
}

}  // namespace netstor::nvmf
