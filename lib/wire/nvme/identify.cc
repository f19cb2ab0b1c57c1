// SPDX-License-Identifier: Apache-2.0
//
// The byte offsets of the Identify data structures, each written once and used both ways, and the two
// lists that have no fixed places.

#include "lib/wire/nvme/identify.h"

#include <concepts>

namespace netstor::nvme {

namespace {

template <typename Self, typename T>
concept Is = std::same_as<std::remove_const_t<Self>, T>;

// Bytes 0 to 255: capabilities and features of the controller.
template <typename Self, typename Visit>
void capability_fields(Self& c, const Visit& visit) {
  visit(0, c.vid);
  visit(2, c.ssvid);
  visit(4, c.sn);
  visit(24, c.mn);
  visit(64, c.fr);
  visit(72, c.rab);
  visit(73, c.ieee);
  visit(76, c.cmic);
  visit(77, c.mdts);
  visit(78, c.cntlid);
  visit(80, c.ver);
  visit(84, c.rtd3r);
  visit(88, c.rtd3e);
  visit(92, c.oaes);
  visit(96, c.ctratt);
  visit(100, c.rrls);
  visit(111, c.cntrltype);
  visit(112, c.fguid);
  visit(128, c.crdt1);
  visit(130, c.crdt2);
  visit(132, c.crdt3);
}

// Bytes 256 to 511: admin command set attributes.
template <typename Self, typename Visit>
void admin_fields(Self& c, const Visit& visit) {
  visit(256, c.oacs);
  visit(258, c.acl);
  visit(259, c.aerl);
  visit(260, c.frmw);
  visit(261, c.lpa);
  visit(262, c.elpe);
  visit(263, c.npss);
  visit(264, c.avscc);
  visit(265, c.apsta);
  visit(266, c.wctemp);
  visit(268, c.cctemp);
  visit(270, c.mtfa);
  visit(272, c.hmpre);
  visit(276, c.hmmin);
  visit(280, c.tnvmcap);
  visit(296, c.unvmcap);
  visit(312, c.rpmbs);
  visit(316, c.edstt);
  visit(318, c.dsto);
  visit(319, c.fwug);
  visit(320, c.kas);
  visit(322, c.hctma);
  visit(324, c.mntmt);
  visit(326, c.mxtmt);
  visit(328, c.sanicap);
  visit(332, c.hmminds);
  visit(336, c.hmmaxd);
  visit(338, c.nsetidmax);
  visit(340, c.endgidmax);
  visit(342, c.anatt);
  visit(343, c.anacap);
  visit(344, c.anagrpmax);
  visit(348, c.nanagrpid);
  visit(352, c.pels);
}

// Bytes 512 to 1023: NVM command set attributes; 1792 to 2047: fabrics.
template <typename Self, typename Visit>
void command_set_and_fabrics_fields(Self& c, const Visit& visit) {
  visit(512, c.sqes);
  visit(513, c.cqes);
  visit(514, c.maxcmd);
  visit(516, c.nn);
  visit(520, c.oncs);
  visit(522, c.fuses);
  visit(524, c.fna);
  visit(525, c.vwc);
  visit(526, c.awun);
  visit(528, c.awupf);
  visit(530, c.icsvscc);
  visit(531, c.nwpc);
  visit(532, c.acwu);
  visit(534, c.ocfs);
  visit(536, c.sgls);
  visit(540, c.mnan);
  visit(768, c.subnqn);
  visit(1792, c.ioccsz);
  visit(1796, c.iorcsz);
  visit(1800, c.icdoff);
  visit(1802, c.fcatt);
  visit(1803, c.msdbd);
  visit(1804, c.ofcs);
  visit(1806, c.dctype);
}

}  // namespace

template <Is<PowerState> Self, typename Visit>
void fields(Self& ps, const Visit& visit) {
  visit(0, ps.mp);
  visit(3, ps.flags);
  visit(4, ps.enlat);
  visit(8, ps.exlat);
  visit(12, ps.rrt);
  visit(13, ps.rrl);
  visit(14, ps.rwt);
  visit(15, ps.rwl);
  visit(16, ps.idlp);
  visit(18, ps.ips);
  visit(20, ps.actp);
  visit(22, ps.apw_aps);
}

template <Is<IdentifyController> Self, typename Visit>
void fields(Self& c, const Visit& visit) {
  capability_fields(c, visit);
  admin_fields(c, visit);
  command_set_and_fabrics_fields(c, visit);
  visit(2048, c.psd);
}

template <Is<LbaFormat> Self, typename Visit>
void fields(Self& format, const Visit& visit) {
  visit(0, format.ms);
  visit(2, format.lbads);
  visit(3, format.rp);
}

template <Is<IdentifyNamespace> Self, typename Visit>
void fields(Self& n, const Visit& visit) {
  visit(0, n.nsze);
  visit(8, n.ncap);
  visit(16, n.nuse);
  visit(24, n.nsfeat);
  visit(25, n.nlbaf);
  visit(26, n.flbas);
  visit(27, n.mc);
  visit(28, n.dpc);
  visit(29, n.dps);
  visit(30, n.nmic);
  visit(31, n.rescap);
  visit(32, n.fpi);
  visit(33, n.dlfeat);
  visit(34, n.nawun);
  visit(36, n.nawupf);
  visit(38, n.nacwu);
  visit(40, n.nabsn);
  visit(42, n.nabo);
  visit(44, n.nabspf);
  visit(46, n.noiob);
  visit(48, n.nvmcap);
  visit(64, n.npwg);
  visit(66, n.npwa);
  visit(68, n.npdg);
  visit(70, n.npda);
  visit(72, n.nows);
  visit(74, n.mssrl);
  visit(76, n.mcl);
  visit(80, n.msrc);
  visit(92, n.anagrpid);
  visit(99, n.nsattr);
  visit(100, n.nvmsetid);
  visit(102, n.endgid);
  visit(104, n.nguid);
  visit(120, n.eui64);
  visit(128, n.lbaf);
}

template <Is<IdentifyNamespaceIndependent> Self, typename Visit>
void fields(Self& n, const Visit& visit) {
  visit(0, n.nsfeat);
  visit(1, n.nmic);
  visit(2, n.rescap);
  visit(3, n.fpi);
  visit(4, n.anagrpid);
  visit(8, n.nsattr);
  visit(10, n.nvmsetid);
  visit(12, n.endgid);
  visit(14, n.nstat);
}

template <Is<IdentifyNamespaceNvm> Self, typename Visit>
void fields(Self& n, const Visit& visit) {
  visit(0, n.lbstm);
  visit(8, n.pic);
  visit(12, n.elbaf);
}

template <Is<IdentifyControllerNvm> Self, typename Visit>
void fields(Self& c, const Visit& visit) {
  visit(0, c.vsl);
  visit(1, c.wzsl);
  visit(2, c.wusl);
  visit(3, c.dmrl);
  visit(4, c.dmrsl);
  visit(8, c.dmsl);
}

template <Is<IoCommandSets> Self, typename Visit>
void fields(Self& sets, const Visit& visit) {
  visit(0, sets.vectors);
}

void encode(const IdentifyController& controller, IdentifyData out) {
  detail::encode_fields(controller, out);
}
void encode(const IdentifyNamespace& ns, IdentifyData out) { detail::encode_fields(ns, out); }
void encode(const IdentifyNamespaceIndependent& ns, IdentifyData out) { detail::encode_fields(ns, out); }
void encode(const IdentifyNamespaceNvm& ns, IdentifyData out) { detail::encode_fields(ns, out); }
void encode(const IdentifyControllerNvm& controller, IdentifyData out) {
  detail::encode_fields(controller, out);
}
void encode(const IoCommandSets& sets, IdentifyData out) { detail::encode_fields(sets, out); }

IdentifyController decode_identify_controller(ConstIdentifyData in) {
  return detail::decode_fields<IdentifyController>(in);
}
IdentifyNamespace decode_identify_namespace(ConstIdentifyData in) {
  return detail::decode_fields<IdentifyNamespace>(in);
}
IdentifyNamespaceIndependent decode_identify_namespace_independent(ConstIdentifyData in) {
  return detail::decode_fields<IdentifyNamespaceIndependent>(in);
}
IdentifyNamespaceNvm decode_identify_namespace_nvm(ConstIdentifyData in) {
  return detail::decode_fields<IdentifyNamespaceNvm>(in);
}
IdentifyControllerNvm decode_identify_controller_nvm(ConstIdentifyData in) {
  return detail::decode_fields<IdentifyControllerNvm>(in);
}
IoCommandSets decode_io_command_sets(ConstIdentifyData in) {
  return detail::decode_fields<IoCommandSets>(in);
}

std::size_t encode_namespace_list(std::span<const std::uint32_t> nsids, IdentifyData out) {
  std::memset(out.data(), 0, out.size());
  const std::size_t count = std::min(nsids.size(), kNamespaceListMax);
  for (std::size_t i = 0; i < count; ++i) {
    store_le<std::uint32_t>(out.data() + i * 4, nsids[i]);
  }
  return count;
}

std::optional<NamespaceList> decode_namespace_list(ConstIdentifyData in) {
  NamespaceList list;
  std::uint32_t previous = 0;
  while (list.count < kNamespaceListMax) {
    const auto nsid = load_le<std::uint32_t>(in.data() + list.count * 4);
    if (nsid == 0) {
      break;
    }
    if (nsid <= previous || nsid == kNsidAll) {
      return std::nullopt;
    }
    list.nsids[list.count++] = nsid;
    previous = nsid;
  }
  return list;
}

namespace {

// Namespace Identifier Type and the length that goes with it.
constexpr std::uint8_t kNidtEui64 = 1;
constexpr std::uint8_t kNidtNguid = 2;
constexpr std::uint8_t kNidtUuid = 3;
constexpr std::uint8_t kNidtCsi = 4;

void put_descriptor(ByteWriter& writer, std::uint8_t type, std::span<const std::byte> id) {
  writer.le<std::uint8_t>(type);
  writer.le<std::uint8_t>(static_cast<std::uint8_t>(id.size()));
  writer.zeros(2);
  writer.put(id);
}

template <std::size_t N>
bool keep(std::span<const std::byte> id, std::optional<std::array<std::byte, N>>& out) {
  if (id.size() != N) {
    return false;
  }
  out.emplace();
  std::copy(id.begin(), id.end(), out->begin());
  return true;
}

bool keep_descriptor(std::uint8_t type, std::span<const std::byte> id, NamespaceIds& ids) {
  switch (type) {
    case kNidtEui64:
      return keep(id, ids.eui64);
    case kNidtNguid:
      return keep(id, ids.nguid);
    case kNidtUuid:
      return keep(id, ids.uuid);
    case kNidtCsi:
      if (id.size() != 1) {
        return false;
      }
      ids.csi = static_cast<Csi>(id[0]);
      return true;
    default:
      return true;
  }
}

}  // namespace

void encode(const NamespaceIds& ids, IdentifyData out) {
  std::memset(out.data(), 0, out.size());
  ByteWriter writer(out);
  if (ids.eui64) {
    put_descriptor(writer, kNidtEui64, *ids.eui64);
  }
  if (ids.nguid) {
    put_descriptor(writer, kNidtNguid, *ids.nguid);
  }
  if (ids.uuid) {
    put_descriptor(writer, kNidtUuid, *ids.uuid);
  }
  if (ids.csi) {
    const std::byte csi{static_cast<std::uint8_t>(*ids.csi)};
    put_descriptor(writer, kNidtCsi, {&csi, 1});
  }
}

std::optional<NamespaceIds> decode_namespace_ids(ConstIdentifyData in) {
  NamespaceIds ids;
  ByteReader reader(in);
  while (reader.remaining() >= 4) {
    const auto type = reader.le<std::uint8_t>();
    const auto length = reader.le<std::uint8_t>();
    reader.skip(2);
    if (length == 0) {
      break;
    }
    const std::span<const std::byte> id = reader.take(length);
    if (!reader.ok() || !keep_descriptor(type, id, ids)) {
      return std::nullopt;
    }
  }
  return ids;
}

}  // namespace netstor::nvme
