// SPDX-License-Identifier: Apache-2.0
// See netstord_report.h.

#include "server/netstord_report.h"

#include <netstor/uri.h>
#include <netstor/version.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <sstream>

namespace netstor::server {

namespace {

std::string store_text(const ServedVolume& volume) {
  switch (volume.record.kind) {
    case store::StoreKind::file:
      return "thin file";
    case store::StoreKind::memory:
      return "in memory, gone when the server stops";
    case store::StoreKind::null:
      return "null: keeps nothing";
  }
  return {};
}

/// Numeric text of an address worth telling others; empty for none.
std::string address_text(const sockaddr* address, int family) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* bytes = nullptr;
  if (family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  if (family == AF_INET6) {
    const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
    // Means nothing without the interface that it is on.
    if (IN6_IS_ADDR_LINKLOCAL(&v6)) return {};
    bytes = &v6;
  }
  return bytes != nullptr && ::inet_ntop(family, bytes, text, sizeof text) != nullptr ? text : "";
}

std::string first_own_address(int family) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {};
  std::string found;
  for (const ifaddrs* each = all; each != nullptr && found.empty(); each = each->ifa_next) {
    const bool up = (each->ifa_flags & IFF_UP) != 0 && (each->ifa_flags & IFF_LOOPBACK) == 0;
    if (!up || each->ifa_addr == nullptr || each->ifa_addr->sa_family != family) continue;
    found = address_text(each->ifa_addr, family);
  }
  ::freeifaddrs(all);
  return found;
}

}  // namespace

std::string reachable_host(const std::string& host, const std::string& advertise) {
  if (host != "0.0.0.0" && host != "::") return host;
  if (!advertise.empty()) return advertise;
  const bool v6 = host == "::";
  std::string own = first_own_address(v6 ? AF_INET6 : AF_INET);
  // [::] takes IPv4 as well.
  if (own.empty() && v6) own = first_own_address(AF_INET);
  if (own.empty()) own = v6 ? "::1" : "127.0.0.1";
  return own;
}

std::string volume_uri(std::string_view scheme, const Address& address, const store::VolumeRecord& record) {
  Uri uri;
  uri.scheme = scheme;
  uri.host = address.host;
  uri.port = address.port;
  uri.path = "/" + record.identity.nqn;
  return uri.to_string();
}

std::string endpoint_url(const Address& address, bool tls) {
  return (tls ? "https://" : "http://") + to_string(address);
}

namespace {

/// The keys as a file's name: the secret is nobody's to read over a shoulder.
std::string buckets_text(const Report& report) {
  if (report.s3_reachable.empty()) return {};
  std::ostringstream out;
  for (const std::string& bucket : report.buckets) {
    out << "  " << bucket << "  bucket\n";
    for (const Address& address : report.s3_reachable)
      out << "    " << endpoint_url(address, report.s3_tls) << "/" << bucket << "\n";
  }
  if (report.buckets.empty()) out << "  no buckets yet (--bucket NAME)\n";
  out << "\n  s3      ";
  for (std::size_t i = 0; i < report.s3_reachable.size(); ++i)
    out << (i > 0 ? ", " : "") << endpoint_url(report.s3_reachable[i], report.s3_tls);
  if (report.s3_rdma) out << "; payload also by RDMA, " << to_string(*report.s3_rdma);
  out << "\n  keys    " << report.keys_file << (report.keys_made ? " (new)" : "") << "\n";
  out << "          AWS_SHARED_CREDENTIALS_FILE=" << report.keys_file << " aws --endpoint-url "
      << endpoint_url(report.s3_reachable[0], report.s3_tls) << " s3 ls\n";
  return out.str();
}

}  // namespace

std::string text_of(const Report& report) {
  std::ostringstream out;
  out << "netstord " << linked_version() << " is ready.\n\n";
  for (const ServedVolume& volume : *report.volumes) {
    out << "  " << volume.record.identity.name << "  " << format_size(volume.record.size_bytes) << ", "
        << store_text(volume) << ", blocks of " << volume.record.block_bytes << " bytes"
        << (volume.created ? ", new" : "") << "\n";
    for (const Address& address : report.reachable)
      out << "    " << volume_uri("nvme+tcp", address, volume.record) << "\n";
    for (const Address& address : report.rdma_reachable)
      out << "    " << volume_uri("nvme+rdma", address, volume.record) << "\n";
  }
  out << buckets_text(report);
  out << "\n  state   " << report.state << "\n";
  if (report.metrics) out << "  metrics http://" << to_string(*report.metrics) << "/metrics\n";
  out << "  I/O     " << report.io_driver
      << (report.io_driver_why.empty() ? "" : " (" + report.io_driver_why + ")") << ", " << report.shards
      << (report.shards == 1 ? " shard" : " shards") << "\n";
  out << "  hosts   ";
  if (report.allowed_hosts.empty()) out << "any that can reach it (--allow-host)";
  for (std::size_t i = 0; i < report.allowed_hosts.size(); ++i)
    out << (i > 0 ? ", " : "") << report.allowed_hosts[i];
  if (!report.tls.empty()) out << "\n  tls     " << report.tls << " for volumes (--tls-keys)";
  out << "\n  listen  ";
  bool local = true;
  for (std::size_t i = 0; i < report.listening.size(); ++i) {
    out << (i > 0 ? ", " : "") << to_string(report.listening[i]);
    local = local && (report.listening[i].host.starts_with("127.") || report.listening[i].host == "::1");
  }
  out << (local && !report.listening.empty() ? " (this machine only; --listen 0.0.0.0 for others)" : "");
  for (std::size_t i = 0; i < report.rdma_listening.size(); ++i)
    out << (i > 0 || !report.listening.empty() ? ", " : "") << to_string(report.rdma_listening[i])
        << " (RDMA)";
  out << "\n";
  if (!report.admin_socket.empty()) out << "  admin   " << report.admin_socket << " (netstor admin)\n";
  if (report.admin_listening)
    out << "  admin   " << to_string(*report.admin_listening) << ", by certificate\n";
  out << "  stop    Ctrl-C, or kill " << ::getpid() << "\n";
  return out.str();
}

std::string json_of(const Report& report) {
  using nlohmann::json;
  json object = {{"version", linked_version()},
                 {"pid", ::getpid()},
                 {"state", report.state},
                 {"io_driver", {{"name", report.io_driver}, {"reason", report.io_driver_why}}},
                 {"shards", report.shards},
                 {"allowed_hosts", report.allowed_hosts},
                 {"tls", report.tls.empty() ? "none" : report.tls},
                 {"listen", json::array()},
                 {"listen_rdma", json::array()},
                 {"volumes", json::array()}};
  for (std::size_t i = 0; i < report.listening.size(); ++i) {
    object["listen"].push_back({{"host", report.listening[i].host},
                                {"port", report.listening[i].port},
                                {"reachable_host", report.reachable[i].host}});
  }
  for (std::size_t i = 0; i < report.rdma_listening.size(); ++i) {
    object["listen_rdma"].push_back({{"host", report.rdma_listening[i].host},
                                     {"port", report.rdma_listening[i].port},
                                     {"reachable_host", report.rdma_reachable[i].host}});
  }
  for (const ServedVolume& volume : *report.volumes) {
    json uris = json::array();
    for (const Address& address : report.reachable)
      uris.push_back(volume_uri("nvme+tcp", address, volume.record));
    for (const Address& address : report.rdma_reachable)
      uris.push_back(volume_uri("nvme+rdma", address, volume.record));
    object["volumes"].push_back({{"name", volume.record.identity.name},
                                 {"nqn", volume.record.identity.nqn},
                                 {"namespace", 1},
                                 {"uris", std::move(uris)},
                                 {"store", store::to_string(volume.record.kind)},
                                 {"size_bytes", volume.record.size_bytes},
                                 {"block_bytes", volume.record.block_bytes},
                                 {"created", volume.created}});
  }
  object["s3"] = {{"endpoints", json::array()}, {"keys_file", report.keys_file}, {"buckets", report.buckets}};
  for (std::size_t i = 0; i < report.s3_listening.size(); ++i) {
    object["s3"]["endpoints"].push_back({{"host", report.s3_listening[i].host},
                                         {"port", report.s3_listening[i].port},
                                         {"url", endpoint_url(report.s3_reachable[i], report.s3_tls)}});
  }
  object["s3"]["rdma"] = nullptr;
  if (report.s3_rdma) object["s3"]["rdma"] = {{"host", report.s3_rdma->host}, {"port", report.s3_rdma->port}};
  if (report.metrics) object["metrics"] = {{"host", report.metrics->host}, {"port", report.metrics->port}};
  object["admin"] = {{"socket", report.admin_socket}, {"listen", nullptr}};
  if (report.admin_listening) {
    object["admin"]["listen"] = {{"host", report.admin_listening->host},
                                 {"port", report.admin_listening->port}};
  }
  // A path of the system need not be UTF-8.
  return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string ports_of(const Report& report) {
  std::string lines;
  for (const Address& address : report.listening) lines += std::to_string(address.port) + "\n";
  for (const Address& address : report.rdma_listening) lines += std::to_string(address.port) + "\n";
  for (const Address& address : report.s3_listening) lines += std::to_string(address.port) + "\n";
  if (report.s3_rdma) lines += std::to_string(report.s3_rdma->port) + "\n";
  if (report.metrics) lines += std::to_string(report.metrics->port) + "\n";
  return lines;
}

}  // namespace netstor::server
