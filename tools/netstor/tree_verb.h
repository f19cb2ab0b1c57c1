// SPDX-License-Identifier: Apache-2.0
#pragma once
// What `cp -r` and `sync` share: two roots, one of them at least in a bucket, and what to do between them.

#include "tools/netstor/match.h"
#include "tools/netstor/service.h"
#include "tools/netstor/transfer.h"

#include <string>
#include <string_view>

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

struct TreeEnds {
  Runtime runtime;
  Root from;  ///< a folder that is there, or a bucket
  Root to;
};
/// Where neither is a bucket the error says what `verb_works` ("sync works") and what to do `instead`.
Result<TreeEnds> open_tree_ends(const TreeArguments& arguments, std::string_view verb_works,
                                std::string_view instead);

/// Everything below `from` to the same names below `to`.
Result<void> copy_tree(const TreeArguments& arguments);

}  // namespace netstor::tool
