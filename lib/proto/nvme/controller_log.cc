// SPDX-License-Identifier: Apache-2.0
//
// Get Log Page: each page is made whole and the part that was asked for is cut out of it, so that offsets
// and lengths are one rule for all (NVMe Base 2.0, "Get Log Page command").

#include "lib/wire/nvme/log.h"

#include <algorithm>

#include "lib/proto/nvme/controller.h"
#include "lib/wire/fabrics/discovery.h"
#include "lib/wire/fabrics/nqn.h"

namespace netstor::nvme {

namespace {

AdminAnswer failed(Status status) { return {.status = refused(status)}; }

template <std::size_t N>
std::span<std::byte, N> sized(std::vector<std::byte>& page) {
  page.assign(N, std::byte{0});
  return std::span<std::byte, N>(page.data(), N);
}

DiscoveryEntry entry_of(const PathView& path) {
  DiscoveryEntry entry;
  entry.trtype = path.rdma ? TransportType::rdma : TransportType::tcp;
  entry.adrfam = path.ipv6 ? AddressFamily::ipv6 : AddressFamily::ipv4;
  entry.subtype = path.discovery ? SubsystemType::current_discovery : SubsystemType::nvme;
  // "Not required" makes some hosts ask for TLS all the same.
  const SecureChannel secure = path.secure_channel ? SecureChannel::required : SecureChannel::not_specified;
  entry.treq = static_cast<std::uint8_t>(static_cast<unsigned>(secure) | kTreqDisableSqFlowControl);
  entry.portid = path.port_id;
  entry.trsvcid = ZeroPadded<32>(std::to_string(path.port));
  entry.subnqn = NqnField(path.nqn);
  entry.traddr = ZeroPadded<256>(path.host);
  if (path.secure_channel) entry.tcp.sectype = TcpSecurity::tls_1_3;
  if (path.discovery) entry.eflags = eflags::kExplicitPersistentConnection;
  return entry;
}

}  // namespace

AdminAnswer Controller::get_log_page(const Command& command, std::span<std::byte> out) {
  const GetLogPage asked = decode_get_log_page(command);
  if (asked.offset % 4 != 0 || asked.offset_is_index) return failed(GenericStatus::invalid_field);
  std::vector<std::byte> page;
  if (!fill_log(command, page)) return failed(CommandStatus::invalid_log_page);
  if (asked.offset > page.size()) return failed(GenericStatus::invalid_field);
  const std::span<const std::byte> rest = std::span<const std::byte>(page).subspan(asked.offset);
  const std::span<const std::byte> part = rest.first(std::min(rest.size(), out.size()));
  std::copy(part.begin(), part.end(), out.begin());
  // What lies behind the end of a page is undefined; old memory must not be what it is.
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(part.size()), out.end(), std::byte{0});
  return {.bytes = static_cast<std::uint32_t>(out.size())};
}

bool Controller::fill_log(const Command& command, std::vector<std::byte>& page) {
  const GetLogPage asked = decode_get_log_page(command);
  if (subsystem_.discovery()) {
    if (asked.id != LogId::discovery) return false;
    fill_discovery(asked.retain_async_event, page);
    return true;
  }
  switch (asked.id) {
    case LogId::error_information:
      encode(ErrorLogEntry{}, sized<kErrorLogEntryBytes>(page));
      return true;
    case LogId::smart_health: {
      SmartLog log;
      log.composite_temperature = 300;
      log.available_spare = 100;
      log.available_spare_threshold = 10;
      encode(log, sized<kSmartLogBytes>(page));
      return true;
    }
    case LogId::firmware_slot: {
      FirmwareSlotLog log;
      log.afi = 1;
      log.revisions[0] = SpacePadded<8>(subsystem_.firmware());
      encode(log, sized<kFirmwareSlotLogBytes>(page));
      return true;
    }
    case LogId::changed_namespace_list:
      fill_changed_namespaces(asked.retain_async_event, page);
      return true;
    case LogId::commands_supported_and_effects:
      fill_effects(page);
      return true;
    default:
      break;
  }
  return false;
}

void Controller::fill_effects(std::vector<std::byte>& page) const {
  EffectsLog log;
  const auto admin = [&log](AdminOpcode opcode) {
    log.admin[static_cast<std::uint8_t>(opcode)] = effects::kSupported;
  };
  const auto io = [&log](IoOpcode opcode, std::uint32_t more) {
    log.io[static_cast<std::uint8_t>(opcode)] = effects::kSupported | more;
  };
  for (const AdminOpcode opcode :
       {AdminOpcode::get_log_page, AdminOpcode::identify, AdminOpcode::abort, AdminOpcode::set_features,
        AdminOpcode::get_features, AdminOpcode::async_event_request, AdminOpcode::keep_alive}) {
    admin(opcode);
  }
  const IdentifyController id = describe();
  io(IoOpcode::flush, 0);
  io(IoOpcode::read, 0);
  io(IoOpcode::write, effects::kBlockContentChange);
  io(IoOpcode::dataset_management, effects::kBlockContentChange);
  if ((id.oncs & oncs::kCompare) != 0) io(IoOpcode::compare, 0);
  if ((id.oncs & oncs::kWriteZeroes) != 0) io(IoOpcode::write_zeroes, effects::kBlockContentChange);
  if ((id.oncs & oncs::kVerify) != 0) io(IoOpcode::verify, 0);
  encode(log, sized<kEffectsLogBytes>(page));
}

void Controller::fill_changed_namespaces(bool retain, std::vector<std::byte>& page) {
  encode_changed_namespaces(changed_, sized<kIdentifyBytes>(page));
  if (retain) return;
  changed_.clear();
  namespaces_ = {};
}

void Controller::fill_discovery(bool retain, std::vector<std::byte>& page) {
  std::vector<PathView> paths;
  const std::uint64_t generation = subsystem_.paths(identity_.host_nqn, paths);
  page.assign(kDiscoveryHeaderBytes + paths.size() * kDiscoveryEntryBytes, std::byte{0});
  const std::span<std::byte> bytes(page);
  encode(DiscoveryHeader{.genctr = generation, .numrec = paths.size()}, bytes.first<kDiscoveryHeaderBytes>());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::size_t at = kDiscoveryHeaderBytes + i * kDiscoveryEntryBytes;
    encode(entry_of(paths[i]), bytes.subspan(at).first<kDiscoveryEntryBytes>());
  }
  if (!retain) discovery_ = {};
}

}  // namespace netstor::nvme
