// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an operator may change while the server runs, as plain calls: each checks what it is asked for, keeps
// it (control_state.h, the state directory) and brings it into force at the target and the endpoint. How
// calls come in is not known here; service.h is one way.
//
//   auto manager = *Manager::open(state, std::move(volumes));       // before anything is served
//   manager->serve({.target = target, .runtime = runtime, .endpoint = nullptr, .hosts = …, .secrets = …});
//   manager->create_volume({.name = "data", .size_bytes = 1 << 30});
//
// An answer that is no error means: in force, and on stable storage. The order is always that of a crash in
// between: it leaves the change undone or done, and never opens a door that the change was to close.
//
// Errors begin with the field that is wrong ("size_bytes: …"). Kinds: invalid_argument; not_found;
// already_exists (there, but otherwise than asked for); permission_denied (in use, says by what and what to
// do: in_use()); unsupported; no_space; what the stores and the system answer.
//
// Thread rule: any foreign thread; changes happen one after the other. Calls block, and must not be made on a
// shard.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "server/control/control_state.h"
#include "server/nvmf/target.h"
#include "server/s3/endpoint.h"
#include "server/store/state_directory.h"

namespace netstor::control {

struct ServedVolume {
  store::VolumeRecord record;
  bool created = false;  ///< with this start
  std::unique_ptr<store::StoredVolume> stored;
  bool unmade = false;  ///< could be neither served nor undone: a delete ends it
};

/// What the files of keys say.
struct FileKeys {
  s3server::Keys access;                   ///< of --s3-keys
  std::vector<nvmf::HostSecrets> secrets;  ///< of --host-keys
  std::vector<nvmf::HostTlsKey> tls_keys;  ///< of --tls-keys
};

/// What a running server gives to its manager. All of it outlives the manager's last call.
struct Serving {
  nvmf::Target* target = nullptr;
  Runtime* runtime = nullptr;
  s3server::Endpoint* endpoint = nullptr;       ///< null: no buckets are served
  const store::ObjectStore* objects = nullptr;  ///< with the endpoint
  std::vector<std::string> hosts;               ///< of --allow-host; empty: any
  nvmf::TlsUse tls = nvmf::TlsUse::none;        ///< of listeners
  FileKeys keys;
};

struct VolumeRequest {
  store::VolumeSpec spec;
  bool overcommit = false;
};

struct Attachment {
  std::string subsystem;
  std::uint32_t nsid = 0;
};

struct VolumeView {
  store::VolumeRecord record;
  std::uint64_t used_bytes = 0;
  std::vector<Attachment> attachments;
};

struct SubsystemView {
  std::string nqn;
  std::string serial;
  std::vector<std::pair<std::uint32_t, std::string>> namespaces;  ///< with the volume's name
  bool any_host = true;
  std::vector<std::string> hosts;
  bool only_authenticated = false;
  std::size_t connections = 0;
};

struct ListenerView {
  ListenerRecord record;
  bool kept = false;
  std::string not_served;
};

struct HostView {
  std::string nqn;
  bool has_key = false;
  bool has_controller_key = false;
  bool kept = false;
  net::Expiry until = {};
};

struct KeyView {
  std::string id;
  std::string name;
  std::string rights;
  bool enabled = true;
  bool kept = false;
  net::Expiry until = {};
  bool unchanged = false;  ///< of rotate_key(): it had this secret already
};

/// Those to which all that is said applies.
struct ConnectionFilter {
  std::string id;
  std::string host;
  std::string subsystem;
};

class Manager {
 public:
  /// Reads what is kept, and lets go of volumes whose removal was not finished: take_leftovers(). Errors: as
  /// ControlState::open.
  static Result<std::unique_ptr<Manager>> open(store::StateDirectory& state,
                                               std::vector<ServedVolume> volumes);

  /// Brings all that is kept into force, but for the listeners. Once. Errors: what the target answers.
  Result<void> serve(Serving serving);
  /// Listens where it was told to; answers a line for each address that cannot be had.
  std::vector<std::string> listen();
  /// An address of a flag, so that it is listed.
  void add_flag_listener(const ListenerRecord& record);
  /// Folders of volumes whose removal an earlier run did not finish, for StateDirectory::discard(); those
  /// that are not discarded are here at the next start again. Once.
  std::vector<std::string> take_leftovers() { return std::move(leftovers_); }
  /// Call it before anything is served, or after the target's end.
  std::vector<ServedVolume>& served() noexcept { return volumes_; }
  /// Puts what the volumes hold on stable storage; answers a line for each where that failed. At once: while
  /// a call is under way it touches none, and says so.
  std::vector<std::string> sync();
  /// Key and secret hold with those of the keys file.
  s3server::Keys keys_with(const s3server::Keys& file_keys) const;
  /// The files of keys were read again: in force for connections and requests that begin from now on. What
  /// operators keep holds with them as before.
  Result<void> renew_file_keys(FileKeys keys);

  Result<VolumeView> create_volume(const VolumeRequest& request);
  Result<std::vector<VolumeView>> volumes();
  /// At once, whatever is under way: as they were after the last change.
  std::vector<store::VolumeRecord> volume_records();
  Result<VolumeView> volume(const std::string& name);
  Result<VolumeView> resize_volume(const std::string& name, std::uint64_t size_bytes, bool overcommit);
  Result<VolumeView> rename_volume(const std::string& name, const std::string& new_name);
  Result<void> delete_volume(const std::string& name, bool force);

  /// `record` without volumes.
  Result<SubsystemView> create_subsystem(const std::string& nqn, SubsystemRecord record);
  Result<std::vector<SubsystemView>> subsystems();
  Result<void> delete_subsystem(const std::string& nqn, bool force);
  Result<SubsystemView> attach(const std::string& nqn, const std::string& volume, std::uint32_t nsid);
  Result<SubsystemView> detach(const std::string& nqn, std::uint32_t nsid);

  Result<ListenerView> add_listener(const std::string& host, std::uint32_t port,
                                    const std::string& advertise);
  Result<void> remove_listener(const std::string& host, std::uint32_t port);
  std::vector<ListenerView> listeners();

  Result<SubsystemView> allow_host(const std::string& nqn, const std::string& host);
  Result<SubsystemView> forbid_host(const std::string& nqn, const std::string& host, bool disconnect);
  Result<SubsystemView> allow_any_host(const std::string& nqn);
  Result<HostView> set_host_key(const std::string& host, const HostRecord& record, bool disconnect);
  Result<HostView> revoke_host_key(const std::string& host, bool disconnect);
  Result<void> delete_host(const std::string& host, bool force);
  std::vector<HostView> hosts();

  Result<store::Bucket> create_bucket(const std::string& name,
                                      std::optional<store::AnonymousAccess> anonymous);
  Result<std::vector<store::Bucket>> buckets();
  Result<void> delete_bucket(const std::string& name);

  Result<KeyView> create_key(const std::string& id, const KeyRecord& record);
  /// Another secret, and another end when one is said (0: none).
  Result<KeyView> rotate_key(const std::string& id, const std::string& secret,
                             std::optional<std::int64_t> until_ms);
  Result<KeyView> set_key_rights(const std::string& id, const std::string& rights);
  Result<KeyView> set_key_enabled(const std::string& id, bool enabled);
  Result<void> delete_key(const std::string& id);
  std::vector<KeyView> keys();

  Result<std::vector<nvmf::ConnectionFacts>> connections();
  /// Answers how many. Errors: invalid_argument (nothing was said).
  Result<std::uint64_t> disconnect(const ConnectionFilter& filter);

  /// True: no new connections are taken until it is false again.
  Result<void> set_draining(bool draining);
  bool draining() const noexcept { return draining_; }
  struct Load {
    std::vector<nvmf::ShardFacts> target;
    std::vector<s3server::ShardFacts> endpoint;
    Metrics metrics;
    store::ObjectUsage objects;
    std::size_t volumes = 0;
  };
  Result<Load> load();

 private:
  Manager(store::StateDirectory& state, std::unique_ptr<ControlState> control,
          std::vector<ServedVolume> volumes);

  // All with the lock held. manager_volumes.cc:
  ServedVolume* find_volume(std::string_view name);
  ServedVolume* volume_with(std::string_view uuid);
  /// One that may be changed. `field`: of the call, for the error.
  Result<ServedVolume*> need_volume(std::string_view field, const std::string& name);
  Result<void> check_staying(std::string_view field, const ServedVolume& volume) const;
  VolumeView view_of(const ServedVolume& volume) const;
  void publish_records();
  Result<VolumeView> make_volume(const store::VolumeSpec& spec);
  /// Lets go of what was removed from the state; answers its folder.
  Result<std::string> forget(const std::array<std::uint8_t, 16>& uuid);
  /// Of all that is not served any more.
  Result<std::vector<std::string>> forget_removed();
  /// Takes the lock itself. Answers the folders to discard.
  Result<std::vector<std::string>> begin_to_delete(const std::string& name, bool force);
  Result<void> end_serving(const ServedVolume& volume, const VolumeView& view);
  Result<void> check_room(std::uint64_t size_bytes, const store::VolumeRecord* there, bool overcommit,
                          store::StoreKind kind) const;
  Result<void> check_unused(const std::vector<std::string>& nqns, const std::string& what, bool force);

  // manager_subsystems.cc:
  std::map<std::string, SubsystemRecord> all_subsystems() const;
  std::optional<SubsystemRecord> subsystem(const std::string& nqn) const;
  Result<SubsystemRecord> need_subsystem(const std::string& nqn) const;
  const ServedVolume* owner_of(const std::string& nqn) const;
  nvmf::SubsystemConfig config_of(const std::string& nqn, const SubsystemRecord& record) const;
  bool only_authenticated() const;
  Result<SubsystemView> view_of(const std::string& nqn, const SubsystemRecord& record);
  SubsystemView view_of(const std::string& nqn, const SubsystemRecord& record,
                        const std::vector<nvmf::ConnectionFacts>& connections);
  Result<void> serve_subsystem(const std::string& nqn, const SubsystemRecord& record);
  Result<SubsystemView> change_access(const std::string& nqn, const SubsystemRecord& record);
  Result<void> renew_access();
  Result<std::uint64_t> end_connections(const ConnectionFilter& filter);
  HostView host_view(const std::string& host) const;

  // manager.cc:
  Result<void> need_endpoint() const;
  Result<KeyRecord> need_key(const std::string& id) const;
  Result<KeyView> keep_key(const std::string& id, const KeyRecord& record);
  Result<void> renew_keys();

  std::mutex mutex_;
  std::vector<std::string> leftovers_;
  std::mutex records_mutex_;  // of records_ alone
  std::vector<store::VolumeRecord> records_;
  store::StateDirectory& state_;
  std::unique_ptr<ControlState> control_;
  std::vector<ServedVolume> volumes_;
  Serving serving_;
  std::vector<ListenerRecord> flag_listeners_;
  std::map<std::string, std::string> not_served_;  // listeners: why not
  std::atomic<bool> draining_ = false;             // read without mutex_, which may wait for a shard
};

/// "SHARD-NUMBER".
std::string connection_id(const nvmf::ConnectionFacts& facts);

/// `what` is in use: the operator has to do something first, or force it.
inline Error in_use(std::string what) { return {ErrorKind::permission_denied, std::move(what)}; }

}  // namespace netstor::control
