// SPDX-License-Identifier: Apache-2.0
//
// Random commands of all kinds against a target, and a model of what must be read back. Several commands are
// in flight together, on ranges of their own.

#include <random>

#include "lib/wire/nvme/dsm.h"
#include "tests/faults/raw_host.h"

namespace netstor::faults {
namespace {

constexpr std::uint64_t kBytes = 8 << 20;

struct Setup {
  std::uint32_t block_bytes;
  bool digests;
  bool flow_control;
};

class NvmfModel : public ::testing::TestWithParam<Setup> {
 protected:
  NvmfModel() : model(kBytes), lanes(4) {
    store::VolumeIdentity identity{.name = "m", .nqn = std::string(kNqn), .serial = "MODEL"};
    identity.uuid.fill(3);
    identity.nguid.fill(4);
    volume = store::make_memory_volume(identity, kBytes, GetParam().block_bytes).value();
    EXPECT_EQ(server.target->add_namespace(std::string(kNqn), 2, *volume).get().value(), 2u);
    const tcp::IcReq hello{.header_digest = GetParam().digests, .data_digest = GetParam().digests};
    const std::uint8_t cattr = GetParam().flow_control ? std::uint8_t{0} : kConnectDisableSqFlowControl;
    io.bring_up_io(admin.bring_up_admin(), 1, hello, cattr);
  }
  ~NvmfModel() override {
    admin.close();
    io.close();
    EXPECT_TRUE(server.target->remove_namespace(std::string(kNqn), 2).get());
  }

  struct Lane {
    Command command;
    std::size_t offset = 0;
    std::vector<std::byte> data;  // what a write sends, or what a read has got
    bool reads = false;
  };

  std::uint64_t below(std::uint64_t end) { return random() % end; }
  // A range inside this lane's part of the volume.
  void choose(std::size_t index) {
    Lane& lane = lanes[index];
    const std::uint32_t unit = GetParam().block_bytes;
    const std::uint64_t part = kBytes / lanes.size() / unit;
    static constexpr std::uint64_t kSizes[] = {512, 1024, 4096, 8192, 12288, 65536, 69632, 1 << 20};
    const std::uint64_t blocks = std::max<std::uint64_t>(1, below(kSizes[below(8)]) / unit);
    const std::uint64_t slba = part * index + below(part - blocks + 1);
    const auto length = static_cast<std::uint32_t>(blocks * unit);
    const BlockIo range{
        .slba = slba, .blocks = static_cast<std::uint32_t>(blocks), .deallocate = (below(2) != 0)};
    const auto cid = static_cast<std::uint16_t>(index + 0x1000 * below(8));
    lane.offset = slba * unit;
    lane.data.clear();
    lane.reads = false;
    std::span<std::byte> target = std::span(model).subspan(lane.offset, length);
    const std::uint64_t kind = below(8);
    if (kind < 4) {
      lane.data.resize(length);
      for (std::byte& each : lane.data) each = static_cast<std::byte>(random());
      std::copy(lane.data.begin(), lane.data.end(), target.begin());
      const bool inside = length <= 8192;
      lane.command =
          make_write(cid, 2, range, inside ? in_capsule_data(0, length) : transport_data_block(length));
      io.send(inside ? io.capsule(lane.command, lane.data) : io.capsule(lane.command));
    } else if (kind < 6) {
      lane.reads = true;
      lane.command = make_read(cid, 2, range, transport_data_block(length));
      io.send(io.capsule(lane.command));
    } else if (kind == 6) {
      std::fill(target.begin(), target.end(), std::byte{0});
      lane.command = make_write_zeroes(cid, 2, range);
      io.send(io.capsule(lane.command));
    } else {
      std::fill(target.begin(), target.end(), std::byte{0});
      std::array<std::byte, 4096> list{};
      encode(DsmRange{.blocks = range.blocks, .slba = slba}, std::span(list).first<kDsmRangeBytes>());
      lane.command = make_dataset_management(cid, 2, {.deallocate = true}, in_capsule_data(0, list.size()));
      io.send(io.capsule(lane.command, list));
    }
  }
  Lane& lane_of(std::uint16_t cid) { return lanes.at(cid & 0xFFF); }

  // Until every lane's command was answered.
  void serve() {
    for (std::size_t open = lanes.size(); open != 0;) {
      const auto pdu = io.receive();
      ASSERT_TRUE(pdu);
      if (pdu->type() == tcp::PduType::r2t) {
        answer(tcp::decode_r2t(pdu->head<tcp::kR2tBytes>()));
      } else if (pdu->type() == tcp::PduType::c2h_data) {
        const tcp::DataPdu data = tcp::decode_data(pdu->head<tcp::kDataBytes>());
        Lane& lane = lane_of(data.cccid);
        const auto bytes = pdu->data().first(data.datal);
        lane.data.insert(lane.data.end(), bytes.begin(), bytes.end());
        if (pdu->header().success()) --open;
      } else {
        ASSERT_EQ(pdu->type(), tcp::PduType::capsule_resp);
        ASSERT_TRUE(pdu->completion().status.ok()) << to_string(pdu->completion().status);
        --open;
      }
    }
    for (const Lane& lane : lanes) {
      if (!lane.reads) continue;
      ASSERT_TRUE(std::equal(lane.data.begin(), lane.data.end(),
                             model.begin() + static_cast<std::ptrdiff_t>(lane.offset)))
          << "at " << lane.offset << ", " << lane.data.size() << " bytes";
    }
  }
  void answer(const tcp::R2t& r2t) {
    const Lane& lane = lane_of(r2t.cccid);
    ASSERT_EQ(r2t.r2tl, lane.data.size());
    for (std::uint32_t at = 0; at < r2t.r2tl;) {
      const auto part =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(r2t.r2tl - at, 4 * (1 + below(65536))));
      const tcp::DataPdu pdu{.cccid = r2t.cccid, .ttag = r2t.ttag, .datao = at, .datal = part};
      io.send(io.h2c_data(pdu, at + part == r2t.r2tl, std::span(lane.data).subspan(at, part)));
      at += part;
    }
  }

  TargetInProcess server;
  std::unique_ptr<store::StoredVolume> volume;
  RawHost admin{server.port};
  RawHost io{server.port};
  std::mt19937_64 random{12345};
  std::vector<std::byte> model;
  std::vector<Lane> lanes;
};

TEST_P(NvmfModel, ReadsBackWhatWasWritten) {
  for (int round = 0; round < 400 && !HasFatalFailure(); ++round) {
    for (std::size_t i = 0; i < lanes.size(); ++i) choose(i);
    serve();
  }
}

INSTANTIATE_TEST_SUITE_P(Setups, NvmfModel,
                         ::testing::Values(Setup{512, false, true}, Setup{4096, false, false},
                                           Setup{512, true, true}, Setup{4096, true, false}));

}  // namespace
}  // namespace netstor::faults
