// SPDX-License-Identifier: Apache-2.0
#pragma once
// A file that appears under its name whole or not at all.

#include <netstor/bucket.h>

#include "tools/netstor/endpoints.h"

#include <string>
#include <utility>

namespace netstor::tool {

class NewFile {
 public:
  /// Below `folder` (which ends with a slash), with the folders that `name` needs.
  static Result<NewFile> make(const std::string& folder, const std::string& name);
  NewFile(NewFile&& other) noexcept
      : path_(std::exchange(other.path_, {})),
        temporary_(std::exchange(other.temporary_, {})),
        output_(std::move(other.output_)) {}
  NewFile& operator=(NewFile&&) = delete;
  /// Without commit(): nothing stays.
  ~NewFile();

  const OutputFile& output() const noexcept { return output_; }
  /// In place of what had the name, dated as given, so that a later sync sees what it is.
  Result<void> commit(WallTime modified);

 private:
  NewFile(std::string path, std::string temporary, OutputFile output)
      : path_(std::move(path)), temporary_(std::move(temporary)), output_(std::move(output)) {}
  std::string path_;
  std::string temporary_;
  OutputFile output_;
};

}  // namespace netstor::tool
