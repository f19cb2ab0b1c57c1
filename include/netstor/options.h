// SPDX-License-Identifier: Apache-2.0
#pragma once
// Options: plain structs. Every field has its default, its unit and its limit; the defaults are what most
// programs want. A value outside its limit is answered with ErrorKind::invalid_argument by the call that
// takes the struct, naming the field.

#include <chrono>
#include <cstdint>
#include <string>

namespace netstor {

/// Steady time of a shard, in nanoseconds. Under the simulator it is virtual.
using Duration = std::chrono::nanoseconds;
using Time = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// Which driver carries sockets and files on a shard.
enum class IoDriver : std::uint8_t {
  automatic,  ///< io_uring where the system allows it, else posix; capabilities.h says which and why
  uring,      ///< io_uring, or an error that says why not
  posix,      ///< epoll and a few threads
  sim,        ///< simulated links and devices in this process: tests
};

struct RuntimeOptions {
  /// Shards (threads with everything that they own). 1 … 256.
  unsigned shards = 1;
  /// No threads: the caller drives each shard with Shard::run_once(); see shard.h, embedding.
  bool embedded = false;
  /// Pin shard i to the i-th CPU that the process may use.
  bool pin_threads = false;
  /// How long an idle shard polls before it sleeps on the kernel. 0: sleep at once (least CPU);
  /// Duration::max(): never sleep (least latency, one full core). At most one second otherwise.
  Duration poll_budget = std::chrono::microseconds(20);
  IoDriver io_driver = IoDriver::automatic;
  /// Seeds jitter and everything else that is random. 0: from the system.
  std::uint64_t seed = 0;
};

struct VolumeOptions {
  /// Who we are to a target. Empty: a stable NQN made from the machine's id.
  std::string host_nqn{};
  /// Commands in flight on each shard's queue. 1 … 1,024; the target may lower it.
  std::uint16_t queue_depth = 128;
  /// How many of the runtime's shards get an I/O queue, the caller's first. 0: all.
  unsigned queues = 0;
  /// CRC32C over PDU headers / payloads (NVMe/TCP). The target may refuse.
  bool header_digest = false;
  bool data_digest = false;
  /// Connecting, and each step of bringing a controller up. 1 ms … 10 min.
  Duration connect_timeout = std::chrono::seconds(10);
  /// A command without an answer for this long ends the connection. 1 ms … 1 h.
  Duration io_timeout = std::chrono::seconds(30);
  /// Keep Alive: the target drops us after this long without one; we send at half of it. 0: off.
  /// Otherwise 1 s … 1 h.
  Duration keep_alive = std::chrono::seconds(15);
  /// After a lost path: first and longest pause between attempts (doubling, with jitter); 1 ms to 1 h.
  Duration reconnect_delay = std::chrono::milliseconds(100);
  Duration reconnect_delay_max = std::chrono::seconds(10);
  /// How long requests wait for a lost path before they fail; up to a year. 0: fail at once.
  Duration path_loss_timeout = std::chrono::seconds(60);
  /// Open without the right to write: every write is refused here.
  bool read_only = false;
  /// In-band authentication (DH-HMAC-CHAP): the host's secret, and the controller's, which is then examined,
  /// too. As `nvme gen-dhchap-key` prints them: "DHHC-1:…:". Kept in memory while the volume is open, never
  /// logged. Without the first, a controller that asks for authentication is answered permission_denied; with
  /// the second, a controller that does not prove itself is.
  std::string host_secret{};
  std::string controller_secret{};
  /// NVMe/TCP over TLS 1.3 by a pre-shared key, as `nvme gen-tls-key` prints them: "NVMeTLSkey-1:…:". With a
  /// key, each connection is encrypted or not made; a target that does not know it for host_nqn, or does not
  /// speak TLS, is answered permission_denied or protocol. Goes together with host_secret. Payload is then
  /// copied in user space (Metrics::copied_bytes). Kept in memory while the volume is open, never logged.
  std::string tls_key{};
};

/// Options of one read, write, … .
struct IoOptions {
  /// The bytes are on stable storage when the future is ready (NVMe FUA; RWF_DSYNC on files).
  bool force_unit_access = false;
  /// Writing this again does no harm, even late: after a lost path the library replays it by itself.
  /// Without it, a write whose answer was lost fails with Effect::unknown. Reads are always replayed.
  bool idempotent = false;
};

}  // namespace netstor
