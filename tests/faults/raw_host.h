// SPDX-License-Identifier: Apache-2.0
#pragma once
// A host that may be as wrong as a test wants: a blocking socket, PDUs made by hand, and a target in this
// process to send them to.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <vector>

#include "lib/proto/nvme/controller.h"
#include "lib/wire/fabrics/tcp_pdu.h"
#include "server/nvmf/target.h"
#include "server/store/memory_store.h"

namespace netstor::faults {

using namespace nvme;

inline constexpr std::string_view kNqn = "nqn.2026-01.io.netstor:faults";
inline constexpr std::string_view kHost =
    "nqn.2014-08.org.nvmexpress:uuid:00112233-4455-6677-8899-aabbccddeeff";
inline constexpr std::uint32_t kBlockBytes = 4096;
inline constexpr std::uint64_t kBlocks = 1024;

/// A target of one memory volume on the loopback.
class TargetInProcess {
 public:
  explicit TargetInProcess(nvmf::TargetConfig config = {}, unsigned shards = 2)
      : TargetInProcess(Runtime::start({.shards = shards}).value(), config) {}
  TargetInProcess(Runtime started, nvmf::TargetConfig config)
      : runtime(std::move(started)), target(nvmf::Target::start(runtime, config).value()) {
    store::VolumeIdentity identity{.name = "v", .nqn = std::string(kNqn), .serial = "FAULTS"};
    identity.uuid.fill(7);
    identity.nguid.fill(9);
    volume = store::make_memory_volume(identity, kBlocks * kBlockBytes, kBlockBytes).value();
    target->add_subsystem({.nqn = std::string(kNqn), .serial = "FAULTS"}).get().value();
    EXPECT_EQ(target->add_namespace(std::string(kNqn), 1, *volume).get().value(), 1u);
    port = target->listen({.address = {"127.0.0.1", 0}}).get().value().port;
  }
  ~TargetInProcess() { target->stop(std::chrono::milliseconds(200)).get().value(); }

  Runtime runtime;
  std::unique_ptr<store::StoredVolume> volume;
  std::unique_ptr<nvmf::Target> target;
  std::uint16_t port = 0;
};

/// A PDU as it came, whole.
struct Received {
  std::vector<std::byte> bytes;
  tcp::CommonHeader header() const {
    return tcp::decode_common_header(
        std::span<const std::byte, tcp::kCommonHeaderBytes>(bytes.data(), tcp::kCommonHeaderBytes));
  }
  tcp::PduType type() const { return header().type; }
  template <std::size_t N>
  std::span<const std::byte, N> head() const {
    return std::span<const std::byte, N>(bytes.data(), N);
  }
  Completion completion() const { return tcp::decode_capsule_resp(head<tcp::kCapsuleRespBytes>()); }
  std::span<const std::byte> data() const { return std::span(bytes).subspan(header().prefix_bytes()); }
};

class RawHost {
 public:
  explicit RawHost(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~RawHost() { close(); }
  RawHost(const RawHost&) = delete;
  RawHost& operator=(const RawHost&) = delete;

  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  void send(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }

  /// Nothing when the target has closed the connection.
  std::optional<Received> receive() {
    Received pdu;
    pdu.bytes.resize(tcp::kCommonHeaderBytes);
    if (!fill(pdu.bytes)) return std::nullopt;
    const std::uint32_t plen = pdu.header().plen;
    pdu.bytes.resize(plen);
    if (!fill(std::span(pdu.bytes).subspan(tcp::kCommonHeaderBytes))) return std::nullopt;
    return pdu;
  }

  /// The target has closed the connection; false when it says something or stays silent.
  bool ended() {
    std::byte one;
    return ::recv(fd_, &one, 1, 0) == 0;
  }

  tcp::IcResp handshake(const tcp::IcReq& request = {}) {
    std::array<std::byte, tcp::kIcBytes> bytes;
    encode(request, std::span(bytes));
    send(bytes);
    const auto reply = receive();
    EXPECT_TRUE(reply && reply->type() == tcp::PduType::ic_resp);
    if (!reply) return {};
    const tcp::IcResp response = tcp::decode_ic_resp(reply->head<tcp::kIcBytes>());
    format = {.header_digest = response.header_digest, .data_digest = response.data_digest};
    return response;
  }

  std::vector<std::byte> capsule(const Command& command, std::span<const std::byte> data = {}) const {
    std::vector<std::byte> out(tcp::kPduPrefixMax);
    const auto layout =
        encode_capsule_cmd(command, static_cast<std::uint32_t>(data.size()), format, prefix(out));
    return finish(std::move(out), layout, data);
  }
  std::vector<std::byte> h2c_data(const tcp::DataPdu& pdu, bool last, std::span<const std::byte> data) const {
    std::vector<std::byte> out(tcp::kPduPrefixMax);
    const auto layout = encode_h2c_data(pdu, last, format, prefix(out));
    return finish(std::move(out), layout, data);
  }

  /// The response to a command without data for the host.
  Completion ask(const Command& command, std::span<const std::byte> data = {}) {
    send(capsule(command, data));
    const auto reply = receive();
    EXPECT_TRUE(reply && reply->type() == tcp::PduType::capsule_resp);
    return reply && reply->type() == tcp::PduType::capsule_resp
               ? reply->completion()
               : Completion{.status = Status(PathStatus::host_pathing_error)};
  }

  static ConnectData names(std::uint16_t cntlid = kCntlidDynamic) {
    return {.cntlid = cntlid, .subnqn = NqnField(kNqn), .hostnqn = NqnField(kHost)};
  }
  Completion connect(const Connect& connect, const ConnectData& data) {
    std::array<std::byte, kConnectDataBytes> bytes;
    encode(data, std::span(bytes));
    return ask(make_connect(1, connect, in_capsule_data(0, kConnectDataBytes)), bytes);
  }

  /// An enabled controller; answers its number.
  std::uint16_t bring_up_admin(std::uint32_t kato_ms = 0, const tcp::IcReq& request = {}) {
    handshake(request);
    const Completion connected = connect({.sqsize = 31, .kato_ms = kato_ms}, names());
    EXPECT_TRUE(connected.status.ok()) << to_string(connected.status, StatusDialect::fabrics);
    const ControllerConfiguration enable{.en = true, .iosqes = 6, .iocqes = 4};
    EXPECT_TRUE(ask(make_property_set(2, Property::cc, encode(enable))).status.ok());
    return decode_connect_accepted(connected.dw0()).cntlid;
  }
  void bring_up_io(std::uint16_t cntlid, std::uint16_t qid = 1, const tcp::IcReq& request = {},
                   std::uint8_t cattr = 0) {
    handshake(request);
    const Completion connected = connect({.qid = qid, .sqsize = 31, .cattr = cattr}, names(cntlid));
    EXPECT_TRUE(connected.status.ok()) << to_string(connected.status, StatusDialect::fabrics);
  }

  /// The target says why it ends the connection, and does.
  void expect_termination(tcp::Fes fes) {
    const auto pdu = receive();
    ASSERT_TRUE(pdu);
    ASSERT_EQ(pdu->type(), tcp::PduType::c2h_term_req);
    EXPECT_EQ(tcp::decode_term_req(pdu->head<tcp::kTermReqBytes>()).error.fes, fes);
    EXPECT_FALSE(receive());
  }

  tcp::PduFormat format;

 private:
  static std::span<std::byte, tcp::kPduPrefixMax> prefix(std::vector<std::byte>& out) {
    return std::span<std::byte, tcp::kPduPrefixMax>(out.data(), tcp::kPduPrefixMax);
  }
  static std::vector<std::byte> finish(std::vector<std::byte> out, const tcp::PduLayout& layout,
                                       std::span<const std::byte> data) {
    out.resize(layout.prefix_bytes);
    out.insert(out.end(), data.begin(), data.end());
    if (layout.data_digest) {
      out.resize(out.size() + tcp::kDigestBytes);
      tcp::encode_digest(crc32c(data), out.data() + out.size() - tcp::kDigestBytes);
    }
    return out;
  }
  bool fill(std::span<std::byte> into) {
    while (!into.empty()) {
      const ssize_t got = ::recv(fd_, into.data(), into.size(), 0);
      if (got <= 0) return false;
      into = into.subspan(static_cast<std::size_t>(got));
    }
    return true;
  }
  int fd_;
};

/// A target, a controller with one I/O queue, and the proof that others are served all the same.
class TargetFault : public ::testing::Test {
 protected:
  void TearDown() override { expect_service(); }

  void bring_up(const tcp::IcReq& request = {}, std::uint8_t cattr = 0) {
    cntlid = admin.bring_up_admin();
    io.bring_up_io(cntlid, 1, request, cattr);
  }
  void expect_service() {
    RawHost other_admin(server.port);
    RawHost other_io(server.port);
    other_io.bring_up_io(other_admin.bring_up_admin());
    std::vector<std::byte> block(kBlockBytes, std::byte{0x5A});
    EXPECT_TRUE(
        other_io.ask(make_write(3, 1, {.slba = 5}, in_capsule_data(0, kBlockBytes)), block).status.ok());
    other_io.send(other_io.capsule(make_read(4, 1, {.slba = 5}, transport_data_block(kBlockBytes))));
    const auto data = other_io.receive();
    ASSERT_TRUE(data && data->type() == tcp::PduType::c2h_data);
    EXPECT_TRUE(std::equal(block.begin(), block.end(), data->data().begin()));
  }
  void expect_refused(const Completion& completion, Status status) {
    EXPECT_TRUE(completion.status.is(status)) << to_string(completion.status);
    EXPECT_TRUE(completion.status.dnr());
  }
  static Command write_of(std::uint16_t cid, std::uint64_t slba, std::uint32_t blocks) {
    return make_write(cid, 1, {.slba = slba, .blocks = blocks}, transport_data_block(blocks * kBlockBytes));
  }

  TargetInProcess server;
  RawHost admin{server.port};
  RawHost io{server.port};
  std::uint16_t cntlid = 0;
};

}  // namespace netstor::faults
