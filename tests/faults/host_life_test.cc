// SPDX-License-Identifier: Apache-2.0
//
// Targets that die, fall silent or refuse in the middle of the work.

#include <future>

#include "tests/faults/host_fault_support.h"

namespace netstor::faults {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class HostLifeFault : public HostFault {
 protected:
  void on_io(std::function<void(Peer&, const Command&)> act) {
    target.on_command([act = std::move(act)](Peer& peer, const Command& command) {
      if (!peer.io() || command.is_fabrics()) return false;
      act(peer, command);
      return true;
    });
  }
  void refuse_io(Status status) {
    on_io([status](Peer& peer, const Command& command) { peer.answer(command, status); });
  }
  /// From the first I/O on, which is not answered either.
  void on_keep_alive(std::function<void(Peer&, const Command&)> act) {
    target.on_command([act = std::move(act), begun = false](Peer& peer, const Command& command) mutable {
      if (command.is_fabrics()) return false;
      if (peer.io()) return begun = true;
      if (!begun || command.admin_opcode() != AdminOpcode::keep_alive) return false;
      act(peer, command);
      return true;
    });
  }
};

TEST_F(HostLifeFault, DiesBeforeItAsksForTheData) {
  open();
  on_io([](Peer& peer, const Command&) { peer.close(); });
  expect_failed(write(65536), "write", ErrorKind::disconnected, Effect::unknown, "closed by the other end");
}

TEST_F(HostLifeFault, DiesMidWrite) {
  open();
  target.on_data([](Peer& peer, const tcp::DataPdu&) {
    peer.close();
    return true;
  });
  const auto result = write(131072);
  expect_failed(result, "write", ErrorKind::disconnected, Effect::unknown, "");
  EXPECT_NE(result.error().to_string().find("it may have happened"), std::string::npos);
  target.on_data({});
  expect_service();
}

TEST_F(HostLifeFault, DiesMidWriteThatMayBeRepeated) {
  VolumeOptions patient = options();
  patient.path_loss_timeout = seconds(20);
  open(patient);
  target.on_data([spent = false](Peer& peer, const tcp::DataPdu&) mutable {
    if (std::exchange(spent, true)) return false;
    peer.close();
    return true;
  });
  const auto result = write(131072, {.idempotent = true});
  ASSERT_TRUE(result) << result.error();
  const ByteVector expected = memory;
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), target.memory.begin() + kOffset));
  EXPECT_EQ(runtime->metrics().replays, 1u);
}

TEST_F(HostLifeFault, DiesMidRead) {
  open();
  on_io([](Peer& peer, const Command& command) {
    Answers answers = peer.answers().data(command.cid(), 0, ByteVector(65536), true, true);
    answers.bytes.resize(10000);
    peer.send(answers);
    peer.close();
  });
  expect_failed(read(65536), "read", ErrorKind::disconnected, Effect::none, "closed by the other end");
}

TEST_F(HostLifeFault, AnswersNothing) {
  VolumeOptions hasty = options();
  hasty.io_timeout = milliseconds(100);
  open(hasty);
  on_io([](Peer&, const Command&) {});
  const auto before = std::chrono::steady_clock::now();
  expect_failed(write(), "write", ErrorKind::disconnected, Effect::unknown, "did not answer in time");
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(10));
  expect_failed(read(), "read", ErrorKind::disconnected, Effect::none, "");
  target.on_command({});
  expect_service();
}

TEST_F(HostLifeFault, TakesTheDataAndAnswersNothing) {
  VolumeOptions hasty = options();
  hasty.io_timeout = milliseconds(100);
  open(hasty);
  target.on_data([](Peer&, const tcp::DataPdu&) { return true; });
  expect_failed(write(65536), "write", ErrorKind::disconnected, Effect::unknown, "did not answer in time");
}

TEST_F(HostLifeFault, CancelledWhileNothingIsAnswered) {
  open();
  std::promise<void> seen;
  on_io([&](Peer&, const Command&) { seen.set_value(); });
  memory.assign(kBytes, std::byte{1});
  Future<void> write = volume.write(kOffset, Bytes(memory));
  seen.get_future().wait();
  write.cancel();
  const auto result = write.get();
  ASSERT_FALSE(result.ok());
  expect_error(result.error(), ErrorKind::cancelled, Effect::unknown, {"write of 4096 bytes at 8192"});
}

TEST_F(HostLifeFault, ClosedWhileNothingIsAnswered) {
  open();
  std::promise<void> seen;
  on_io([&](Peer&, const Command&) { seen.set_value(); });
  memory.assign(kBytes, std::byte{1});
  Future<void> write = volume.write(kOffset, Bytes(memory));
  seen.get_future().wait();
  EXPECT_TRUE(volume.close().get());
  const auto result = write.get();
  ASSERT_FALSE(result.ok());
  expect_error(result.error(), ErrorKind::cancelled, Effect::unknown, {"write of 4096 bytes at 8192"});
}

TEST_F(HostLifeFault, KeepAliveUnanswered) {
  VolumeOptions with = options();
  with.keep_alive = seconds(1);
  on_keep_alive([](Peer&, const Command&) {});
  open(with);
  // Nobody asked for less than 20 s for the write: what ends it is the keep-alive.
  const auto before = std::chrono::steady_clock::now();
  expect_failed(write(), "write", ErrorKind::disconnected, Effect::unknown, "did not answer in time");
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(15));
}

TEST_F(HostLifeFault, KeepAliveRefused) {
  VolumeOptions with = options();
  with.keep_alive = seconds(1);
  on_keep_alive([](Peer& peer, const Command& command) {
    peer.answer(command, Status(GenericStatus::keep_alive_timeout_expired).with_dnr());
  });
  open(with);
  expect_failed(write(), "write", ErrorKind::disconnected, Effect::unknown, "keep alive timeout expired");
}

TEST_F(HostLifeFault, AdminQueueLost) {
  VolumeOptions with = options();
  with.keep_alive = seconds(1);
  on_keep_alive([](Peer& peer, const Command&) { peer.close(); });
  open(with);
  expect_failed(write(), "write", ErrorKind::disconnected, Effect::unknown, "closed by the other end");
}

TEST_F(HostLifeFault, NamespaceThatVanishes) {
  open();
  refuse_io(Status(GenericStatus::invalid_namespace_or_format).with_dnr());
  expect_failed(read(), "read", ErrorKind::not_found, Effect::none, "invalid namespace or format");
  expect_failed(write(), "write", ErrorKind::not_found, Effect::none, "invalid namespace or format");
}

TEST_F(HostLifeFault, PathThatTheTargetSaysIsNone) {
  target.on_command([refused = false](Peer& peer, const Command& command) mutable {
    if (!peer.io() || command.is_fabrics() || std::exchange(refused, true)) return false;
    peer.answer(command, PathStatus::internal_path_error);
    return true;
  });
  VolumeOptions patient = options();
  patient.path_loss_timeout = seconds(60);
  open(patient);
  // Brought up again, and asked again.
  const Result<void> done = read();
  EXPECT_TRUE(done) << done.error();
  EXPECT_EQ(runtime->metrics().reconnects, 1u);
}

TEST_F(HostLifeFault, PathThatTheTargetSaysIsNoneForAWrite) {
  open();
  refuse_io(PathStatus::internal_path_error);
  expect_failed(write(), "write", ErrorKind::disconnected, Effect::unknown, "internal path error");
}

TEST_F(HostLifeFault, NamespaceThatIsGoneAfterAnEvent) {
  target.controller.oaes = oaes::kNamespaceAttribute;
  struct {
    const Peer* peer = nullptr;
    Command request;
  } listening;
  target.on_command([&](Peer& peer, const Command& command) {
    if (command.is_fabrics()) return false;
    if (peer.io()) {
      // In the place of the answer to an I/O comes the news.
      target.active.clear();
      const AsyncEvent changed{
          .type = AsyncEventType::notice,
          .info = static_cast<std::uint8_t>(AsyncNoticeInfo::namespace_attribute_changed),
          .log = LogId::changed_namespace_list};
      listening.peer->answer(listening.request, {}, encode(changed));
      return true;
    }
    const bool event = command.admin_opcode() == AdminOpcode::async_event_request;
    if (event) listening = {.peer = &peer, .request = command};
    return event;
  });
  open();
  expect_failed(write(), "write", ErrorKind::disconnected, Effect::unknown, "does not have it any more");
}

TEST_F(HostLifeFault, StoreThatIsFull) {
  open();
  refuse_io(GenericStatus::capacity_exceeded);
  expect_failed(write(), "write", ErrorKind::no_space, Effect::unknown, "capacity exceeded");
}

TEST_F(HostLifeFault, MediumThatFails) {
  open();
  refuse_io(MediaStatus::write_fault);
  expect_failed(write(), "write", ErrorKind::device_error, Effect::unknown, "write fault");
  refuse_io(MediaStatus::unrecovered_read_error);
  expect_failed(read(), "read", ErrorKind::data_corrupt, Effect::none, "unrecovered read error");
}

TEST_F(HostLifeFault, WriteProtection) {
  open();
  refuse_io(Status(GenericStatus::namespace_write_protected).with_dnr());
  expect_failed(write(), "write", ErrorKind::permission_denied, Effect::none, "write protected");
}

TEST_F(HostLifeFault, RuntimeThatEndsWhileNothingIsAnswered) {
  open();
  std::promise<void> seen;
  on_io([&](Peer&, const Command&) { seen.set_value(); });
  memory.assign(kBytes, std::byte{1});
  Future<void> write = volume.write(kOffset, Bytes(memory));
  seen.get_future().wait();
  runtime.reset();
  const auto result = write.get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind(), ErrorKind::cancelled) << result.error();
  volume = {};
}

TEST_F(HostLifeFault, RuntimeThatEndsWhileThePathIsLost) {
  VolumeOptions patient = options();
  patient.path_loss_timeout = seconds(20);
  open(patient);
  std::promise<void> comes_back;
  on_io([](Peer& peer, const Command&) { peer.close(); });
  target.on_hello([&, first = true](Peer&, const tcp::IcReq&) mutable {
    if (std::exchange(first, false)) comes_back.set_value();
    return true;
  });
  memory.assign(2 * kBytes, std::byte{1});
  const auto half = [&](std::size_t at) { return MutableBytes(memory).subspan(at * kBytes, kBytes); };
  Future<void> replayed = volume.read(kOffset, half(0));
  comes_back.get_future().wait();
  Future<void> never_sent = volume.read(kOffset, half(1));
  Future<void> limited = runtime->shard(0).run_on(
      [&] { return with_deadline(volume.write(kOffset, Bytes(half(1))), seconds(20)); });
  runtime->metrics();  // asks the shard, and so comes behind them
  runtime.reset();
  EXPECT_EQ(replayed.get().error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(never_sent.get().error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(limited.get().error().kind(), ErrorKind::timed_out);
  volume = {};
}

}  // namespace
}  // namespace netstor::faults
