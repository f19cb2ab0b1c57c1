// SPDX-License-Identifier: Apache-2.0
#pragma once
// What netstord says when it is ready: to people, to programs, to scripts.

#include "server/netstord_volumes.h"

#include <string>
#include <vector>

namespace netstor::server {

struct Report {
  std::vector<Address> listening;  ///< with the ports that were chosen
  std::vector<Address> reachable;  ///< the same as others reach them: 0.0.0.0 became an address
  std::optional<Address> metrics;
  std::string state;
  std::string io_driver;
  std::string io_driver_why;  ///< empty: it is the preferred one
  unsigned shards = 1;
  std::vector<std::string> allowed_hosts;
  std::string tls;  ///< for volumes: "required", "offered"; empty: none
  const std::vector<ServedVolume>* volumes = nullptr;
  std::vector<Address> rdma_listening;
  std::vector<Address> rdma_reachable;
  std::vector<Address> s3_listening;
  std::vector<Address> s3_reachable;
  bool s3_tls = false;
  std::optional<Address> s3_rdma;
  std::vector<std::string> buckets;
  std::string keys_file;
  bool keys_made = false;
  std::string admin_socket;  ///< empty: none
  std::optional<Address> admin_listening;
};

/// `nvme+tcp://HOST:PORT/NQN`.
std::string volume_uri(std::string_view scheme, const Address& address, const store::VolumeRecord& record);

/// `http://HOST:PORT`, `https://` over TLS.
std::string endpoint_url(const Address& address, bool tls);

std::string text_of(const Report& report);
/// One line.
std::string json_of(const Report& report);
/// A line for each port, those of S3 behind those of NVMe, that of the metrics last.
std::string ports_of(const Report& report);

/// The address that others use for one that this machine listens on: a wildcard becomes `advertise`, or the
/// first address of the machine that is not its loopback.
std::string reachable_host(const std::string& host, const std::string& advertise);

}  // namespace netstor::server
