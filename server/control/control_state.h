// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the control plane remembers beside the volumes themselves: subsystems, hosts, listeners, access keys.
// Values and where they are kept; what they mean for a running server is manager.h's business. The form on
// disk is docs/formats/control-state.md's.
//
// Thread rule: one thread at a time. Blocks.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/store/record_store.h"
#include "server/store/state_directory.h"

namespace netstor::control {

struct SubsystemRecord {
  std::string serial;
  std::string owner = {};               ///< the UUID of the volume whose own subsystem it is; empty: nobody's
  bool any_host = true;                 ///< or those of --allow-host; else `hosts` alone
  std::vector<std::string> hosts = {};  ///< in order
  std::map<std::uint32_t, std::string> volumes = {};  ///< by namespace: the volume's UUID
  friend bool operator==(const SubsystemRecord&, const SubsystemRecord&) = default;
};

/// Secrets as `nvme gen-dhchap-key` prints them. No secret: it was revoked.
struct HostRecord {
  std::string secret;
  std::string controller_secret;
  std::int64_t until_ms = 0;  ///< net::Expiry's
};

struct ListenerRecord {
  std::string host;
  std::uint16_t port = 0;
  std::string advertise;
};

struct KeyRecord {
  std::string name;
  std::string secret;
  std::string rights;
  bool enabled = true;
  std::int64_t until_ms = 0;  ///< net::Expiry's
};

/// "HOST:PORT", IPv6 in brackets.
std::string listener_name(const std::string& host, std::uint16_t port);

class ControlState {
 public:
  /// Reads and checks all, and changes nothing. `directory` outlives it. Errors: unsupported (a newer
  /// version), data_corrupt (says which record), system errors.
  static Result<std::unique_ptr<ControlState>> open(store::StateDirectory& directory);

  const std::map<std::string, SubsystemRecord>& subsystems() const noexcept { return subsystems_; }
  const std::map<std::string, HostRecord>& hosts() const noexcept { return hosts_; }
  const std::map<std::string, ListenerRecord>& listeners() const noexcept { return listeners_; }
  const std::map<std::string, KeyRecord>& keys() const noexcept { return keys_; }

  /// What is to be kept elsewhere needs the control plane: see StateDirectory::require_control().
  Result<void> prepare();

  // Each is on stable storage when it returns; an error leaves all as it was. No value: it goes.
  Result<void> set_subsystem(const std::string& nqn, const std::optional<SubsystemRecord>& record);
  Result<void> set_host(const std::string& nqn, const std::optional<HostRecord>& record);
  Result<void> set_listener(const ListenerRecord& record, bool present);
  Result<void> set_key(const std::string& id, const std::optional<KeyRecord>& record);
  /// Several at once, wholly or not at all.
  Result<void> set_subsystems(const std::map<std::string, std::optional<SubsystemRecord>>& changes);

 private:
  ControlState(store::StateDirectory& directory, std::unique_ptr<store::RecordStore> store)
      : directory_(directory), store_(std::move(store)) {}
  Result<void> decode_all();
  Result<void> commit(const std::vector<store::RecordChange>& changes, std::uint64_t version = 1);

  store::StateDirectory& directory_;
  std::unique_ptr<store::RecordStore> store_;
  std::map<std::string, SubsystemRecord> subsystems_;
  std::map<std::string, HostRecord> hosts_;
  std::map<std::string, ListenerRecord> listeners_;
  std::map<std::string, KeyRecord> keys_;
};

}  // namespace netstor::control
