// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/authentication.h"

#include "lib/engine/elsewhere.h"
#include "lib/proto/nvme/dhchap.h"
#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvmeof {

namespace {

using nvme::FabricsType;

Task<void> send(Connection& connection, const Target& target, std::vector<std::byte>* message) {
  const auto length = static_cast<std::uint32_t>(message->size());
  auto sending = execute(connection, "Authentication Send",
                         nvme::make_auth_transfer(FabricsType::authentication_send, 0, {.bytes = length}, {}),
                         target.options.connect_timeout, *message, nvme::Transfer::to_controller);
  NETSTOR_CHECK(co_await std::move(sending));
  co_return ok();
}

// Controllers fill what they do not use, or send less.
Task<void> receive(Connection& connection, const Target& target, std::vector<std::byte>* message) {
  message->assign(nvme::kAuthMessageBytesMax, std::byte{0});
  auto receiving = execute(connection, "Authentication Receive",
                           nvme::make_auth_transfer(FabricsType::authentication_receive, 0,
                                                    {.bytes = nvme::kAuthMessageBytesMax}, {}),
                           target.options.connect_timeout, *message, nvme::Transfer::from_controller, false);
  auto received = co_await std::move(receiving);
  if (received) co_return ok();
  Error error = std::move(received).error();
  if (error.kind() != ErrorKind::disconnected) co_return error;
  // Some break off right behind their refusal, which then may not have left (nvmet).
  co_return std::move(error).with_context("authentication: no verdict on host " + target.host.nqn);
}

Result<nvme::AuthSecrets> secrets_of(const VolumeOptions& options) {
  nvme::AuthSecrets secrets;
  NETSTOR_TRY_RETURN(secrets.host, nvme::parse_auth_secret(options.host_secret));
  if (!options.controller_secret.empty()) {
    NETSTOR_TRY_RETURN(secrets.controller, nvme::parse_auth_secret(options.controller_secret));
  }
  return secrets;
}

Error denied(const Target& target, const nvme::DhChapHost::Step& step) {
  const std::string who = step.said_by_controller ? "the controller refused host " + target.host.nqn
                                                  : "the controller was not believed";
  return {ErrorKind::permission_denied,
          "authentication: " + who + ": " + std::string(to_string(*step.failure))};
}

}  // namespace

Task<void> authenticate(Connection& connection, const Target& target, std::uint16_t qid) {
  if (target.options.host_secret.empty()) {
    co_return Error(ErrorKind::permission_denied, "authentication: the controller asks it of host " +
                                                      target.host.nqn +
                                                      ", and VolumeOptions::host_secret is empty");
  }
  auto secrets = secrets_of(target.options);
  if (!secrets) co_return std::move(secrets).error();
  nvme::DhChapHost host(
      {.host_nqn = target.host.nqn,
       .subsystem_nqn = target.subnqn.empty() ? std::string(nvme::kDiscoveryNqn) : target.subnqn},
      *std::move(secrets), qid);
  std::vector<std::byte> message;
  nvme::DhChapHost::Step step = host.negotiate();
  for (const bool last : {false, true}) {
    auto sending = send(connection, target, &step.send);
    NETSTOR_CHECK(co_await std::move(sending));
    auto receiving = receive(connection, target, &message);
    NETSTOR_CHECK(co_await std::move(receiving));
    // A challenge in a large group is tens of milliseconds of arithmetic.
    Elsewhere thinking(connection.port().context(),
                       [&] { step = last ? host.concluded(message) : host.challenged(message); });
    co_await thinking;
    if (step.failure) break;
  }
  if (!step.send.empty()) {
    auto sending = send(connection, target, &step.send);
    const Result<void> told = co_await std::move(sending);
    if (!step.failure && !told) co_return told.error();
  }
  if (step.failure) co_return denied(target, step);
  co_return ok();
}

}  // namespace netstor::nvmeof
