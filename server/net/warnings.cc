// SPDX-License-Identifier: Apache-2.0

#include "server/net/warnings.h"

#include <algorithm>
#include <utility>

namespace netstor::net {

std::optional<std::uint64_t> Warnings::turn(Kind kind, Time now) {
  const std::lock_guard lock(mutex_);
  Last& last = last_[static_cast<std::size_t>(kind)];
  ++last.count;
  if (now < last.next) {
    ++last.left_out;
    return std::nullopt;
  }
  last.next = now + pause_;
  return std::exchange(last.left_out, 0);
}

void Warnings::write(Kind kind, std::string line, std::uint64_t left_out) {
  // Names come from the wire, and a log is read by terminals.
  std::ranges::replace_if(
      line, [](char each) { return each < 0x20 || each > 0x7e; }, '?');
  const std::lock_guard lock(mutex_);
  write_(kind, line, left_out);
}

std::array<std::uint64_t, Warnings::kKinds> Warnings::counts() const {
  const std::lock_guard lock(mutex_);
  std::array<std::uint64_t, kKinds> counts{};
  for (std::size_t i = 0; i < kKinds; ++i) counts[i] = last_[i].count;
  return counts;
}

std::string_view to_string(Warnings::Kind kind) noexcept {
  constexpr std::string_view kNames[] = {"accept",        "connections_max", "refused_host", "protocol",
                                         "digest",        "lost_host",       "store",        "slow",
                                         "refused_client"};
  static_assert(std::size(kNames) == Warnings::kKinds);
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace netstor::net
