// SPDX-License-Identifier: Apache-2.0
#pragma once
// One controller of a subsystem, as its admin queue sees it: properties, admin commands, asynchronous
// events, keep alive, and who may connect an I/O queue. Pure: bytes and the time come in, answers go out;
// connections, queues and stores belong to the owner.
//
//   AdminPlan plan;
//   Status status = controller.plan(command, plan);         // before any data is asked for
//   AdminAnswer answer = controller.execute(command, in, out, now);
//   … send answer, unless answer.held; act on answer.effect …
//   for (EventAnswer event; controller.next_event(event);) … complete event.cid with event.dw0 …
//   if (controller.expired(now)) … end every queue of this controller …

#include <netstor/options.h>

#include <optional>
#include <span>

#include "lib/proto/nvme/controller_properties.h"
#include "lib/wire/fabrics/connect.h"
#include "lib/wire/nvme/identify.h"

namespace netstor::nvme {

inline constexpr std::size_t kAsyncEventsMax = 16;
inline constexpr std::size_t kChangedNamespacesMax = 1024;
inline constexpr std::uint32_t kKeepAliveUnitMs = 100;  // KAS = 1

/// Whose controller it is, from the Connect command that made it.
struct ControllerIdentity {
  std::uint16_t cntlid = 1;
  std::string host_nqn;
  std::array<std::byte, 16> host_id{};
  std::uint32_t keep_alive_ms = 0;  ///< 0: off
  // What the transport adds.
  bool keyed_data = false;  ///< data lies in the host's memory, under keys
  /// On I/O queues; the subsystem's limit where that is less.
  std::uint32_t in_capsule_bytes = ~std::uint32_t{0};
};

/// Payload of an admin command. At most one of the two is not 0.
struct AdminPlan {
  std::uint32_t to_controller = 0;
  std::uint32_t to_host = 0;
};

struct AdminAnswer {
  Status status{};
  std::uint64_t result = 0;  ///< dwords 0 and 1 of the completion
  std::uint32_t bytes = 0;   ///< of `out` to send, when status is ok
  bool held = false;         ///< an event request: it is answered by next_event() some day
  PropertyEffect effect = PropertyEffect::none;
};

struct EventAnswer {
  std::uint16_t cid = 0;
  std::uint32_t dw0 = 0;
  Status status{};
};

/// What a Connect is answered with: ok, or a status and where the wrong parameter stands.
struct ConnectVerdict {
  Status status{};
  ConnectRefused where{};  ///< goes into dword 0 with connect_invalid_parameters and connect_invalid_host

  bool ok() const { return status.ok(); }
};

/// What every Connect must fulfil, whoever is asked: record format, queue size, names.
ConnectVerdict check_connect(const Connect& connect, const ConnectData& data, const ControllerLimits& limits);
/// And one for an admin queue of `subsystem` (null: no such).
ConnectVerdict check_admin_connect(const Connect& connect, const ConnectData& data,
                                   const SubsystemView* subsystem);

class Controller {
 public:
  Controller(const SubsystemView& subsystem, ControllerIdentity identity, Time now);

  /// Whether the command may come now, and how much data it moves. Nothing has happened yet.
  Status plan(const Command& command, AdminPlan& plan) const;

  /// Carries out a planned command. `in` holds plan.to_controller bytes, `out` has room for plan.to_host.
  AdminAnswer execute(const Command& command, std::span<const std::byte> in, std::span<std::byte> out,
                      Time now);

  /// Write caches are on stable storage after PropertyEffect::shutdown.
  void finish_shutdown() { properties_.finish_shutdown(); }
  void fail() { properties_.fail(); }

  /// The next event that has both a reason and a request to answer it with.
  bool next_event(EventAnswer& out);
  /// A namespace came, went, or has another size.
  void namespace_changed(std::uint32_t nsid);
  /// Discovery controllers: the paths are others now.
  void discovery_changed();

  /// When the controller has to be given up unless the host shows itself; Time::max() without keep alive.
  Time keep_alive_deadline() const { return keep_alive_deadline_; }
  bool expired(Time now) const { return now >= keep_alive_deadline_; }

  /// Whether the host may connect an I/O queue with these words. That there is no such queue yet is the
  /// owner's to know.
  ConnectVerdict check_io_connect(const Connect& connect, const ConnectData& data) const;

  const ControllerIdentity& identity() const { return identity_; }
  const ControllerProperties& properties() const { return properties_; }
  std::uint16_t io_queues() const { return io_queues_; }
  bool ready() const { return properties_.ready(); }

 private:
  AdminAnswer fabrics(const Command& command, Time now);
  AdminAnswer identify(const Command& command, std::span<std::byte> out) const;
  AdminAnswer get_log_page(const Command& command, std::span<std::byte> out);
  AdminAnswer set_features(const Command& command, Time now);
  AdminAnswer get_features(const Command& command, std::span<std::byte> out) const;
  AdminAnswer async_event_request(const Command& command);
  AdminAnswer abort(const Command& command);
  std::optional<std::uint32_t> feature(FeatureId id, std::uint32_t dw11) const;
  bool write_cache() const;

  // controller_identify.cc
  IdentifyController describe() const;
  Status identify_namespace(std::uint32_t nsid, IdentifyData out) const;
  Status identify_independent(std::uint32_t nsid, IdentifyData out) const;
  Status active_list(std::uint32_t after, IdentifyData out) const;
  Status descriptors(std::uint32_t nsid, IdentifyData out) const;
  // controller_log.cc: the whole page; nothing when there is no such page here
  bool fill_log(const Command& command, std::vector<std::byte>& page);
  void fill_effects(std::vector<std::byte>& page) const;
  void fill_changed_namespaces(bool retain, std::vector<std::byte>& page);
  void fill_discovery(bool retain, std::vector<std::byte>& page);

  void touch(Time now);
  void reset();
  Status check_namespace(std::uint32_t nsid) const;

  // An event notice: raised, then sent to the host, then masked until its log page was read.
  struct Notice {
    bool raised = false;
    bool masked = false;
  };
  bool take_notice(Notice& notice, bool wanted);

  const SubsystemView& subsystem_;
  ControllerIdentity identity_;
  ControllerProperties properties_;
  Time keep_alive_deadline_ = Time::max();
  Duration keep_alive_{};

  std::array<std::uint16_t, kAsyncEventsMax> event_requests_{};  // waiting, oldest first
  std::size_t event_request_count_ = 0;
  std::vector<std::uint16_t> aborted_events_;  // at most kAsyncEventsMax
  Notice namespaces_;
  Notice discovery_;
  std::vector<std::uint32_t> changed_;  // sorted; one more than the log page holds means "too many"

  std::uint16_t io_queues_ = 0;  // granted by Number of Queues
  std::uint32_t event_configuration_ = 0;
  std::uint32_t arbitration_ = 0;
  std::uint32_t error_recovery_ = 0;
  std::uint32_t interrupt_coalescing_ = 0;
  std::uint32_t write_atomicity_ = 0;
  std::array<std::uint32_t, 2> temperature_{};  // over, under
};

}  // namespace netstor::nvme
