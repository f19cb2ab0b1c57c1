// SPDX-License-Identifier: Apache-2.0
// The manager as a whole, its listeners, buckets and access keys. Volumes are in manager_volumes.cc,
// subsystems and hosts in manager_subsystems.cc.

#include "server/control/manager.h"

#include <algorithm>

#include "server/s3/route.h"
#include "server/store/volume_record.h"

namespace netstor::control {

namespace {

Error field(std::string_view name, std::string_view what) {
  return {ErrorKind::invalid_argument, std::string(name) + ": " + std::string(what)};
}

bool same(const ListenerRecord& a, const ListenerRecord& b) { return a.host == b.host && a.port == b.port; }

Result<void> check_key(const std::string& id, const KeyRecord& record) {
  const auto printable = [](const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
  };
  if (auto good = s3server::Keys::check_id(id); !good) return std::move(good).error().with_context("id");
  if (!printable(id)) return field("id", "expected printable characters, no blanks");
  if (auto good = s3server::Keys::check_secret(record.secret); !good)
    return std::move(good).error().with_context("secret");
  if (!printable(record.secret) || record.secret.size() > 128)
    return field("secret", "expected at most 128 printable characters, no blanks");
  if (record.name.empty() || record.name.size() > 128 || !printable(record.name))
    return field("name", "expected 1 to 128 printable characters, no blanks");
  if (auto good = s3server::parse_grants(record.rights); !good)
    return std::move(good).error().with_context("rights");
  return net::check_milliseconds(record.until_ms);
}

KeyView key_view(const std::string& id, const KeyRecord& record) {
  return {.id = id,
          .name = record.name,
          .rights = record.rights,
          .enabled = record.enabled,
          .kept = true,
          .until = net::expiry_of(record.until_ms)};
}

Result<ListenerRecord> checked_listener(const std::string& host, std::uint32_t port,
                                        const std::string& advertise) {
  if (port > 65535) return field("port", std::to_string(port) + " is none: expected 0 to 65535");
  if (host.empty()) return field("host", "expected a numeric address of this machine, or 0.0.0.0 or ::");
  if (advertise.empty() && (host == "0.0.0.0" || host == "::"))
    return field("advertise", "expected the address by which hosts reach this machine, as " + host +
                                  " is none that they could be told");
  return ListenerRecord{.host = host, .port = static_cast<std::uint16_t>(port), .advertise = advertise};
}

}  // namespace

Manager::Manager(store::StateDirectory& state, std::unique_ptr<ControlState> control,
                 std::vector<ServedVolume> volumes)
    : state_(state), control_(std::move(control)), volumes_(std::move(volumes)) {
  publish_records();
}

Result<std::unique_ptr<Manager>> Manager::open(store::StateDirectory& state,
                                               std::vector<ServedVolume> volumes) {
  NETSTOR_TRY_RETURN(auto control, ControlState::open(state));
  std::unique_ptr<Manager> manager(new Manager(state, std::move(control), std::move(volumes)));
  NETSTOR_TRY_RETURN(manager->leftovers_, manager->forget_removed());
  return manager;
}

Result<void> Manager::serve(Serving serving) {
  const std::lock_guard lock(mutex_);
  serving_ = std::move(serving);
  for (const auto& [nqn, record] : all_subsystems()) {
    auto served = serve_subsystem(nqn, record);
    if (!served) return std::move(served).error().with_context("subsystem " + nqn);
  }
  return ok();
}

// ---- Listeners.

std::vector<std::string> Manager::listen() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> failures;
  for (const auto& [name, record] : control_->listeners()) {
    auto listening = serving_.target
                         ->listen({.address = {.host = record.host, .port = record.port},
                                   .tls = serving_.tls,
                                   .advertised_host = record.advertise})
                         .get();
    if (listening) continue;
    not_served_[name] = listening.error().text();
    failures.push_back(listening.error().text());
  }
  return failures;
}

void Manager::add_flag_listener(const ListenerRecord& record) {
  const std::lock_guard lock(mutex_);
  flag_listeners_.push_back(record);
}

std::vector<ListenerView> Manager::listeners() {
  const std::lock_guard lock(mutex_);
  std::vector<ListenerView> all;
  for (const ListenerRecord& record : flag_listeners_) all.push_back({.record = record, .not_served = {}});
  for (const auto& [name, record] : control_->listeners()) {
    const auto found = not_served_.find(name);
    all.push_back({.record = record,
                   .kept = true,
                   .not_served = found == not_served_.end() ? std::string() : found->second});
  }
  return all;
}

Result<ListenerView> Manager::add_listener(const std::string& host, std::uint32_t port,
                                           const std::string& advertise) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(ListenerRecord record, checked_listener(host, port, advertise));
  const std::string name = listener_name(host, record.port);
  const auto there = control_->listeners().find(name);
  if (there != control_->listeners().end() && !not_served_.contains(name)) {
    if (there->second.advertise == advertise) return ListenerView{record, true, {}};
    return Error(ErrorKind::already_exists, "advertise: " + name + " is there with '" +
                                                there->second.advertise +
                                                "': remove the listener first to change that");
  }
  for (const ListenerRecord& flag : flag_listeners_) {
    if (!same(flag, record)) continue;
    return Error(ErrorKind::already_exists, "port: " + name + " is served by a flag of netstord already");
  }
  auto listening = serving_.target
                       ->listen({.address = {.host = host, .port = record.port},
                                 .tls = serving_.tls,
                                 .advertised_host = advertise})
                       .get();
  if (!listening) return std::move(listening).error().with_context("host, port");
  record.port = listening->port;
  if (auto kept = control_->set_listener(record, true); !kept) {
    static_cast<void>(serving_.target->stop_listening(*listening).get());
    return std::move(kept).error();
  }
  not_served_.erase(listener_name(host, record.port));
  return ListenerView{record, true, {}};
}

Result<void> Manager::remove_listener(const std::string& host, std::uint32_t port) {
  const std::lock_guard lock(mutex_);
  if (port == 0 || port > 65535) return field("port", std::to_string(port) + " is none: expected 1 to 65535");
  const ListenerRecord record{.host = host, .port = static_cast<std::uint16_t>(port), .advertise = {}};
  const std::string name = listener_name(host, record.port);
  const bool of_flag =
      std::erase_if(flag_listeners_, [&](const auto& each) { return same(each, record); }) > 0;
  const bool kept = control_->listeners().contains(name);
  if (!of_flag && !kept) return ok();
  if (kept) NETSTOR_CHECK_RETURN(control_->set_listener(record, false));
  if (not_served_.erase(name) > 0) return ok();
  return serving_.target->stop_listening({.host = host, .port = record.port}).get();
}

// ---- Buckets.

Result<void> Manager::need_endpoint() const {
  if (serving_.endpoint != nullptr) return ok();
  return Error(ErrorKind::unsupported, "this netstord serves no buckets: start it with --s3-listen ADDR");
}

Result<store::Bucket> Manager::create_bucket(const std::string& name,
                                             std::optional<store::AnonymousAccess> anonymous) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(need_endpoint());
  if (!s3server::valid_bucket_name(name)) {
    return field("name", "expected 3 to 63 of a-z, 0-9, dots and dashes, letters or digits at both ends");
  }
  NETSTOR_TRY_RETURN(const auto before, serving_.endpoint->buckets().get());
  for (const store::Bucket& bucket : before) {
    if (bucket.name != name) continue;
    if (!anonymous || bucket.anonymous == *anonymous) return bucket;
    return Error(ErrorKind::already_exists, "anonymous: bucket " + name +
                                                " is there with other access for everybody: leave it out to "
                                                "keep that, or delete the bucket first");
  }
  NETSTOR_CHECK_RETURN(serving_.endpoint->prepare_bucket(name, anonymous).get());
  NETSTOR_TRY_RETURN(const auto after, serving_.endpoint->buckets().get());
  for (const store::Bucket& bucket : after) {
    if (bucket.name == name) return bucket;
  }
  return Error(ErrorKind::not_found, "name: bucket " + name + " was removed at the same time");
}

Result<std::vector<store::Bucket>> Manager::buckets() {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(need_endpoint());
  return serving_.endpoint->buckets().get();
}

Result<void> Manager::delete_bucket(const std::string& name) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(need_endpoint());
  auto removed = serving_.endpoint->remove_bucket(name).get();
  if (removed) return ok();
  const store::ObjectFault why = store::fault(removed.error());
  if (why == store::ObjectFault::no_such_bucket) return ok();
  if (why == store::ObjectFault::bucket_not_empty) {
    return in_use("name: bucket " + name + " is not empty: `netstor rm -r s3://" + name +
                  "/` removes its objects; versions and unfinished "
                  "uploads count, too");
  }
  return std::move(removed).error();
}

// ---- Access keys.

s3server::Keys Manager::keys_with(const s3server::Keys& file_keys) const {
  s3server::Keys keys = file_keys;
  for (const auto& [id, record] : control_->keys()) {
    if (!record.enabled) continue;
    // One of the keys file with the same id counts: what a file says is what an operator sees first.
    keys.add({.name = record.name,
              .access_key_id = id,
              .secret_access_key = record.secret,
              .grants = s3server::parse_grants(record.rights).value_or({}),
              .until = net::expiry_of(record.until_ms)});
  }
  return keys;
}

Result<void> Manager::renew_keys() {
  if (serving_.endpoint == nullptr) return ok();
  return serving_.endpoint->set_keys(keys_with(serving_.keys.access)).get();
}

Result<void> Manager::renew_file_keys(FileKeys keys) {
  const std::lock_guard lock(mutex_);
  serving_.keys = std::move(keys);
  NETSTOR_CHECK_RETURN(renew_access());
  return renew_keys();
}

// One of the keys file with this id signs whatever is kept here: a change that is answered must be in force.
Result<KeyRecord> Manager::need_key(const std::string& id) const {
  if (serving_.keys.access.find(id) != nullptr)
    return in_use("id: this key is of the keys file: change it there, and reload netstord (SIGHUP)");
  const auto found = control_->keys().find(id);
  if (found != control_->keys().end()) return found->second;
  return Error(ErrorKind::not_found, "id: there is no access key " + id);
}

Result<KeyView> Manager::keep_key(const std::string& id, const KeyRecord& record) {
  NETSTOR_CHECK_RETURN(check_key(id, record));
  NETSTOR_CHECK_RETURN(control_->set_key(id, record));
  NETSTOR_CHECK_RETURN(renew_keys());
  return key_view(id, record);
}

Result<KeyView> Manager::create_key(const std::string& id, const KeyRecord& record) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(check_key(id, record));
  if (serving_.keys.access.find(id) != nullptr)
    return Error(ErrorKind::already_exists, "id: the keys file has this access key: choose another id");
  const auto found = control_->keys().find(id);
  if (found == control_->keys().end()) return keep_key(id, record);
  const KeyRecord& there = found->second;
  if (there.name == record.name && there.rights == record.rights && there.secret == record.secret &&
      there.until_ms == record.until_ms)
    return key_view(id, there);
  return Error(ErrorKind::already_exists,
               "id: access key " + id +
                   " is there with another name, rights, end or secret: rotate it, change "
                   "its rights, or delete it first");
}

Result<KeyView> Manager::rotate_key(const std::string& id, const std::string& secret,
                                    std::optional<std::int64_t> until_ms) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(KeyRecord record, need_key(id));
  const bool same = record.secret == secret;
  record.secret = secret;
  record.until_ms = until_ms.value_or(record.until_ms);
  NETSTOR_TRY_RETURN(KeyView view, keep_key(id, record));
  view.unchanged = same;
  return view;
}

Result<KeyView> Manager::set_key_rights(const std::string& id, const std::string& rights) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(KeyRecord record, need_key(id));
  record.rights = rights;
  return keep_key(id, record);
}

Result<KeyView> Manager::set_key_enabled(const std::string& id, bool enabled) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(KeyRecord record, need_key(id));
  record.enabled = enabled;
  return keep_key(id, record);
}

Result<void> Manager::delete_key(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = need_key(id);
  if (!found && found.error().kind() == ErrorKind::not_found) return ok();
  if (!found) return found.error();
  NETSTOR_CHECK_RETURN(control_->set_key(id, std::nullopt));
  return renew_keys();
}

std::vector<KeyView> Manager::keys() {
  const std::lock_guard lock(mutex_);
  std::vector<KeyView> all;
  for (const auto& [id, user] : serving_.keys.access.users())
    all.push_back(
        {.id = id, .name = user.name, .rights = s3server::to_string(user.grants), .until = user.until});
  for (const auto& [id, record] : control_->keys()) all.push_back(key_view(id, record));
  return all;
}

// ---- The server.

Result<void> Manager::set_draining(bool draining) {
  const std::lock_guard lock(mutex_);
  NETSTOR_CHECK_RETURN(serving_.target->accept_connections(!draining).get());
  if (serving_.endpoint != nullptr)
    NETSTOR_CHECK_RETURN(serving_.endpoint->accept_connections(!draining).get());
  draining_ = draining;
  return ok();
}

Result<Manager::Load> Manager::load() {
  Load load;
  {
    const std::lock_guard lock(mutex_);
    load.volumes = volumes_.size();
  }
  // Without the lock: a look at the load does not wait for a change.
  NETSTOR_TRY_RETURN(load.target, serving_.target->observe().get());
  if (serving_.endpoint != nullptr) {
    NETSTOR_TRY_RETURN(load.endpoint, serving_.endpoint->observe().get());
  }
  if (serving_.objects != nullptr) load.objects = serving_.objects->usage();
  load.metrics = serving_.runtime->metrics();
  return load;
}

Result<std::vector<nvmf::ConnectionFacts>> Manager::connections() {
  return serving_.target->connections().get();
}

Result<std::uint64_t> Manager::disconnect(const ConnectionFilter& filter) {
  if (filter.id.empty() && filter.host.empty() && filter.subsystem.empty())
    return field("id, host, subsystem", "expected at least one, as it would be all connections");
  return end_connections(filter);
}

}  // namespace netstor::control
