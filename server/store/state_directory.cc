// SPDX-License-Identifier: Apache-2.0
// See state_directory.h, and docs/formats/state-directory.md for what lies where.

#include "server/store/state_directory.h"

#include "server/store/file_store.h"
#include "server/store/memory_store.h"
#include "server/store/null_store.h"
#include "server/store/safe_file.h"
#include "server/store/volume_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace netstor::store {

namespace {

namespace fs = std::filesystem;

// What is being made, under a name that no volume can have.
constexpr std::string_view kUnfinished = ".new-";
// What was removed, by its UUID, until nobody refers to it any more.
constexpr std::string_view kRemoved = ".gone-";

std::string volumes_of(const std::string& path) { return path + "/volumes"; }

/// Says which process it is, when the lock file tells.
std::string holder(int fd) {
  char text[32] = {};
  const ssize_t got = ::pread(fd, text, sizeof text - 1, 0);
  const long pid = got > 0 ? std::strtol(text, nullptr, 10) : 0;
  return pid > 0 ? " (process " + std::to_string(pid) + ")" : "";
}

Result<VolumeRecord> read_volume(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/volume.json";
  auto text = read_small_file(path, kMetadataBytesMax);
  if (!text) {
    if (text.error().kind() == ErrorKind::not_found) {
      return Error(ErrorKind::data_corrupt,
                   folder + ": no volume.json in it; move the folder away, or put it back");
    }
    return std::move(text).error();
  }
  auto record = decode_volume(*text, name);
  if (!record) return std::move(record).error().with_context(path);
  if (record->kind != StoreKind::file) return record;
  record->data_path = folder + "/data";
  struct stat facts {};
  if (::stat(record->data_path.c_str(), &facts) != 0) return Error::system(errno, record->data_path);
  if (!S_ISREG(facts.st_mode) || static_cast<std::uint64_t>(facts.st_size) < record->size_bytes) {
    return Error(ErrorKind::data_corrupt, record->data_path + ": should be a file of " +
                                              std::to_string(record->size_bytes) + " bytes, but has " +
                                              std::to_string(facts.st_size));
  }
  return record;
}

bool by_name(const VolumeRecord& a, const VolumeRecord& b) { return a.identity.name < b.identity.name; }

Error no_volume(std::string_view name) {
  return {ErrorKind::not_found, "there is no volume '" + std::string(name) + "'"};
}

Result<void> fill_folder(const std::string& folder, const VolumeRecord& record) {
  if (::mkdir(folder.c_str(), 0700) != 0) return Error::system(errno, "make directory " + folder);
  if (record.kind == StoreKind::file)
    NETSTOR_CHECK_RETURN(make_sparse_file(folder + "/data", record.size_bytes));
  NETSTOR_CHECK_RETURN(write_new_file(folder + "/volume.json", encode_volume(record)));
  return sync_directory(folder);
}

}  // namespace

StateDirectory::StateDirectory(StateDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      volumes_(std::move(other.volumes_)),
      removed_(std::move(other.removed_)),
      version_(other.version_) {}

StateDirectory& StateDirectory::operator=(StateDirectory&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_fd_, other.lock_fd_);
  std::swap(volumes_, other.volumes_);
  std::swap(removed_, other.removed_);
  std::swap(version_, other.version_);
  return *this;
}

StateDirectory::~StateDirectory() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<StateDirectory> StateDirectory::open(std::string path) {
  NETSTOR_CHECK_RETURN(make_directories(path));
  std::error_code ignored;
  if (auto absolute = fs::canonical(path, ignored); !ignored) path = absolute.string();
  StateDirectory directory(std::move(path));
  NETSTOR_CHECK_RETURN(directory.check_owner());
  NETSTOR_CHECK_RETURN(directory.lock());
  NETSTOR_CHECK_RETURN(directory.check_version());
  NETSTOR_CHECK_RETURN(directory.read_volumes());
  NETSTOR_CHECK_RETURN(directory.remove_unfinished());
  return directory;
}

Result<void> StateDirectory::check_owner() const {
  struct stat facts {};
  if (::stat(path_.c_str(), &facts) != 0) return Error::system(errno, path_);
  if (facts.st_uid == ::geteuid()) return {};
  return Error(ErrorKind::permission_denied,
               "the state directory " + path_ + " belongs to user " + std::to_string(facts.st_uid) +
                   ", and this is user " + std::to_string(::geteuid()) +
                   ": start netstord as its owner, or with another --state DIR");
}

Result<void> StateDirectory::lock() {
  const std::string path = path_ + "/lock";
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return Error::system(errno, "open " + path);
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Error::system(errno, "lock " + path);
    return Error(ErrorKind::already_exists, "the state directory " + path_ +
                                                " is in use by another netstord" + holder(lock_fd_) +
                                                ": stop that one, or give this one its own with "
                                                "--state DIR");
  }
  // The number is for people; the lock alone counts, and the system drops it with the process.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_fd_, 0) != 0 || ::pwrite(lock_fd_, pid.data(), pid.size(), 0) < 0) {
    return Error::system(errno, "write " + path);
  }
  return {};
}

Result<void> StateDirectory::check_version() {
  const std::string path = path_ + "/state.json";
  auto text = read_small_file(path, kMetadataBytesMax);
  if (text) {
    auto version = decode_state(*text);
    if (!version) return std::move(version).error().with_context(path);
    version_ = *version;
    return {};
  }
  if (text.error().kind() != ErrorKind::not_found) return std::move(text).error();
  std::error_code ignored;
  if (fs::exists(volumes_of(path_), ignored)) {
    return Error(ErrorKind::data_corrupt,
                 path + ": is missing, although there are volumes beside it; put it back");
  }
  // First run. state.json comes before the first volume, so that it always tells how to read them.
  NETSTOR_CHECK_RETURN(replace_file(path, encode_state(version_)));
  return make_directories(volumes_of(path_));
}

Result<void> StateDirectory::read_volumes() {
  NETSTOR_CHECK_RETURN(make_directories(volumes_of(path_)));
  std::error_code error;
  fs::directory_iterator entries(volumes_of(path_), error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name.starts_with(kRemoved)) NETSTOR_CHECK_RETURN(read_removed(entries->path().string()));
    if (name.starts_with('.')) continue;
    if (auto good = check_volume_name(name); !good) {
      return std::move(good).error().with_context(volumes_of(path_) + ": move this entry away");
    }
    NETSTOR_TRY_RETURN(VolumeRecord record, read_volume(entries->path().string(), name));
    volumes_.push_back(std::move(record));
  }
  if (error) return Error::system(error.value(), "list " + volumes_of(path_));
  std::sort(volumes_.begin(), volumes_.end(), by_name);
  for (std::size_t i = 0; i < volumes_.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (volumes_[i].identity.nqn != volumes_[k].identity.nqn) continue;
      return Error(ErrorKind::data_corrupt, "the volumes '" + volumes_[k].identity.name + "' and '" +
                                                volumes_[i].identity.name + "' in " + path_ +
                                                " have the same NQN");
    }
  }
  return {};
}

Result<void> StateDirectory::remove_unfinished() {
  std::vector<fs::path> unfinished;
  std::error_code error;
  for (fs::directory_iterator entries(volumes_of(path_), error);
       !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (entries->path().filename().string().starts_with(kUnfinished)) unfinished.push_back(entries->path());
  }
  for (const fs::path& folder : unfinished) {
    if (!error) fs::remove_all(folder, error);
  }
  if (error) return Error::system(error.value(), "clean up " + volumes_of(path_));
  return {};
}

const VolumeRecord* StateDirectory::find(std::string_view name) const noexcept {
  const auto at = std::find_if(volumes_.begin(), volumes_.end(),
                               [&](const VolumeRecord& record) { return record.identity.name == name; });
  return at == volumes_.end() ? nullptr : &*at;
}

Result<VolumeRecord> StateDirectory::create(const VolumeSpec& spec) {
  NETSTOR_CHECK_RETURN(check_spec(spec));
  VolumeRecord record;
  record.identity = make_identity(spec.name, spec.nqn);
  record.kind = spec.kind;
  record.size_bytes = spec.size_bytes;
  record.block_bytes = spec.block_bytes;
  record.own_subsystem = spec.own_subsystem;
  if (!record.own_subsystem) NETSTOR_CHECK_RETURN(require_control());
  for (const VolumeRecord& other : volumes_) {
    if (other.identity.name == spec.name || other.identity.nqn == record.identity.nqn) {
      return Error(ErrorKind::already_exists,
                   "volume '" + spec.name + "': '" + other.identity.name + "' has the same name or NQN");
    }
  }
  const std::string folder = volumes_of(path_) + "/" + spec.name;
  const std::string unfinished = volumes_of(path_) + "/" + std::string(kUnfinished) + spec.name;
  auto made = fill_folder(unfinished, record);
  if (made && ::rename(unfinished.c_str(), folder.c_str()) != 0)
    made = Error::system(errno, "rename " + unfinished);
  if (!made) {
    std::error_code ignored;
    fs::remove_all(unfinished, ignored);
    return std::move(made).error();
  }
  NETSTOR_CHECK_RETURN(sync_directory(volumes_of(path_)));
  if (spec.kind == StoreKind::file) record.data_path = folder + "/data";
  const auto after = std::find_if(volumes_.begin(), volumes_.end(), [&](const VolumeRecord& other) {
    return other.identity.name > record.identity.name;
  });
  volumes_.insert(after, record);
  return record;
}

std::string StateDirectory::folder_of(std::string_view name) const {
  return volumes_of(path_) + "/" + std::string(name);
}

VolumeRecord* StateDirectory::find_mutable(std::string_view name) noexcept {
  const VolumeRecord* const there = find(name);
  return there == nullptr ? nullptr : &volumes_[static_cast<std::size_t>(there - volumes_.data())];
}

Result<VolumeRecord> StateDirectory::rewrite(VolumeRecord changed) {
  const std::string& name = changed.identity.name;
  NETSTOR_CHECK_RETURN(replace_file(folder_of(name) + "/volume.json", encode_volume(changed)));
  *find_mutable(name) = changed;
  return changed;
}

Result<VolumeRecord> StateDirectory::resize(std::string_view name, std::uint64_t size_bytes) {
  const VolumeRecord* const there = find(name);
  if (there == nullptr) return no_volume(name);
  VolumeRecord changed = *there;
  changed.size_bytes = size_bytes;
  return rewrite(std::move(changed));
}

Result<VolumeRecord> StateDirectory::set_own_subsystem(std::string_view name, bool own_subsystem) {
  const VolumeRecord* const there = find(name);
  if (there == nullptr) return no_volume(name);
  NETSTOR_CHECK_RETURN(require_control());
  VolumeRecord changed = *there;
  changed.own_subsystem = own_subsystem;
  return rewrite(std::move(changed));
}

// volume.json gets both names first: until the folder has the new one, the old one counts.
Result<VolumeRecord> StateDirectory::rename(std::string_view name, const std::string& new_name) {
  NETSTOR_CHECK_RETURN(check_volume_name(new_name));
  VolumeRecord* const there = find_mutable(name);
  if (there == nullptr) return no_volume(name);
  if (find(new_name) != nullptr)
    return Error(ErrorKind::already_exists, "volume '" + new_name + "' is there already");
  const std::string folder = folder_of(name);
  VolumeRecord changed = *there;
  changed.identity.name = new_name;
  NETSTOR_CHECK_RETURN(replace_file(folder + "/volume.json", encode_volume(changed, name)));
  // A folder that is not a volume's, with something in it, is not written over.
  if (::rename(folder.c_str(), folder_of(new_name).c_str()) != 0)
    return Error::system(errno, "rename " + folder + " to " + folder_of(new_name));
  NETSTOR_CHECK_RETURN(sync_directory(volumes_of(path_)));
  if (changed.kind == StoreKind::file) changed.data_path = folder_of(new_name) + "/data";
  *there = changed;
  std::sort(volumes_.begin(), volumes_.end(), by_name);
  return changed;
}

Result<void> StateDirectory::remove(std::string_view name) {
  const VolumeRecord* const there = find(name);
  if (there == nullptr) return no_volume(name);
  const auto uuid = there->identity.uuid;
  const std::string folder = folder_of(name);
  const std::string gone = folder_of(std::string(kRemoved) + uuid_text(uuid));
  if (::rename(folder.c_str(), gone.c_str()) != 0) return Error::system(errno, "rename " + folder);
  auto synced = sync_directory(volumes_of(path_));
  // As it was, so that it can be tried again. Where even that cannot be had, it is gone.
  if (!synced && ::rename(gone.c_str(), folder.c_str()) == 0) return synced;
  removed_.push_back(uuid);
  volumes_.erase(volumes_.begin() + (there - volumes_.data()));
  return synced;
}

Result<void> StateDirectory::read_removed(const std::string& folder) {
  std::array<std::uint8_t, 16> uuid{};
  if (!parse_uuid(fs::path(folder).filename().string().substr(kRemoved.size()), uuid)) {
    return Error(ErrorKind::data_corrupt, folder + ": its name should end in a UUID; move this entry away");
  }
  removed_.push_back(uuid);
  return {};
}

std::string StateDirectory::take_removed(const std::array<std::uint8_t, 16>& uuid) {
  std::erase(removed_, uuid);
  return folder_of(std::string(kRemoved) + uuid_text(uuid));
}

// A large file shrinks step by step: a single removal of it could be waited for, but not stopped.
Result<void> StateDirectory::discard(const std::string& folder, const std::stop_token& stop) {
  constexpr std::uintmax_t kStepMin = std::uintmax_t{64} << 30;
  constexpr std::uintmax_t kStepsMax = 1024;
  const std::string data = folder + "/data";
  std::error_code error;
  std::uintmax_t size = fs::file_size(data, error);
  const std::uintmax_t step = std::max(kStepMin, size / kStepsMax);
  while (!error && !stop.stop_requested() && size > step) fs::resize_file(data, size -= step, error);
  if (stop.stop_requested()) return {};
  fs::remove_all(folder, error);  // and whatever was wrong with the file is wrong here, too
  if (error) return Error::system(error.value(), "remove what is left of a volume in " + folder);
  return {};
}

Result<void> StateDirectory::require_control() {
  if (version_ == kStateVersion) return {};
  NETSTOR_CHECK_RETURN(replace_file(path_ + "/state.json", encode_state(kStateVersion)));
  version_ = kStateVersion;
  return {};
}

Result<std::unique_ptr<StoredVolume>> open_volume(const VolumeRecord& record) {
  switch (record.kind) {
    case StoreKind::memory: {
      // What it held is gone: hosts that were connected must not take it for the volume that they knew.
      VolumeIdentity anew = record.identity;
      renew_ids(anew);
      return make_memory_volume(std::move(anew), record.size_bytes, record.block_bytes);
    }
    case StoreKind::null:
      return make_null_volume(record.identity, record.size_bytes, record.block_bytes);
    case StoreKind::file:
      break;
  }
  return make_file_volume(record.identity, record.data_path, record.size_bytes, record.block_bytes);
}

}  // namespace netstor::store
