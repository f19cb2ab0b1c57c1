// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a controller must know of its surroundings: plain values and one small interface. Who fills them in
// (a server with stores, a test with constants) is not known here.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/wire/nvme/status.h"

namespace netstor::nvme {

/// A refusal that the host need not try again.
constexpr Status refused(Status status) { return status.with_dnr(); }

/// One namespace as hosts see it.
struct NamespaceView {
  std::uint32_t nsid = 0;        ///< 1 … SubsystemView::nsid_max()
  std::uint8_t block_shift = 9;  ///< blocks of 2^n bytes, 9 … 16
  bool read_only = false;
  bool volatile_cache = false;  ///< flush has something to do
  bool can_write_zeroes = false;
  bool can_deallocate = false;
  bool deallocated_reads_zeroes = false;
  bool can_compare = false;
  bool can_verify = false;
  bool thin = false;
  std::uint64_t blocks = 0;
  std::uint32_t atomic_blocks = 1;     ///< writes up to this are all or nothing
  std::uint32_t fused_blocks_max = 0;  ///< of compare and write; 0 without
  std::uint32_t zero_blocks_max = 0;   ///< of one write zeroes or verify
  std::array<std::byte, 16> nguid{};
  std::array<std::byte, 16> uuid{};
  std::array<std::byte, 8> eui64{};  ///< all zeros: none
};

/// A way to a subsystem, as discovery tells it.
struct PathView {
  std::string nqn;
  std::string host;  ///< numeric address
  std::uint16_t port = 0;
  bool rdma = false;  ///< NVMe/RDMA, else NVMe/TCP
  std::uint16_t port_id = 0;
  bool ipv6 = false;
  bool discovery = false;       ///< a discovery subsystem, not an NVM one
  bool secure_channel = false;  ///< TLS is asked for
};

/// Limits that every controller of a subsystem announces and keeps.
struct ControllerLimits {
  std::uint16_t queue_entries_max = 1024;  ///< 2 … 65,535
  std::uint16_t io_queues_max = 64;
  std::uint32_t transfer_bytes_max = 1 << 20;  ///< a power of two of at least 4 KiB (MDTS)
  std::uint32_t in_capsule_bytes = 8192;       ///< on I/O queues; a multiple of 16
  std::uint8_t async_events_max = 4;           ///< 1 … kAsyncEventsMax
};

/// The subsystem that a controller belongs to. Answers stay valid until the next change of the subsystem,
/// which happens between two calls of the controller, never inside one.
class SubsystemView {
 public:
  virtual ~SubsystemView() = default;
  virtual std::string_view nqn() const = 0;
  virtual std::string_view serial() const = 0;
  virtual std::string_view model() const = 0;
  virtual std::string_view firmware() const = 0;
  virtual bool discovery() const = 0;
  virtual const ControllerLimits& limits() const = 0;
  /// Largest namespace number that may ever be in use.
  virtual std::uint32_t nsid_max() const = 0;
  /// Null where there is no such namespace.
  virtual const NamespaceView* find(std::uint32_t nsid) const = 0;
  /// The smallest number in use above `nsid`, 0 when there is none.
  virtual std::uint32_t next_nsid(std::uint32_t nsid) const = 0;
  virtual bool host_allowed(std::string_view host_nqn) const = 0;
  /// What discovery tells this host, and a number that changes with it.
  virtual std::uint64_t paths(std::string_view host_nqn, std::vector<PathView>& out) const = 0;
};

}  // namespace netstor::nvme
