// SPDX-License-Identifier: Apache-2.0
#pragma once
// A few named records that are changed together and survive the end of the server at any moment: what the
// control plane keeps. They are all in memory; the folder is written only by a change. What a record says is
// its owner's business, and docs/formats/control-state.md's.
//
// Nothing is made where there is nothing to keep: the folder appears with the first commit.
//
// Thread rule: one thread at a time. Blocks.

#include <netstor/result.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace netstor::store {

class ObjectIndex;

struct RecordChange {
  std::string key;
  std::optional<std::string> value;  ///< nothing: the record goes
};

class RecordStore {
 public:
  using Records = std::map<std::string, std::string, std::less<>>;

  /// Reads all of `path`, if it is there, and changes nothing in it.
  /// Errors: unsupported (a newer version), data_corrupt, system errors.
  static Result<std::unique_ptr<RecordStore>> open(std::string path);
  ~RecordStore();

  const std::string& path() const noexcept { return path_; }
  bool exists() const noexcept { return exists_; }
  const Records& records() const noexcept { return records_; }

  /// What a netstord has to understand to read them; only ever grows. New ones are of version 1.
  static constexpr std::uint64_t kVersionMax = 2;
  std::uint64_t version() const noexcept { return version_; }

  /// The folder is there, and can be written to.
  Result<void> prepare();
  /// All of the changes or none; on stable storage when this returns. `version`: what it takes to understand
  /// them, raised together with them. An error leaves records() as it was; with the effect `unknown` the next
  /// start may find the changes all the same. Errors: no_space, device_error.
  Result<void> commit(const std::vector<RecordChange>& changes, std::uint64_t version = 1);

 private:
  explicit RecordStore(std::string path);
  Result<void> read();
  Result<void> make_folder() const;

  std::string path_;
  Records records_;
  std::uint64_t version_ = 1;
  bool exists_ = false;
  std::unique_ptr<ObjectIndex> index_;  // since the first commit
};

}  // namespace netstor::store
