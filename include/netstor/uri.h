// SPDX-License-Identifier: Apache-2.0
#pragma once
// URIs: the names of volumes and buckets.
//
//   nvme+tcp://HOST[:4420]/SUBSYSTEM-NQN[?ns=1]   a namespace of an NVMe/TCP subsystem
//   nvme+tcp://HOST[:4420]                        its discovery service
//   nvme+rdma://HOST[:4420]/SUBSYSTEM-NQN[?ns=1]  the same over NVMe/RDMA; HOST is reached by an RDMA device
//   s3://BUCKET[?endpoint=URL&region=NAME]        a bucket (bucket.h); the tool takes s3://BUCKET/KEY, too
//   nvme:///dev/ngXnY[?poll=1]                    a namespace of a local NVMe disk, by its character device
//   file:///PATH                                  a local file or block device
//   sim://NAME                                    a simulated device of the sim driver (tests)
//
// nvme:// passes commands to the disk past the kernel's block layer (io_uring, Linux 5.19; for others than
// root 6.2): all that the disk can do, straight from and into your memory. poll=1 looks for completions
// instead of being interrupted, where the kernel has poll queues for the disk (module nvme, poll_queues=N;
// Linux 6.5), and uses interrupts elsewhere; VolumeInfo::description says which. Nothing is cached, and
// nobody is locked out: a mounted file system on the same disk knows nothing of it.
//
// IPv6 hosts stand in brackets. Query values are percent-encoded. Sizes take B, KiB, MiB, GiB, TiB.
//
// Thread rule: plain values. Error rule: invalid_argument, naming the part and what was expected.

#include <netstor/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netstor {

struct Uri {
  std::string scheme;
  std::string host;                                        ///< without brackets
  std::uint16_t port = 0;                                  ///< 0: not said
  std::string path;                                        ///< percent-decoded, with its leading slash
  std::vector<std::pair<std::string, std::string>> query;  ///< percent-decoded, in order

  /// RFC 3986, at most 4,096 bytes; no user information, no fragment.
  static Result<Uri> parse(std::string_view text);
  /// The first value of `key`.
  std::optional<std::string_view> find(std::string_view key) const noexcept;
  std::string to_string() const;
};

/// "4096", "64KiB", "1.5GiB", "10G" (G and GiB are both 2^30) to bytes.
Result<std::uint64_t> parse_size(std::string_view text);
/// "1.5 GiB".
std::string format_size(std::uint64_t bytes);

}  // namespace netstor
