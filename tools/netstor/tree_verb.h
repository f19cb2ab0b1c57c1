// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `cp -r` and `sync` share: two roots, one of them at least in a bucket, and what to do between them.

#include "tools/netstor/match.h"
#include "tools/netstor/service.h"
#include "tools/netstor/transfer.h"

#include <string>

namespace netstor::tool {

struct TreeArguments {
  Common common;
  Service service;
  Match match;
  TransferOptions transfer;
  std::string from;
  std::string to;
  bool force = false;  ///< overwrite files
  // Of sync only.
  bool remove = false;
  bool size_only = false;
  bool exact_timestamps = false;
};

Result<Root> open_root(Runtime& runtime, const TreeArguments& arguments, const std::string& place);
Result<void> check_source(const Root& root);

/// Everything below `from` to the same names below `to`.
Result<void> copy_tree(const TreeArguments& arguments);

}  // namespace netstor::tool
