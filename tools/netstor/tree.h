// SPDX-License-Identifier: Apache-2.0
#pragma once
// Many names at once: what lies in a folder, or in a bucket under a prefix, seen the same way.

#include <netstor/bucket.h>

#include "tools/netstor/match.h"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace netstor::tool {

/// A file or an object.
struct Entry {
  std::string name;  ///< below the root, with slashes
  std::uint64_t size_bytes = 0;
  WallTime modified{};
};

/// What was found, in the order of the names' bytes.
struct Tree {
  std::vector<Entry> entries;
  std::vector<std::string> left_out;  ///< one line each: what cannot be taken along, and why
};

/// A folder (`path` ends with a slash), or a bucket and a prefix of keys.
struct Root {
  std::string path;
  Bucket bucket;
  std::string prefix;

  bool local() const noexcept { return !bucket.valid(); }
  /// As the user would write it.
  std::string text(std::string_view name) const;
};

/// Regular files, links followed; folders themselves are not entries.
Result<Tree> walk_folder(const std::string& path, const Match& match);
/// Keys that end with a slash stand for folders and are not entries, unless they are `wanted`.
enum class FolderKeys { skip, wanted };
Result<Tree> list_tree(const Bucket& bucket, const std::string& prefix, const Match& match,
                       FolderKeys folders);
Result<Tree> look(const Root& root, const Match& match, FolderKeys folders = FolderKeys::skip);

/// May a file of this name be made below a folder? Not with parts that are empty, "." or "..".
bool fits_folder(std::string_view name);

/// Calls `take` for each page of a listing.
Result<void> each_page(const Bucket& bucket, ListOptions options,
                       const std::function<Result<void>(const ListPage&)>& take);

/// JSON of names, which need not be UTF-8 in a file system.
std::string dumped(const nlohmann::ordered_json& document);

}  // namespace netstor::tool
