// SPDX-License-Identifier: Apache-2.0
// A client's end of S3 over RDMA by hand: it takes a session up, opens the middle of its memory to the
// endpoint, and says what became of it. Whoever has started it makes the requests.
//
//   s3_rdma_client ADDRESS PORT PRIVATE-DATA(hex)    "connected", "rejected PRIVATE-DATA(hex)" or why not
//
// Then, a line each on standard input: "open read" or "open write": "ADDRESS KEY LENGTH" (hex) of 1 MiB of
// memory, all of it 'a', in the middle of more, all of it 'b'; "shut"; "look": how many bytes are not 'a'
// inside, and how many are not 'b' outside; "lost": whether the connection is. At its end it is gone without
// a word.

#include "lib/base/encoding.h"
#include "lib/engine/shard_loop.h"
#include "transports/message_link.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <thread>

namespace netstor {
namespace {

constexpr std::size_t kInside = 1 << 20;
constexpr std::size_t kAround = 64 << 10;

class Client final : MessageObserver {
 public:
  Client() : loop_({.seed = 1, .io_driver = drivers()[0], .clock = &SteadyClock::instance()}) {
    detail::current_loop = &loop_;
    std::ranges::fill(memory_.bytes(), std::byte{'b'});
    std::ranges::fill(inside(), std::byte{'a'});
  }

  int play(const Address& address, std::string_view greeting) {
    auto port = loop_.port("rdma");
    std::vector<std::byte> hello(greeting.size() / 2);
    if (!port || !decode_hex(greeting, hello)) {
      std::cout << (port ? "no private data" : port.error().text()) << std::endl;
      return 1;
    }
    if (!(*port)->register_memory(memory_.bytes())) return 1;
    MessageConnectOp connect;
    bool done = false;
    connect.user = &done;
    connect.complete = [](Op& op) noexcept { *static_cast<bool*>(op.user) = true; };
    connect.address = address;
    connect.shape = {.receive_bytes = 64, .receives = 1, .operations = 8, .windows = 1};
    connect.private_data = hello;
    (*port)->messages()->connect_messages(connect);
    while (!done) turn();
    if (!connect.link) {
      std::cout << "rejected " << to_hex(connect.greeting.view()) << std::endl;
      return 0;
    }
    link_ = std::move(connect.link);
    link_->observe(*this);
    std::cout << "connected" << std::endl;
    for (std::string line; next_line(line);) std::cout << obey(line) << std::endl;
    std::cout.flush();
    std::_Exit(0);
  }

 private:
  MutableBytes inside() { return memory_.bytes().subspan(kAround, kInside); }

  void turn() {
    if (!loop_.turn()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  bool next_line(std::string& line) {
    for (;;) {
      pollfd input{.fd = 0, .events = POLLIN, .revents = 0};
      if (::poll(&input, 1, 0) > 0) return static_cast<bool>(std::getline(std::cin, line));
      turn();
    }
  }

  std::string obey(const std::string& line) {
    if (line == "lost") return lost_ ? "yes" : "no";
    if (line == "look") {
      const auto other = [](MutableBytes bytes, char than) {
        return std::ranges::count_if(bytes, [=](std::byte each) { return each != std::byte(than); });
      };
      const MutableBytes all = memory_.bytes();
      return std::to_string(other(inside(), 'a')) + " " +
             std::to_string(other(all.first(kAround), 'b') + other(all.subspan(kAround + kInside), 'b'));
    }
    bool done = false;
    MessageOp op;
    op.user = &done;
    op.complete = [](Op& each) noexcept { *static_cast<bool*>(each.user) = true; };
    if (line == "shut") {
      op.verb = MessageOp::Verb::close_window;
      if (link_->submit(op) != Submit::accepted) return "full";
      while (!done) turn();
      return "shut";
    }
    const auto opened = link_->open_window(0, {inside().data(), kInside}, line == "open write", &op);
    if (!opened) return "not opened";
    while (!done) turn();
    char text[64];
    std::snprintf(text, sizeof text, "%016lx %08x %016zx", opened->address, opened->key, kInside);
    return text;
  }

  void message_came(std::uint32_t, std::span<const std::byte>, std::uint32_t) noexcept override {}
  void link_lost(OpResult) noexcept override { lost_ = true; }

  Buffer memory_ = Buffer::allocate(kInside + 2 * kAround).value();
  detail::ShardLoop loop_;
  std::unique_ptr<MessageLink> link_;
  bool lost_ = false;
};

}  // namespace
}  // namespace netstor

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() != 3) {
    std::cerr << "usage: see the head of tests/interop/s3_rdma_client.cc\n";
    return 2;
  }
  netstor::Client client;
  return client.play({.host = words[0], .port = static_cast<std::uint16_t>(std::stoi(words[1]))}, words[2]);
}
