// SPDX-License-Identifier: Apache-2.0
#pragma once
// What may go wrong in a simulated world, and how often. All off by default: then the driver is a plain
// loopback. Probabilities are 0 … 1 and are drawn once for each of the things that the field names.

#include <netstor/options.h>

#include <array>
#include <cstdint>

namespace netstor::sim {

struct FaultPlan {
  // Links.
  Duration latency{};  ///< one way, of every piece of the stream
  double split = 0;    ///< a piece is cut at a random byte; a receive takes fewer than are there
  double delay = 0;    ///< a piece, and so all that follow it, comes late by up to delay_max
  Duration delay_max = std::chrono::milliseconds(5);
  double loss = 0;  ///< a piece is lost and sent again after retransmit, which then doubles
  Duration retransmit = std::chrono::milliseconds(200);
  unsigned losses_to_reset = 6;  ///< so many losses of one piece end the link
  double reset = 0;              ///< the link breaks at a random byte of this piece
  double mute = 0;               ///< from this piece on the link carries nothing, and nobody is told
  double refuse = 0;             ///< a connect is refused
  double connect_lost = 0;       ///< a connect hears nothing until its deadline

  // Disks.
  Duration service{};  ///< of every operation
  double slow = 0;     ///< an operation takes up to slow_max longer
  Duration slow_max = std::chrono::milliseconds(50);
  double read_error = 0;   ///< EIO
  double write_error = 0;  ///< EIO, after a random part of the blocks was written
  double flush_error = 0;  ///< EIO; nothing became stable
  double no_space = 0;     ///< ENOSPC; nothing was written
  double destage = 0;      ///< a write also moves one random cached block to the medium
  double lose_cached = 1;  ///< a power failure loses a cached block
};

/// What went wrong indeed: World counts it.
enum class Fault : std::uint8_t {
  split,
  delay,
  loss,
  reset,
  mute,
  refused_connect,
  lost_connect,
  partition,
  slow_disk,
  read_error,
  write_error,
  flush_error,
  no_space,
  torn_write,
  lost_block,
  kill,
  power_failure,
};
inline constexpr std::array<const char*, 17> kFaultNames = {
    "short reads",        "delays",           "lost pieces",           "resets",
    "mute links",         "refused connects", "lost connects",         "partitions",
    "slow disk requests", "read errors",      "write errors",          "flush errors",
    "full disks",         "torn writes",      "blocks lost in caches", "kills",
    "power failures"};

}  // namespace netstor::sim
