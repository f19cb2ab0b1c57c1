// SPDX-License-Identifier: Apache-2.0
//
// Hosts that fall silent, and controllers that end.

#include "tests/faults/raw_host.h"

namespace netstor::faults {
namespace {

TEST_F(TargetFault, KeepAliveLostEndsAllQueues) {
  const std::uint16_t number = admin.bring_up_admin(300);
  io.bring_up_io(number);
  EXPECT_FALSE(admin.receive());
  EXPECT_FALSE(io.receive());
}

TEST_F(TargetFault, AdminQueueGoneEndsTheOthers) {
  bring_up();
  admin.close();
  EXPECT_FALSE(io.receive());
}

TEST_F(TargetFault, ControllerResetEndsIoQueues) {
  bring_up();
  EXPECT_TRUE(admin.ask(make_property_set(2, Property::cc, 0)).status.ok());
  EXPECT_FALSE(io.receive());
  EXPECT_TRUE(admin.ask(make_property_get(3, Property::csts)).status.ok());
}

TEST_F(TargetFault, LostIoQueueMayComeBack) {
  bring_up();
  io.close();
  for (int tries = 0; tries < 200; ++tries) {
    RawHost again(server.port);
    again.handshake();
    if (again.connect({.qid = 1, .sqsize = 31}, RawHost::names(cntlid)).status.ok()) return;
    ::usleep(10'000);
  }
  FAIL() << "the queue's number was never free again";
}

TEST(TargetLife, ClosesConnectionsThatNeverConnect) {
  TargetInProcess server({.connect_timeout = std::chrono::milliseconds(50)});
  RawHost silent(server.port);
  EXPECT_FALSE(silent.receive());
  RawHost talker(server.port);
  talker.handshake();
  EXPECT_FALSE(talker.receive());
}

TEST(TargetLife, RefusesConnectionsBeyondItsLimit) {
  TargetInProcess server({.connections_max = 1}, 1);
  RawHost first(server.port);
  first.handshake();
  RawHost second(server.port);
  EXPECT_FALSE(second.receive());
}

TEST(TargetLife, TellsHostsOfNamespaces) {
  TargetInProcess server;
  RawHost admin(server.port);
  admin.bring_up_admin();
  ASSERT_TRUE(admin.ask(make_set_features(3, 0, {.id = FeatureId::async_event_configuration, .value = 0x100}))
                  .status.ok());
  admin.send(admin.capsule(make_async_event_request(9)));
  auto more = store::make_memory_volume({.name = "w", .nqn = "", .uuid = {1}, .nguid = {1}, .serial = "W"},
                                        1 << 20, 4096)
                  .value();
  EXPECT_EQ(server.target->add_namespace(std::string(kNqn), 0, *more).get().value(), 2u);
  const auto event = admin.receive();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->completion().cid, 9);
  EXPECT_TRUE(event->completion().status.ok());
  admin.send(
      admin.capsule(make_identify(4, 2, {.cns = Cns::identify_namespace}, transport_data_block(4096))));
  const auto data = admin.receive();
  ASSERT_TRUE(data && data->type() == tcp::PduType::c2h_data);
  EXPECT_EQ(decode_identify_namespace(ConstIdentifyData(data->data().data(), kIdentifyBytes)).nsze, 256u);
  ASSERT_TRUE(admin.receive());
  EXPECT_TRUE(server.target->remove_namespace(std::string(kNqn), 2).get());
  EXPECT_FALSE(server.target->remove_namespace(std::string(kNqn), 2).get());
}

class TargetVolumeFault : public TargetFault {
 protected:
  void TearDown() override {
    if (!server.target->add_namespace(std::string(kNqn), 1, *server.volume).get()) ADD_FAILURE();
    TargetFault::TearDown();
  }
};

// Neither who owes data nor who reads no answers holds up whoever removes the volume.
TEST_F(TargetVolumeFault, VolumeThatIsRemovedWhileItsDataIsAwaited) {
  bring_up();
  io.send(io.capsule(write_of(6, 8, 4)));
  const auto asked = io.receive();
  ASSERT_TRUE(asked && asked->type() == tcp::PduType::r2t);
  EXPECT_TRUE(server.target->remove_namespace(std::string(kNqn), 1).get());
  EXPECT_FALSE(io.receive());
  EXPECT_TRUE(admin.ask(make_property_get(3, Property::csts)).status.ok()) << "the controller lives on";
}

TEST_F(TargetVolumeFault, VolumeThatIsRemovedWhileItsAnswersAreNotRead) {
  bring_up();
  for (std::uint16_t cid = 0; cid < 30; ++cid)
    io.send(io.capsule(make_read(cid, 1, {.blocks = 256}, transport_data_block(256 * kBlockBytes))));
  ASSERT_TRUE(io.receive());
  EXPECT_TRUE(server.target->remove_namespace(std::string(kNqn), 1).get());
}

TEST_F(TargetVolumeFault, VolumeThatIsRemovedUnderManyWrites) {
  bring_up();
  std::vector<std::byte> many;
  const std::vector<std::byte> block(kBlockBytes, std::byte{1});
  for (std::uint16_t cid = 0; cid < 30; ++cid) {
    const auto one = io.capsule(make_write(cid, 1, {.slba = cid}, in_capsule_data(0, kBlockBytes)), block);
    many.insert(many.end(), one.begin(), one.end());
  }
  io.send(many);
  EXPECT_TRUE(server.target->remove_namespace(std::string(kNqn), 1).get());
  for (int i = 0; i < 30; ++i) {
    const auto reply = io.receive();
    ASSERT_TRUE(reply && reply->type() == tcp::PduType::capsule_resp);
    const Status status = reply->completion().status;
    EXPECT_TRUE(status.ok() || status.is(GenericStatus::invalid_namespace_or_format)) << to_string(status);
  }
}

// Its answers fill the socket and then wait; others have memory all the same.
TEST_F(TargetFault, HostThatReadsNoAnswers) {
  bring_up();
  for (std::uint16_t cid = 0; cid < 30; ++cid)
    io.send(io.capsule(make_read(cid, 1, {.blocks = 256}, transport_data_block(256 * kBlockBytes))));
  expect_service();
}

TEST(TargetLife, EndsTheHostsOfARemovedSubsystem) {
  TargetInProcess server;
  RawHost admin(server.port);
  RawHost io(server.port);
  io.bring_up_io(admin.bring_up_admin());
  ASSERT_TRUE(server.target->remove_subsystem(std::string(kNqn)).get());
  EXPECT_FALSE(admin.receive());
  EXPECT_FALSE(io.receive());
  RawHost again(server.port);
  again.handshake();
  EXPECT_FALSE(again.connect({.sqsize = 31}, RawHost::names()).status.ok());
}

// The host on the one shard owes data, and holds up its shard; the one on the other shard is idle.
TEST(TargetLife, StopsAllShardsAtOnce) {
  TargetInProcess server;
  RawHost admin(server.port);
  RawHost io(server.port);
  io.bring_up_io(admin.bring_up_admin());
  io.send(io.capsule(make_write(6, 1, {.slba = 8, .blocks = 4}, transport_data_block(4 * kBlockBytes))));
  const auto asked = io.receive();
  ASSERT_TRUE(asked && asked->type() == tcp::PduType::r2t);
  auto stopped = server.target->stop(std::chrono::hours(1));
  EXPECT_TRUE(admin.ended()) << "the other shard serves on";
  io.close();
  EXPECT_TRUE(stopped.get());
}

}  // namespace
}  // namespace netstor::faults
