// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a target counts on one shard, in that shard's memory, and what it tells of it when it is asked
// (Target::observe()). All counts only ever grow; a gauge says so.

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/fabrics/auth.h"
#include "lib/wire/nvme/status.h"
#include "server/net/latency.h"

namespace netstor::nvmf {

/// What commands are counted as.
enum class IoCounter : std::uint8_t {
  read,
  write,
  flush,
  write_zeroes,
  deallocate,
  compare,
  verify,
  other,  ///< I/O commands that this target does not know
  admin,  ///< all that comes over an admin queue
};
inline constexpr std::size_t kIoCounters = static_cast<std::size_t>(IoCounter::admin) + 1;
std::string_view to_string(IoCounter counter) noexcept;

/// Of one command.
struct Timing {
  Time arrived{};
  Time executed{};  ///< its data was here
  Time stored{};    ///< the store answered
  IoCounter counter = IoCounter::other;
  bool under_way = false;
  bool held = false;  ///< an Asynchronous Event Request: it waits for something to happen
};

/// Why a host did not come in over TLS.
enum class TlsRefusal : std::uint8_t {
  missing,     ///< the host came without TLS, and has a key, or the listener speaks nothing else
  no_key,      ///< handshake: no key was named
  key,         ///< handshake: a key that is not known, or not the one that it is named to be
  broken,      ///< handshake: cut off, wrong, or never begun where the listener speaks nothing else
  other_host,  ///< Connect: by the key of another host or subsystem
};
std::string_view to_string(TlsRefusal why) noexcept;

/// A host that has to prove who it is went away, or was sent away, without having begun to.
inline constexpr std::string_view kNoAuthentication = "missing";
/// It began to, and went away or was sent away before the outcome.
inline constexpr std::string_view kUnfinishedAuthentication = "unfinished";

struct Counters {
  /// From the command's arrival to its answer's departure, as the shard's clock sees it; refused ones too.
  std::array<net::Latency, kIoCounters> requests{};
  std::uint64_t read_bytes = 0;   ///< of commands that succeeded
  std::uint64_t write_bytes = 0;  ///< likewise
  std::uint64_t in_flight = 0;    ///< gauge
  std::uint64_t accepted = 0;     ///< connections
  std::uint64_t turned_away = 0;  ///< connections beyond the limit
  /// By nvme::Status::raw(), type and code alone. A kind costs an allocation the first time it happens.
  std::map<std::uint16_t, std::uint64_t> errors{};
  std::map<std::uint16_t, std::uint64_t> refused_connects{};
  /// By nvme::AuthFailure's text, kNoAuthentication and kUnfinishedAuthentication.
  std::map<std::string_view, std::uint64_t> failed_authentications{};
  std::map<TlsRefusal, std::uint64_t> refused_tls{};

  static std::uint16_t kind_of(nvme::Status status) noexcept { return status.raw() & 0x7FFu; }
};

/// One shard's answer.
struct ShardFacts {
  unsigned shard = 0;
  Counters counters{};
  std::size_t connections = 0;
  std::size_t controllers = 0;
  std::size_t chunks = 0;       ///< of the pool
  std::size_t chunks_lent = 0;  ///< of them
  struct Volume {
    std::string nqn;
    std::uint32_t nsid = 0;
    std::array<std::byte, 16> uuid{};  ///< of the volume behind it
    net::Traffic traffic{};
  };
  std::vector<Volume> volumes{};
};

}  // namespace netstor::nvmf
