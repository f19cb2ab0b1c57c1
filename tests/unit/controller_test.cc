// SPDX-License-Identifier: Apache-2.0
//
// A controller's registers, admin commands, events and keep alive.

#include <gtest/gtest.h>

#include "lib/wire/fabrics/discovery.h"
#include "lib/wire/nvme/features.h"
#include "lib/wire/nvme/log.h"
#include "tests/unit/controller_fixture.h"

namespace netstor::nvme::testing {
namespace {

using std::chrono::milliseconds;

constexpr ControllerConfiguration kEnable{.en = true, .iosqes = 6, .iocqes = 4};

Command identify(Cns cns, std::uint32_t nsid = 0) { return make_identify(1, nsid, {.cns = cns}); }
Command log_page(LogId id, std::uint64_t bytes, std::uint64_t offset = 0, bool rae = false) {
  return make_get_log_page(1, kNsidAll,
                           {.id = id, .bytes = bytes, .offset = offset, .retain_async_event = rae});
}
Command set_feature(FeatureId id, std::uint32_t value) {
  return make_set_features(1, 0, {.id = id, .value = value});
}
Command get_feature(FeatureId id, FeatureSelect select = FeatureSelect::current) {
  return make_get_features(1, 0, {.id = id, .select = select});
}
void expect_refused(const Reply& reply, Status status) {
  EXPECT_TRUE(reply.answer.status.is(status)) << to_string(reply.answer.status);
  EXPECT_TRUE(reply.answer.status.dnr());
}

TEST(Controller, AnswersItsProperties) {
  ControllerUnderTest test;
  const Capabilities cap = decode_capabilities(test.run(make_property_get(1, Property::cap)).answer.result);
  EXPECT_EQ(cap.mqes, 1023);
  EXPECT_TRUE(cap.cqr);
  EXPECT_EQ(cap.css, 1);
  EXPECT_EQ(cap.mpsmin, 0);
  const auto vs = static_cast<std::uint32_t>(test.run(make_property_get(1, Property::vs)).answer.result);
  EXPECT_EQ(decode_version(vs), (Version{.major = 1, .minor = 4}));
  EXPECT_FALSE(test.csts().rdy);
}

TEST(Controller, RefusesUnknownPropertiesAndSizes) {
  ControllerUnderTest test;
  expect_refused(test.run(make_property_get(1, static_cast<Property>(0x40))), GenericStatus::invalid_field);
  expect_refused(test.run(make_property_set(1, Property::vs, 1)), GenericStatus::invalid_field);
  Command narrow = make_property_get(1, Property::cap);
  narrow.set<std::uint8_t>(40, 0);
  expect_refused(test.run(narrow), GenericStatus::invalid_field);
}

TEST(Controller, BecomesReadyWhenEnabledAndForgetsWhenReset) {
  ControllerUnderTest test;
  expect_refused(test.run(identify(Cns::identify_controller)), GenericStatus::command_sequence_error);
  EXPECT_EQ(test.configure(kEnable).answer.effect, PropertyEffect::enabled);
  EXPECT_TRUE(test.csts().rdy);
  ASSERT_TRUE(test.run(set_feature(FeatureId::async_event_configuration, 0x100)).answer.status.ok());
  EXPECT_EQ(test.configure({}).answer.effect, PropertyEffect::reset);
  EXPECT_FALSE(test.csts().rdy);
  test.enable();
  EXPECT_EQ(test.run(get_feature(FeatureId::async_event_configuration)).answer.result, 0u);
}

TEST(Controller, FailsWhenEnabledWithWrongEntrySizes) {
  ControllerUnderTest test;
  test.configure({.en = true, .iosqes = 5, .iocqes = 4});
  EXPECT_TRUE(test.csts().cfs);
  EXPECT_FALSE(test.controller.ready());
  test.configure({});
  EXPECT_FALSE(test.csts().cfs);
}

TEST(Controller, ShutsDownWhenTheOwnerSaysSo) {
  ControllerUnderTest test;
  test.enable();
  ControllerConfiguration cc = kEnable;
  cc.shn = ShutdownNotification::normal;
  EXPECT_EQ(test.configure(cc).answer.effect, PropertyEffect::shutdown);
  EXPECT_EQ(test.csts().shst, ShutdownStatus::occurring);
  test.controller.finish_shutdown();
  EXPECT_EQ(test.csts().shst, ShutdownStatus::complete);
  test.configure({});
  test.enable();
  EXPECT_EQ(test.csts().shst, ShutdownStatus::normal_operation);
}

TEST(Controller, IdentifiesItself) {
  ControllerUnderTest test;
  test.subsystem.add(1);
  test.enable();
  const Reply reply = test.run(identify(Cns::identify_controller));
  ASSERT_EQ(reply.data.size(), kIdentifyBytes);
  const IdentifyController id =
      decode_identify_controller(ConstIdentifyData(reply.data.data(), kIdentifyBytes));
  EXPECT_EQ(id.sn.view(), "SERIAL1");
  EXPECT_EQ(id.mdts, 8);
  EXPECT_EQ(id.cntlid, 5);
  EXPECT_EQ(id.subnqn.view(), kSubsystemNqn);
  EXPECT_EQ(id.ioccsz, (64u + 8192u) / 16u);
  EXPECT_EQ(id.nn, 16u);
  EXPECT_EQ(id.maxcmd, 1024);
  EXPECT_EQ(id.kas, 1);
  EXPECT_EQ(id.fuses, fuses::kCompareAndWrite);
  EXPECT_NE(id.sgls & sgls::kTransportDataBlock, 0u);
}

TEST(Controller, IdentifiesNamespaces) {
  ControllerUnderTest test;
  test.subsystem.add(3).read_only = true;
  test.enable();
  const Reply reply = test.run(identify(Cns::identify_namespace, 3));
  const IdentifyNamespace id =
      decode_identify_namespace(ConstIdentifyData(reply.data.data(), kIdentifyBytes));
  EXPECT_EQ(id.nsze, 1000u);
  EXPECT_EQ(id.block_bytes(), 4096u);
  EXPECT_EQ(id.nsattr, 1);
  const Reply hole = test.run(identify(Cns::identify_namespace, 2));
  EXPECT_EQ(decode_identify_namespace(ConstIdentifyData(hole.data.data(), kIdentifyBytes)).nsze, 0u);
  expect_refused(test.run(identify(Cns::identify_namespace, 0)), GenericStatus::invalid_namespace_or_format);
  expect_refused(test.run(identify(Cns::identify_namespace, 17)), GenericStatus::invalid_namespace_or_format);
  expect_refused(test.run(identify(Cns::namespace_id_descriptors, 2)),
                 GenericStatus::invalid_namespace_or_format);
  EXPECT_TRUE(test.run(identify(Cns::csi_namespace, 3)).answer.status.ok());
  EXPECT_TRUE(test.run(identify(Cns::csi_controller)).answer.status.ok());
  EXPECT_TRUE(test.run(identify(Cns::csi_independent_namespace, 3)).answer.status.ok());
  expect_refused(test.run(identify(Cns::endurance_group_list)), GenericStatus::invalid_field);
}

TEST(Controller, ListsNamespacesAboveTheOneAskedFor) {
  ControllerUnderTest test;
  for (const std::uint32_t nsid : {1u, 4u, 9u}) test.subsystem.add(nsid);
  test.enable();
  const Reply reply = test.run(identify(Cns::active_namespace_list, 1));
  const auto list = decode_namespace_list(ConstIdentifyData(reply.data.data(), kIdentifyBytes));
  ASSERT_TRUE(list);
  ASSERT_EQ(list->count, 2u);
  EXPECT_EQ(list->nsids[0], 4u);
  EXPECT_EQ(list->nsids[1], 9u);
  expect_refused(test.run(identify(Cns::active_namespace_list, kNsidAll)),
                 GenericStatus::invalid_namespace_or_format);
}

TEST(Controller, TellsTheIdentifiersOfANamespace) {
  ControllerUnderTest test;
  test.subsystem.add(1);
  test.enable();
  const Reply reply = test.run(identify(Cns::namespace_id_descriptors, 1));
  const auto ids = decode_namespace_ids(ConstIdentifyData(reply.data.data(), kIdentifyBytes));
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->uuid, test.subsystem.namespaces[1].uuid);
  EXPECT_EQ(ids->nguid, test.subsystem.namespaces[1].nguid);
  EXPECT_FALSE(ids->eui64);
  EXPECT_EQ(ids->csi, Csi::nvm);
}

TEST(Controller, GrantsQueuesUpToItsLimit) {
  ControllerUnderTest test;
  test.subsystem.limits_.io_queues_max = 4;
  test.enable();
  const Reply reply = test.run(set_feature(FeatureId::number_of_queues, encode(NumberOfQueues{8, 8})));
  EXPECT_EQ(reply.answer.result, encode(NumberOfQueues{4, 4}));
  expect_refused(test.run(set_feature(FeatureId::number_of_queues, 0xFFFFFFFF)),
                 GenericStatus::invalid_field);
}

TEST(Controller, KeepsFeaturesAndRefusesOthers) {
  ControllerUnderTest test;
  test.enable();
  const std::pair<FeatureId, std::uint32_t> kept[] = {{FeatureId::arbitration, 3},
                                                      {FeatureId::error_recovery, 10},
                                                      {FeatureId::interrupt_coalescing, 0x0102},
                                                      {FeatureId::temperature_threshold, 300},
                                                      {FeatureId::write_atomicity_normal, 1}};
  for (const auto& [id, value] : kept) {
    EXPECT_TRUE(test.run(set_feature(id, value)).answer.status.ok());
    EXPECT_EQ(test.run(get_feature(id)).answer.result, value);
    EXPECT_EQ(test.run(get_feature(id, FeatureSelect::supported_capabilities)).answer.result, 4u);
  }
  expect_refused(test.run(set_feature(FeatureId::timestamp, 0)), GenericStatus::invalid_field);
  expect_refused(test.run(get_feature(FeatureId::sanitize_config)), GenericStatus::invalid_field);
  expect_refused(test.run(make_set_features(1, 0, {.id = FeatureId::arbitration, .save = true})),
                 CommandStatus::feature_not_saveable);
  expect_refused(test.run(set_feature(FeatureId::host_identifier, 1)), GenericStatus::command_sequence_error);
  expect_refused(test.run(set_feature(FeatureId::volatile_write_cache, 1)), GenericStatus::invalid_field);
  test.subsystem.add(1).volatile_cache = true;
  EXPECT_EQ(test.run(get_feature(FeatureId::volatile_write_cache)).answer.result, 1u);
  expect_refused(test.run(set_feature(FeatureId::volatile_write_cache, 0)),
                 CommandStatus::feature_not_changeable);
}

TEST(Controller, ExpiresWithoutKeepAlive) {
  ControllerUnderTest test(false, 500);
  test.enable();
  test.now += milliseconds(400);
  EXPECT_FALSE(test.controller.expired(test.now));
  EXPECT_TRUE(test.run(make_keep_alive(1)).answer.status.ok());
  test.now += milliseconds(499);
  EXPECT_FALSE(test.controller.expired(test.now));
  test.now += milliseconds(1);
  EXPECT_TRUE(test.controller.expired(test.now));
  EXPECT_TRUE(test.run(set_feature(FeatureId::keep_alive_timer, 0)).answer.status.ok());
  EXPECT_EQ(test.controller.keep_alive_deadline(), Time::max());
  EXPECT_TRUE(test.run(set_feature(FeatureId::keep_alive_timer, 1234)).answer.status.ok());
  EXPECT_EQ(test.run(get_feature(FeatureId::keep_alive_timer)).answer.result, 1300u);
}

TEST(Controller, HoldsEventRequestsUpToItsLimit) {
  ControllerUnderTest test;
  test.enable();
  for (std::uint16_t cid = 0; cid < 4; ++cid)
    EXPECT_TRUE(test.run(make_async_event_request(cid)).answer.held);
  expect_refused(test.run(make_async_event_request(9)), CommandStatus::async_event_request_limit_exceeded);
}

TEST(Controller, TellsOfNamespacesOnceUntilTheLogIsRead) {
  ControllerUnderTest test;
  test.subsystem.add(2);
  test.enable();
  test.run(set_feature(FeatureId::async_event_configuration,
                       encode(AsyncEventConfiguration{.namespace_attribute = true})));
  test.run(make_async_event_request(40));
  test.run(make_async_event_request(41));
  EventAnswer event;
  EXPECT_FALSE(test.controller.next_event(event));
  test.controller.namespace_changed(2);
  ASSERT_TRUE(test.controller.next_event(event));
  EXPECT_EQ(event.cid, 40);
  EXPECT_EQ(decode_async_event(event.dw0), notice(AsyncNoticeInfo::namespace_attribute_changed));
  test.controller.namespace_changed(3);
  EXPECT_FALSE(test.controller.next_event(event));

  const auto changed = [&](bool rae) {
    const Reply reply = test.run(log_page(LogId::changed_namespace_list, 4096, 0, rae));
    return decode_changed_namespaces(ConstIdentifyData(reply.data.data(), kIdentifyBytes));
  };
  EXPECT_EQ(changed(true)->list.count, 2u);
  EXPECT_FALSE(test.controller.next_event(event));
  EXPECT_EQ(changed(false)->list.count, 2u);
  EXPECT_EQ(changed(false)->list.count, 0u);
  test.controller.namespace_changed(2);
  EXPECT_TRUE(test.controller.next_event(event));
}

TEST(Controller, KeepsQuietAboutEventsThatNobodyWants) {
  ControllerUnderTest test;
  test.enable();
  test.run(make_async_event_request(1));
  test.controller.namespace_changed(1);
  EventAnswer event;
  EXPECT_FALSE(test.controller.next_event(event));
}

TEST(Controller, AbortsWaitingEventRequestsAndNothingElse) {
  ControllerUnderTest test;
  test.enable();
  test.run(make_async_event_request(7));
  EXPECT_FALSE(
      was_aborted(static_cast<std::uint32_t>(test.run(make_abort(1, {.sqid = 0, .cid = 8})).answer.result)));
  EXPECT_FALSE(
      was_aborted(static_cast<std::uint32_t>(test.run(make_abort(1, {.sqid = 1, .cid = 7})).answer.result)));
  EXPECT_TRUE(
      was_aborted(static_cast<std::uint32_t>(test.run(make_abort(1, {.sqid = 0, .cid = 7})).answer.result)));
  EventAnswer event;
  ASSERT_TRUE(test.controller.next_event(event));
  EXPECT_EQ(event.cid, 7);
  EXPECT_TRUE(event.status.is(GenericStatus::aborted_by_request));
}

TEST(Controller, CutsLogPages) {
  ControllerUnderTest test;
  test.enable();
  EXPECT_EQ(test.run(log_page(LogId::smart_health, 512)).data.size(), 512u);
  const Reply firmware = test.run(log_page(LogId::firmware_slot, 8, 8));
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(firmware.data.data()), 3), "1.0");
  EXPECT_EQ(test.run(log_page(LogId::error_information, 128)).data[100], std::byte{0});
  EXPECT_EQ(test.run(log_page(LogId::commands_supported_and_effects, 4096)).data.size(), 4096u);
  expect_refused(test.run(log_page(LogId::smart_health, 4, 516)), GenericStatus::invalid_field);
  expect_refused(test.run(log_page(LogId::telemetry_host_initiated, 512)), CommandStatus::invalid_log_page);
  expect_refused(test.run(log_page(LogId::discovery, 1024)), CommandStatus::invalid_log_page);
  expect_refused(test.run(log_page(LogId::smart_health, 2 << 20)), GenericStatus::invalid_field);
}

TEST(Controller, AnswersDiscovery) {
  ControllerUnderTest test(true);
  test.subsystem.known_paths = {
      {.nqn = "nqn.2026-01.io.netstor:a", .host = "10.0.0.1", .port = 4420, .port_id = 1},
      {.nqn = std::string(kDiscoveryNqn), .host = "::1", .port = 8009, .ipv6 = true, .discovery = true}};
  test.configure({.en = true});
  const Reply whole = test.run(log_page(LogId::discovery, 3072));
  const auto log = DiscoveryLog::from(whole.data);
  ASSERT_TRUE(log);
  EXPECT_EQ(log->header().genctr, 7u);
  ASSERT_EQ(log->count(), 2u);
  EXPECT_EQ(log->entry(0).traddr.view(), "10.0.0.1");
  EXPECT_EQ(log->entry(0).trsvcid.view(), "4420");
  EXPECT_EQ(log->entry(1).subtype, SubsystemType::current_discovery);
  EXPECT_EQ(test.run(log_page(LogId::discovery, 1024, 1024)).data.size(), 1024u);
  expect_refused(test.run(log_page(LogId::smart_health, 512)), CommandStatus::invalid_log_page);
  expect_refused(test.run(identify(Cns::identify_namespace, 1)), GenericStatus::invalid_field);
  expect_refused(test.run(make_abort(1, {})), GenericStatus::invalid_opcode);
  test.run(make_async_event_request(3));
  test.run(set_feature(FeatureId::async_event_configuration,
                       encode(AsyncEventConfiguration{.discovery_change = true})));
  test.controller.discovery_changed();
  EventAnswer event;
  EXPECT_TRUE(test.controller.next_event(event));
}

TEST(Controller, RefusesWhatItDoesNotKnow) {
  ControllerUnderTest test;
  test.enable();
  expect_refused(test.run(make_command(AdminOpcode::format_nvm, 1, 1)), GenericStatus::invalid_opcode);
  expect_refused(test.run(make_command(AdminOpcode::create_io_sq, 1)), GenericStatus::invalid_opcode);
  expect_refused(test.run(make_disconnect(1)), GenericStatus::invalid_opcode);
  Command prp = identify(Cns::identify_controller);
  prp.set<std::uint8_t>(1, 0);
  expect_refused(test.run(prp), GenericStatus::invalid_field);
}

class ConnectCheck : public ::testing::Test {
 protected:
  ConnectCheck() {
    data.subnqn = NqnField(kSubsystemNqn);
    data.hostnqn = NqnField(kHostNqn);
  }
  void expect_wrong(const ConnectVerdict& verdict, const ConnectRefused& where) {
    EXPECT_TRUE(verdict.status.is(FabricsStatus::connect_invalid_parameters));
    EXPECT_TRUE(verdict.status.dnr());
    EXPECT_EQ(verdict.where, where);
  }
  ControllerUnderTest test;
  Connect connect{.sqsize = 31};
  ConnectData data;
};

TEST_F(ConnectCheck, NamesWhatIsWrongWithAnAdminConnect) {
  EXPECT_TRUE(check_admin_connect(connect, data, &test.subsystem).ok());
  expect_wrong(check_admin_connect(connect, data, nullptr), kRefusedSubnqn);
  connect.sqsize = 0;
  expect_wrong(check_admin_connect(connect, data, &test.subsystem), kRefusedSqsize);
  connect.sqsize = 1024;
  expect_wrong(check_admin_connect(connect, data, &test.subsystem), kRefusedSqsize);
  connect = {.recfmt = 1, .sqsize = 31};
  EXPECT_TRUE(
      check_admin_connect(connect, data, &test.subsystem).status.is(FabricsStatus::incompatible_format));
  connect.recfmt = 0;
  data.cntlid = 1;
  expect_wrong(check_admin_connect(connect, data, &test.subsystem), kRefusedCntlid);
  data.cntlid = kCntlidDynamic;
  data.hostnqn = NqnField("just a host");
  expect_wrong(check_admin_connect(connect, data, &test.subsystem), kRefusedHostnqn);
  data.hostnqn = NqnField(kHostNqn);
  test.subsystem.allowed = "nqn.2026-01.io.netstor:other-host";
  EXPECT_TRUE(
      check_admin_connect(connect, data, &test.subsystem).status.is(FabricsStatus::connect_invalid_host));
}

TEST_F(ConnectCheck, NamesWhatIsWrongWithAnIoConnect) {
  data.cntlid = 5;
  connect.qid = 1;
  EXPECT_TRUE(
      test.controller.check_io_connect(connect, data).status.is(GenericStatus::command_sequence_error));
  test.enable();
  EXPECT_TRUE(test.controller.check_io_connect(connect, data).ok());
  connect.qid = 65;
  expect_wrong(test.controller.check_io_connect(connect, data), kRefusedQid);
  connect.qid = 1;
  data.cntlid = 6;
  expect_wrong(test.controller.check_io_connect(connect, data), kRefusedCntlid);
  data.cntlid = 5;
  data.hostid.fill(std::byte{1});
  expect_wrong(test.controller.check_io_connect(connect, data), kRefusedHostid);
  data.hostnqn = NqnField("nqn.2026-01.io.netstor:other-host");
  expect_wrong(test.controller.check_io_connect(connect, data), kRefusedHostnqn);
}

}  // namespace
}  // namespace netstor::nvme::testing
