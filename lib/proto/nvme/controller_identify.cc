// SPDX-License-Identifier: Apache-2.0
//
// Identify: who the controller is and what its namespaces are (NVMe Base 2.0 "Identify command", NVM
// Command Set 1.0).

#include <algorithm>
#include <bit>

#include "lib/proto/nvme/controller.h"

namespace netstor::nvme {

namespace {

constexpr std::uint32_t kMinimumPage = 4096;
constexpr std::uint16_t kAmbientKelvins = 0x157;

std::uint8_t page_exponent(std::uint64_t bytes) {
  return static_cast<std::uint8_t>(std::bit_width(bytes / kMinimumPage) - 1);
}

template <class Range>
bool all_zero(const Range& bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte each) { return each == std::byte{0}; });
}

std::uint16_t zero_based_blocks(std::uint32_t blocks) {
  return static_cast<std::uint16_t>(std::clamp<std::uint32_t>(blocks, 1, 65536) - 1);
}

}  // namespace

AdminAnswer Controller::identify(const Command& command, std::span<std::byte> out) const {
  const Identify asked = decode_identify(command);
  const IdentifyData data = out.first<kIdentifyBytes>();
  const std::uint32_t nsid = command.nsid();
  Status status = refused(GenericStatus::invalid_field);
  std::fill(data.begin(), data.end(), std::byte{0});
  if (asked.cns == Cns::identify_controller) {
    encode(describe(), data);
    status = {};
  } else if (subsystem_.discovery()) {
    // A discovery controller has no namespaces, and answers nothing else.
  } else if (asked.cns == Cns::identify_namespace) {
    status = identify_namespace(nsid, data);
  } else if (asked.cns == Cns::active_namespace_list) {
    status = active_list(nsid, data);
  } else if (asked.cns == Cns::namespace_id_descriptors) {
    status = descriptors(nsid, data);
  } else if (asked.cns == Cns::csi_independent_namespace) {
    status = identify_independent(nsid, data);
  } else if (asked.csi != Csi::nvm) {
    // Of the command sets there is one only.
  } else if (asked.cns == Cns::csi_namespace) {
    status = check_namespace(nsid);
    if (status.ok()) encode(IdentifyNamespaceNvm{}, data);
  } else if (asked.cns == Cns::csi_controller) {
    std::uint32_t zero_bytes = 0;
    for (std::uint32_t each = subsystem_.next_nsid(0); each != 0; each = subsystem_.next_nsid(each)) {
      const NamespaceView& view = *subsystem_.find(each);
      const std::uint64_t bytes = std::uint64_t{view.zero_blocks_max} << view.block_shift;
      const auto limited = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, 1u << 31));
      if (limited != 0) zero_bytes = zero_bytes == 0 ? limited : std::min(zero_bytes, limited);
    }
    const std::uint8_t exponent = zero_bytes < kMinimumPage ? std::uint8_t{0} : page_exponent(zero_bytes);
    encode(IdentifyControllerNvm{.vsl = exponent, .wzsl = exponent, .dmrl = 255}, data);
    status = {};
  } else if (asked.cns == Cns::csi_active_namespace_list) {
    status = active_list(nsid, data);
  }
  return {.status = status, .bytes = kIdentifyBytes};
}

IdentifyController Controller::describe() const {
  const ControllerLimits& limits = subsystem_.limits();
  IdentifyController id;
  id.sn = SpacePadded<20>(subsystem_.serial());
  id.mn = SpacePadded<40>(subsystem_.model());
  id.fr = SpacePadded<8>(subsystem_.firmware());
  id.rab = 6;
  id.cmic = cmic::kMultiPort | cmic::kMultiController;
  id.mdts = page_exponent(limits.transfer_bytes_max);
  id.cntlid = identity_.cntlid;
  id.ver = encode(properties_.version());
  id.ctratt = ctratt::kHostId128;
  id.aerl = static_cast<std::uint8_t>(limits.async_events_max - 1);
  id.lpa = lpa::kExtendedData;
  id.kas = kKeepAliveUnitMs / 100;
  id.maxcmd = limits.queue_entries_max;
  id.sgls = sgls::kSupported | sgls::kInCapsuleOffset |
            (identity_.keyed_data ? sgls::kKeyed : sgls::kTransportDataBlock);
  id.subnqn = NqnField(subsystem_.nqn());
  if (subsystem_.discovery()) {
    id.cntrltype = ControllerType::discovery;
    id.oaes = oaes::kDiscoveryChange;
    return id;
  }
  id.cntrltype = ControllerType::io;
  id.oaes = oaes::kNamespaceAttribute;
  id.acl = 3;
  id.frmw = 0x03;  // one slot, which is read only
  id.lpa |= lpa::kCommandEffects;
  id.wctemp = kAmbientKelvins;
  id.cctemp = kAmbientKelvins;
  id.sqes = 0x66;
  id.cqes = 0x44;
  id.nn = subsystem_.nsid_max();
  id.mnan = subsystem_.nsid_max();
  id.oncs = oncs::kDatasetManagement;
  id.vwc = vwc::kFlushAllSupported | (write_cache() ? vwc::kPresent : std::uint8_t{0});
  for (std::uint32_t nsid = subsystem_.next_nsid(0); nsid != 0; nsid = subsystem_.next_nsid(nsid)) {
    const NamespaceView& view = *subsystem_.find(nsid);
    if (view.can_compare) id.oncs |= oncs::kCompare;
    if (view.can_write_zeroes) id.oncs |= oncs::kWriteZeroes;
    if (view.can_verify) id.oncs |= oncs::kVerify;
    if (view.fused_blocks_max != 0) id.fuses = fuses::kCompareAndWrite;
  }
  id.ioccsz = static_cast<std::uint32_t>(
      (kCommandBytes + std::min(limits.in_capsule_bytes, identity_.in_capsule_bytes)) / 16);
  id.iorcsz = 1;
  id.msdbd = 1;
  return id;
}

Status Controller::identify_namespace(std::uint32_t nsid, IdentifyData out) const {
  if (const Status status = check_namespace(nsid); !status.ok()) return status;
  const NamespaceView* view = subsystem_.find(nsid);
  if (view == nullptr) return {};  // an inactive namespace is all zeros
  IdentifyNamespace id;
  id.nsze = id.ncap = id.nuse = view->blocks;
  id.nsfeat = nsfeat::kAtomics;
  if (view->thin) id.nsfeat |= nsfeat::kThinProvisioning;
  id.nmic = nmic::kShared;
  if (view->can_deallocate && view->deallocated_reads_zeroes) {
    id.dlfeat = dlfeat::kReadsZeroes;
    if (view->can_write_zeroes) id.dlfeat |= dlfeat::kWriteZeroesDeallocates;
  }
  id.nawun = id.nawupf = zero_based_blocks(view->atomic_blocks);
  if (view->fused_blocks_max != 0) id.nacwu = zero_based_blocks(view->fused_blocks_max);
  id.nsattr = view->read_only ? 1 : 0;
  id.nguid = view->nguid;
  id.eui64 = view->eui64;
  id.lbaf[0].lbads = view->block_shift;
  encode(id, out);
  return {};
}

Status Controller::identify_independent(std::uint32_t nsid, IdentifyData out) const {
  if (const Status status = check_namespace(nsid); !status.ok()) return status;
  const NamespaceView* view = subsystem_.find(nsid);
  if (view == nullptr) return {};
  encode(
      IdentifyNamespaceIndependent{
          .nmic = nmic::kShared, .nsattr = static_cast<std::uint8_t>(view->read_only ? 1 : 0), .nstat = 1},
      out);
  return {};
}

Status Controller::active_list(std::uint32_t after, IdentifyData out) const {
  if (after >= kNsidAll - 1) return refused(GenericStatus::invalid_namespace_or_format);
  std::array<std::uint32_t, kNamespaceListMax> nsids;
  std::size_t count = 0;
  for (std::uint32_t nsid = subsystem_.next_nsid(after); nsid != 0 && count < nsids.size();
       nsid = subsystem_.next_nsid(nsid)) {
    nsids[count++] = nsid;
  }
  encode_namespace_list(std::span(nsids).first(count), out);
  return {};
}

Status Controller::descriptors(std::uint32_t nsid, IdentifyData out) const {
  const NamespaceView* view = subsystem_.find(nsid);
  if (view == nullptr) return refused(GenericStatus::invalid_namespace_or_format);
  NamespaceIds ids;
  if (!all_zero(view->eui64)) ids.eui64 = view->eui64;
  if (!all_zero(view->nguid)) ids.nguid = view->nguid;
  if (!all_zero(view->uuid)) ids.uuid = view->uuid;
  ids.csi = Csi::nvm;
  encode(ids, out);
  return {};
}

bool Controller::write_cache() const {
  for (std::uint32_t nsid = subsystem_.next_nsid(0); nsid != 0; nsid = subsystem_.next_nsid(nsid)) {
    if (subsystem_.find(nsid)->volatile_cache) return true;
  }
  return false;
}

}  // namespace netstor::nvme
