// SPDX-License-Identifier: Apache-2.0
//
// Calls that are wrong by themselves, on a remote volume: refused before anything is sent, by an error that
// names the volume, the place and the limit.

#include "tests/faults/host_fault_support.h"

namespace netstor::faults {
namespace {

class HostCallFault : public HostFault {
 protected:
  void SetUp() override {
    open();
    target.on_command([this](Peer& peer, const Command& command) {
      if (peer.io() && !command.is_fabrics()) ++sent;
      return false;
    });
    memory.assign(65536, std::byte{1});
  }
  void expect_refused(const std::function<Future<void>()>& call, ErrorKind kind,
                      std::initializer_list<std::string> words) {
    const auto result = wait(call);
    ASSERT_FALSE(result.ok());
    expect_error(result.error(), kind, Effect::none, words);
    expect_error(result.error(), kind, Effect::none, {target.uri()});
    EXPECT_EQ(sent, 0u) << "it was sent all the same";
  }
  MutableBytes bytes(std::size_t size, std::size_t from = 0) {
    return MutableBytes(memory).subspan(from, size);
  }
  std::atomic<unsigned> sent{0};
};

TEST_F(HostCallFault, OffsetThatIsNotABlocks) {
  expect_refused([&] { return volume.read(100, bytes(4096)); }, ErrorKind::invalid_argument,
                 {"offset 100", "multiples of the block size, 4096"});
  expect_refused([&] { return volume.write(512, bytes(4096)); }, ErrorKind::invalid_argument, {"offset 512"});
  expect_refused([&] { return volume.write_zeroes(1, 4096); }, ErrorKind::unsupported, {"does not offer"});
}

TEST_F(HostCallFault, LengthThatIsNotABlocks) {
  expect_refused([&] { return volume.read(0, bytes(4095)); }, ErrorKind::invalid_argument, {"length 4095"});
  expect_refused([&] { return volume.write(4096, bytes(512)); }, ErrorKind::invalid_argument, {"length 512"});
}

TEST_F(HostCallFault, ScatterListWhoseSumIsNotABlocks) {
  const std::array<MutableBytes, 2> list{bytes(4096), bytes(100, 4096)};
  expect_refused([&] { return volume.read(0, ScatterList(list)); }, ErrorKind::invalid_argument,
                 {"length 4196"});
}

// Memory may lie anywhere, and in pieces of any length: only the volume has blocks.
TEST_F(HostCallFault, UnalignedMemoryIsWell) {
  std::fill_n(target.memory.begin(), 8192, std::byte{0x42});
  ASSERT_TRUE(wait([&] { return volume.read(0, bytes(8192, 3)); }));
  EXPECT_EQ(memory[2], std::byte{1});
  EXPECT_EQ(memory[3], std::byte{0x42});
  EXPECT_EQ(memory[3 + 8191], std::byte{0x42});
  EXPECT_EQ(memory[3 + 8192], std::byte{1});
  const std::array<MutableBytes, 3> list{bytes(1, 20001), bytes(4094, 30001), bytes(1, 40003)};
  ASSERT_TRUE(wait([&] { return volume.read(4096, ScatterList(list)); }));
  EXPECT_EQ(memory[20001], std::byte{0x42});
  EXPECT_EQ(memory[40003], std::byte{0x42});
}

TEST_F(HostCallFault, PastTheEnd) {
  const std::string size = std::to_string(kFakeBytes);
  expect_refused([&] { return volume.read(kFakeBytes, bytes(4096)); }, ErrorKind::out_of_range,
                 {"4096 bytes at " + size, size + " bytes"});
  expect_refused([&] { return volume.write(kFakeBytes - 4096, bytes(8192)); }, ErrorKind::out_of_range,
                 {"8192 bytes at " + std::to_string(kFakeBytes - 4096)});
  expect_refused([&] { return volume.read(~std::uint64_t{0} - 4095, bytes(8192)); }, ErrorKind::out_of_range,
                 {size});
}

TEST_F(HostCallFault, WriteOfAVolumeOpenedForReading) {
  EXPECT_TRUE(volume.close().get());
  VolumeOptions reading = options();
  reading.read_only = true;
  open(reading);
  expect_refused([&] { return volume.write(0, bytes(4096)); }, ErrorKind::permission_denied,
                 {"reading only"});
}

TEST_F(HostCallFault, OptionsBeyondTheirLimits) {
  const auto refused = [&](auto set, const std::string& name) {
    VolumeOptions wrong = options();
    set(wrong);
    const auto opened = try_open(wrong);
    ASSERT_FALSE(opened) << name;
    expect_error(opened.error(), ErrorKind::invalid_argument, Effect::none, {name});
  };
  refused([](VolumeOptions& o) { o.queue_depth = 0; }, "queue_depth");
  refused([](VolumeOptions& o) { o.queue_depth = 1025; }, "queue_depth");
  refused([](VolumeOptions& o) { o.queues = 2; }, "queues");
  refused([](VolumeOptions& o) { o.io_timeout = Duration::zero(); }, "io_timeout");
  refused([](VolumeOptions& o) { o.connect_timeout = Duration(-1); }, "connect_timeout");
  refused([](VolumeOptions& o) { o.keep_alive = Duration(1); }, "keep_alive");
}

TEST_F(HostCallFault, HostNqnThatIsNotOne) {
  // Names like "testnqn" are in use and for the target to judge; these no field can carry.
  for (const std::string& name : {std::string(224, 'n'), std::string("nqn.2026-01.io.netstor:\xFF\xFE"),
                                  std::string("nqn.2026-01.io.netstor:\n")}) {
    VolumeOptions wrong = options();
    wrong.host_nqn = name;
    const unsigned before = target.connections;
    const auto opened = try_open(wrong);
    ASSERT_FALSE(opened) << name;
    expect_error(opened.error(), ErrorKind::invalid_argument, Effect::none, {"host_nqn"});
    EXPECT_EQ(target.connections, before) << "it was sent all the same";
  }
}

TEST_F(HostCallFault, UrisThatNameNothing) {
  for (const char* uri : {"nvme+tcp:///nqn.2026-01.io.netstor:x", "nvme+tcp://127.0.0.1:70000/x",
                          "nvme+tcp://127.0.0.1:1/x?ns=0", "nvme+tcp://127.0.0.1:1/x?ns=4294967295", ""}) {
    const auto opened = Volume::open(*runtime, uri, options()).get();
    ASSERT_FALSE(opened) << uri;
    EXPECT_EQ(opened.error().kind(), ErrorKind::invalid_argument) << opened.error();
  }
}

}  // namespace
}  // namespace netstor::faults
