// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/discovery.h"

#include <netstor/uri.h>

#include <algorithm>
#include <charconv>

#include "lib/wire/fabrics/discovery.h"
#include "transports/nvmeof/session.h"

namespace netstor::nvmeof {

namespace {

constexpr std::uint64_t kRecordsMax = 4096;     // of what a service may claim
constexpr std::size_t kPieceBytes = 16 * 1024;  // of one Get Log Page
constexpr int kAttempts = 10;

std::string uri_of(const nvme::DiscoveryEntry& entry) {
  const std::string_view service = entry.trsvcid.view();
  std::uint16_t port = 0;
  std::from_chars(service.data(), service.data() + service.size(), port);
  const bool rdma = entry.trtype == nvme::TransportType::rdma;
  if ((!rdma && entry.trtype != nvme::TransportType::tcp) || entry.subtype != nvme::SubsystemType::nvme ||
      port == 0)
    return {};
  Uri uri;
  uri.scheme = rdma ? "nvme+rdma" : "nvme+tcp";
  uri.host = entry.traddr.view();
  uri.port = port;
  uri.path = "/" + std::string(entry.subnqn.view());
  return uri.to_string();
}

std::string_view name_of(nvme::TransportType type) {
  switch (type) {
    case nvme::TransportType::pcie:
      return "pcie";
    case nvme::TransportType::rdma:
      return "rdma";
    case nvme::TransportType::fibre_channel:
      return "fc";
    case nvme::TransportType::tcp:
      return "tcp";
    case nvme::TransportType::intra_host:
      return "loop";
  }
  return "unknown";
}

Task<nvme::DiscoveryHeader> read_header(Session& session, std::vector<std::byte>& page) {
  page.assign(nvme::kDiscoveryHeaderBytes, std::byte{0});
  auto reading = session.get_log({.id = nvme::LogId::discovery, .bytes = page.size()}, page);
  NETSTOR_CHECK(co_await std::move(reading));
  const auto header = nvme::decode_discovery_header(std::span(page).first<nvme::kDiscoveryHeaderBytes>());
  if (header.recfmt != 0)
    co_return Error(ErrorKind::unsupported, "the discovery log has an unknown record format");
  co_return header;
}

// Until the generation counter is the same after the last piece as before the first.
Task<void> read_log(Session& session, std::vector<std::byte>& page) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto before = read_header(session, page);
    NETSTOR_TRY(const nvme::DiscoveryHeader header, co_await std::move(before));
    if (header.numrec > kRecordsMax) {
      co_return Error(ErrorKind::protocol,
                      "the discovery log claims " + std::to_string(header.numrec) + " records");
    }
    page.resize(nvme::kDiscoveryHeaderBytes +
                static_cast<std::size_t>(header.numrec) * nvme::kDiscoveryEntryBytes);
    for (std::size_t at = nvme::kDiscoveryHeaderBytes; at < page.size();) {
      const std::size_t size = std::min(kPieceBytes, page.size() - at);
      auto reading = session.get_log({.id = nvme::LogId::discovery, .bytes = size, .offset = at},
                                     std::span(page).subspan(at, size));
      NETSTOR_CHECK(co_await std::move(reading));
      at += size;
    }
    std::vector<std::byte> again;
    auto after = read_header(session, again);
    NETSTOR_TRY(const nvme::DiscoveryHeader last, co_await std::move(after));
    if (last.genctr == header.genctr && last.numrec == header.numrec) co_return ok();
  }
  co_return Error(ErrorKind::exhausted, "the discovery log does not stop changing; try again");
}

}  // namespace

Task<std::vector<DiscoveredSubsystem>> discover(NvmeofPort& port, std::string uri, const void* options) {
  NETSTOR_TRY(Target target, port.target_of(uri, options));
  target.subnqn.clear();
  target.options.keep_alive = Duration::zero();
  Session session(port, target, nullptr);
  std::vector<std::byte> page;
  auto starting = session.start();
  Result<void> result = co_await std::move(starting);
  if (result) {
    auto reading = read_log(session, page);
    result = co_await std::move(reading);
  }
  auto stopping = session.stop();
  const Result<void> stopped = co_await std::move(stopping);
  static_cast<void>(stopped);
  if (!result) co_return std::move(result).error();

  std::vector<DiscoveredSubsystem> found;
  const auto log = nvme::DiscoveryLog::from(page);
  for (std::size_t i = 0; log && i < log->count(); ++i) {
    const nvme::DiscoveryEntry entry = log->entry(i);
    if (nvme::check(entry)) continue;
    found.push_back({.transport = std::string(name_of(entry.trtype)),
                     .address = std::string(entry.traddr.view()),
                     .service = std::string(entry.trsvcid.view()),
                     .nqn = std::string(entry.subnqn.view()),
                     .discovery = entry.subtype != nvme::SubsystemType::nvme,
                     .tls_required = entry.secure_channel() == nvme::SecureChannel::required,
                     .uri = uri_of(entry)});
  }
  co_return found;
}

}  // namespace netstor::nvmeof
