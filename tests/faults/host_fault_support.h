// SPDX-License-Identifier: Apache-2.0
#pragma once
// A target that may be as wrong as a test wants: a real socket on the loopback, a thread for each connection,
// PDUs made by hand. It answers everything well until a test's script answers in its place.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netstor/netstor.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "lib/wire/fabrics/connect.h"
#include "lib/wire/nvme/features.h"
#include "lib/wire/nvme/identify.h"
#include "lib/wire/nvme/property.h"
#include "tests/unit/nvme_tcp_peer.h"

namespace netstor::faults {

using namespace nvme;
using tcp::test::Answers;
using tcp::test::ByteVector;
using tcp::test::SentPdu;

inline constexpr std::string_view kFakeNqn = "nqn.2026-01.io.netstor:fake";
inline constexpr std::uint64_t kFakeBytes = 4 << 20;

class FakeTarget;

/// One connection of the host.
class Peer {
 public:
  Peer(FakeTarget& target, int fd) : target_(target), fd_(fd) {}

  /// Nothing before Connect, 0 on the admin queue.
  std::optional<std::uint16_t> qid;
  tcp::PduFormat format;

  bool io() const { return qid && *qid != 0; }
  Answers answers() const { return Answers(format); }
  void send(const Answers& answers) const { send(std::span<const std::byte>(answers.bytes)); }
  void send(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
  void answer(const Command& command, Status status = {}, std::uint64_t result = 0) const {
    send(answers().response(command.cid(), status, result, 0xFFFF));
  }
  void close() const { ::shutdown(fd_, SHUT_RDWR); }

 private:
  friend class FakeTarget;
  void run();
  FakeTarget& target_;
  int fd_;
  std::map<std::uint16_t, Command> writes_;  // asked for, by tag
  std::uint16_t tag_ = 0;
  bool shutting_down_ = false;
  std::thread thread_;
};

class FakeTarget {
 public:
  FakeTarget() : memory(kFakeBytes) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listener, 64), 0);
    EXPECT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port = ntohs(at.sin_port);
    listener_ = listener;
    controller.cntlid = 1;
    controller.nn = 1;
    controller.iorcsz = 1;
    controller.cntrltype = ControllerType::io;
    controller.mdts = 5;
    controller.maxcmd = 128;
    controller.ioccsz = (64 + 4096) / 16;
    space.nsze = space.ncap = kFakeBytes >> 12;
    space.lbaf[0].lbads = 12;
    acceptor_ = std::thread([this] { accept(); });
  }
  ~FakeTarget() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    for (Peer& each : peers_) each.close();
    for (Peer& each : peers_) {
      each.thread_.join();
      ::close(each.fd_);
    }
  }
  FakeTarget(const FakeTarget&) = delete;
  FakeTarget& operator=(const FakeTarget&) = delete;

  std::string service() const { return "nvme+tcp://127.0.0.1:" + std::to_string(port); }
  std::string uri() const { return service() + "/" + std::string(kFakeNqn); }

  /// True: the script has answered, or wants none.
  using Script = std::function<bool(Peer&, const Command&)>;
  void on_command(Script script) {
    const std::lock_guard lock(mutex_);
    command_ = std::move(script);
  }
  /// On each H2CData.
  void on_data(std::function<bool(Peer&, const tcp::DataPdu&)> script) {
    const std::lock_guard lock(mutex_);
    data_ = std::move(script);
  }
  /// On each ICReq.
  void on_hello(std::function<bool(Peer&, const tcp::IcReq&)> script) {
    const std::lock_guard lock(mutex_);
    hello_ = std::move(script);
  }
  /// What the last TermReq of the host said.
  std::optional<tcp::PduError> terminated() {
    const std::lock_guard lock(mutex_);
    return terminated_;
  }

  /// Between this thread and the connections': what either wrote before, the other sees afterwards.
  void settle() { const std::lock_guard lock(mutex_); }

  // What it says of itself. Set before a volume is opened.
  Capabilities cap{.mqes = 127, .cqr = true, .to = 10, .css = 1};
  IdentifyController controller;
  IdentifyNamespace space;
  std::vector<std::uint32_t> active{1};
  ByteVector memory;
  std::uint16_t port = 0;
  std::atomic<unsigned> connections{0};

 private:
  friend class Peer;

  void accept() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ++connections;
      Peer& peer = peers_.emplace_back(*this, fd);
      peer.thread_ = std::thread([&peer] { peer.run(); });
    }
  }

  // One PDU at a time, on all connections together.
  void received(Peer& peer, const SentPdu& pdu) {
    const std::lock_guard lock(mutex_);
    switch (pdu.header.type) {
      case tcp::PduType::ic_req: {
        const auto request = tcp::decode_ic_req(std::span(pdu.bytes).first<tcp::kIcBytes>());
        if (hello_ && hello_(peer, request)) return;
        peer.send(Answers().ic_resp({.header_digest = request.header_digest,
                                     .data_digest = request.data_digest,
                                     .maxh2cdata = 65536}));
        peer.format = {.header_digest = request.header_digest, .data_digest = request.data_digest};
        return;
      }
      case tcp::PduType::capsule_cmd: {
        const Command command = pdu.command();
        if (command_ && command_(peer, command)) return;
        if (command.is_fabrics()) return fabrics(peer, command);
        return peer.io() ? io(peer, command, pdu) : admin(peer, command);
      }
      case tcp::PduType::h2c_data: {
        const tcp::DataPdu data = pdu.data_pdu();
        if (data_ && data_(peer, data)) return;
        const auto write = peer.writes_.find(data.ttag);
        if (write == peer.writes_.end()) return;  // what a script asked for is the script's
        store(write->second, data.datao, pdu.data());
        if (pdu.header.last()) peer.answer(write->second);
        return;
      }
      case tcp::PduType::h2c_term_req:
        terminated_ = tcp::decode_term_req(std::span(pdu.bytes).first<tcp::kTermReqBytes>()).error;
        return;
      default:
        ADD_FAILURE() << "the host sent a PDU that is none of a host's";
    }
  }

  void fabrics(Peer& peer, const Command& command) {
    PropertyAccess access;
    switch (command.fabrics_type()) {
      case FabricsType::connect:
        peer.qid = decode_connect(command).qid;
        return peer.answer(command, {}, encode(ConnectAccepted{.cntlid = 1}));
      case FabricsType::property_get:
        EXPECT_TRUE(decode_property_access(command, access));
        if (access.property == Property::cap) return peer.answer(command, {}, encode(cap));
        return peer.answer(
            command, {},
            encode(ControllerStatus{
                .rdy = true,
                .shst = peer.shutting_down_ ? ShutdownStatus::complete : ShutdownStatus::normal_operation}));
      case FabricsType::property_set:
        EXPECT_TRUE(decode_property_access(command, access));
        peer.shutting_down_ =
            decode_configuration(static_cast<std::uint32_t>(access.value)).shn != ShutdownNotification::none;
        return peer.answer(command);
      default:
        return peer.answer(command, GenericStatus::invalid_opcode);
    }
  }

  void admin(Peer& peer, const Command& command) {
    switch (command.admin_opcode()) {
      case AdminOpcode::identify:
        return identify(peer, command);
      case AdminOpcode::set_features:
        return peer.answer(command, {}, encode(NumberOfQueues{.submission = 8, .completion = 8}));
      case AdminOpcode::get_log_page:
        return data_then_answer(peer, command, ByteVector(decode_get_log_page(command).bytes));
      case AdminOpcode::async_event_request:
        return;  // held for good
      case AdminOpcode::keep_alive:
        return peer.answer(command);
      default:
        return peer.answer(command, GenericStatus::invalid_opcode);
    }
  }

  void identify(Peer& peer, const Command& command) {
    ByteVector data(kIdentifyBytes);
    const IdentifyData page = std::span(data).first<kIdentifyBytes>();
    switch (decode_identify(command).cns) {
      case Cns::identify_controller:
        encode(controller, page);
        break;
      case Cns::active_namespace_list: {
        std::vector<std::uint32_t> behind;
        for (const std::uint32_t each : active) {
          if (each > command.nsid()) behind.push_back(each);
        }
        encode_namespace_list(behind, page);
        break;
      }
      case Cns::identify_namespace:
        encode(space, page);
        break;
      case Cns::csi_controller:
        encode(IdentifyControllerNvm{}, page);
        break;
      default:
        return peer.answer(command, GenericStatus::invalid_field);
    }
    data_then_answer(peer, command, data);
  }

  void io(Peer& peer, const Command& command, const SentPdu& pdu) {
    const BlockIo range = decode_block_io(command);
    const std::size_t length = std::size_t{range.blocks} << 12;
    if (command.io_opcode() == IoOpcode::flush) return peer.answer(command);
    const std::size_t offset = range.slba << 12;
    if (offset + length > memory.size()) return peer.answer(command, GenericStatus::lba_out_of_range);
    if (command.io_opcode() == IoOpcode::read) {
      const auto at = memory.begin() + static_cast<std::ptrdiff_t>(offset);
      return data_then_answer(peer, command, ByteVector(at, at + static_cast<std::ptrdiff_t>(length)));
    }
    if (command.io_opcode() != IoOpcode::write) return peer.answer(command, GenericStatus::invalid_opcode);
    if (!pdu.data().empty()) {
      store(command, 0, pdu.data());
      return peer.answer(command);
    }
    peer.writes_[++peer.tag_] = command;
    peer.send(peer.answers().r2t(command.cid(), peer.tag_, 0, static_cast<std::uint32_t>(length)));
  }

  void store(const Command& write, std::size_t at, std::span<const std::byte> data) {
    const std::size_t offset = (decode_block_io(write).slba << 12) + at;
    std::copy(data.begin(), data.end(), memory.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  static void data_then_answer(Peer& peer, const Command& command, const ByteVector& data) {
    peer.send(
        peer.answers().data(command.cid(), 0, data, true, false).response(command.cid(), {}, 0, 0xFFFF));
  }

  int listener_ = -1;
  std::mutex mutex_;
  Script command_;
  std::function<bool(Peer&, const tcp::DataPdu&)> data_;
  std::function<bool(Peer&, const tcp::IcReq&)> hello_;
  std::optional<tcp::PduError> terminated_;
  std::list<Peer> peers_;
  std::thread acceptor_;
};

inline void Peer::run() {
  ByteVector bytes;
  std::array<std::byte, 65536> buffer;
  for (;;) {
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    tcp::test::append(bytes, std::span(buffer).first(static_cast<std::size_t>(got)));
    for (const SentPdu& pdu : tcp::test::take_pdus(bytes)) target_.received(*this, pdu);
  }
  close();
}

/// A host, a volume of the fake target, and what must hold after every fault: each future was ready once,
/// the volume closes, the runtime ends.
class HostFault : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kOffset = 8192;
  static constexpr std::size_t kBytes = 4096;

  void TearDown() override {
    if (volume.valid()) {
      const auto closed = volume.close().get();
      EXPECT_TRUE(closed.ok());
    }
    volume = {};
    runtime.reset();
    EXPECT_EQ(ready, started);
  }

  /// Nothing waits for a path that is lost, and nothing here waits for long.
  static VolumeOptions options() {
    VolumeOptions options;
    options.connect_timeout = std::chrono::seconds(20);
    options.io_timeout = std::chrono::seconds(20);
    options.reconnect_delay = std::chrono::milliseconds(1);
    options.reconnect_delay_max = std::chrono::milliseconds(20);
    options.path_loss_timeout = Duration::zero();
    return options;
  }
  Result<Volume> try_open(const VolumeOptions& with = options()) {
    target.settle();
    return Volume::open(*runtime, target.uri(), with).get();
  }
  void open(const VolumeOptions& with = options()) {
    auto opened = try_open(with);
    ASSERT_TRUE(opened) << opened.error();
    volume = *std::move(opened);
  }

  /// Counts how often the future is ready.
  Result<void> wait(const std::function<Future<void>()>& begin) {
    if (!volume.valid()) return Error(ErrorKind::internal, "the volume is not open");
    ++started;
    target.settle();
    auto result = runtime->shard(0)
                      .run_on([&] {
                        return begin().then([this](Result<void> answer) {
                          ++ready;
                          return answer;
                        });
                      })
                      .get();
    target.settle();
    return result;
  }
  Result<void> read(std::size_t bytes = kBytes) {
    memory.assign(bytes, std::byte{0xEE});
    return wait([&] { return volume.read(kOffset, MutableBytes(memory)); });
  }
  Result<void> write(std::size_t bytes = kBytes, IoOptions how = {}) {
    memory.assign(bytes, std::byte{0x77});
    return wait([&] { return volume.write(kOffset, Bytes(memory), how); });
  }

  static void expect_error(const Error& error, ErrorKind kind, Effect effect,
                           std::initializer_list<std::string> words) {
    EXPECT_EQ(error.kind(), kind) << error;
    EXPECT_EQ(error.effect(), effect) << error;
    for (const std::string& each : words) {
      EXPECT_NE(error.text().find(each), std::string::npos) << "'" << each << "' is not in: " << error;
    }
  }
  /// Every error says what was tried, and where.
  void expect_failed(const Result<void>& result, const std::string& what, ErrorKind kind, Effect effect,
                     const std::string& why) {
    ASSERT_FALSE(result.ok());
    expect_error(result.error(), kind, effect,
                 {what + " of " + std::to_string(memory.size()) + " bytes at 8192", target.uri(), why});
  }
  void expect_not_open(const Result<Volume>& result, ErrorKind kind, const std::string& why) {
    ASSERT_FALSE(result.ok());
    expect_error(result.error(), kind, Effect::none, {"open " + target.uri(), why});
  }
  /// Until the host is connected anew.
  void expect_service() {
    for (int i = 0; i < 2000; ++i) {
      if (read().ok()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    FAIL() << "the volume did not come back: " << read().error();
  }

  FakeTarget target;
  std::optional<Runtime> runtime{*Runtime::start()};
  Volume volume;
  std::vector<std::byte> memory;
  std::atomic<int> started{0};
  std::atomic<int> ready{0};
};

}  // namespace netstor::faults
