// SPDX-License-Identifier: Apache-2.0
#pragma once
// The command line of netstord as plain values. What it means for volumes that exist already is decided in
// netstord_volumes.h.

#include <netstor/ext/driver.h>

#include "server/netstord_log.h"
#include "server/store/object_store.h"
#include "server/store/state_directory.h"

#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace netstor::server {

/// How netstord ends; docs and --help list them.
enum class Exit : int {
  stopped = 0,     ///< by SIGTERM or SIGINT, everything flushed
  failed = 1,      ///< something else could not be started
  usage = 2,       ///< the command line
  state = 3,       ///< the state directory or a volume: in use, damaged, no space
  listen = 4,      ///< an address: taken, not of this machine, no right
  driver = 5,      ///< the I/O driver asked for is not available
  unfinished = 6,  ///< after a signal, but not everything was answered in time, or a flush failed
};

/// One --volume: what it says and what it leaves open.
struct VolumeFlag {
  std::string name;
  std::uint64_t size_bytes = 0;
  std::optional<store::StoreKind> kind;
  std::optional<std::uint32_t> block_bytes;
  std::optional<std::string> nqn;
};

/// One --bucket.
struct BucketFlag {
  std::string name;
  std::optional<store::AnonymousAccess> anonymous;  ///< nothing: as it was
};

struct ServerOptions {
  std::string credentials;  ///< $CREDENTIALS_DIRECTORY, no option: store::read_secret_file says what for
  std::vector<Address> listen;
  std::vector<Address> listen_rdma;  ///< empty: no NVMe/RDMA
  std::string advertise;
  std::string state;
  std::vector<VolumeFlag> volumes;
  std::vector<Address> s3_listen;         ///< empty: no buckets are served
  bool s3_listen_chosen = true;           ///< false: another port will do, too
  std::optional<Address> s3_listen_rdma;  ///< nothing: payload of buckets goes by HTTP
  std::vector<BucketFlag> buckets;
  std::string s3_keys;  ///< empty: s3-keys of the state directory
  std::string s3_domain;
  std::string s3_certificate;  ///< with its key: buckets over TLS
  std::string s3_certificate_key;
  unsigned shards = 1;
  IoDriver io_driver = IoDriver::automatic;
  std::uint64_t poll_budget_us = 20;
  unsigned connections_max = 4096;
  std::optional<std::uint64_t> memory_bytes;
  std::vector<std::string> allowed_hosts;
  std::string host_keys;  ///< empty: no host has to prove who it is
  std::string tls_keys;   ///< empty: no TLS for volumes
  bool tls_required = true;
  std::string admin_socket;  ///< empty: admin.sock of the state directory; "none": no socket
  std::optional<Address> admin_listen;
  std::string admin_certificate;
  std::string admin_key;
  std::string admin_client_ca;
  bool json = false;
  int ready_fd = -1;
  std::string port_file;
  std::string log_level = "info";
  LogFormat log_format = LogFormat::text;
  unsigned slow_ms = 0;                   ///< 0: nothing is slow
  std::optional<Address> metrics_listen;  ///< nothing: no metrics are served
  unsigned grace_s = 10;
};

/// --slow-ms as nvmf::TargetConfig and s3server::EndpointConfig want it.
inline Duration slow_limit_of(const ServerOptions& options) {
  return options.slow_ms == 0 ? Duration::max() : std::chrono::milliseconds(options.slow_ms);
}

/// "ADDR", "ADDR:PORT", "[V6]", "[V6]:PORT", "V6".
Result<Address> parse_listen(std::string_view text, std::string_view flag = "--listen",
                             std::uint16_t port = 4420);
/// "NAME[,anonymous=none|read|list|write, several with +]".
Result<BucketFlag> parse_bucket(std::string_view text);
/// "NAME=SIZE[,store=file|memory|null][,block=512|4096][,nqn=NQN]".
Result<VolumeFlag> parse_volume(std::string_view text);
/// ADDR:PORT, IPv6 in brackets.
std::string to_string(const Address& address);

/// Answers the options, or the exit status after having printed help, the version or what is wrong.
/// `default_state`: where the state lies when --state is not given; an error is reported only then.
struct ParsedOptions {
  ServerOptions options;
  std::optional<int> exit;
  std::map<std::string, std::vector<std::string>> given;  ///< by flag or file: long names, without dashes
};
ParsedOptions parse_options(int argc, char** argv, const Result<std::string>& default_state,
                            std::ostream& out = std::cout, std::ostream& errors = std::cerr);

}  // namespace netstor::server
