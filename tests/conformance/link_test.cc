// SPDX-License-Identifier: Apache-2.0
// The contract of links, for every driver: one test a rule.

#include "lib/base/random.h"
#include "tests/conformance/counting_new.h"
#include "tests/conformance/drivers.h"

#include <poll.h>

#include <cstring>
#include <numeric>
#include <thread>

namespace netstor::conformance {
namespace {

using std::chrono::milliseconds;

/// An operation and the bytes that it names, in one piece or several.
template <class Operation>
struct Transfer : Counted<Operation> {
  explicit Transfer(std::size_t size, unsigned in_pieces = 1) : bytes(size, '?') {
    const std::size_t each = size / in_pieces;
    for (unsigned i = 0; i < in_pieces; ++i) {
      list.push_back({bytes.data() + i * each, i + 1 < in_pieces ? each : size - i * each});
    }
    this->pieces = list.data();
    this->piece_count = in_pieces;
  }
  std::string bytes;
  std::vector<iovec> list;
};
using Sending = Transfer<SendOp>;
using Receiving = Transfer<RecvOp>;

class Links : public Conformance {
 protected:
  Address listen() {
    auto made = port(1).listen({site().host(), 0});
    EXPECT_TRUE(made.ok()) << made.error();
    listener_ = *std::move(made);
    return listener_->address();
  }
  /// near() lives on the first shard, far() on the second.
  void connect() {
    Counted<AcceptOp> accept;
    ticket(accept);
    auto adopted = port(1).adopt(accept.ticket);
    ASSERT_TRUE(adopted.ok()) << adopted.error();
    far_ = *std::move(adopted);
    site().settle(*near_, *far_);
  }
  /// The same, with the far end not adopted yet.
  void ticket(Counted<AcceptOp>& accept) {
    Counted<ConnectOp> dial;
    dial.address = listen();
    dial.address.host = site().host();
    ASSERT_EQ(listener_->submit(accept), Submit::accepted);
    port().connect(dial);
    ASSERT_TRUE(wait([&] { return dial.done() && accept.done(); }));
    ASSERT_TRUE(dial.result.ok) << dial.result.error("connect");
    ASSERT_TRUE(accept.result.ok) << accept.result.error("accept");
    near_ = std::move(dial.link);
  }
  Link& near() { return *near_; }
  Link& far() { return *far_; }
  void close(std::unique_ptr<Link>& link) {
    Counted<Op> closed;
    link->close(&closed);
    EXPECT_TRUE(wait([&] { return closed.done(); }));
    link.reset();
  }
  void TearDown() override {
    if (near_) close(near_);
    if (far_) close(far_);
    if (listener_) listener_->close();
    listener_.reset();
    Conformance::TearDown();
  }
  /// Everything that `link` brings until `size` bytes are there.
  std::string receive(Link& link, std::size_t size) {
    std::string all;
    while (all.size() < size) {
      Receiving part(size - all.size());
      EXPECT_EQ(link.submit(part), Submit::accepted);
      if (!wait([&] { return part.done(); }) || !part.result.ok || part.result.bytes == 0) break;
      all.append(part.bytes, 0, part.result.bytes);
    }
    return all;
  }
  OpResult dial(const Address& address, Time deadline = Time::max()) {
    Counted<ConnectOp> dialled;
    dialled.address = address;
    dialled.deadline = deadline;
    port().connect(dialled);
    EXPECT_EQ(dialled.completions, 0U) << "completed inside connect()";
    EXPECT_TRUE(wait([&] { return dialled.done(); }));
    if (dialled.link) close(dialled.link);
    return dialled.result;
  }

  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Link> near_;
  std::unique_ptr<Link> far_;
};

TEST_P(Links, CompleteOnceAndNeverInsideSubmit) {
  connect();
  auto& send = keep<Sending>(5);
  auto& receive = keep<Receiving>(64);
  ASSERT_EQ(near().submit(send), Submit::accepted);
  EXPECT_EQ(send.completions, 0U);
  ASSERT_TRUE(wait([&] { return send.done(); }));
  site().turns(20);  // the bytes are there before anyone asks for them
  ASSERT_EQ(far().submit(receive), Submit::accepted);
  EXPECT_EQ(receive.completions, 0U);
  ASSERT_TRUE(wait([&] { return receive.done(); }));
  site().turns(50);
  EXPECT_EQ(send.completions, 1U);
  EXPECT_EQ(receive.completions, 1U);
  EXPECT_EQ(send.result.bytes, 5U);
  EXPECT_EQ(receive.result.bytes, 5U);
}

TEST_P(Links, AnswerFullToASecondOperationOfTheSameKind) {
  connect();
  auto& first_send = keep<Sending>(1);
  auto& second_send = keep<Sending>(1);
  auto& first = keep<Receiving>(1);
  auto& second = keep<Receiving>(1);
  EXPECT_EQ(near().submit(first_send), Submit::accepted);
  EXPECT_EQ(near().submit(second_send), Submit::full);
  EXPECT_EQ(near().submit(first), Submit::accepted);
  EXPECT_EQ(near().submit(second), Submit::full);
  close(near_);
  EXPECT_EQ(first.completions, 1U);
  EXPECT_EQ(second.completions, 0U);
  EXPECT_EQ(second_send.completions, 0U);
}

TEST_P(Links, CloseCompletesEverythingAsCancelledAndThenItself) {
  connect();
  auto& stuck = keep<Sending>(64 << 20);  // nobody receives
  auto& waiting = keep<Receiving>(16);
  auto& closed = keep<Counted<Op>>();
  ASSERT_EQ(near().submit(stuck), Submit::accepted);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  site().turns(20);
  ASSERT_FALSE(stuck.done());
  near().close(&closed);
  EXPECT_EQ(closed.completions, 0U) << "completed inside close()";
  ASSERT_TRUE(wait([&] { return closed.done(); }));
  EXPECT_EQ(stuck.completions, 1U);
  EXPECT_EQ(waiting.completions, 1U);
  EXPECT_FALSE(stuck.result.ok);
  EXPECT_EQ(stuck.result.kind, ErrorKind::cancelled);
  EXPECT_EQ(waiting.result.kind, ErrorKind::cancelled);
  EXPECT_LT(stuck.order, closed.order);
  EXPECT_LT(waiting.order, closed.order);
  near_.reset();
}

TEST_P(Links, CloseCompletesWhatWasSubmittedInTheSameTurn) {
  connect();
  auto& send = keep<Sending>(16);
  auto& waiting = keep<Receiving>(16);
  ASSERT_EQ(near().submit(send), Submit::accepted);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  close(near_);
  EXPECT_EQ(send.completions, 1U);
  EXPECT_EQ(waiting.completions, 1U);
  EXPECT_EQ(waiting.result.kind, ErrorKind::cancelled);
}

TEST_P(Links, SayThatThePeerEndedWithZeroBytes) {
  connect();
  auto& waiting = keep<Receiving>(16);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  site().turns(5);
  close(far_);
  ASSERT_TRUE(wait([&] { return waiting.done(); }));
  EXPECT_TRUE(waiting.result.ok);
  EXPECT_EQ(waiting.result.bytes, 0U);
}

TEST_P(Links, BringWhatWasSentBeforeThePeerEnded) {
  connect();
  auto& last = keep<Sending>(20'000);  // fits into the sockets, so that it completes unreceived
  ASSERT_EQ(far().submit(last), Submit::accepted);
  ASSERT_TRUE(wait([&] { return last.done(); }));
  close(far_);
  EXPECT_EQ(receive(near(), 40'000), last.bytes);
}

TEST_P(Links, LeavePeekedBytesInTheStream) {
  if (GetParam().tls) GTEST_SKIP() << "TLS has no bytes to leave before it has decrypted them";
  connect();
  auto& send = keep<Sending>(10);
  std::iota(send.bytes.begin(), send.bytes.end(), 'a');
  const auto look = [&](std::size_t size) {
    auto& peek = keep<Receiving>(size, 2);
    peek.peek = true;
    EXPECT_EQ(near().submit(peek), Submit::accepted);
    if (!send.done()) {  // the first finds nothing and waits, as any receive does
      site().turns(20);
      EXPECT_TRUE(!peek.done() && far().submit(send) == Submit::accepted);
    }
    EXPECT_TRUE(wait([&] { return peek.done() && send.done(); }));
    EXPECT_EQ(peek.bytes.compare(0, peek.result.bytes, send.bytes, 0, peek.result.bytes), 0);
    return peek.result.bytes;
  };
  EXPECT_EQ(look(64), 10U);
  EXPECT_EQ(receive(near(), 10), send.bytes);
  close(far_);
  EXPECT_EQ(look(64), 0U);
}

TEST_P(Links, SayThatThePeerResetWithAnError) {
  auto& accept = keep<Counted<AcceptOp>>();
  ticket(accept);
  auto& waiting = keep<Receiving>(16);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  site().turns(5);
  if (!site().reset(accept.ticket)) {
    port(1).refuse(accept.ticket);
    wait([&] { return waiting.done(); });
    GTEST_SKIP() << "this driver has no way to reset a connection from here";
  }
  ASSERT_TRUE(wait([&] { return waiting.done(); }));
  EXPECT_FALSE(waiting.result.ok);
  EXPECT_EQ(waiting.result.kind, ErrorKind::disconnected);
  EXPECT_EQ(waiting.result.origin, Origin::system);
  EXPECT_EQ(waiting.result.native, ECONNRESET);
}

TEST_P(Links, EndARefusedConnection) {
  auto& accept = keep<Counted<AcceptOp>>();
  ticket(accept);
  auto& waiting = keep<Receiving>(16);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  port(1).refuse(accept.ticket);
  ASSERT_TRUE(wait([&] { return waiting.done(); }));
  EXPECT_TRUE(!waiting.result.ok || waiting.result.bytes == 0);
}

TEST_P(Links, FailASendToAPeerThatLeft) {
  connect();
  close(far_);
  OpResult last = OpResult::success();
  for (int i = 0; i < 100 && last.ok; ++i) {
    auto& more = keep<Sending>(4096);
    ASSERT_EQ(near().submit(more), Submit::accepted);
    ASSERT_TRUE(wait([&] { return more.done(); }));
    last = more.result;
  }
  EXPECT_FALSE(last.ok);
  EXPECT_EQ(last.kind, ErrorKind::disconnected);
}

TEST_P(Links, KeepThePiecesInOrder) {
  connect();
  auto& send = keep<Sending>(kLinkPiecesMax * 37, kLinkPiecesMax);
  Random random(3);
  for (char& byte : send.bytes) byte = static_cast<char>(random.next());
  const std::string sent = send.bytes;
  ASSERT_TRUE(near().submit(send) == Submit::accepted && wait([&] { return send.done(); }));
  EXPECT_EQ(send.result.bytes, sent.size());
  std::string got;
  while (got.size() < sent.size()) {
    auto& part = keep<Receiving>(sent.size() - got.size(), std::min<unsigned>(kLinkPiecesMax, 50));
    ASSERT_EQ(far().submit(part), Submit::accepted);
    ASSERT_TRUE(wait([&] { return part.done(); }));
    ASSERT_TRUE(part.result.ok && part.result.bytes > 0);
    got.append(part.bytes, 0, part.result.bytes);
  }
  EXPECT_EQ(got, sent);
}

/// One direction of a stream of operations of random sizes: submits the next from the last's completion.
struct Stream {
  Stream(Link& from, Link& to, std::size_t size, std::uint64_t seed)
      : source(from), sink(to), random(seed), sent(size), received(size) {
    for (char& byte : sent) byte = static_cast<char>(random.next());
    send.user = receive.user = this;
    send.complete = [](Op& op) noexcept { static_cast<Stream*>(op.user)->was_sent(); };
    receive.complete = [](Op& op) noexcept { static_cast<Stream*>(op.user)->was_received(); };
    next_send();
    next_receive();
  }
  std::size_t fill(iovec (&list)[8], std::vector<char>& bytes, std::size_t at, unsigned& count) {
    count = 0;
    std::size_t total = 0;
    const auto wanted = 1 + random.next() % 8;
    while (count < wanted && at + total < bytes.size()) {
      const std::size_t size = std::min<std::size_t>(1 + random.next() % 200'000, bytes.size() - at - total);
      list[count++] = {bytes.data() + at + total, size};
      total += size;
    }
    return total;
  }
  void next_send() {
    if (sent_bytes == sent.size()) return;
    fill(send_list, sent, sent_bytes, send.piece_count);
    send.pieces = send_list;
    if (source.submit(send) != Submit::accepted) failed = true;
  }
  void next_receive() {
    if (received_bytes == received.size()) return;
    fill(receive_list, received, received_bytes, receive.piece_count);
    receive.pieces = receive_list;
    if (sink.submit(receive) != Submit::accepted) failed = true;
  }
  void was_sent() {
    failed = failed || !send.result.ok;
    sent_bytes += send.result.bytes;
    if (!failed) next_send();
  }
  void was_received() {
    failed = failed || !receive.result.ok || receive.result.bytes == 0;
    received_bytes += receive.result.bytes;
    if (!failed) next_receive();
  }
  bool done() const { return failed || (received_bytes == received.size() && sent_bytes == sent.size()); }

  Link& source;
  Link& sink;
  Random random;
  std::vector<char> sent;
  std::vector<char> received;
  std::size_t sent_bytes = 0;
  std::size_t received_bytes = 0;
  bool failed = false;
  iovec send_list[8];
  iovec receive_list[8];
  SendOp send;
  RecvOp receive;
};

TEST_P(Links, CarryBigTransfersOfRandomSizesBothWays) {
  connect();
  Stream there(near(), far(), 20 << 20, 1);
  Stream back(far(), near(), 20 << 20, 2);
  ASSERT_TRUE(wait([&] { return there.done() && back.done(); }));
  EXPECT_FALSE(there.failed || back.failed);
  EXPECT_TRUE(there.received == there.sent);  // nobody wants to read 20 MiB
  EXPECT_TRUE(back.received == back.sent);
}

TEST_P(Links, AllocateNothingOnceOpen) {
  connect();
  auto& send = keep<Sending>(3000, 3);
  auto& receive = keep<Receiving>(3000, 2);
  const auto exchange = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      send.completions = receive.completions = 0;
      ASSERT_EQ(near().submit(send), Submit::accepted);
      ASSERT_EQ(far().submit(receive), Submit::accepted);
      while (!send.done() || !receive.done()) site().turn();
    }
  };
  exchange(50);
  const auto before = allocations.load();
  exchange(500);
  if (!GetParam().kernel)
    GTEST_SKIP() << "a simulated network allocates its pieces; " << allocations - before;
  EXPECT_EQ(allocations.load(), before);
}

TEST_P(Links, SayWhoThePeerIs) {
  connect();
  EXPECT_NE(near().peer().find(std::to_string(listener_->address().port)), std::string::npos)
      << near().peer();
}

TEST_P(Links, RefuseToConnectWhereNobodyListens) {
  const Address address{site().host(), listen().port};
  listener_->close();
  const OpResult result = dial(address);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.kind, ErrorKind::disconnected);
  EXPECT_EQ(result.effect, Effect::none);
}

TEST_P(Links, StopConnectingAtTheDeadline) {
  const auto silent = site().silent_address();
  if (!silent) GTEST_SKIP() << "this driver has no silent address";
  site().turn();
  const OpResult result = dial(*silent, site().now() + milliseconds(50));
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.kind, ErrorKind::timed_out);
}

TEST_P(Links, StopConnectingWhenAsked) {
  const auto silent = site().silent_address();
  if (!silent) GTEST_SKIP() << "this driver has no silent address";
  auto& dialled = keep<Counted<ConnectOp>>();
  dialled.address = *silent;
  port().connect(dialled);
  site().turns(5);
  ASSERT_FALSE(dialled.done());
  port().cancel_connect(dialled);
  EXPECT_FALSE(dialled.done()) << "completed inside cancel_connect()";
  ASSERT_TRUE(wait([&] { return dialled.done(); }));
  site().turns(20);
  EXPECT_EQ(dialled.completions, 1U);
  EXPECT_EQ(dialled.result.kind, ErrorKind::cancelled);
}

TEST_P(Links, SayThatAHostIsUnknown) {
  const OpResult result = dial({"no-such-host.invalid", 4420});
  EXPECT_FALSE(result.ok);
  // Without a name server nobody can say whether the name is known.
  EXPECT_TRUE(result.kind == ErrorKind::not_found || result.kind == ErrorKind::disconnected)
      << result.error("connect");
}

TEST_P(Links, FindAHostByName) {
  const Address address{"localhost", listen().port};
  auto& accept = keep<Counted<AcceptOp>>();
  ASSERT_EQ(listener_->submit(accept), Submit::accepted);
  EXPECT_TRUE(dial(address).ok);
  ASSERT_TRUE(wait([&] { return accept.done(); }));
  port(1).refuse(accept.ticket);
}

TEST_P(Links, GoOverIpv6) {
  if (!GetParam().kernel) GTEST_SKIP() << "names only";
  auto made = port(1).listen({"::1", 0});
  if (!made) GTEST_SKIP() << made.error();
  listener_ = *std::move(made);
  EXPECT_TRUE(dial(listener_->address()).ok);
}

TEST_P(Links, ListenersCompleteTheirAcceptAsCancelled) {
  listen();
  expect_accept_cancelled(listener_);
}

TEST_P(Links, ListenersGiveTheirPortBack) {
  const Address address = listen();
  auto taken = port(1).listen({site().host(), address.port});
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().kind(), ErrorKind::already_exists);
  auto& accept = keep<Counted<AcceptOp>>();
  ASSERT_EQ(listener_->submit(accept), Submit::accepted);
  site().turns(5);
  listener_->close();
  auto again = port(1).listen({site().host(), address.port});
  ASSERT_TRUE(again.ok()) << again.error();
  (*again)->close();
  site().turns(5);
}

TEST_P(Links, SleepersWakeFromAnotherThread) {
  site().turns(5);
  std::thread waker([&] { port().wake(); });
  port().sleep_until(Time::max());  // ends, whichever comes first
  waker.join();
  site().turns(5);
}

TEST_P(Links, SleepersWakeForBytes) {
  if (!GetParam().kernel) GTEST_SKIP() << "both ends share one thread and one clock";
  connect();
  auto& waiting = keep<Receiving>(16);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  site().turns(5);
  auto& send = keep<Sending>(16);
  ASSERT_EQ(far().submit(send), Submit::accepted);
  port(1).flush();
  while (!waiting.done()) {
    port().sleep_until(Time::max());
    port().poll(16);
  }
  EXPECT_EQ(waiting.result.bytes, 16U);
  ASSERT_TRUE(wait([&] { return send.done(); }));
}

TEST_P(Links, AnIdleSleepIsOneSystemCall) {
  if (!GetParam().kernel) GTEST_SKIP() << "time stands still";
  connect();
  auto& waiting = keep<Receiving>(16);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  site().turns(20);
  for (int i = 0; i < 3; ++i) {  // what had still to be heard of
    site().turn();
    port().sleep_until(site().now() + milliseconds(5));
  }
  const auto before = site().metrics().system_calls;
  for (int i = 0; i < 5; ++i) {
    port().sleep_until(site().now() + milliseconds(20));
    port().poll(16);
  }
  EXPECT_LE(site().metrics().system_calls - before, 10U);  // the sleep, and perhaps a look at it
  EXPECT_FALSE(waiting.done());
}

TEST_P(Links, SleepEndsAtTheDeadline) {
  if (!GetParam().kernel) GTEST_SKIP() << "time stands still";
  site().turns(5);
  port().sleep_until(site().now() + milliseconds(1));
  const auto deadline = std::chrono::steady_clock::now() + milliseconds(30);
  // A signal may end a sleep early, but not again and again.
  for (int i = 0; i < 3 && std::chrono::steady_clock::now() < deadline; ++i) {
    site().turn();
    port().sleep_until(deadline);
  }
  EXPECT_GE(std::chrono::steady_clock::now(), deadline - milliseconds(1));
}

bool is_readable(int fd, int timeout_ms) {
  pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&watched, 1, timeout_ms) == 1;
}

TEST_P(Links, TheDescriptorShowsThatThereIsWork) {
  connect();
  const int fd = port().fd();
  auto& waiting = keep<Receiving>(16);
  ASSERT_EQ(near().submit(waiting), Submit::accepted);
  site().turns(5);
  for (int i = 0; i < 100 && (!port().may_sleep() || is_readable(fd, 0)); ++i) site().turn();
  EXPECT_FALSE(is_readable(fd, 0)) << "nothing to do, yet readable";
  auto& send = keep<Sending>(16);
  ASSERT_EQ(far().submit(send), Submit::accepted);
  port(1).flush();
  if (!GetParam().kernel) GTEST_SKIP() << "both ends share one clock, which moves between turns only";
  EXPECT_TRUE(is_readable(fd, 10'000));
  ASSERT_TRUE(wait([&] { return waiting.done() && send.done(); }));
  port().wake();
  EXPECT_TRUE(is_readable(fd, 10'000));
}

TEST_P(Links, TheDescriptorWakesWhoWaitsOnIt) {
  const int fd = port().fd();
  for (int i = 0; i < 100 && (!port().may_sleep() || is_readable(fd, 0)); ++i) site().turn();
  std::thread waker([&] {
    std::this_thread::sleep_for(milliseconds(30));  // most likely it waits by then; right either way
    port().wake();
  });
  const auto from = std::chrono::steady_clock::now();
  EXPECT_TRUE(is_readable(fd, 20'000));
  EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(15)) << "seen, but not woken";
  waker.join();
  for (int i = 0; i < 100 && (!port().may_sleep() || is_readable(fd, 0)); ++i) site().turn();
  EXPECT_FALSE(is_readable(fd, 0)) << "nothing to do, yet readable";
}

TEST_P(Links, TheDescriptorShowsASendThatCompleted) {
  if (!GetParam().kernel) GTEST_SKIP() << "a simulated send completes on the simulated clock";
  connect();
  const int fd = port().fd();
  site().turns(20);
  auto& send = keep<Sending>(16);
  ASSERT_EQ(near().submit(send), Submit::accepted);
  port().flush();
  EXPECT_TRUE(is_readable(fd, 10'000));
  port().poll(16);
  EXPECT_TRUE(send.done());
}

TEST_P(Links, RegisteredMemoryIsSentFromAndForgotten) {
  connect();
  auto& send = keep<Sending>(1 << 16);
  auto& receive = keep<Receiving>(1 << 16);
  const MutableBytes memory = std::as_writable_bytes(std::span(send.bytes));
  ASSERT_TRUE(port().register_memory(memory).ok());
  ASSERT_EQ(near().submit(send), Submit::accepted);
  ASSERT_EQ(far().submit(receive), Submit::accepted);
  ASSERT_TRUE(wait([&] { return send.done() && receive.done(); }));
  EXPECT_TRUE(send.result.ok);
  port().forget_memory(memory);
  ASSERT_TRUE(port().register_memory(memory).ok());
  port().forget_memory(memory);
}

INSTANTIATE_TEST_SUITE_P(Drivers, Links, testing::ValuesIn(kLinks), name_of);

}  // namespace
}  // namespace netstor::conformance
