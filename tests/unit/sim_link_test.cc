// SPDX-License-Identifier: Apache-2.0
//
// Simulated links: the stream that arrives whatever happens on the way, and the ways in which it ends.
#include "tests/sim/bare_port.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace netstor::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SimLinks : public testing::Test {
 protected:
  void connect() {
    listener = std::move(server->listen({.host = "server", .port = 4420})).value();
    EXPECT_EQ(listener->submit(accept), Submit::accepted);
    dial.address = {.host = "server", .port = 4420};
    client->connect(dial);
    ASSERT_TRUE(run([&] { return accept.completions == 1 && dial.completions == 1; }));
    ASSERT_TRUE(dial.result.ok);
    near = std::move(dial.link);
    far = std::move(server->adopt(accept.ticket)).value();
  }
  ~SimLinks() override {
    for (Link* link : {near.get(), far.get()}) {
      if (link != nullptr) link->close(nullptr);
    }
    if (listener) listener->close();
    run([] { return false; });
  }
  bool run(const std::function<bool()>& done) { return run_until(world, done, client, server); }

  struct Sender : Counted<SendOp> {
    explicit Sender(std::string what) : bytes(std::move(what)), iov(piece(bytes)) {
      pieces = &iov;
      piece_count = 1;
    }
    std::string bytes;
    iovec iov;
  };
  struct Receiver : Counted<RecvOp> {
    explicit Receiver(std::size_t size) : bytes(size, '?'), iov(piece(bytes)) {
      pieces = &iov;
      piece_count = 1;
    }
    std::string bytes;
    iovec iov;
  };
  /// Receives until `size` bytes are there or the link ends.
  std::string receive(Link& link, std::size_t size) {
    std::string all;
    while (all.size() < size) {
      Receiver& part = *receivers.emplace_back(std::make_unique<Receiver>(size - all.size()));
      EXPECT_EQ(link.submit(part), Submit::accepted);
      if (!run([&] { return part.completions == 1; }) || !part.result.ok || part.result.bytes == 0) break;
      all.append(part.bytes, 0, part.result.bytes);
    }
    return all;
  }
  static std::string pattern(std::size_t size) {
    std::string text(size, ' ');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(scatter_bits(i));
    return text;
  }

  World world{11};
  BarePort client{world, "client"};
  BarePort server{world, "server"};
  std::unique_ptr<Listener> listener;
  Counted<AcceptOp> accept;
  Counted<ConnectOp> dial;
  std::unique_ptr<Link> near;
  std::unique_ptr<Link> far;
  std::vector<std::unique_ptr<Receiver>> receivers;  // one that never completes must outlive its link
};

TEST_F(SimLinks, CarriesBytesInOrder) {
  connect();
  Sender send(pattern(300'000));
  EXPECT_EQ(near->submit(send), Submit::accepted);
  EXPECT_EQ(receive(*far, send.bytes.size()), send.bytes);
  EXPECT_EQ(send.completions, 1U);
  EXPECT_EQ(send.result.bytes, send.bytes.size());
}

TEST_F(SimLinks, CarriesBytesInOrderWhateverIsSplitDelayedAndLost) {
  world.faults() = {
      .latency = milliseconds(1), .split = 0.5, .delay = 0.3, .loss = 0.1, .losses_to_reset = 50};
  connect();
  Sender send(pattern(100'000));
  EXPECT_EQ(near->submit(send), Submit::accepted);
  EXPECT_EQ(receive(*far, send.bytes.size()), send.bytes);
  EXPECT_EQ(send.completions, 1U);
}

TEST_F(SimLinks, SecondSendIsAnsweredFull) {
  connect();
  Sender one("one"), two("two");
  EXPECT_EQ(near->submit(one), Submit::accepted);
  EXPECT_EQ(near->submit(two), Submit::full);
  EXPECT_EQ(one.completions, 0U);
  EXPECT_EQ(receive(*far, 3), "one");
}

TEST_F(SimLinks, CloseIsTheEndAfterTheLastByte) {
  connect();
  Sender send("last words");
  EXPECT_EQ(near->submit(send), Submit::accepted);
  ASSERT_TRUE(run([&] { return send.completions == 1; }));
  near->close(nullptr);
  near.reset();
  EXPECT_EQ(receive(*far, 10), "last words");
  Receiver end(10);
  EXPECT_EQ(far->submit(end), Submit::accepted);
  ASSERT_TRUE(run([&] { return end.completions == 1; }));
  EXPECT_TRUE(end.result.ok);
  EXPECT_EQ(end.result.bytes, 0U);
}

TEST_F(SimLinks, CloseCompletesWhatIsInFlightFirst) {
  connect();
  Receiver waiting(10);
  Counted<Op> closed;
  EXPECT_EQ(near->submit(waiting), Submit::accepted);
  near->close(&closed);
  EXPECT_EQ(waiting.completions, 0U);
  ASSERT_TRUE(run([&] { return closed.completions == 1; }));
  EXPECT_EQ(waiting.completions, 1U);
  EXPECT_EQ(waiting.result.kind, ErrorKind::cancelled);
  near.reset();
}

TEST_F(SimLinks, ResetBreaksBothEnds) {
  connect();
  world.faults().reset = 1;
  Sender send(pattern(1000));
  Receiver near_waits(10), far_waits(2000);
  EXPECT_EQ(near->submit(near_waits), Submit::accepted);
  EXPECT_EQ(far->submit(far_waits), Submit::accepted);
  EXPECT_EQ(near->submit(send), Submit::accepted);
  ASSERT_TRUE(run([&] { return near_waits.completions + far_waits.completions == 2; }));
  EXPECT_EQ(near_waits.result.kind, ErrorKind::disconnected);
  EXPECT_EQ(far_waits.result.kind, ErrorKind::disconnected);
}

TEST_F(SimLinks, PartitionDelaysAndHeals) {
  connect();
  world.faults().retransmit = milliseconds(100);
  world.set_cut("client", "server", true);
  Sender send("through");
  EXPECT_EQ(near->submit(send), Submit::accepted);
  Receiver waiting(10);
  EXPECT_EQ(far->submit(waiting), Submit::accepted);
  const Time healed = world.now() + seconds(1);
  EXPECT_TRUE(run([&] { return world.now() >= healed; }));
  EXPECT_EQ(waiting.completions, 0U);
  world.set_cut("client", "server", false);
  ASSERT_TRUE(run([&] { return waiting.completions == 1; }));
  EXPECT_EQ(waiting.bytes.substr(0, 7), "through");
}

TEST_F(SimLinks, MuteLinkAnswersNothing) {
  connect();
  world.faults().mute = 1;
  Sender send("hello?");
  Receiver waiting(10);
  EXPECT_EQ(near->submit(send), Submit::accepted);
  EXPECT_EQ(far->submit(waiting), Submit::accepted);
  EXPECT_FALSE(run([&] { return waiting.completions == 1; }));
  EXPECT_EQ(send.completions, 1U);
  far->close(nullptr);
  far.reset();
  EXPECT_TRUE(run([&] { return waiting.completions == 1; }));
}

TEST_F(SimLinks, ProcessDeathResetsThePeer) {
  connect();
  Receiver near_waits(10), far_waits(10);
  EXPECT_EQ(near->submit(near_waits), Submit::accepted);
  EXPECT_EQ(far->submit(far_waits), Submit::accepted);
  world.kill("server", World::Death::process);
  ASSERT_TRUE(run([&] { return near_waits.completions + far_waits.completions == 2; }));
  EXPECT_EQ(near_waits.result.kind, ErrorKind::disconnected);
}

TEST_F(SimLinks, PowerFailureIsNoticedWhenTheHostIsBack) {
  connect();
  Receiver near_waits(10);
  Sender send("anybody?");
  EXPECT_EQ(near->submit(near_waits), Submit::accepted);
  world.kill("server", World::Death::power);
  EXPECT_EQ(near->submit(send), Submit::accepted);
  const Time later = world.now() + seconds(2);
  EXPECT_TRUE(run([&] { return world.now() >= later; }));
  EXPECT_EQ(near_waits.completions, 0U);
  BarePort reborn(world, "server");
  ASSERT_TRUE(run([&] { return near_waits.completions == 1; }));
  EXPECT_EQ(near_waits.result.native, ECONNRESET);
}

TEST_F(SimLinks, ConnectToNobodyIsRefused) {
  dial.address = {.host = "server", .port = 1};
  client->connect(dial);
  ASSERT_TRUE(run([&] { return dial.completions == 1; }));
  EXPECT_EQ(dial.result.native, ECONNREFUSED);
}

TEST_F(SimLinks, ConnectThroughACutTimesOutAtItsDeadline) {
  world.set_cut("client", "server", true);
  dial.address = {.host = "server", .port = 4420};
  dial.deadline = world.now() + seconds(3);
  client->connect(dial);
  ASSERT_TRUE(run([&] { return dial.completions == 1; }));
  EXPECT_EQ(dial.result.kind, ErrorKind::timed_out);
  EXPECT_EQ(world.now(), dial.deadline);
}

TEST_F(SimLinks, CancelledConnectCompletesOnce) {
  world.faults().connect_lost = 1;
  dial.address = {.host = "server", .port = 4420};
  client->connect(dial);
  client->cancel_connect(dial);
  EXPECT_EQ(dial.completions, 0U);
  run([] { return false; });
  EXPECT_EQ(dial.completions, 1U);
  EXPECT_EQ(dial.result.kind, ErrorKind::cancelled);
}

TEST_F(SimLinks, ClosedListenerCancelsItsAccept) {
  listener = std::move(server->listen({.host = "server", .port = 4420})).value();
  EXPECT_FALSE(server->listen({.host = "server", .port = 4420}).ok());
  EXPECT_EQ(listener->submit(accept), Submit::accepted);
  listener->close();
  run([] { return false; });
  EXPECT_EQ(accept.completions, 1U);
  EXPECT_EQ(accept.result.kind, ErrorKind::cancelled);
}

TEST_F(SimLinks, RefusedTicketEndsThePeer) {
  listener = std::move(server->listen({.host = "server", .port = 4420})).value();
  EXPECT_EQ(listener->submit(accept), Submit::accepted);
  dial.address = {.host = "server", .port = 4420};
  client->connect(dial);
  ASSERT_TRUE(run([&] { return accept.completions == 1 && dial.completions == 1; }));
  server->refuse(accept.ticket);
  EXPECT_FALSE(server->adopt(accept.ticket).ok());
  near = std::move(dial.link);
  Receiver end(10);
  EXPECT_EQ(near->submit(end), Submit::accepted);
  ASSERT_TRUE(run([&] { return end.completions == 1; }));
  EXPECT_TRUE(end.result.ok && end.result.bytes == 0);
}

TEST(SimLinksSeeded, SameSeedGivesTheSameTrace) {
  const auto run_once = [](std::uint64_t seed) {
    World world(seed, {.latency = milliseconds(1), .split = 0.5, .delay = 0.5, .loss = 0.1});
    BarePort client(world, "client"), server(world, "server");
    auto listener = std::move(server->listen({.host = "server", .port = 1})).value();
    Counted<AcceptOp> accept;
    Counted<ConnectOp> dial;
    EXPECT_EQ(listener->submit(accept), Submit::accepted);
    dial.address = {.host = "server", .port = 1};
    client->connect(dial);
    run_until(
        world, [&] { return accept.completions + dial.completions == 2; }, client, server);
    auto far = std::move(server->adopt(accept.ticket)).value();
    std::string bytes(5000, 'x'), into(5000, '?');
    const iovec from = piece(bytes), to = piece(into);
    Counted<SendOp> send;
    send.pieces = &from;
    send.piece_count = 1;
    EXPECT_EQ(dial.link->submit(send), Submit::accepted);
    for (std::size_t got = 0; got < bytes.size();) {
      Counted<RecvOp> receive;
      receive.pieces = &to;
      receive.piece_count = 1;
      EXPECT_EQ(far->submit(receive), Submit::accepted);
      run_until(
          world, [&] { return receive.completions == 1; }, client, server);
      if (!receive.result.ok) break;
      got += receive.result.bytes;
    }
    far->close(nullptr);
    dial.link->close(nullptr);
    listener->close();
    run_until(
        world, [] { return false; }, client, server);
    return world.trace_hash();
  };
  EXPECT_EQ(run_once(1), run_once(1));
  EXPECT_NE(run_once(1), run_once(2));
}

}  // namespace
}  // namespace netstor::sim
