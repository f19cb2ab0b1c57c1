// SPDX-License-Identifier: Apache-2.0

#include "server/net/warnings.h"

#include <algorithm>
#include <utility>

namespace netstor::net {

std::optional<std::uint64_t> Warnings::turn(Kind kind, Time now) {
  const std::lock_guard lock(mutex_);
  Last& last = last_[static_cast<std::size_t>(kind)];
  if (now < last.next) {
    ++last.left_out;
    return std::nullopt;
  }
  last.next = now + pause_;
  return std::exchange(last.left_out, 0);
}

void Warnings::write(std::string line, std::uint64_t left_out) {
  // Names come from the wire, and a log is read by terminals.
  std::ranges::replace_if(
      line, [](char each) { return each < 0x20 || each > 0x7e; }, '?');
  if (left_out != 0) line += " (" + std::to_string(left_out) + " more of this kind were left out)";
  const std::lock_guard lock(mutex_);
  write_(line);
}

}  // namespace netstor::net
