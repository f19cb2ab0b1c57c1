// SPDX-License-Identifier: Apache-2.0
// Somebody who speaks to an NVMe/RDMA target, or answers an initiator, and breaks the rules once; then says
// in one line how it ended: "rejected REASON", "lost", "answered STATUS".
//
//   rdma_stranger host ADDRESS PORT CASE [PID]      format queue receives capsule key range reach unready
//                                                   mute gone; PID: mute, the server's
//   rdma_stranger host ADDRESS PORT again COUNT     breaks no rule: connects, has an answer, and leaves
//   rdma_stranger target ADDRESS CASE               prints its port first: reject silent length unknown key
//                                                   foreign direction beyond unready mute gone
//
// unready has no receive for what it is sent. mute is there and answers nothing, not even by its card: the
// other's card has to give up by itself.

#include "lib/engine/shard_loop.h"
#include "lib/wire/fabrics/connect.h"
#include "lib/wire/nvme/completion.h"
#include "transports/message_link.h"
#include "transports/rdma/link.h"

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <iostream>
#include <thread>

namespace netstor {
namespace {

using nvme::kCommandBytes;

constexpr std::uint16_t kEntries = 8;
constexpr std::size_t kScratch = 8192;

/// One shard, turned by hand.
class Stranger final : public MessageObserver {
 public:
  Stranger() : loop_({.seed = 1, .io_driver = drivers()[0], .clock = &SteadyClock::instance()}) {
    detail::current_loop = &loop_;
    auto port = loop_.port("rdma");
    if (!port) {
      std::cout << port.error().text() << std::endl;
      std::exit(77);
    }
    port_ = (*port)->messages();
    if (!port_->register_memory(memory_.bytes())) std::cout << "not registered" << std::endl;
  }
  ~Stranger() {
    if (link_) {
      Op closed;
      bool done = false;
      closed.user = &done;
      closed.complete = [](Op& op) noexcept { *static_cast<bool*>(op.user) = true; };
      link_->close(closed);
      until([&] { return done; });
      link_.reset();
    }
    loop_.drop_ports();
    detail::current_loop = nullptr;
  }

  // A card gives up after as long as a minute.
  bool until(const std::function<bool()>& so, std::chrono::seconds limit = std::chrono::seconds(90)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!so()) {
      if (std::chrono::steady_clock::now() > end) return false;
      if (!loop_.turn()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  static MessageShape shape(const std::string& what) {
    return {.receive_bytes = 4096 + kCommandBytes,
            .receives = what == "unready" ? std::uint16_t{0} : kEntries,
            .operations = 2 * kEntries,
            .transfers = 1,
            .windows = 1,
            .scratch_bytes = kScratch};
  }

  void message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                    std::uint32_t) noexcept override {
    message_.assign(bytes.begin(), bytes.end());
    link_->give_back(receive);
    ++messages_;
  }
  void link_lost(OpResult) noexcept override { lost_ = true; }

  void send(std::span<const std::byte> bytes) {
    std::memcpy(link_->scratch().data(), bytes.data(), bytes.size());
    piece_ = {.iov_base = link_->scratch().data(), .iov_len = bytes.size()};
    sent_.user = this;
    sent_.complete = [](Op& op) noexcept { static_cast<Stranger*>(op.user)->is_sent_ = true; };
    sent_.pieces = &piece_;
    sent_.piece_count = 1;
    if (link_->submit(sent_) != Submit::accepted) std::cout << "full" << std::endl;
  }

  /// What the link was told of the peer's memory is used wrongly.
  void transfer(MessageOp::Verb verb, RemoteMemory remote) {
    moved_.complete = [](Op&) noexcept {};
    moved_.verb = verb;
    moved_.remote = remote;
    moved_piece_ = {.iov_base = memory_.data(), .iov_len = 512};
    moved_.pieces = &moved_piece_;
    moved_.piece_count = 1;
    if (link_->submit(moved_) != Submit::accepted) std::cout << "full" << std::endl;
  }

  void fall_silent() {
    ibv_qp_attr reset{};
    reset.qp_state = IBV_QPS_RESET;
    ibv_qp* const pair = static_cast<rdma::RdmaLink&>(*link_).id()->qp;
    if (::ibv_modify_qp(pair, &reset, IBV_QP_STATE) != 0) std::cout << "not reset" << std::endl;
  }

  Buffer memory_ = Buffer::allocate(4096).value();
  detail::ShardLoop loop_;
  MessagePort* port_ = nullptr;
  std::unique_ptr<MessageLink> link_;
  MessageOp sent_;
  MessageOp moved_;
  iovec piece_{};
  iovec moved_piece_{};
  std::vector<std::byte> message_;
  unsigned messages_ = 0;
  bool is_sent_ = false;
  bool lost_ = false;
};

template <class Operation>
void prepare(Operation& op, bool& done) {
  op.user = &done;
  op.complete = [](Op& each) noexcept { *static_cast<bool*>(each.user) = true; };
}

int play_host(const Address& address, const std::string& what, pid_t server) {
  Stranger stranger;
  nvme::RdmaRequest hello{.hrqsize = kEntries, .hsqsize = kEntries - 1};
  if (what == "format") hello.recfmt = 9;
  if (what == "queue") hello.hsqsize = 0xFFFF;
  if (what == "receives") hello.hrqsize = 0;
  std::array<std::byte, nvme::kRdmaRequestBytes> asked{};
  nvme::encode(hello, std::span(asked));
  MessageConnectOp connect;
  bool done = false;
  prepare(connect, done);
  connect.address = address;
  connect.shape = Stranger::shape(what);
  connect.private_data = asked;
  stranger.port_->connect_messages(connect);
  stranger.until([&] { return done; });
  if (!connect.link) {
    const auto said = nvme::decode_rdma_reject(connect.greeting.view().first<nvme::kRdmaRejectBytes>());
    std::cout << "rejected " << static_cast<int>(said.reason) << std::endl;
    return 0;
  }
  stranger.link_ = std::move(connect.link);
  stranger.link_->observe(stranger);
  nvme::Command command = nvme::make_connect(1, {.qid = 0, .sqsize = kEntries - 1}, {});
  if (what == "capsule") {
    stranger.send(std::span(command.bytes).first(10));
  } else if (what == "reach") {
    // A target opens nothing: whatever is asked of its memory is too much.
    const auto where = reinterpret_cast<std::uintptr_t>(stranger.memory_.data());
    stranger.transfer(MessageOp::Verb::write, {.address = where, .key = 0x12345678});
  } else {
    std::uint64_t where = reinterpret_cast<std::uintptr_t>(stranger.memory_.data());
    std::uint32_t key = 0x12345678;
    if (what != "key") {
      // Of "range": the last half of what the controller will ask for is not registered.
      const MutableBytes opening = what == "range"
                                       ? stranger.memory_.bytes().last(nvme::kConnectDataBytes / 2)
                                       : stranger.memory_.bytes().first(nvme::kConnectDataBytes);
      const auto opened = stranger.link_->open_window(0, {opening.data(), opening.size()}, false, nullptr);
      where = opened->address;
      key = opened->key;
    }
    command.set_sgl(nvme::keyed_data_block(where, nvme::kConnectDataBytes, key));
    if (what == "mute") ::kill(server, SIGSTOP);
    stranger.send(command.bytes);
    if (what == "gone") {
      stranger.loop_.turn();
      std::cout << "gone" << std::endl;
      return 0;
    }
    if (what == "mute") {
      stranger.until([&] { return stranger.is_sent_; });
      stranger.fall_silent();
      ::kill(server, SIGCONT);
    }
  }
  stranger.until([&] { return stranger.lost_ || stranger.messages_ != 0; });
  if (stranger.messages_ == 0) {
    std::cout << (stranger.lost_ ? "lost" : "nothing") << std::endl;
    return 0;
  }
  const auto answer = nvme::decode_completion(std::span(stranger.message_).first<nvme::kCompletionBytes>());
  std::cout << "answered " << answer.status.raw() << std::endl;
  return 0;
}

int play_target(const Address& address, const std::string& what) {
  Stranger stranger;
  auto listener = stranger.port_->listen(address);
  if (!listener) {
    std::cout << listener.error().text() << std::endl;
    return 1;
  }
  std::cout << (*listener)->address().port << std::endl;
  AcceptOp accept;
  bool came = false;
  prepare(accept, came);
  if ((*listener)->submit(accept) != Submit::accepted) return 1;
  if (!stranger.until([&] { return came; }, std::chrono::seconds(60))) return 1;
  if (what == "silent") {
    stranger.until([] { return false; }, std::chrono::seconds(8));
    stranger.port_->refuse(accept.ticket);
    (*listener)->close();
    return 0;
  }
  if (what == "reject") {
    std::array<std::byte, nvme::kRdmaRejectBytes> words{};
    nvme::encode(nvme::RdmaReject{.reason = nvme::RdmaRejectReason::no_resources}, std::span(words));
    stranger.port_->refuse_messages(accept.ticket, words);
    (*listener)->close();
    stranger.until([] { return false; }, std::chrono::seconds(1));
    return 0;
  }
  std::array<std::byte, nvme::kRdmaAcceptBytes> words{};
  nvme::encode(nvme::RdmaAccept{.crqsize = 128}, std::span(words));
  auto link = stranger.port_->adopt_messages(accept.ticket, Stranger::shape(what), words, {});
  (*listener)->close();
  if (!link) {
    std::cout << link.error().text() << std::endl;
    return 1;
  }
  stranger.link_ = std::move(*link);
  stranger.link_->observe(stranger);
  if (what == "mute") stranger.fall_silent();
  if (what == "mute" || what == "unready") {
    stranger.until([&] { return stranger.lost_; });
    return 0;
  }
  stranger.until([&] { return stranger.messages_ != 0; });
  if (what == "gone") return 0;
  nvme::Command command;
  std::memcpy(command.bytes.data(), stranger.message_.data(), kCommandBytes);
  if (what == "foreign" || what == "direction" || what == "beyond") {
    // It was let in to read the data of Connect, and nothing else.
    const bool beyond = what == "beyond";
    stranger.transfer(beyond ? MessageOp::Verb::read : MessageOp::Verb::write,
                      {.address = command.sgl().address + (beyond ? std::uint64_t{1} << 30 : 0),
                       .key = command.sgl().key ^ (what == "foreign" ? 0x5A5A00u : 0u)});
    stranger.until([&] { return stranger.lost_; });
    return 0;
  }
  std::array<std::byte, nvme::kCompletionBytes> answer{};
  nvme::encode(nvme::Completion{.cid = static_cast<std::uint16_t>(what == "unknown" ? command.cid() ^ 0x4000
                                                                                    : command.cid())},
               std::span(answer));
  stranger.sent_.end_key = what == "key" ? command.sgl().key + 1 : 0;
  stranger.send(std::span<const std::byte>(answer).first(what == "length" ? 12 : answer.size()));
  stranger.until([&] { return stranger.lost_; });
  return 0;
}

}  // namespace
}  // namespace netstor

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool mute = words.size() == 5 && words[3] == "mute";
  const bool again = words.size() == 5 && words[3] == "again";
  if ((words.size() == 4 || mute || again) && words[0] == "host") {
    const netstor::Address address{.host = words[1], .port = static_cast<std::uint16_t>(std::stoi(words[2]))};
    for (int more = again ? std::stoi(words[4]) - 1 : 0; more > 0; --more)
      netstor::play_host(address, words[3], 0);
    return netstor::play_host(address, words[3], mute ? std::stoi(words[4]) : 0);
  }
  if (words.size() == 3 && words[0] == "target") return netstor::play_target({.host = words[1]}, words[2]);
  std::cerr << "usage: see the head of tests/interop/rdma_stranger.cc\n";
  return 2;
}
