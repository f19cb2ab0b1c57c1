// SPDX-License-Identifier: Apache-2.0

#include "server/control/control_state.h"

#include <nlohmann/json.hpp>

#include "lib/wire/fabrics/auth_secret.h"
#include "server/s3/keys.h"
#include "server/store/volume_record.h"

namespace netstor::control {

namespace {

using nlohmann::json;

constexpr std::string_view kSubsystem = "subsystem/";
constexpr std::string_view kHost = "host/";
constexpr std::string_view kListener = "listener/";
constexpr std::string_view kKey = "key/";
constexpr std::uint32_t kNsidMax = 1024;

std::string text_of(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

json encode(const SubsystemRecord& record) {
  json volumes = json::object();
  for (const auto& [nsid, uuid] : record.volumes) volumes[std::to_string(nsid)] = uuid;
  json object{{"serial", record.serial}, {"volumes", std::move(volumes)}};
  if (!record.owner.empty()) object["owner"] = record.owner;
  if (!record.any_host) object["hosts"] = record.hosts;
  return object;
}
json encode(const HostRecord& record) {
  json object{{"secret", record.secret}, {"controller_secret", record.controller_secret}};
  if (record.until_ms != 0) object["until_ms"] = record.until_ms;
  return object;
}
json encode(const ListenerRecord& record) {
  return {{"host", record.host}, {"port", record.port}, {"advertise", record.advertise}};
}
json encode(const KeyRecord& record) {
  json object{{"name", record.name},
              {"secret", record.secret},
              {"rights", record.rights},
              {"enabled", record.enabled}};
  if (record.until_ms != 0) object["until_ms"] = record.until_ms;
  return object;
}

/// Leaves `into` and answers false where there is no such string.
bool take(const json& object, const char* key, std::string& into) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) return false;
  into = at->get<std::string>();
  return true;
}

/// Left out: for good. What is there and no time is damage, and not a key without an end.
bool take_until(const json& object, std::int64_t& until_ms) {
  const auto at = object.find("until_ms");
  if (at == object.end()) return true;
  if (!at->is_number_integer()) return false;
  until_ms = at->get<std::int64_t>();
  return until_ms > 0 && net::check_milliseconds(until_ms).ok();
}

bool decode(const json& object, SubsystemRecord& record) {
  if (!take(object, "serial", record.serial)) return false;
  const auto volumes = object.find("volumes");
  if (volumes == object.end() || !volumes->is_object()) return false;
  for (const auto& [nsid, uuid] : volumes->items()) {
    std::array<std::uint8_t, 16> parsed{};
    const unsigned long number = std::strtoul(nsid.c_str(), nullptr, 10);
    if (number == 0 || number > kNsidMax || !uuid.is_string() ||
        !store::parse_uuid(uuid.get<std::string>(), parsed)) {
      return false;
    }
    record.volumes[static_cast<std::uint32_t>(number)] = uuid.get<std::string>();
  }
  std::array<std::uint8_t, 16> owner{};
  if (object.contains("owner") &&
      (!take(object, "owner", record.owner) || !store::parse_uuid(record.owner, owner)))
    return false;
  const auto hosts = object.find("hosts");
  if (hosts == object.end()) return true;
  record.any_host = false;
  if (!hosts->is_array()) return false;
  for (const auto& host : *hosts) {
    if (!host.is_string() || !store::check_nqn(host.get<std::string>())) return false;
    record.hosts.push_back(host.get<std::string>());
  }
  return true;
}
bool decode(const json& object, HostRecord& record) {
  const auto sound = [](const std::string& secret) {
    return secret.empty() || nvme::parse_auth_secret(secret).ok();
  };
  return take(object, "secret", record.secret) &&
         take(object, "controller_secret", record.controller_secret) && sound(record.secret) &&
         sound(record.controller_secret) && take_until(object, record.until_ms);
}
bool decode(const json& object, ListenerRecord& record) {
  const auto port = object.find("port");
  if (port == object.end() || !port->is_number_unsigned() || *port == 0 || *port > 65535) return false;
  record.port = port->get<std::uint16_t>();
  return take(object, "host", record.host) && take(object, "advertise", record.advertise);
}
bool decode(const json& object, KeyRecord& record) {
  const auto enabled = object.find("enabled");
  if (enabled == object.end() || !enabled->is_boolean()) return false;
  record.enabled = enabled->get<bool>();
  return take(object, "name", record.name) && take(object, "secret", record.secret) &&
         take(object, "rights", record.rights) && s3server::Keys::check_secret(record.secret).ok() &&
         s3server::parse_grants(record.rights).ok() && take_until(object, record.until_ms);
}

/// What a netstord has to understand to serve by it: one that knew version 1 alone would take a key that ends
/// for one that holds for good.
template <class Record>
std::uint64_t version_of(const std::optional<Record>& record) {
  return record && record->until_ms != 0 ? 2 : 1;
}

/// Of a record under `prefix`; false where it is not sound.
template <class Record>
bool decode_into(std::string_view prefix, std::string_view key, const json& object,
                 std::map<std::string, Record>& into) {
  Record record;
  if (!decode(object, record)) return false;
  into.emplace(key.substr(prefix.size()), std::move(record));
  return true;
}

template <class Record>
store::RecordChange change_of(std::string_view prefix, const std::string& name,
                              const std::optional<Record>& record) {
  store::RecordChange change{.key = std::string(prefix) + name, .value = std::nullopt};
  if (record) change.value = text_of(encode(*record));
  return change;
}

template <class Record>
void apply(std::map<std::string, Record>& map, const std::string& name, const std::optional<Record>& record) {
  if (record) {
    map.insert_or_assign(name, *record);
  } else {
    map.erase(name);
  }
}

}  // namespace

std::string listener_name(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<std::unique_ptr<ControlState>> ControlState::open(store::StateDirectory& directory) {
  NETSTOR_TRY_RETURN(auto store, store::RecordStore::open(directory.path() + "/control"));
  if (directory.requires_control() && !store->exists()) {
    return Error(ErrorKind::data_corrupt,
                 store->path() +
                     ": is missing, and says who may reach what; put it back from a copy "
                     "(docs/formats/control-state.md says how to begin without it)");
  }
  std::unique_ptr<ControlState> state(new ControlState(directory, std::move(store)));
  NETSTOR_CHECK_RETURN(state->decode_all());
  return state;
}

Result<void> ControlState::decode_all() {
  for (const auto& [key, value] : store_->records()) {
    const json object = json::parse(value, nullptr, false);
    bool sound = object.is_object();
    if (!sound) {
    } else if (key.starts_with(kSubsystem)) {
      sound = store::check_nqn(std::string_view(key).substr(kSubsystem.size())).ok() &&
              decode_into(kSubsystem, key, object, subsystems_);
    } else if (key.starts_with(kHost)) {
      sound = decode_into(kHost, key, object, hosts_);
    } else if (key.starts_with(kListener)) {
      sound = decode_into(kListener, key, object, listeners_);
    } else if (key.starts_with(kKey)) {
      sound = decode_into(kKey, key, object, keys_);
    } else {
      sound = false;
    }
    if (sound) continue;
    return Error(ErrorKind::data_corrupt, store_->path() + ": the record " + key +
                                              " is damaged; put the folder back from a copy "
                                              "(docs/formats/control-state.md says how to begin without it)");
  }
  return ok();
}

// First the records, then the version that asks for them: a server that is ended between has lost nothing.
Result<void> ControlState::prepare() {
  NETSTOR_CHECK_RETURN(store_->prepare());
  return directory_.require_control();
}

Result<void> ControlState::commit(const std::vector<store::RecordChange>& changes, std::uint64_t version) {
  NETSTOR_CHECK_RETURN(prepare());
  return store_->commit(changes, version);
}

Result<void> ControlState::set_subsystem(const std::string& nqn,
                                         const std::optional<SubsystemRecord>& record) {
  return set_subsystems({{nqn, record}});
}

Result<void> ControlState::set_subsystems(
    const std::map<std::string, std::optional<SubsystemRecord>>& changes) {
  std::vector<store::RecordChange> list;
  for (const auto& [nqn, record] : changes) list.push_back(change_of(kSubsystem, nqn, record));
  if (list.empty()) return ok();
  NETSTOR_CHECK_RETURN(commit(list));
  for (const auto& [nqn, record] : changes) apply(subsystems_, nqn, record);
  return ok();
}

Result<void> ControlState::set_host(const std::string& nqn, const std::optional<HostRecord>& record) {
  NETSTOR_CHECK_RETURN(commit({change_of(kHost, nqn, record)}, version_of(record)));
  apply(hosts_, nqn, record);
  return ok();
}

Result<void> ControlState::set_listener(const ListenerRecord& record, bool present) {
  const std::string name = listener_name(record.host, record.port);
  const std::optional<ListenerRecord> value = present ? std::optional(record) : std::nullopt;
  NETSTOR_CHECK_RETURN(commit({change_of(kListener, name, value)}));
  apply(listeners_, name, value);
  return ok();
}

Result<void> ControlState::set_key(const std::string& id, const std::optional<KeyRecord>& record) {
  NETSTOR_CHECK_RETURN(commit({change_of(kKey, id, record)}, version_of(record)));
  apply(keys_, id, record);
  return ok();
}

}  // namespace netstor::control
