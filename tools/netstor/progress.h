// SPDX-License-Identifier: Apache-2.0
#pragma once
// One line on standard error that says how far a copy is; nothing where standard error is no terminal.

#include <netstor/options.h>

#include <optional>
#include <string>

namespace netstor::tool {

class Progress {
 public:
  enum class Unit { bytes, things };
  Progress(std::string label, std::optional<std::uint64_t> total, Unit unit = Unit::bytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::uint64_t done);
  /// What stands before the numbers from now on.
  void label(std::string label) { label_ = std::move(label); }

 private:
  void draw(std::uint64_t done, Time now) const;

  std::string label_;
  std::optional<std::uint64_t> total_;
  Unit unit_;
  Time start_;
  Time drawn_;
  unsigned columns_;
  bool shown_;
};

}  // namespace netstor::tool
