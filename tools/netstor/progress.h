// SPDX-License-Identifier: Apache-2.0
#pragma once
// One line on standard error that says how far a copy is; nothing where standard error is no terminal.

#include <netstor/options.h>

#include <optional>
#include <string>

namespace netstor::tool {

class Progress {
 public:
  Progress(std::string label, std::optional<std::uint64_t> total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t bytes);

 private:
  void draw(std::uint64_t bytes, Time now) const;

  std::string label_;
  std::optional<std::uint64_t> total_;
  Time start_;
  Time drawn_;
  unsigned columns_;
  bool shown_;
};

}  // namespace netstor::tool
