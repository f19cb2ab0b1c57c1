// SPDX-License-Identifier: Apache-2.0
#pragma once
// Two message links that are connected to one another, for the tests of their contract
// (transports/message_link.h): near() connects, far() is adopted.

#include "lib/base/random.h"
#include "tests/conformance/drivers.h"
#include "transports/message_link.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace netstor::conformance {

using Verb = MessageOp::Verb;

inline constexpr std::uint32_t kMessageBytes = 4096 + 64;
inline constexpr std::uint16_t kReceives = 8;
inline constexpr std::uint16_t kOperations = 16;
inline constexpr std::size_t kMemory = 64 << 10;  // of each end, registered

/// An operation with its pieces.
struct Work : Counted<MessageOp> {
  explicit Work(Verb what) { verb = what; }
  Work(Verb what, MutableBytes bytes, RemoteMemory where = {}, unsigned in_pieces = 1) : Work(what) {
    const std::size_t each = bytes.size() / in_pieces;
    for (unsigned i = 0; i < in_pieces; ++i) {
      list.push_back({bytes.data() + i * each, i + 1 < in_pieces ? each : bytes.size() - i * each});
    }
    pieces = list.data();
    piece_count = in_pieces;
    remote = where;
  }
  std::vector<iovec> list;
};

struct Ear final : MessageObserver {
  struct Message {
    std::uint32_t receive;
    std::string bytes;
    std::span<const std::byte> where;
    std::uint32_t ended_key;
  };
  void message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                    std::uint32_t ended_key) noexcept override {
    if (counts_only) {
      ++count;
    } else {
      messages.push_back({receive, text(bytes), bytes, ended_key});
    }
    if (gives_back) link->give_back(receive);
  }
  void link_lost(OpResult reason) noexcept override {
    ++lost;
    why = reason;
  }
  static std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  MessageLink* link = nullptr;
  std::vector<Message> messages;
  unsigned count = 0;
  bool counts_only = false;
  bool gives_back = true;
  unsigned lost = 0;
  OpResult why;
};

/// One end, with memory that its port has registered.
struct End {
  std::unique_ptr<MessageLink> link;
  Ear ear;
  Buffer memory = Buffer::allocate(kMemory).value();
  MutableBytes bytes(std::size_t size = kMemory, std::size_t at = 0) {
    return memory.bytes().subspan(at, size);
  }
  iovec piece(std::size_t size = kMemory, std::size_t at = 0) { return {bytes().data() + at, size}; }
  void fill(std::uint64_t seed) {
    Random random(seed);
    for (std::byte& byte : memory.bytes()) byte = static_cast<std::byte>(random.next());
  }
};

class MessageLinks : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped()) return;
    for (unsigned i = 0; i < kEnds; ++i) {
      ends_[i].fill(i + 1);
      ASSERT_TRUE(port(i % 2).register_memory(ends_[i].bytes()).ok());
    }
  }
  void TearDown() override {
    if (IsSkipped() && !has_site()) return;
    for (End& each : ends_) {
      if (each.link) close(each);
    }
    if (listener_) listener_->close();
    listener_.reset();
    for (unsigned i = 0; i < kEnds; ++i) port(i % 2).forget_memory(ends_[i].bytes());
    Conformance::TearDown();
  }
  MessagePort& messages(unsigned shard = 0) { return *port(shard).messages(); }

  MessageShape shape() {
    return {.receive_bytes = kMessageBytes,
            .receives = kReceives,
            .shared_receives = site().shares_receives(),
            .operations = kOperations,
            .transfers = 4,
            .windows = 2,
            .scratch_bytes = 8192};
  }
  Address listen() {
    auto made = port(1).listen({site().host(), 0});
    EXPECT_TRUE(made.ok()) << made.error();
    listener_ = *std::move(made);
    return {site().host(), listener_->address().port};
  }
  struct Dial : Counted<MessageConnectOp> {};
  Dial& dial(const Address& address, std::string_view said = "hello") {
    Dial& made = keep<Dial>();
    made.address = address;
    made.shape = shape();
    made.private_data = std::as_bytes(std::span(said));
    messages().connect_messages(made);
    EXPECT_EQ(made.completions, 0U) << "completed inside connect_messages()";
    return made;
  }
  /// A connection on its way: its request is there, and the one that waits for an answer.
  Dial& ask(Ticket& ticket, std::string_view said = "hello") {
    auto& accept = keep<Counted<AcceptOp>>();
    const Address address = listen();
    EXPECT_EQ(listener_->submit(accept), Submit::accepted);
    Dial& made = dial(address, said);
    EXPECT_TRUE(wait([&] { return accept.done(); }));
    EXPECT_TRUE(accept.result.ok) << accept.result.error("accept");
    ticket = accept.ticket;
    return made;
  }
  void adopt(const Ticket& ticket) {
    auto adopted = messages(1).adopt_messages(ticket, shape(), std::as_bytes(std::span("welcome")), {});
    ASSERT_TRUE(adopted.ok()) << adopted.error();
    far_.link = *std::move(adopted);
  }
  void connect(bool observed = true) {
    Ticket ticket;
    Dial& made = ask(ticket);
    ASSERT_NO_FATAL_FAILURE(adopt(ticket));
    if (observed) observe(far_);
    ASSERT_TRUE(wait([&] { return made.done(); }));
    ASSERT_TRUE(made.result.ok) << made.result.error("connect") << made.detail;
    near_.link = std::move(made.link);
    if (observed) observe(near_);
  }
  /// Two links: of ends_[2] with ends_[3], and of near_ with far_.
  void connect_two() {
    ASSERT_NO_FATAL_FAILURE(connect());
    for (unsigned i = 0; i < 2; ++i) {
      std::swap(ends_[i].link, ends_[i + 2].link);
      observe(ends_[i + 2]);
    }
    connect_again();
  }
  void connect_again() {
    listener_->close();
    connect();
  }
  static void observe(End& end) {
    end.ear.link = end.link.get();
    end.link->observe(end.ear);
  }
  void close(End& end) {
    auto& closed = keep<Counted<Op>>();
    end.link->close(closed);
    EXPECT_EQ(closed.completions, 0U) << "completed inside close()";
    EXPECT_TRUE(wait([&] { return closed.done(); }));
    if (!end.ear.gives_back) {
      for (const Ear::Message& each : end.ear.messages) end.link->give_back(each.receive);
    }
    end.link.reset();
  }
  /// A test whose connect() failed goes on to here, and must not take the others with it.
  static MessageLink& linked(End& end) {
    if (end.link == nullptr) throw std::runtime_error("there is no link");
    return *end.link;
  }
  MessageLink& near() { return linked(near_); }
  MessageLink& far() { return linked(far_); }

  template <class... Arguments>
  Work& submit(MessageLink& link, Arguments... arguments) {
    Work& work = keep<Work>(arguments...);
    EXPECT_EQ(link.submit(work), Submit::accepted);
    EXPECT_EQ(work.completions, 0U) << "completed inside submit()";
    return work;
  }
  OpResult run(Work& work) {
    EXPECT_TRUE(wait([&] { return work.done(); }));
    return work.result;
  }
  /// Lets far() into near()'s memory, and waits until it is open.
  RemoteMemory open(iovec memory, bool writable, std::uint16_t window = 0) {
    auto& opened = keep<Work>(Verb::close_window);
    const auto remote = near().open_window(window, memory, writable, &opened);
    EXPECT_TRUE(remote.has_value() && wait([&] { return opened.done(); }) && opened.result.ok);
    return remote.value_or(RemoteMemory{});
  }
  bool acknowledges_writes() { return messages(1).acknowledges_writes({site().host(), 0}).value(); }
  /// far() reaches for what it may not: that breaks its link, and completes once that is closed.
  void expect_refused(Verb verb, MutableBytes bytes, RemoteMemory remote) {
    const std::string before = Ear::text(near_.bytes()), mine = Ear::text(far_.bytes());
    Work& work = submit(far(), verb, bytes, remote);
    ASSERT_TRUE(wait([&] { return far_.ear.lost == 1; }));
    EXPECT_TRUE(far().broken());
    site().turns(20);
    const bool left = work.done() && verb == Verb::write && !acknowledges_writes();
    EXPECT_TRUE(left || !work.done()) << "completed while the card may still be at it";
    close(far_);
    EXPECT_EQ(work.completions, 1U);
    EXPECT_TRUE(left || (!work.result.ok && work.result.kind == ErrorKind::disconnected));
    EXPECT_TRUE(wait([&] { return near_.ear.lost == 1; }));
    EXPECT_TRUE(Ear::text(near_.bytes()) == before && Ear::text(far_.bytes()) == mine);
  }

  std::unique_ptr<Listener> listener_;
  static constexpr unsigned kEnds = 4;
  End ends_[kEnds];  // by turns of the first shard and of the second
  End& near_ = ends_[0];
  End& far_ = ends_[1];
};

}  // namespace netstor::conformance
