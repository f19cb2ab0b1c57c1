// SPDX-License-Identifier: Apache-2.0
// Volumes: made, grown, renamed, removed under the hosts that use others.

#include <netstor/uri.h>

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include "server/control/manager.h"
#include "server/store/volume_record.h"

namespace netstor::control {

namespace {

constexpr std::uint64_t kSizeMin = std::uint64_t{1} << 20;
constexpr std::uint64_t kSizeMax = std::numeric_limits<std::int64_t>::max();

Error field(std::string_view name, std::string what) {
  return {ErrorKind::invalid_argument, std::string(name) + ": " + std::move(what)};
}

Result<void> check_size(std::uint64_t size_bytes, std::uint32_t block_bytes) {
  if (size_bytes < kSizeMin || size_bytes > kSizeMax || size_bytes % block_bytes != 0) {
    return field("size_bytes", std::to_string(size_bytes) +
                                   " cannot be a volume's size: expected 1 MiB to 8 EiB, a multiple of " +
                                   std::to_string(block_bytes));
  }
  return ok();
}

Result<void> check(const store::VolumeSpec& spec) {
  if (auto good = store::check_volume_name(spec.name); !good)
    return std::move(good).error().with_context("name");
  if (!spec.nqn.empty()) {
    if (auto good = store::check_nqn(spec.nqn); !good) return std::move(good).error().with_context("nqn");
  }
  if (spec.block_bytes != 512 && spec.block_bytes != 4096)
    return field("block_bytes", std::to_string(spec.block_bytes) + ": expected 512 or 4096");
  return check_size(spec.size_bytes, spec.block_bytes);
}

Error differs(const std::string& name, std::string_view what, const std::string& has) {
  return {ErrorKind::already_exists, std::string(what) + ": volume '" + name + "' is there, with " + has +
                                         ": ask for that, or choose another name"};
}

/// The same was asked for as there is.
Result<void> agrees(const store::VolumeSpec& spec, const store::VolumeRecord& there) {
  const std::string& name = spec.name;
  if (spec.size_bytes != there.size_bytes)
    return differs(name, "size_bytes", std::to_string(there.size_bytes) + " bytes");
  if (spec.kind != there.kind) return differs(name, "store", std::string(to_string(there.kind)));
  if (spec.block_bytes != there.block_bytes)
    return differs(name, "block_bytes", std::to_string(there.block_bytes));
  if (!spec.nqn.empty() && spec.nqn != there.identity.nqn) return differs(name, "nqn", there.identity.nqn);
  if (spec.own_subsystem != there.own_subsystem)
    return differs(name, "detached",
                   there.own_subsystem ? "a subsystem of its own" : "no subsystem of its own");
  return ok();
}

}  // namespace

ServedVolume* Manager::find_volume(std::string_view name) {
  const auto found =
      std::ranges::find_if(volumes_, [&](const auto& each) { return each.record.identity.name == name; });
  return found == volumes_.end() ? nullptr : &*found;
}

ServedVolume* Manager::volume_with(std::string_view uuid) {
  const auto found = std::ranges::find_if(
      volumes_, [&](const auto& each) { return store::uuid_text(each.record.identity.uuid) == uuid; });
  return found == volumes_.end() ? nullptr : &*found;
}

// What is stored in such a one goes with it, at the next start if not before.
Result<void> Manager::check_staying(std::string_view field, const ServedVolume& volume) const {
  const std::string& name = volume.record.identity.name;
  if (!volume.unmade && state_.find(name) != nullptr) return ok();
  return in_use(std::string(field) + ": volume '" + name + "' is being removed: delete it again, to its end");
}

Result<ServedVolume*> Manager::need_volume(std::string_view field, const std::string& name) {
  ServedVolume* const volume = find_volume(name);
  if (volume == nullptr)
    return Error(ErrorKind::not_found, std::string(field) + ": there is no volume '" + name + "'");
  NETSTOR_CHECK_RETURN(check_staying(field, *volume));
  return volume;
}

VolumeView Manager::view_of(const ServedVolume& volume) const {
  VolumeView view{.record = volume.record, .used_bytes = 0, .attachments = {}};
  struct stat facts {};
  if (!volume.record.data_path.empty() && ::stat(volume.record.data_path.c_str(), &facts) == 0)
    view.used_bytes = static_cast<std::uint64_t>(facts.st_blocks) * 512;
  const std::string uuid = store::uuid_text(volume.record.identity.uuid);
  for (const auto& [nqn, record] : all_subsystems()) {
    for (const auto& [nsid, of] : record.volumes) {
      if (of == uuid) view.attachments.push_back({.subsystem = nqn, .nsid = nsid});
    }
  }
  return view;
}

Result<std::vector<VolumeView>> Manager::volumes() {
  const std::lock_guard lock(mutex_);
  std::vector<VolumeView> all;
  for (const ServedVolume& volume : volumes_) all.push_back(view_of(volume));
  std::ranges::sort(all, {}, [](const VolumeView& each) { return each.record.identity.name; });
  return all;
}

std::vector<store::VolumeRecord> Manager::volume_records() {
  const std::lock_guard lock(records_mutex_);
  return records_;
}

void Manager::publish_records() {
  const std::lock_guard lock(records_mutex_);
  records_.clear();
  for (const ServedVolume& volume : volumes_) records_.push_back(volume.record);
}

Result<VolumeView> Manager::volume(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (auto good = store::check_volume_name(name); !good) return std::move(good).error().with_context("name");
  const ServedVolume* const there = find_volume(name);
  if (there == nullptr) return Error(ErrorKind::not_found, "name: there is no volume '" + name + "'");
  return view_of(*there);
}

// Thin volumes may promise more than there is, but not by a slip of the finger.
Result<void> Manager::check_room(std::uint64_t size_bytes, const store::VolumeRecord* there, bool overcommit,
                                 store::StoreKind kind) const {
  if (kind != store::StoreKind::file || overcommit) return ok();
  struct statvfs facts {};
  const std::string path = there != nullptr ? there->data_path : state_.path();
  if (::statvfs(path.c_str(), &facts) != 0) return Error::system(errno, "look at " + path);
  const std::uint64_t room = std::uint64_t{facts.f_blocks} * facts.f_frsize;
  if (size_bytes <= room) return ok();
  return field("size_bytes", format_size(size_bytes) + " is more than the whole disk has (" +
                                 format_size(room) + "): ask for less, or for overcommit");
}

Result<VolumeView> Manager::create_volume(const VolumeRequest& request) {
  const std::lock_guard lock(mutex_);
  const store::VolumeSpec& spec = request.spec;
  NETSTOR_CHECK_RETURN(check(spec));
  if (const ServedVolume* const there = find_volume(spec.name)) {
    NETSTOR_CHECK_RETURN(check_staying("name", *there));
    NETSTOR_CHECK_RETURN(agrees(spec, there->record));
    return view_of(*there);
  }
  NETSTOR_CHECK_RETURN(check_room(spec.size_bytes, nullptr, request.overcommit, spec.kind));
  const std::string nqn = spec.nqn.empty() ? store::default_nqn(spec.name) : spec.nqn;
  if (spec.own_subsystem && subsystem(nqn))
    return Error(ErrorKind::already_exists,
                 "nqn: there is a subsystem " + nqn + " already: choose another, or a detached volume");
  if (!spec.own_subsystem) NETSTOR_CHECK_RETURN(control_->prepare());
  return make_volume(spec);
}

Result<VolumeView> Manager::make_volume(const store::VolumeSpec& spec) {
  NETSTOR_TRY_RETURN(store::VolumeRecord record, state_.create(spec));
  auto stored = store::open_volume(record);
  const bool opened = stored.ok();
  Result<void> done = ok();
  Result<void> undone = ok();
  if (opened) {
    volumes_.push_back({.record = record, .created = true, .stored = *std::move(stored)});
    ServedVolume& made = volumes_.back();
    if (record.own_subsystem) done = serve_subsystem(record.identity.nqn, *subsystem(record.identity.nqn));
    if (done) {
      publish_records();
      return view_of(made);
    }
    made.unmade = true;
    undone = end_serving(made, view_of(made));
  } else {
    done = std::move(stored).error();
  }
  // What cannot be served was not made.
  if (Result<void> removed = state_.remove(spec.name); !removed) undone = std::move(removed);
  Error error = std::move(done).error().with_context("volume '" + spec.name + "'");
  if (!undone) {
    publish_records();
    return std::move(error).with_context("delete it, since it could not be undone (" + undone.error().text() +
                                         ")");
  }
  if (opened) volumes_.pop_back();
  static_cast<void>(store::StateDirectory::discard(state_.take_removed(record.identity.uuid)));
  return error;
}

std::vector<std::string> Manager::sync() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return {"the volumes are not synced: a call of the admin service may be changing them"};
  std::vector<std::string> failed;
  for (const ServedVolume& volume : volumes_) {
    if (auto synced = volume.stored->sync(); !synced) failed.push_back(synced.error().text());
  }
  return failed;
}

Result<VolumeView> Manager::resize_volume(const std::string& name, std::uint64_t size_bytes,
                                          bool overcommit) {
  const std::lock_guard lock(mutex_);
  NETSTOR_TRY_RETURN(ServedVolume* const volume, need_volume("name", name));
  const std::uint64_t before = volume->record.size_bytes;
  NETSTOR_CHECK_RETURN(check_size(size_bytes, volume->record.block_bytes));
  if (size_bytes == before) return view_of(*volume);
  if (size_bytes < before) {
    return field("size_bytes", std::to_string(size_bytes) + " is less than the volume has (" +
                                   std::to_string(before) + "): volumes grow, and never shrink");
  }
  if (volume->record.kind == store::StoreKind::file)
    NETSTOR_CHECK_RETURN(check_room(size_bytes, &volume->record, overcommit, volume->record.kind));
  if (auto grown = volume->stored->set_size(size_bytes); !grown)
    return std::move(grown).error().with_context("size_bytes");
  auto kept = state_.resize(name, size_bytes);
  if (!kept) {
    static_cast<void>(volume->stored->set_size(before));
    return std::move(kept).error();
  }
  volume->record = *kept;
  publish_records();
  VolumeView view = view_of(*volume);
  for (const Attachment& attachment : view.attachments)
    NETSTOR_CHECK_RETURN(serving_.target->resize(attachment.subsystem, attachment.nsid).get());
  return view;
}

Result<VolumeView> Manager::rename_volume(const std::string& name, const std::string& new_name) {
  const std::lock_guard lock(mutex_);
  if (auto good = store::check_volume_name(new_name); !good)
    return std::move(good).error().with_context("new_name");
  NETSTOR_TRY_RETURN(ServedVolume* const volume, need_volume("name", name));
  if (name == new_name) return view_of(*volume);
  if (find_volume(new_name) != nullptr)
    return Error(ErrorKind::already_exists, "new_name: there is a volume '" + new_name + "' already");
  NETSTOR_TRY_RETURN(volume->record, state_.rename(name, new_name));
  volume->stored->moved(volume->record.data_path);
  publish_records();
  return view_of(*volume);
}

Result<void> Manager::check_unused(const std::vector<std::string>& nqns, const std::string& what,
                                   bool force) {
  if (force) return ok();
  NETSTOR_TRY_RETURN(const auto connections, serving_.target->connections().get());
  std::size_t count = 0;
  std::string host;
  for (const nvmf::ConnectionFacts& each : connections) {
    if (std::ranges::find(nqns, each.subsystem_nqn) == nqns.end()) continue;
    ++count;
    host = each.host_nqn;
  }
  if (count == 0) return ok();
  return in_use(what + " is in use: hosts have " + std::to_string(count) + " connections to it, " + host +
                " among them: disconnect them there, or force it");
}

// The rename of its folder is the moment; references go after it, and what is left on the disk last of all:
// for a large file that takes long, and other calls must not wait for it.
Result<void> Manager::delete_volume(const std::string& name, bool force) {
  NETSTOR_TRY_RETURN(const std::vector<std::string> folders, begin_to_delete(name, force));
  Result<void> done = ok();
  for (const std::string& folder : folders) {
    if (auto gone = store::StateDirectory::discard(folder); !gone) {
      done = std::move(gone).error().with_context(
          "the volume is gone, but not its space, which the next start tries to get back");
    }
  }
  return done;
}

Result<std::vector<std::string>> Manager::begin_to_delete(const std::string& name, bool force) {
  const std::lock_guard lock(mutex_);
  if (auto good = store::check_volume_name(name); !good) return std::move(good).error().with_context("name");
  const ServedVolume* const volume = find_volume(name);
  if (volume == nullptr) {  // one whose end, or whose beginning, was not finished
    if (state_.find(name) != nullptr) NETSTOR_CHECK_RETURN(state_.remove(name));
    return forget_removed();
  }
  const VolumeView view = view_of(*volume);
  const auto uuid = volume->record.identity.uuid;
  std::vector<std::string> nqns;
  for (const Attachment& each : view.attachments) nqns.push_back(each.subsystem);
  NETSTOR_CHECK_RETURN(check_unused(nqns, "name: volume '" + name + "'", force));
  // It may be gone already, by a call that did not get further.
  if (state_.find(name) != nullptr) NETSTOR_CHECK_RETURN(state_.remove(name));
  // The target may still use a volume that it did not let go of: until it has, the volume stays.
  NETSTOR_CHECK_RETURN(end_serving(*volume, view));
  std::erase_if(volumes_, [&](const ServedVolume& each) { return each.record.identity.name == name; });
  publish_records();
  NETSTOR_TRY_RETURN(std::string folder, forget(uuid));
  return std::vector<std::string>{std::move(folder)};
}

/// What the target does not have any more (not_found) it let go of before.
Result<void> Manager::end_serving(const ServedVolume& volume, const VolumeView& view) {
  const std::string own = volume.record.own_subsystem ? volume.record.identity.nqn : std::string();
  Result<void> done = ok();
  const auto note = [&done](Result<void> gone) {
    if (!gone && gone.error().kind() != ErrorKind::not_found) done = std::move(gone);
  };
  for (const Attachment& each : view.attachments) {
    if (each.subsystem != own) note(serving_.target->remove_namespace(each.subsystem, each.nsid).get());
  }
  if (!own.empty()) note(serving_.target->remove_subsystem(own).get());
  return done;
}

Result<std::string> Manager::forget(const std::array<std::uint8_t, 16>& uuid) {
  std::map<std::string, std::optional<SubsystemRecord>> changes;
  const std::string text = store::uuid_text(uuid);
  for (const auto& [nqn, record] : control_->subsystems()) {
    SubsystemRecord changed = record;
    if (record.owner == text) {
      changes[nqn] = std::nullopt;
    } else if (std::erase_if(changed.volumes, [&](const auto& each) { return each.second == text; }) > 0) {
      changes[nqn] = std::move(changed);
    }
  }
  NETSTOR_CHECK_RETURN(control_->set_subsystems(changes));
  return state_.take_removed(uuid);
}

Result<std::vector<std::string>> Manager::forget_removed() {
  std::vector<std::string> folders;
  for (const auto& uuid : std::vector(state_.removed())) {
    if (volume_with(store::uuid_text(uuid)) != nullptr) continue;  // its removal is not at its end
    NETSTOR_TRY_RETURN(folders.emplace_back(), forget(uuid));
  }
  return folders;
}

}  // namespace netstor::control
