// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which metrics there are, and what they are called: facts of the parts of a server become families of a
// scrape. docs/OPERATING.md says what an operator reads in each.

#include <netstor/metrics.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "server/net/warnings.h"
#include "server/nvmf/connection.h"
#include "server/nvmf/counters.h"
#include "server/s3/connection.h"
#include "server/s3/counters.h"
#include "server/sight/exposition.h"
#include "server/store/object_store.h"

namespace netstor::sight {

/// A shard's loop.
struct LoopFacts {
  unsigned shard = 0;
  bool answers = false;  ///< it did within the scrape's patience; otherwise the rest says nothing
  Metrics metrics{};
  std::uint64_t allocations = 0;  ///< by operator new, on its thread
};
void write_loops(Exposition& out, const std::vector<LoopFacts>& loops);

/// A volume as the operator knows it.
struct VolumeFacts {
  std::string name;
  std::array<std::byte, 16> uuid{};  ///< by which what hosts did in any subsystem is told to be its
  std::uint64_t size_bytes = 0;
  std::optional<std::uint64_t> used_bytes;  ///< of the medium; nothing for what has none
};
void write_target(Exposition& out, const std::vector<nvmf::ShardFacts>& shards,
                  const std::vector<VolumeFacts>& volumes);

/// Who is connected, one sample each.
void write_hosts(Exposition& out, const std::vector<nvmf::ConnectionFacts>& hosts);
void write_clients(Exposition& out, const std::vector<s3server::ConnectionFacts>& clients);

void write_endpoint(Exposition& out, const std::vector<s3server::ShardFacts>& shards,
                    const store::ObjectUsage& usage);

/// The file system of the state directory.
struct SpaceFacts {
  std::uint64_t size_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< to those who are not root
};
/// Of SIGHUP, since the start.
struct ReloadFacts {
  std::uint64_t in_force = 0;  ///< all of it
  std::uint64_t failed = 0;    ///< nothing was changed, or not all is in force
  double last_seconds = 0;     ///< when the last one began, since 1970; 0: none did
  bool last_good = true;       ///< all of the last one is in force; true before the first
};
struct ProcessFacts {
  std::string version;
  std::string io_driver;
  bool ready = false;
  double started_seconds = 0;  ///< since 1970
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t descriptors_max = 0;
  std::optional<SpaceFacts> space{};
  std::array<std::uint64_t, net::Warnings::kKinds> warnings{};
  ReloadFacts reloads{};
};
/// The system's part of them.
void look_at_process(ProcessFacts& facts);
void write_process(Exposition& out, const ProcessFacts& facts);

}  // namespace netstor::sight
