// SPDX-License-Identifier: Apache-2.0
// Subsystems and who may reach them. A volume's own subsystem exists because the volume does; it has a record
// only when somebody changed it.

#include <algorithm>
#include <array>
#include <random>

#include "lib/wire/fabrics/nqn.h"
#include "server/control/manager.h"
#include "server/store/volume_record.h"

namespace netstor::control {

namespace {

constexpr std::uint32_t kNamespacesMax = 64;

Error field(std::string_view name, std::string what) {
  return {ErrorKind::invalid_argument, std::string(name) + ": " + std::move(what)};
}

Result<void> check_nqn(std::string_view name, const std::string& nqn) {
  if (auto good = store::check_nqn(nqn); !good) return std::move(good).error().with_context(name);
  if (nvme::valid_nqn(nqn) && nqn != nvme::kDiscoveryNqn) return ok();
  return field(name, nqn + " cannot be used: it is no NQN, or the one of discovery");
}

Result<void> check_serial(const std::string& serial) {
  const bool printable = std::ranges::all_of(serial, [](char c) { return c > ' ' && c < 127; });
  if (!serial.empty() && serial.size() <= 20 && printable) return ok();
  return field("serial", "expected 1 to 20 printable characters, no blanks");
}

std::string random_serial() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string serial;
  for (int i = 0; i < 16; ++i) serial += kDigits[random() % kDigits.size()];
  return serial;
}

void sort_unique(std::vector<std::string>& names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

Result<nvme::AuthSecrets> parse_secrets(const HostRecord& record) {
  nvme::AuthSecrets secrets;
  auto host = nvme::parse_auth_secret(record.secret);
  if (!host) return std::move(host).error().with_context("secret");
  secrets.host = *host;
  if (record.controller_secret.empty()) return secrets;
  auto controller = nvme::parse_auth_secret(record.controller_secret);
  if (!controller) return std::move(controller).error().with_context("controller_secret");
  secrets.controller = *controller;
  return secrets;
}

}  // namespace

std::string connection_id(const nvmf::ConnectionFacts& facts) {
  return std::to_string(facts.shard) + "-" + std::to_string(facts.id);
}

// ---- What there is.

const ServedVolume* Manager::owner_of(const std::string& nqn) const {
  const auto found = std::ranges::find_if(volumes_, [&](const auto& each) {
    return each.record.own_subsystem && each.record.identity.nqn == nqn;
  });
  return found == volumes_.end() ? nullptr : &*found;
}

std::map<std::string, SubsystemRecord> Manager::all_subsystems() const {
  std::map<std::string, SubsystemRecord> all = control_->subsystems();
  for (const ServedVolume& volume : volumes_) {
    if (!volume.record.own_subsystem) continue;
    const store::VolumeIdentity& identity = volume.record.identity;
    const std::string uuid = store::uuid_text(identity.uuid);
    all.try_emplace(identity.nqn,
                    SubsystemRecord{.serial = identity.serial, .owner = uuid, .volumes = {{1, uuid}}});
  }
  return all;
}

std::optional<SubsystemRecord> Manager::subsystem(const std::string& nqn) const {
  const auto all = all_subsystems();
  const auto found = all.find(nqn);
  return found == all.end() ? std::nullopt : std::optional(found->second);
}

Result<SubsystemRecord> Manager::need_subsystem(const std::string& nqn) const {
  NETSTOR_CHECK_RETURN(check_nqn("subsystem", nqn));
  if (auto record = subsystem(nqn)) return *std::move(record);
  return Error(ErrorKind::not_found, "subsystem: there is no " + nqn);
}

// Hosts that are known by a key, or were: then only those who prove themselves come in. A key that is revoked
// must not open the door for everybody.
bool Manager::only_authenticated() const {
  return !control_->hosts().empty() || !serving_.keys.secrets.empty();
}

nvmf::SubsystemConfig Manager::config_of(const std::string& nqn, const SubsystemRecord& record) const {
  nvmf::SubsystemConfig config{.nqn = nqn,
                               .serial = record.serial,
                               .hosts = record.any_host ? serving_.hosts : record.hosts,
                               .only_listed = !record.any_host,
                               .only_authenticated = only_authenticated(),
                               .tls_keys = serving_.keys.tls_keys,
                               .nsid_max = kNamespacesMax};
  for (const nvmf::HostSecrets& secrets : serving_.keys.secrets) {
    if (!control_->hosts().contains(secrets.host_nqn)) config.secrets.push_back(secrets);
  }
  for (const auto& [host, kept] : control_->hosts()) {
    if (kept.secret.empty()) continue;
    if (auto secrets = parse_secrets(kept))
      config.secrets.push_back(
          {.host_nqn = host, .secrets = *secrets, .until = net::expiry_of(kept.until_ms)});
  }
  return config;
}

Result<SubsystemView> Manager::view_of(const std::string& nqn, const SubsystemRecord& record) {
  NETSTOR_TRY_RETURN(const auto connections, serving_.target->connections().get());
  return view_of(nqn, record, connections);
}

SubsystemView Manager::view_of(const std::string& nqn, const SubsystemRecord& record,
                               const std::vector<nvmf::ConnectionFacts>& connections) {
  SubsystemView view{.nqn = nqn,
                     .serial = record.serial,
                     .namespaces = {},
                     .any_host = record.any_host && serving_.hosts.empty(),
                     .hosts = record.any_host ? serving_.hosts : record.hosts,
                     .only_authenticated = only_authenticated()};
  for (const auto& [nsid, uuid] : record.volumes) {
    if (const ServedVolume* const volume = volume_with(uuid))
      view.namespaces.emplace_back(nsid, volume->record.identity.name);
  }
  view.connections = static_cast<std::size_t>(
      std::ranges::count_if(connections, [&](const auto& each) { return each.subsystem_nqn == nqn; }));
  return view;
}

Result<std::vector<SubsystemView>> Manager::subsystems() {
  const std::lock_guard lock(mutex_);
  // Once for all of them: each asking is work for every shard.
  NETSTOR_TRY_RETURN(const auto connections, serving_.target->connections().get());
  std::vector<SubsystemView> all;
  for (const auto& [nqn, record] : all_subsystems()) all.push_back(view_of(nqn, record, connections));
  return all;
}

// A volume whose folder was moved away keeps its place, in case that it comes back.
Result<void> Manager::serve_subsystem(const std::string& nqn, const SubsystemRecord& record) {
  NETSTOR_CHECK_RETURN(serving_.target->add_subsystem(config_of(nqn, record)).get());
  for (const auto& [nsid, uuid] : record.volumes) {
    ServedVolume* const volume = volume_with(uuid);
    if (volume == nullptr) continue;
    auto added = serving_.target->add_namespace(nqn, nsid, *volume->stored).get();
    if (!added) return std::move(added).error();
  }
  return ok();
}

// ---- Subsystems.

Result<SubsystemView> Manager::create_subsystem(const std::string& nqn, SubsystemRecord record) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_nqn("nqn", nqn));
  for (const std::string& host : record.hosts) NETSTOR_CHECK_RETURN(check_nqn("allowed_hosts", host));
  sort_unique(record.hosts);
  if (const auto there = subsystem(nqn)) {
    const bool agrees = there->any_host == record.any_host && there->hosts == record.hosts &&
                        (record.serial.empty() || record.serial == there->serial);
    if (agrees) return view_of(nqn, *there);
    return Error(ErrorKind::already_exists,
                 "nqn: subsystem " + nqn +
                     " is there with another serial or other hosts: change its hosts with "
                     "AllowHost and ForbidHost, or delete it first");
  }
  if (record.serial.empty()) record.serial = random_serial();
  NETSTOR_CHECK_RETURN(check_serial(record.serial));
  NETSTOR_CHECK_RETURN(control_->set_subsystem(nqn, record));
  if (auto served = serve_subsystem(nqn, record); !served) {
    static_cast<void>(control_->set_subsystem(nqn, std::nullopt));
    return std::move(served).error();
  }
  return view_of(nqn, record);
}

Result<void> Manager::delete_subsystem(const std::string& nqn, bool force) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_nqn("nqn", nqn));
  if (!subsystem(nqn)) return ok();
  NETSTOR_CHECK_RETURN(check_unused({nqn}, "nqn: subsystem " + nqn, force));
  // First the volume loses its own: otherwise it would come back, with its door open, after a crash.
  if (const ServedVolume* const owner = owner_of(nqn)) {
    NETSTOR_CHECK_RETURN(check_staying("nqn", *owner));
    NETSTOR_CHECK_RETURN(control_->prepare());
    ServedVolume* const volume = find_volume(owner->record.identity.name);
    NETSTOR_TRY_RETURN(volume->record, state_.set_own_subsystem(volume->record.identity.name, false));
  }
  if (control_->subsystems().contains(nqn)) NETSTOR_CHECK_RETURN(control_->set_subsystem(nqn, std::nullopt));
  return serving_.target->remove_subsystem(nqn).get();
}

Result<SubsystemView> Manager::attach(const std::string& nqn, const std::string& name, std::uint32_t nsid) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(SubsystemRecord record, need_subsystem(nqn));
  if (nsid > kNamespacesMax)
    return field("nsid", std::to_string(nsid) + ": expected 1 to " + std::to_string(kNamespacesMax) +
                             ", or 0 for the lowest free one");
  NETSTOR_TRY_RETURN(ServedVolume* const volume, need_volume("volume", name));
  const std::string uuid = store::uuid_text(volume->record.identity.uuid);
  for (const auto& [taken, of] : record.volumes) {
    if (of == uuid && (nsid == 0 || nsid == taken)) return view_of(nqn, record);
    if (of == uuid) {
      return Error(ErrorKind::already_exists, "nsid: volume '" + name + "' is namespace " +
                                                  std::to_string(taken) +
                                                  " there already: detach that first");
    }
    if (taken == nsid) {
      return Error(ErrorKind::already_exists,
                   "nsid: namespace " + std::to_string(nsid) +
                       " is another volume: choose another number, or detach that");
    }
  }
  if (nsid == 0) {
    nsid = 1;
    while (record.volumes.contains(nsid)) ++nsid;
    if (nsid > kNamespacesMax)
      return field("nsid", "all " + std::to_string(kNamespacesMax) + " are taken: detach one first");
  }
  auto added = serving_.target->add_namespace(nqn, nsid, *volume->stored).get();
  if (!added) return std::move(added).error();
  record.volumes[nsid] = uuid;
  if (auto kept = control_->set_subsystem(nqn, record); !kept) {
    static_cast<void>(serving_.target->remove_namespace(nqn, nsid).get());
    return std::move(kept).error();
  }
  return view_of(nqn, record);
}

Result<SubsystemView> Manager::detach(const std::string& nqn, std::uint32_t nsid) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(SubsystemRecord record, need_subsystem(nqn));
  if (nsid == 0 || nsid > kNamespacesMax)
    return field("nsid", std::to_string(nsid) + ": expected 1 to " + std::to_string(kNamespacesMax));
  const auto found = record.volumes.find(nsid);
  if (found == record.volumes.end()) return view_of(nqn, record);
  const bool served = volume_with(found->second) != nullptr;
  record.volumes.erase(found);
  NETSTOR_CHECK_RETURN(control_->set_subsystem(nqn, record));
  if (served) NETSTOR_CHECK_RETURN(serving_.target->remove_namespace(nqn, nsid).get());
  return view_of(nqn, record);
}

// ---- Who may come.

Result<SubsystemView> Manager::change_access(const std::string& nqn, const SubsystemRecord& record) {
  NETSTOR_CHECK_RETURN(control_->set_subsystem(nqn, record));
  NETSTOR_CHECK_RETURN(serving_.target->set_access(config_of(nqn, record)).get());
  return view_of(nqn, record);
}

Result<void> Manager::renew_access() {
  for (const auto& [nqn, record] : all_subsystems())
    NETSTOR_CHECK_RETURN(serving_.target->set_access(config_of(nqn, record)).get());
  return ok();
}

Result<SubsystemView> Manager::allow_host(const std::string& nqn, const std::string& host) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_nqn("host", host));
  NETSTOR_TRY_RETURN(SubsystemRecord record, need_subsystem(nqn));
  const SubsystemRecord before = record;
  record.any_host = false;
  record.hosts.push_back(host);
  sort_unique(record.hosts);
  return record == before ? view_of(nqn, record) : change_access(nqn, record);
}

Result<SubsystemView> Manager::forbid_host(const std::string& nqn, const std::string& host, bool disconnect) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_nqn("host", host));
  NETSTOR_TRY_RETURN(SubsystemRecord record, need_subsystem(nqn));
  if (record.any_host) {
    return in_use(
        "host: subsystem " + nqn +
        " has no list of its own, so nobody can be taken from it: allow a host first, which then is the "
        "only one");
  }
  if (std::erase(record.hosts, host) > 0) NETSTOR_CHECK_RETURN(change_access(nqn, record));
  if (disconnect) NETSTOR_CHECK_RETURN(end_connections({.id = {}, .host = host, .subsystem = nqn}));
  return view_of(nqn, record);
}

Result<SubsystemView> Manager::allow_any_host(const std::string& nqn) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(SubsystemRecord record, need_subsystem(nqn));
  if (record.any_host) return view_of(nqn, record);
  record.any_host = true;
  record.hosts.clear();
  return change_access(nqn, record);
}

HostView Manager::host_view(const std::string& host) const {
  const auto found = control_->hosts().find(host);
  if (found == control_->hosts().end()) return {.nqn = host, .has_key = true};
  return {.nqn = host,
          .has_key = !found->second.secret.empty(),
          .has_controller_key = !found->second.controller_secret.empty(),
          .kept = true,
          .until = net::expiry_of(found->second.until_ms)};
}

Result<HostView> Manager::set_host_key(const std::string& host, const HostRecord& record, bool disconnect) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_nqn("nqn", host));
  NETSTOR_CHECK_RETURN(parse_secrets(record));
  NETSTOR_CHECK_RETURN(net::check_milliseconds(record.until_ms));
  NETSTOR_CHECK_RETURN(control_->set_host(host, record));
  NETSTOR_CHECK_RETURN(renew_access());
  if (disconnect) NETSTOR_CHECK_RETURN(end_connections({.id = {}, .host = host, .subsystem = {}}));
  return host_view(host);
}

Result<HostView> Manager::revoke_host_key(const std::string& host, bool disconnect) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_nqn("nqn", host));
  NETSTOR_CHECK_RETURN(control_->set_host(host, HostRecord{}));
  NETSTOR_CHECK_RETURN(renew_access());
  if (disconnect) NETSTOR_CHECK_RETURN(end_connections({.id = {}, .host = host, .subsystem = {}}));
  return host_view(host);
}

Result<void> Manager::delete_host(const std::string& host, bool force) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_nqn("nqn", host));
  if (!control_->hosts().contains(host)) return ok();
  if (!force && control_->hosts().size() == 1 && serving_.keys.secrets.empty()) {
    return in_use(
        "nqn: " + host +
        " is the last host with a key: without it hosts need not prove themselves any more. Force it if "
        "that is meant; revoking the key shuts out this host alone");
  }
  NETSTOR_CHECK_RETURN(control_->set_host(host, std::nullopt));
  return renew_access();
}

std::vector<HostView> Manager::hosts() {
  const std::lock_guard lock(mutex_);
  std::map<std::string, HostView> all;
  for (const nvmf::HostSecrets& secrets : serving_.keys.secrets) {
    all[secrets.host_nqn] = {.nqn = secrets.host_nqn,
                             .has_key = true,
                             .has_controller_key = !secrets.secrets.controller.empty(),
                             .until = secrets.until};
  }
  for (const auto& [host, record] : control_->hosts()) all[host] = host_view(host);
  std::vector<HostView> list;
  for (auto& [host, view] : all) list.push_back(std::move(view));
  return list;
}

Result<std::uint64_t> Manager::end_connections(const ConnectionFilter& filter) {
  return serving_.target
      ->disconnect([filter](const nvmf::ConnectionFacts& facts) {
        return (filter.id.empty() || filter.id == connection_id(facts)) &&
               (filter.host.empty() || filter.host == facts.host_nqn) &&
               (filter.subsystem.empty() || filter.subsystem == facts.subsystem_nqn);
      })
      .get();
}

}  // namespace netstor::control
