// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/session.h"

#include "lib/engine/completion.h"
#include "lib/wire/fabrics/connect.h"
#include "lib/wire/fabrics/nqn.h"
#include "lib/wire/nvme/features.h"
#include "transports/nvmeof/authentication.h"
#include "transports/nvmeof/connect.h"

namespace netstor::nvmeof {

namespace {

using std::chrono::milliseconds;

constexpr std::uint16_t kAdminDepth = 16;
// "Command Capsule", in-capsule data of fabrics and admin.
constexpr std::uint32_t kAdminInCapsuleMax = 8192;
constexpr std::uint16_t kQueuesWanted = 256;
constexpr Duration kShutdownLimit = std::chrono::seconds(1);
constexpr Duration kReadyPause = milliseconds(5);

std::uint32_t keep_alive_ms(const Target& target) {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<milliseconds>(target.options.keep_alive).count());
}

}  // namespace

Task<std::uint16_t> connect_queue(Connection& connection, const Target& target, std::uint16_t cntlid,
                                  std::uint16_t qid, std::uint16_t depth) {
  nvme::ConnectData data{
      .hostid = target.host.id,
      .cntlid = cntlid,
      .subnqn = nvme::NqnField(target.subnqn.empty() ? nvme::kDiscoveryNqn : target.subnqn),
      .hostnqn = nvme::NqnField(target.host.nqn)};
  std::vector<std::byte> bytes(nvme::kConnectDataBytes);
  nvme::encode(data, std::span(bytes).first<nvme::kConnectDataBytes>());
  // A queue holds one command less than it has entries, and SQSIZE counts from 0: it is the depth itself.
  const nvme::Connect connect{.qid = qid,
                              .sqsize = depth,
                              .cattr = nvme::kConnectDisableSqFlowControl,
                              .kato_ms = qid == 0 ? keep_alive_ms(target) : 0};
  auto asking = execute(connection, "Connect", nvme::make_connect(0, connect, {}),
                        target.options.connect_timeout, bytes, nvme::Transfer::to_controller);
  Result<Answer> told = co_await std::move(asking);
  // Who is let in is the target's word; whoever asks it to needs the name.
  if (!told && told.error().kind() == ErrorKind::permission_denied)
    co_return std::move(told).error().with_context("host " + target.host.nqn);
  if (!told) co_return std::move(told).error();
  const Answer answer = *told;
  const auto accepted = nvme::decode_connect_accepted(static_cast<std::uint32_t>(answer.result));
  // FFFFh: the controller agrees to do without ("Connect response").
  if (answer.sqhd != 0xFFFF) {
    if (answer.sqhd > depth)
      co_return Error(ErrorKind::protocol, "Connect: the queue head is beyond the queue");
    connection.queue().enable_flow_control(static_cast<std::uint16_t>(depth + 1), answer.sqhd);
  }
  if (accepted.authentication_secure_channel_required) {
    co_return Error(ErrorKind::unsupported, "the controller asks for a secure channel");
  }
  // A controller that was to prove itself, and does not even ask, is not believed.
  if (accepted.authentication_transaction_required ||
      (!target.options.controller_secret.empty() && !target.subnqn.empty())) {
    auto authenticating = authenticate(connection, target, qid);
    NETSTOR_CHECK(co_await std::move(authenticating));
  }
  co_return accepted.cntlid;
}

Session::Session(NvmeofPort& port, const Target& target, Owner* owner)
    : port_(port), target_(target), owner_(owner) {
  beat_.session = keep_alive_.session = event_.session = this;
  beat_.fire = [](detail::Timer& timer) noexcept { static_cast<Beat&>(timer).session->beat(); };
  keep_alive_.done = [](nvme::HostRequest& request) noexcept {
    auto& self = static_cast<Standing&>(request);
    self.out = false;
    if (self.outcome == nvme::HostOutcome::answered && !self.status.ok()) {
      self.session->give_up(result_of(self.status, nvme::StatusDialect::nvm, false));
    }
  };
  event_.done = [](nvme::HostRequest& request) noexcept {
    auto& self = static_cast<Standing&>(request);
    self.out = false;
    self.session->heard();
  };
}

Task<void> Session::start() {
  auto linking = connect(port_, target_, *this,
                         {.kind = Connection::Kind::admin,
                          .depth = kAdminDepth,
                          .in_capsule_max = kAdminInCapsuleMax,
                          .transfer_max = 1u << 16});
  NETSTOR_TRY(connection_, co_await std::move(linking));
  auto connecting = connect_queue(*connection_, target_, nvme::kCntlidDynamic, 0, kAdminDepth);
  NETSTOR_TRY(cntlid_, co_await std::move(connecting));
  auto enabling = enable();
  NETSTOR_CHECK(co_await std::move(enabling));
  std::vector<std::byte> data;
  auto identifying = identify({.cns = nvme::Cns::identify_controller}, 0, data);
  NETSTOR_CHECK(co_await std::move(identifying));
  facts_.identify = nvme::decode_identify_controller(std::span(data).first<nvme::kIdentifyBytes>());
  live_ = true;
  if (target_.options.keep_alive != Duration::zero()) beat();
  co_return ok();
}

// NVMe Base 2.0, "Memory-based Controller Initialization" as far as fabrics have it.
Task<void> Session::enable() {
  auto reading = get_property(nvme::Property::cap);
  NETSTOR_TRY(const std::uint64_t raw, co_await std::move(reading));
  facts_.cap = nvme::decode_capabilities(raw);
  constexpr std::uint8_t kCssNone = 0x80, kCssByIdentify = 0x40;
  configuration_ = {.en = true,
                    .css = static_cast<std::uint8_t>((facts_.cap.css & kCssNone) != 0         ? 7
                                                     : (facts_.cap.css & kCssByIdentify) != 0 ? 6
                                                                                              : 0),
                    .mps = facts_.cap.mpsmin,
                    .iosqes = 6,
                    .iocqes = 4};
  auto writing = set_property(nvme::Property::cc, nvme::encode(configuration_));
  NETSTOR_CHECK(co_await std::move(writing));
  // CAP.TO counts 500 ms.
  const Duration limit =
      std::max<Duration>(milliseconds(500) * std::max<int>(facts_.cap.to, 1), milliseconds(500));
  auto waiting = wait_ready(limit);
  NETSTOR_CHECK(co_await std::move(waiting));
  co_return ok();
}

Task<void> Session::wait_ready(Duration limit) {
  const Time end = port_.loop().now() + limit;
  for (;;) {
    auto reading = get_property(nvme::Property::csts);
    NETSTOR_TRY(const std::uint64_t raw, co_await std::move(reading));
    const auto status = nvme::decode_controller_status(static_cast<std::uint32_t>(raw));
    if (status.cfs) co_return Error(ErrorKind::device_error, "the controller reports a fatal status");
    if (status.rdy) co_return ok();
    if (port_.loop().now() >= end) {
      co_return Error(ErrorKind::timed_out, "the controller did not become ready in the time that it states");
    }
    NETSTOR_CHECK(co_await sleep(kReadyPause));
  }
}

Task<void> Session::prepare_io() {
  const Duration limit = target_.options.connect_timeout;
  const nvme::SetFeatures number{
      .id = nvme::FeatureId::number_of_queues,
      .value = nvme::encode(nvme::NumberOfQueues{.submission = kQueuesWanted, .completion = kQueuesWanted})};
  auto asking =
      execute(*connection_, "Set Features, Number of Queues", nvme::make_set_features(0, 0, number), limit);
  NETSTOR_TRY(const Answer granted, co_await std::move(asking));
  if (const auto queues = nvme::decode_number_of_queues(static_cast<std::uint32_t>(granted.result))) {
    queues_ = static_cast<std::uint16_t>(std::min({queues->submission, queues->completion, 0xFFFFu}));
  }
  // What the NVM command set says beyond Identify Controller; older controllers do not have it.
  std::vector<std::byte> data;
  auto identifying = identify({.cns = nvme::Cns::csi_controller, .csi = nvme::Csi::nvm}, 0, data);
  const Result<void> has_nvm = co_await std::move(identifying);
  if (has_nvm) {
    facts_.nvm = nvme::decode_identify_controller_nvm(std::span(data).first<nvme::kIdentifyBytes>());
  } else if (!connection_->open()) {
    co_return has_nvm.error();
  }
  if ((facts_.identify.oaes & nvme::oaes::kNamespaceAttribute) != 0) {
    const nvme::SetFeatures events{
        .id = nvme::FeatureId::async_event_configuration,
        .value = nvme::encode(nvme::AsyncEventConfiguration{.namespace_attribute = true})};
    auto setting = execute(*connection_, "Set Features, Asynchronous Events",
                           nvme::make_set_features(0, 0, events), limit);
    NETSTOR_CHECK(co_await std::move(setting));
    listen();
  }
  co_return ok();
}

Task<std::uint64_t> Session::get_property(nvme::Property property) {
  auto asking = execute(*connection_, "Property Get", nvme::make_property_get(0, property),
                        target_.options.connect_timeout);
  NETSTOR_TRY(const Answer answer, co_await std::move(asking));
  co_return answer.result;
}

Task<void> Session::set_property(nvme::Property property, std::uint64_t value) {
  auto asking = execute(*connection_, "Property Set", nvme::make_property_set(0, property, value),
                        target_.options.connect_timeout);
  NETSTOR_CHECK(co_await std::move(asking));
  co_return ok();
}

Task<void> Session::identify(nvme::Identify what, std::uint32_t nsid, std::vector<std::byte>& into) {
  into.assign(nvme::kIdentifyBytes, std::byte{0});
  auto asking = execute(*connection_, "Identify", nvme::make_identify(0, nsid, what),
                        target_.options.connect_timeout, into, nvme::Transfer::from_controller);
  NETSTOR_CHECK(co_await std::move(asking));
  co_return ok();
}

Task<void> Session::get_log(nvme::GetLogPage log, MutableBytes into) {
  auto asking = execute(*connection_, "Get Log Page", nvme::make_get_log_page(0, nvme::kNsidAll, log),
                        target_.options.connect_timeout, into, nvme::Transfer::from_controller);
  NETSTOR_CHECK(co_await std::move(asking));
  co_return ok();
}

// Half of what was promised, so that one lost turn does not end the session.
void Session::beat() {
  if (!live_ || !connection_->open()) return;
  const Time now = port_.loop().now();
  if (!keep_alive_.out) {
    keep_alive_.sqe = nvme::make_keep_alive(0);
    keep_alive_.deadline = now + target_.options.keep_alive;
    keep_alive_.out = connection_->queue().submit(keep_alive_);
  }
  port_.loop().arm(beat_, now + target_.options.keep_alive / 2);
}

void Session::listen() {
  event_.sqe = nvme::make_async_event_request(0);
  event_.out = connection_->queue().submit(event_);
}

void Session::heard() {
  if (event_.outcome != nvme::HostOutcome::answered || !event_.status.ok() || !live_) return;
  const nvme::AsyncEvent event = nvme::decode_async_event(static_cast<std::uint32_t>(event_.result));
  listen();
  if (event.type == nvme::AsyncEventType::notice &&
      event.info == static_cast<std::uint8_t>(nvme::AsyncNoticeInfo::namespace_attribute_changed)) {
    if (owner_ != nullptr) owner_->namespaces_changed();
  }
}

void Session::give_up(OpResult why) {
  if (connection_) connection_->give_up(why);
}

void Session::connection_lost(Connection&) noexcept {
  if (beat_.armed()) port_.loop().disarm(beat_);
  if (std::exchange(live_, false) && owner_ != nullptr) owner_->session_lost(connection_->why());
}

// NVMe Base 2.0, "Shutdown". Whoever does not answer soon is left without.
Task<void> Session::shut_down() {
  const Time end = port_.loop().now() + kShutdownLimit;
  configuration_.shn = nvme::ShutdownNotification::normal;
  auto asking =
      execute(*connection_, "shutdown",
              nvme::make_property_set(0, nvme::Property::cc, nvme::encode(configuration_)), kShutdownLimit);
  NETSTOR_CHECK(co_await std::move(asking));
  while (port_.loop().now() < end) {
    auto reading =
        execute(*connection_, "shutdown", nvme::make_property_get(0, nvme::Property::csts), kShutdownLimit);
    NETSTOR_TRY(const Answer answer, co_await std::move(reading));
    const auto status = nvme::decode_controller_status(static_cast<std::uint32_t>(answer.result));
    if (status.shst == nvme::ShutdownStatus::complete) break;
    NETSTOR_CHECK(co_await sleep(kReadyPause));
  }
  co_return ok();
}

Task<void> Session::stop() {
  const bool was_live = std::exchange(live_, false);
  if (beat_.armed()) port_.loop().disarm(beat_);
  if (!connection_) co_return ok();
  if (was_live && connection_->open()) {
    auto shutting = shut_down();
    const Result<void> shut = co_await std::move(shutting);
    static_cast<void>(shut);  // the connection ends either way
  }
  Op op;
  Completion closed(op);
  connection_->close(op);
  co_await closed;
  co_return ok();
}

}  // namespace netstor::nvmeof
