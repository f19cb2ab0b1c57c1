// SPDX-License-Identifier: Apache-2.0

#include "server/store/record_store.h"

#include "server/store/object_index.h"
#include "server/store/safe_file.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace netstor::store {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kFormat = "netstord-control";

ObjectIndex::Options options(bool create, bool read_only) {
  return {.cache_bytes = 1 << 20,
          .buffer_bytes = 1 << 20,
          .create = create,
          .read_only = read_only,
          .what = "the records of the control plane"};
}

std::string format_text(std::uint64_t version) {
  return nlohmann::json{{"format", kFormat}, {"version", version}}.dump();
}

/// Their version.
Result<std::uint64_t> check_format(const std::string& path, std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const bool ours = json.is_object() && json.contains("format") && json["format"] == kFormat &&
                    json.contains("version") && json["version"].is_number_unsigned();
  if (!ours) {
    return Error(ErrorKind::data_corrupt, path + ": does not say which version of records these are");
  }
  const auto version = json["version"].get<std::uint64_t>();
  if (version <= RecordStore::kVersionMax) return version;
  return Error(ErrorKind::unsupported, path + ": written by a newer netstord (version " +
                                           std::to_string(version) + "; this one understands up to " +
                                           std::to_string(RecordStore::kVersionMax) + "): use that one");
}

}  // namespace

RecordStore::RecordStore(std::string path) : path_(std::move(path)) {}
RecordStore::~RecordStore() = default;

Result<std::unique_ptr<RecordStore>> RecordStore::open(std::string path) {
  std::unique_ptr<RecordStore> store(new RecordStore(std::move(path)));
  std::error_code error;
  store->exists_ = fs::exists(store->path_, error);
  if (error) return Error::system(error.value(), "look for " + store->path_);
  if (store->exists_) NETSTOR_CHECK_RETURN(store->read());
  return store;
}

Result<void> RecordStore::read() {
  std::error_code ignored;
  if (!fs::exists(path_ + "/CURRENT", ignored)) {
    return Error(ErrorKind::data_corrupt,
                 path_ + ": a folder without records; bring back its files, or remove it to begin anew");
  }
  NETSTOR_TRY_RETURN(const auto index, ObjectIndex::open(path_, options(false, true)));
  const auto walk = index->walk(Map::index);
  bool versioned = false;
  for (walk->seek(""); walk->valid(); walk->next()) {
    if (walk->key() != kFormatKey) {
      records_.emplace(walk->key(), walk->value());
      continue;
    }
    NETSTOR_TRY_RETURN(version_, check_format(path_, walk->value()));
    versioned = true;
  }
  NETSTOR_CHECK_RETURN(walk->good());
  if (versioned) return ok();
  return Error(ErrorKind::data_corrupt, path_ + ": does not say which version of records these are");
}

// Made beside its place and renamed, so that a folder that is there is whole.
Result<void> RecordStore::make_folder() const {
  const std::string unfinished = path_ + ".new";
  std::error_code ignored;
  fs::remove_all(unfinished, ignored);
  {
    NETSTOR_TRY_RETURN(const auto index, ObjectIndex::open(unfinished, options(true, false)));
    IndexChange change(*index);
    change.put(Map::index, kFormatKey, format_text(1));
    NETSTOR_CHECK_RETURN(index->commit(change));
  }
  fs::permissions(unfinished, fs::perms::owner_all, ignored);
  if (std::rename(unfinished.c_str(), path_.c_str()) != 0) {
    return Error::system(errno, "rename " + unfinished);
  }
  return sync_directory(fs::path(path_).parent_path().string());
}

Result<void> RecordStore::prepare() {
  if (index_ != nullptr) return ok();
  if (!exists_) NETSTOR_CHECK_RETURN(make_folder());
  exists_ = true;
  NETSTOR_TRY_RETURN(index_, ObjectIndex::open(path_, options(false, false)));
  return ok();
}

Result<void> RecordStore::commit(const std::vector<RecordChange>& changes, std::uint64_t version) {
  if (changes.empty()) return ok();
  NETSTOR_CHECK_RETURN(prepare());
  IndexChange batch(*index_);
  for (const RecordChange& change : changes) {
    if (change.value) {
      batch.put(Map::index, change.key, *change.value);
    } else {
      batch.erase(Map::index, change.key);
    }
  }
  if (version > version_) batch.put(Map::index, kFormatKey, format_text(version));
  NETSTOR_CHECK_RETURN(index_->commit(batch));
  version_ = std::max(version_, version);
  for (const RecordChange& change : changes) {
    if (change.value) {
      records_.insert_or_assign(change.key, *change.value);
    } else {
      records_.erase(change.key);
    }
  }
  return ok();
}

}  // namespace netstor::store
