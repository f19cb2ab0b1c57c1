// SPDX-License-Identifier: Apache-2.0
// The files of object_core.h: what is there at the start, what is to be given back, and new ones.
//
// An extent is written and flushed before the index names it, and the index forgets it before its space is
// given back. So whatever the index does not name is left over from something unfinished, and is given back
// here.

#include "server/store/object_core.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include <nlohmann/json.hpp>

namespace netstor::store {

namespace {

namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr std::size_t kVersionBytesMax = 4096;
constexpr std::size_t kNameDigits = 8;

std::uint64_t aligned_up(std::uint64_t bytes) {
  return (bytes + kExtentAlignment - 1) / kExtentAlignment * kExtentAlignment;
}

std::string version_text() {
  return nlohmann::json{{"format", "netstor-objects"}, {"version", kFormatVersion}}.dump(2) + "\n";
}

Result<void> check_version_text(const std::string& path, const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const bool ours = json.is_object() && json.contains("format") && json["format"] == "netstor-objects" &&
                    json.contains("version") && json["version"].is_number_integer();
  if (!ours)
    return Error(ErrorKind::data_corrupt, path + ": does not say which version of objects these are");
  const auto version = json["version"].get<std::int64_t>();
  if (version >= 1 && version <= kFormatVersion) return {};
  return Error(ErrorKind::unsupported, path + ": the objects have version " + std::to_string(version) +
                                           ", this netstord knows up to " + std::to_string(kFormatVersion) +
                                           "; use a newer one");
}

std::uint32_t number_of(const std::string& name) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  return whole && name.size() == kNameDigits ? number : 0;
}

std::string name_of(std::uint32_t number) {
  std::string digits = std::to_string(number);
  return std::string(kNameDigits - std::min(kNameDigits, digits.size()), '0') + digits;
}

}  // namespace

Result<void> ObjectCore::check_version() {
  const std::string path = path_ + "/objects.json";
  const std::string index_path = path_ + "/index";
  auto text = read_small_file(path, kVersionBytesMax);
  const bool create = !text && text.error().kind() == ErrorKind::not_found;
  if (create) {
    std::error_code ignored;
    if (fs::exists(path_ + "/segments", ignored)) {
      return Error(ErrorKind::data_corrupt, path + ": is missing, although there are objects beside it");
    }
    NETSTOR_CHECK_RETURN(make_directories(path_));
  } else if (!text) {
    return std::move(text).error();
  } else {
    NETSTOR_CHECK_RETURN(check_version_text(path, *text));
  }
  NETSTOR_TRY_RETURN(index_, ObjectIndex::open(index_path, {.cache_bytes = options_.cache_bytes,
                                                            .buffer_bytes = options_.buffer_bytes,
                                                            .create = create,
                                                            .fail_commit = options_.fail_commit}));
  if (!create) return {};
  NETSTOR_CHECK_RETURN(sync_directory(path_));
  NETSTOR_CHECK_RETURN(replace_file(path, version_text()));
  return make_directories(path_ + "/segments");
}

Result<void> ObjectCore::open_segments() {
  const std::string folder = path_ + "/segments";
  NETSTOR_CHECK_RETURN(make_directories(folder));
  std::error_code error;
  for (fs::directory_iterator entries(folder, error); !error && entries != fs::directory_iterator();
       entries.increment(error)) {
    const std::uint32_t number = number_of(entries->path().filename().string());
    if (number == 0) continue;
    NETSTOR_TRY_RETURN(auto segment, open_segment(number, entries->path().string()));
    last_segment_ = std::max(last_segment_, number);
    segments_.emplace(number, std::move(segment));
  }
  if (error) return Error::system(error.value(), "list " + folder);
  // All is looked at before anything is given back.
  const auto walk = index_->walk(Map::index);
  for (walk->seek("X"); walk->valid() && walk->key().starts_with('X'); walk->next()) {
    const Extent extent = extent_at(walk->key());
    ExtentRecord record;
    if (extent.segment == 0 || !decode(walk->value(), record)) return damaged_index("an extent");
    const auto at = segments_.find(extent.segment);
    const std::string path = folder + "/" + name_of(extent.segment);
    if (at == segments_.end()) {
      return Error(ErrorKind::data_corrupt, path + ": is missing, and objects rest in it");
    }
    Segment& segment = *at->second;
    if (record.length > segment.size || extent.base > segment.size - record.length) {
      return Error(ErrorKind::data_corrupt, path + ": is shorter than the objects that rest in it");
    }
    segment.next = std::max(segment.next, aligned_up(extent.base + record.length));
  }
  NETSTOR_CHECK_RETURN(walk->good());
  for (auto at = segments_.begin(); at != segments_.end();) {
    Segment& segment = *at->second;
    if (segment.next == 0) {
      if (::unlink(segment.path.c_str()) != 0) return Error::system(errno, "remove " + segment.path);
      at = segments_.erase(at);
      continue;
    }
    NETSTOR_CHECK_RETURN(sweep(segment));
    idle_segments_.push_back(at->second);
    ++at;
  }
  return {};
}

Result<std::shared_ptr<Segment>> ObjectCore::open_segment(std::uint32_t number, const std::string& path) {
  auto segment = std::make_shared<Segment>();
  segment->number = number;
  segment->path = path;
  segment->fd = Descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (segment->fd.get() < 0) return Error::system(errno, "open " + path);
  struct stat facts {};
  if (::fstat(segment->fd.get(), &facts) != 0) return Error::system(errno, "stat " + path);
  if (!S_ISREG(facts.st_mode)) return Error(ErrorKind::data_corrupt, path + ": not a regular file");
  segment->size = static_cast<std::uint64_t>(facts.st_size);
  return segment;
}

/// Gives back what lies between the extents.
Result<void> ObjectCore::sweep(Segment& segment) {
  const int fd = segment.fd.get();
  const auto clear = [&](std::uint64_t from, std::uint64_t to) -> Result<void> {
    if (from >= to) return {};
    const off_t data = ::lseek(fd, static_cast<off_t>(from), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return {};
    if (data >= 0 && static_cast<std::uint64_t>(data) >= to) return {};
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                    static_cast<off_t>(to - from)) != 0) {
      return Error::system(errno, "give back space of " + segment.path);
    }
    return {};
  };
  std::uint64_t at = 0;
  const auto walk = index_->walk(Map::index);
  for (walk->seek(extent_key(segment.number, 0)); walk->valid(); walk->next()) {
    const Extent extent = extent_at(walk->key());
    ExtentRecord record;
    if (extent.segment != segment.number || !decode(walk->value(), record)) break;
    NETSTOR_CHECK_RETURN(clear(at, extent.base));
    at = aligned_up(extent.base + record.length);
  }
  return clear(at, segment.size);
}

Result<std::shared_ptr<Segment>> ObjectCore::make_segment() {
  std::uint32_t number = 0;
  {
    const std::lock_guard lock(segments_mutex_);
    number = ++last_segment_;
  }
  const std::string path = path_ + "/segments/" + name_of(number);
  auto made = make_sparse_file(path, options_.segment_bytes);
  if (made) made = sync_directory(path_ + "/segments");
  if (!made) {
    ::unlink(path.c_str());
    return std::move(made).error();
  }
  NETSTOR_TRY_RETURN(auto segment, open_segment(number, path));
  const std::lock_guard lock(segments_mutex_);
  segments_.emplace(number, segment);
  return segment;
}

Result<std::shared_ptr<Segment>> ObjectCore::take_segment(std::uint64_t bytes) {
  {
    const std::lock_guard lock(segments_mutex_);
    const auto at = std::find_if(idle_segments_.begin(), idle_segments_.end(), [&](const auto& segment) {
      return !segment->failed && segment->size >= segment->next && segment->size - segment->next >= bytes;
    });
    if (at != idle_segments_.end()) {
      auto segment = *at;
      idle_segments_.erase(at);
      return segment;
    }
  }
  return make_segment();
}

void ObjectCore::give_back(std::shared_ptr<Segment> segment) {
  const std::lock_guard lock(segments_mutex_);
  idle_segments_.push_back(std::move(segment));
}

std::shared_ptr<Segment> ObjectCore::segment(std::uint32_t number) const {
  const std::lock_guard lock(segments_mutex_);
  const auto at = segments_.find(number);
  return at == segments_.end() ? nullptr : at->second;
}

void ObjectCore::punch(const Extent& extent) noexcept {
  const auto segment = this->segment(extent.segment);
  if (segment == nullptr) return;
  // Where the file system cannot, the space stays taken until the segment goes.
  static_cast<void>(::fallocate(segment->fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                static_cast<off_t>(extent.base),
                                static_cast<off_t>(aligned_up(extent.length))));
}

}  // namespace netstor::store
