// SPDX-License-Identifier: Apache-2.0
//
// Targets that are wrong, silent or gone while a volume is opened: the handshake, Connect, what they say of
// themselves.

#include <future>

#include "lib/wire/fabrics/auth_secret.h"
#include "tests/faults/host_fault_support.h"

namespace netstor::faults {
namespace {

using std::chrono::milliseconds;

// ---- The handshake.

struct Hello {
  const char* name;
  ByteVector (*bytes)();
  const char* why;
};

ByteVector ic_resp(const tcp::IcResp& response) { return Answers().ic_resp(response).bytes; }

const Hello kHellos[] = {
    {"UnknownVersion", [] { return ic_resp({.pfv = 1, .maxh2cdata = 65536}); }, "at byte 8"},
    {"AlignmentBeyondTheLimit", [] { return ic_resp({.cpda = 32, .maxh2cdata = 65536}); }, "at byte 10"},
    {"DigestThatNobodyAskedFor", [] { return ic_resp({.header_digest = true, .maxh2cdata = 65536}); },
     "at byte 11"},
    {"NoDataAtAll", [] { return ic_resp({.maxh2cdata = 0}); }, "at byte 12"},
    {"DataOfOddLength", [] { return ic_resp({.maxh2cdata = 4097}); }, "at byte 12"},
    {"AnswerBeforeTheHandshake", [] { return Answers().response(0).bytes; }, "PDU sequence error"},
    {"NoNvmeAtAll",
     [] {
       const std::string_view text = "HTTP/1.1 400 Bad Request\r\n\r\n";
       const auto bytes = std::as_bytes(std::span(text));
       return ByteVector(bytes.begin(), bytes.end());
     },
     "at byte 0"},
};

class HostHelloFault : public HostFault, public ::testing::WithParamInterface<Hello> {};

TEST_P(HostHelloFault, IsRefused) {
  target.on_hello([](Peer& peer, const tcp::IcReq&) {
    peer.send(GetParam().bytes());
    return true;
  });
  const auto opened = try_open();
  expect_not_open(opened, ErrorKind::protocol, "the other end broke the protocol");
  expect_not_open(opened, ErrorKind::protocol, GetParam().why);
  target.on_hello({});
  open();
  EXPECT_TRUE(read().ok());
}
INSTANTIATE_TEST_SUITE_P(Handshake, HostHelloFault, ::testing::ValuesIn(kHellos),
                         [](const auto& each) { return std::string(each.param.name); });

// ---- Connect.

struct Refusal {
  const char* name;
  Status status;
  std::uint32_t dw0;
  ErrorKind kind;
  const char* advice;
};

const Refusal kRefusals[] = {
    {"InvalidHost", FabricsStatus::connect_invalid_host, 0, ErrorKind::permission_denied,
     "VolumeOptions::host_nqn"},
    {"NoSuchSubsystem", FabricsStatus::connect_invalid_parameters, encode(kRefusedSubnqn),
     ErrorKind::not_found, "discovery"},
    {"HostNqnThatIsNotOne", FabricsStatus::connect_invalid_parameters, encode(kRefusedHostnqn),
     ErrorKind::invalid_argument, "VolumeOptions::host_nqn"},
    {"QueueSize", FabricsStatus::connect_invalid_parameters, encode(kRefusedSqsize),
     ErrorKind::invalid_argument, "lower VolumeOptions::queue_depth"},
    {"KeepAlive", FabricsStatus::connect_invalid_parameters, encode(kRefusedKato),
     ErrorKind::invalid_argument, "VolumeOptions::keep_alive"},
    {"ControllerThatIsGone", FabricsStatus::connect_invalid_parameters, encode(kRefusedCntlid),
     ErrorKind::not_found, "open the volume again"},
    {"ParameterThatDoesNotExist", FabricsStatus::connect_invalid_parameters, 0x1FFFF, ErrorKind::not_found,
     "NVMe status 182h"},
    {"Busy", FabricsStatus::controller_busy, 0, ErrorKind::exhausted, "try again later"},
    {"Authentication", FabricsStatus::authentication_required, 0, ErrorKind::permission_denied,
     "authenticate"},
    {"IncompatibleFormat", FabricsStatus::incompatible_format, 0, ErrorKind::unsupported, "NVMe status 180h"},
    {"StatusThatDoesNotExist", Status(StatusType::vendor_specific, 0xEE), 0, ErrorKind::device_error,
     "NVMe status 7EEh"},
};

class HostConnectFault : public HostFault, public ::testing::WithParamInterface<Refusal> {
 protected:
  void refuse(bool of_io_queue) {
    target.on_command([of_io_queue](Peer& peer, const Command& command) {
      const bool connect = command.is_fabrics() && command.fabrics_type() == FabricsType::connect;
      if (!connect || (decode_connect(command).qid != 0) != of_io_queue) return false;
      peer.answer(command, GetParam().status.with_dnr(), GetParam().dw0);
      return true;
    });
  }
};

TEST_P(HostConnectFault, OfTheAdminQueueSaysWhatToDo) {
  refuse(false);
  expect_not_open(try_open(), GetParam().kind, GetParam().advice);
}
TEST_P(HostConnectFault, OfAnIoQueueSaysWhatToDo) {
  refuse(true);
  expect_not_open(try_open(), GetParam().kind, GetParam().advice);
  target.on_command({});
  open();
  EXPECT_TRUE(read().ok());
}
INSTANTIATE_TEST_SUITE_P(Connect, HostConnectFault, ::testing::ValuesIn(kRefusals),
                         [](const auto& each) { return std::string(each.param.name); });

class HostOpenFault : public HostFault {
 protected:
  /// Does `act` in the place of the answer to the first command that `is_it`.
  void instead(std::function<bool(const Peer&, const Command&)> is_it,
               std::function<void(Peer&, const Command&)> act) {
    target.on_command([is_it = std::move(is_it), act = std::move(act)](Peer& peer, const Command& command) {
      if (!is_it(peer, command)) return false;
      act(peer, command);
      return true;
    });
  }
  static auto fabrics(FabricsType type, bool io = false) {
    return [type, io](const Peer&, const Command& command) {
      return command.is_fabrics() && command.fabrics_type() == type &&
             (type != FabricsType::connect || (decode_connect(command).qid != 0) == io);
    };
  }
  static auto identify(Cns cns) {
    return [cns](const Peer& peer, const Command& command) {
      return !peer.io() && !command.is_fabrics() && command.admin_opcode() == AdminOpcode::identify &&
             decode_identify(command).cns == cns;
    };
  }
  static void silence(Peer&, const Command&) {}
  static void gone(Peer& peer, const Command&) { peer.close(); }
  void expect_timeout() {
    VolumeOptions hasty = options();
    hasty.connect_timeout = milliseconds(100);
    expect_not_open(try_open(hasty), ErrorKind::timed_out, "timed out");
  }
};

TEST_F(HostOpenFault, ConnectThatWantsAuthentication) {
  instead(fabrics(FabricsType::connect), [](Peer& peer, const Command& command) {
    peer.answer(command, {},
                encode(ConnectAccepted{.cntlid = 1, .authentication_transaction_required = true}));
  });
  expect_not_open(try_open(), ErrorKind::permission_denied, "host_secret is empty");
}
TEST_F(HostOpenFault, GoneInsteadOfAVerdictOnTheHost) {
  target.on_command([](Peer& peer, const Command& command) {
    if (!command.is_fabrics()) return false;
    switch (command.fabrics_type()) {
      case FabricsType::connect:
        peer.answer(command, {},
                    encode(ConnectAccepted{.cntlid = 1, .authentication_transaction_required = true}));
        return true;
      case FabricsType::authentication_send:
        peer.answer(command);
        return true;
      case FabricsType::authentication_receive:
        peer.close();
        return true;
      default:
        return false;
    }
  });
  VolumeOptions known = options();
  AuthSecret secret;
  secret.size = 32;
  known.host_secret = format_auth_secret(secret);
  expect_not_open(try_open(known), ErrorKind::disconnected, "no verdict on host");
}
TEST_F(HostOpenFault, QueueOfAnotherController) {
  instead(fabrics(FabricsType::connect, true), [](Peer& peer, const Command& command) {
    peer.answer(command, {}, encode(ConnectAccepted{.cntlid = 9}));
  });
  expect_not_open(try_open(), ErrorKind::protocol, "another controller");
}
TEST_F(HostOpenFault, QueueHeadBeyondTheQueue) {
  instead(fabrics(FabricsType::connect), [](Peer& peer, const Command& command) {
    peer.send(peer.answers().response(command.cid(), {}, 1, 5000));
  });
  expect_not_open(try_open(), ErrorKind::protocol, "queue head");
}
TEST_F(HostOpenFault, FatalStatus) {
  instead(
      [](const Peer&, const Command& command) {
        PropertyAccess access;
        return command.is_fabrics() && command.fabrics_type() == FabricsType::property_get &&
               decode_property_access(command, access) && access.property == Property::csts;
      },
      [](Peer& peer, const Command& command) {
        peer.answer(command, {}, encode(ControllerStatus{.cfs = true}));
      });
  expect_not_open(try_open(), ErrorKind::device_error, "fatal");
}
TEST_F(HostOpenFault, NeverReady) {
  target.cap.to = 0;
  instead(
      [](const Peer&, const Command& command) {
        PropertyAccess access;
        return command.is_fabrics() && command.fabrics_type() == FabricsType::property_get &&
               decode_property_access(command, access) && access.property == Property::csts;
      },
      [](Peer& peer, const Command& command) { peer.answer(command, {}, encode(ControllerStatus{})); });
  expect_not_open(try_open(), ErrorKind::timed_out, "ready");
}

// ---- Silence, and ends, at each step.

TEST_F(HostOpenFault, SilentBeforeTheHandshake) {
  target.on_hello([](Peer&, const tcp::IcReq&) { return true; });
  expect_timeout();
}
TEST_F(HostOpenFault, SilentAtConnect) {
  instead(fabrics(FabricsType::connect), silence);
  expect_timeout();
}
TEST_F(HostOpenFault, SilentAtAProperty) {
  instead(fabrics(FabricsType::property_get), silence);
  expect_timeout();
}
TEST_F(HostOpenFault, SilentAtIdentify) {
  instead(identify(Cns::identify_namespace), silence);
  expect_timeout();
}
TEST_F(HostOpenFault, SilentAtTheQueuesConnect) {
  instead(fabrics(FabricsType::connect, true), silence);
  expect_timeout();
}
TEST_F(HostOpenFault, ClosesInTheHandshake) {
  target.on_hello([](Peer& peer, const tcp::IcReq&) {
    peer.close();
    return true;
  });
  expect_not_open(try_open(), ErrorKind::disconnected, "127.0.0.1");
}
TEST_F(HostOpenFault, ClosesDuringConnect) {
  instead(fabrics(FabricsType::connect), gone);
  expect_not_open(try_open(), ErrorKind::disconnected, "Connect of 127.0.0.1");
}
TEST_F(HostOpenFault, ClosesDuringIdentify) {
  instead(identify(Cns::identify_controller), gone);
  expect_not_open(try_open(), ErrorKind::disconnected, "Identify of 127.0.0.1");
}
TEST_F(HostOpenFault, ClosesDuringTheQueuesConnect) {
  instead(fabrics(FabricsType::connect, true), gone);
  expect_not_open(try_open(), ErrorKind::disconnected, "Connect of 127.0.0.1");
}
TEST_F(HostOpenFault, AdminQueueClosesDuringTheQueuesConnect) {
  target.on_command([admin = static_cast<Peer*>(nullptr)](Peer& peer, const Command& command) mutable {
    if (!command.is_fabrics() || command.fabrics_type() != FabricsType::connect) return false;
    if (decode_connect(command).qid == 0) {
      admin = &peer;
      return false;
    }
    admin->close();
    return false;
  });
  // The queue may be up before the other connection's end is seen: then the volume is open, and lost.
  auto opened = try_open();
  if (opened) {
    volume = *std::move(opened);
  } else {
    expect_not_open(opened, ErrorKind::disconnected, "lost");
  }
}
TEST_F(HostOpenFault, NoQueueAfterTheOneThatWasRefused) {
  std::atomic<unsigned> last{0};
  target.on_command([&](Peer& peer, const Command& command) {
    if (!command.is_fabrics() || command.fabrics_type() != FabricsType::connect) return false;
    last = decode_connect(command).qid;
    if (last < 2) return false;
    peer.answer(command, GenericStatus::internal_error);
    return true;
  });
  runtime.emplace(*Runtime::start({.shards = 3}));
  EXPECT_FALSE(try_open());
  EXPECT_EQ(last, 2u);
}
TEST_F(HostOpenFault, FirstQueueIsLostWhileTheSecondConnects) {
  Peer* first = nullptr;
  std::promise<std::function<void()>> asked;
  target.on_command([&, held = false](Peer& peer, const Command& command) mutable {
    if (!command.is_fabrics() || command.fabrics_type() != FabricsType::connect || held) return false;
    const std::uint16_t qid = decode_connect(command).qid;
    if (qid == 1) first = &peer;
    if (qid != 2) return false;
    held = true;
    first->close();
    peer.qid = qid;
    asked.set_value([&peer, command] { peer.answer(command, {}, encode(ConnectAccepted{.cntlid = 1})); });
    return true;
  });
  runtime.emplace(*Runtime::start({.shards = 2}));
  VolumeOptions patient = options();
  patient.path_loss_timeout = std::chrono::seconds(20);
  target.settle();
  auto opening = Volume::open(*runtime, target.uri(), patient);
  const auto answer = asked.get_future().get();
  // Time for a host that would begin anew beside the open that is still under way.
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_EQ(target.connections, 3u);
  target.settle();
  answer();
  auto opened = opening.get();
  ASSERT_TRUE(opened) << opened.error();
  volume = *std::move(opened);
  expect_service();
}
TEST_F(HostOpenFault, NobodyListens) {
  const auto opened = [&] {
    std::string nobody;
    {
      FakeTarget short_lived;
      nobody = short_lived.uri();
    }
    return Volume::open(*runtime, nobody, options()).get();
  }();
  ASSERT_FALSE(opened);
  expect_error(opened.error(), ErrorKind::disconnected, Effect::none,
               {"connect to 127.0.0.1 port", "refused"});
}

// ---- Opens that nobody waits for any more: each would else take the 20 s of connect_timeout.

class HostOpenCancelled : public HostOpenFault {
 protected:
  void TearDown() override {
    HostOpenFault::TearDown();
    target.settle();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  }
  /// The target has begun not to answer.
  void silent() {
    reached = true;
    reached.notify_all();
  }
  void silent_at(std::function<bool(const Peer&, const Command&)> is_it) {
    instead(std::move(is_it), [this](Peer&, const Command&) { silent(); });
  }
  Future<Volume> opening() {
    target.settle();
    auto begun_to = Volume::open(*runtime, target.uri(), options());
    reached.wait(false);
    return begun_to;
  }
  void expect_cancelled(Future<Volume> future, const std::string& why = "") {
    const auto result = future.get();
    expect_not_open(result, ErrorKind::cancelled, why);
  }
  void expect_cancel_and_stop() {
    auto first = opening();
    first.cancel();
    expect_cancelled(std::move(first));
    reached = false;
    auto second = opening();
    runtime.reset();
    expect_cancelled(std::move(second), "the runtime is ending");
  }
  const std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  std::atomic<bool> reached{false};
};

TEST_F(HostOpenCancelled, BeforeTheHandshake) {
  target.on_hello([this](Peer&, const tcp::IcReq&) {
    silent();
    return true;
  });
  expect_cancel_and_stop();
}
TEST_F(HostOpenCancelled, AtConnect) {
  silent_at(fabrics(FabricsType::connect));
  expect_cancel_and_stop();
}
TEST_F(HostOpenCancelled, AtIdentify) {
  silent_at(identify(Cns::identify_namespace));
  expect_cancel_and_stop();
}
TEST_F(HostOpenCancelled, AtTheQueuesConnect) {
  silent_at(fabrics(FabricsType::connect, true));
  expect_cancel_and_stop();
}
TEST_F(HostOpenCancelled, AtTheSecondShardsConnect) {
  silent_at([](const Peer&, const Command& command) {
    return command.is_fabrics() && command.fabrics_type() == FabricsType::connect &&
           decode_connect(command).qid == 2;
  });
  runtime.emplace(*Runtime::start({.shards = 2}));
  expect_cancel_and_stop();
}
TEST_F(HostOpenCancelled, ByItsDeadline) {
  silent_at(identify(Cns::identify_controller));
  target.settle();
  const auto opened =
      runtime->shard(0)
          .run_on([&] {
            return with_deadline(Volume::open(*runtime, target.uri(), options()), milliseconds(50));
          })
          .get();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::timed_out) << opened.error();
}
TEST_F(HostOpenCancelled, OfAVolumeThatIsClosedWhileItComesBack) {
  VolumeOptions patient = options();
  patient.path_loss_timeout = std::chrono::seconds(20);
  open(patient);
  target.on_command([this](Peer& peer, const Command& command) {
    if (peer.io() && !command.is_fabrics()) peer.close();
    if (fabrics(FabricsType::connect)(peer, command)) silent();
    return true;
  });
  auto reading = std::async(std::launch::async, [&] { return read(); });
  reached.wait(false);
  EXPECT_TRUE(volume.close().get().ok());
  EXPECT_FALSE(reading.get().ok());
}
TEST_F(HostOpenCancelled, OfADiscovery) {
  silent_at(fabrics(FabricsType::connect));
  for (const bool at_end : {false, true}) {
    reached = false;
    target.settle();
    auto asking = discover(*runtime, target.uri(), options());
    reached.wait(false);
    if (at_end) {
      runtime.reset();
    } else {
      asking.cancel();
    }
    const auto found = asking.get();
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind(), ErrorKind::cancelled) << found.error();
  }
}

// ---- What it says of itself.

TEST_F(HostOpenFault, BlocksOfOneByte) {
  target.space.lbaf[0].lbads = 0;
  expect_not_open(try_open(), ErrorKind::unsupported, "block size");
}
TEST_F(HostOpenFault, BlocksOf2To64Bytes) {
  target.space.lbaf[0].lbads = 64;
  expect_not_open(try_open(), ErrorKind::unsupported, "block size");
}
TEST_F(HostOpenFault, BlocksOf1GiB) {
  target.space.lbaf[0].lbads = 30;
  expect_not_open(try_open(), ErrorKind::unsupported, "block size");
}
TEST_F(HostOpenFault, FormatThatIsNotInTheList) {
  target.space.flbas = 0x0F;
  expect_not_open(try_open(), ErrorKind::unsupported, "block size");
}
TEST_F(HostOpenFault, FormatWithMetadata) {
  target.space.lbaf[0].ms = 8;
  expect_not_open(try_open(), ErrorKind::unsupported, "metadata");
}
TEST_F(HostOpenFault, NamespaceOfNoBlocks) {
  target.space.nsze = 0;
  expect_not_open(try_open(), ErrorKind::not_found, "namespace 1");
}
TEST_F(HostOpenFault, NamespaceOf2To64Blocks) {
  target.space.nsze = ~std::uint64_t{0};
  expect_not_open(try_open(), ErrorKind::unsupported, "2^64");
}
TEST_F(HostOpenFault, NamespaceThatIsNotInTheList) {
  target.active = {2, 3};
  expect_not_open(try_open(), ErrorKind::not_found, "no namespace 1");
}
TEST_F(HostOpenFault, NoNamespaces) {
  target.active.clear();
  expect_not_open(try_open(), ErrorKind::not_found, "no namespace 1");
}
TEST_F(HostOpenFault, NamespaceListOutOfOrder) {
  instead(identify(Cns::active_namespace_list), [](Peer& peer, const Command& command) {
    ByteVector page(kIdentifyBytes);
    page[0] = std::byte{5};
    page[4] = std::byte{1};
    peer.send(peer.answers().data(command.cid(), 0, page, true, true));
  });
  expect_not_open(try_open(), ErrorKind::protocol, "out of order");
}
TEST_F(HostOpenFault, IdentifyOfHalfAPage) {
  instead(identify(Cns::identify_controller), [](Peer& peer, const Command& command) {
    peer.send(peer.answers().data(command.cid(), 0, ByteVector(2048), true, true));
  });
  expect_not_open(try_open(), ErrorKind::protocol, "Identify");
}
TEST_F(HostOpenFault, ControllerWithoutIo) {
  target.controller.cntrltype = ControllerType::administrative;
  expect_not_open(try_open(), ErrorKind::unsupported, "I/O controller");
}
TEST_F(HostOpenFault, FewerQueuesThanShards) {
  instead(
      [](const Peer& peer, const Command& command) {
        return !peer.io() && !command.is_fabrics() && command.admin_opcode() == AdminOpcode::set_features;
      },
      [](Peer& peer, const Command& command) { peer.answer(command, {}, 0); });
  runtime.emplace(*Runtime::start({.shards = 2}));
  expect_not_open(try_open(), ErrorKind::exhausted, "VolumeOptions::queues");
}

// Odd, but there is a way to live with it.
class HostOpenOdd : public HostOpenFault {
 protected:
  void expect_use() {
    open();
    const auto written = write(512 * 1024);
    EXPECT_TRUE(written) << written.error();
    const ByteVector expected = memory;
    const auto seen = read(512 * 1024);
    ASSERT_TRUE(seen) << seen.error();
    EXPECT_EQ(memory, expected);
    EXPECT_GE(volume.info().queue_depth, 1u);
    EXPECT_GE(volume.info().transfer_bytes_max, 4096u);
    EXPECT_LE(volume.info().transfer_bytes_max, 1u << 20);
  }
};
TEST_F(HostOpenOdd, NoLimitOfTransfers) {
  target.controller.mdts = 0;
  expect_use();
}
TEST_F(HostOpenOdd, LimitOfTransfersBeyondAllNumbers) {
  target.controller.mdts = 255;
  expect_use();
}
TEST_F(HostOpenOdd, TransfersOfTwoPages) {
  target.controller.mdts = 1;
  target.on_command([](Peer& peer, const Command& command) {
    if (peer.io() && !command.is_fabrics()) {
      EXPECT_LE(decode_block_io(command).blocks, 2u);
    }
    return false;
  });
  expect_use();
  EXPECT_EQ(volume.info().transfer_bytes_max, 8192u);
}
TEST_F(HostOpenOdd, NoOutstandingCommands) {
  target.controller.maxcmd = 0;
  expect_use();
}
TEST_F(HostOpenOdd, QueuesOfNoEntries) {
  target.cap.mqes = 0;
  expect_use();
  EXPECT_EQ(volume.info().queue_depth, 1u);
}
TEST_F(HostOpenOdd, OneOutstandingCommand) {
  target.controller.maxcmd = 1;
  expect_use();
  EXPECT_EQ(volume.info().queue_depth, 1u);
}
TEST_F(HostOpenOdd, NoDataInCapsules) {
  target.controller.ioccsz = 0;
  expect_use();
}
TEST_F(HostOpenOdd, NamesOfNoText) {
  ByteVector page(kIdentifyBytes, std::byte{0xFF});
  const auto text = std::span(page).subspan(4, 68);  // serial, model, firmware
  instead(identify(Cns::identify_controller),
          [this, text = ByteVector(text.begin(), text.end())](Peer& peer, const Command& command) {
            ByteVector data(kIdentifyBytes);
            encode(target.controller, std::span(data).first<kIdentifyBytes>());
            std::copy(text.begin(), text.end(), data.begin() + 4);
            peer.send(peer.answers().data(command.cid(), 0, data, true, true));
          });
  expect_use();
}

}  // namespace
}  // namespace netstor::faults
