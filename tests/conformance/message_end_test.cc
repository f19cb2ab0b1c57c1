// SPDX-License-Identifier: Apache-2.0
// The contract of message links (transports/message_link.h), for every driver that has them: how connections
// are made and refused, and what comes home when they end.

#include "tests/conformance/messages.h"

#include <sys/mman.h>

#include <cstring>

namespace netstor::conformance {
namespace {

using std::chrono::milliseconds;

// ---- The end.

TEST_P(MessageLinks, CloseFirstCompletesEverything) {
  connect();
  const RemoteMemory remote = open(near_.piece(), true);
  std::vector<Work*> all;
  for (unsigned i = 0; i < 3; ++i) {
    all.push_back(&submit(far(), Verb::write, far_.bytes(), remote));
    all.push_back(&submit(far(), Verb::send, far_.bytes(500)));
    if (i == 1) port(1).flush();  // the rest has not been the card's yet
  }
  auto& closed = keep<Counted<Op>>();
  far().close(closed);
  for (Work* const each : all) EXPECT_EQ(each->completions, 0U) << "completed inside close()";
  ASSERT_TRUE(wait([&] { return closed.done(); }));
  far_.link.reset();
  site().turns(20);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i]->completions, 1U);
    EXPECT_LT(all[i]->order, i + 1 < all.size() ? all[i + 1]->order : closed.order) << i;
    EXPECT_TRUE(all[i]->result.ok || all[i]->result.kind == ErrorKind::cancelled);
  }
  EXPECT_EQ(closed.completions, 1U);
}

TEST_P(MessageLinks, EndAConnectThatNobodyWantsAnyMore) {
  Ticket ticket;
  Dial& made = ask(ticket);
  messages().cancel_messages(made);
  messages().cancel_messages(made);  // it is on its way home: there is nothing left to do
  EXPECT_EQ(made.completions, 0U) << "completed inside cancel_messages()";
  ASSERT_TRUE(wait([&] { return made.done(); }));
  EXPECT_EQ(made.result.kind, ErrorKind::cancelled);
  EXPECT_EQ(made.link, nullptr);
  messages(1).refuse_messages(ticket, {});
  site().turns(20);
  EXPECT_EQ(made.completions, 1U);
}

TEST_P(MessageLinks, TellThePeerThatTheyWereClosed) {
  for (const bool by_near : {true, false}) {
    connect();
    End& leaver = by_near ? near_ : far_;
    End& stayer = by_near ? far_ : near_;
    close(leaver);
    ASSERT_TRUE(wait([&] { return stayer.ear.lost > 0; }));
    EXPECT_TRUE(stayer.link->broken());
    EXPECT_FALSE(stayer.ear.why.ok);
    EXPECT_EQ(stayer.ear.why.kind, ErrorKind::disconnected);
    Work& late = submit(*stayer.link, Verb::send, stayer.bytes(16));
    ASSERT_TRUE(wait([&] { return late.done(); }));
    EXPECT_FALSE(late.result.ok);
    site().turns(50);
    EXPECT_EQ(stayer.ear.lost, 1U);
    EXPECT_EQ(leaver.ear.lost, 0U) << "who closes is not told of it";
    close(stayer);
    EXPECT_EQ(late.completions, 1U);
    stayer.ear = Ear{};
    listener_->close();
    site().turns(5);
  }
}

TEST_P(MessageLinks, BringEverythingHomeWhenThePeerGoes) {
  connect();
  const RemoteMemory remote = open(near_.piece(), false);
  std::vector<Work*> all;
  for (unsigned i = 0; i < 4; ++i) {
    all.push_back(&submit(far(), Verb::read, far_.bytes(), remote));
    all.push_back(&submit(far(), Verb::send, far_.bytes(64)));
  }
  port(1).flush();
  close(near_);
  ASSERT_TRUE(wait([&] { return far_.ear.lost == 1; }));
  close(far_);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i]->completions, 1U);
    EXPECT_TRUE(all[i]->result.ok || all[i]->result.kind == ErrorKind::disconnected);
    EXPECT_TRUE(i == 0 || all[i - 1]->order < all[i]->order) << i;
    EXPECT_TRUE(i == 0 || all[i - 1]->result.ok || !all[i]->result.ok) << i;
  }
}

TEST_P(MessageLinks, LeaveMemoryAloneOnceTheyAreClosed) {
  connect();
  const RemoteMemory remote = open(near_.piece(), true);
  for (unsigned i = 0; i < 4; ++i) submit(far(), Verb::write, far_.bytes(), remote);
  port(1).flush();
  close(near_);  // and the window with it
  std::memset(near_.bytes().data(), 'x', kMemory);
  ASSERT_TRUE(wait([&] { return far_.ear.lost == 1; }));
  close(far_);
  site().turns(50);
  EXPECT_TRUE(Ear::text(near_.bytes()) == std::string(kMemory, 'x'));
}

TEST_P(MessageLinks, TellWhoObservesLaterThatThePeerHasGone) {
  connect(false);
  close(near_);
  ASSERT_TRUE(wait([&] { return far().broken(); }));
  observe(far_);
  EXPECT_EQ(far_.ear.lost, 0U) << "inside observe()";
  EXPECT_TRUE(wait([&] { return far_.ear.lost == 1; }));
  site().turns(20);
  EXPECT_EQ(far_.ear.lost, 1U);
}

TEST_P(MessageLinks, BreakOverAMessageThatNobodyWasThereToTake) {
  connect(false);
  observe(near_);
  submit(near(), Verb::send, near_.bytes(64));
  ASSERT_TRUE(wait([&] { return far().broken(); }));
  observe(far_);
  EXPECT_TRUE(wait([&] { return far_.ear.lost == 1; }));
  EXPECT_TRUE(far_.ear.messages.empty());
}

TEST_P(MessageLinks, BreakOverAMessageLongerThanTheReceive) {
  connect();
  submit(near(), Verb::send, near_.bytes(kMessageBytes * 2));
  ASSERT_TRUE(wait([&] { return far_.ear.lost == 1 && near_.ear.lost == 1; }));
  EXPECT_TRUE(far_.ear.messages.empty());
}

TEST_P(MessageLinks, LiveWithoutOneAnother) {
  ASSERT_NO_FATAL_FAILURE(connect_two());
  End &third = ends_[2], &fourth = ends_[3];
  close(near_);
  ASSERT_TRUE(wait([&] { return far_.ear.lost == 1; }));
  submit(*third.link, Verb::send, third.bytes(64));
  EXPECT_TRUE(wait([&] { return fourth.ear.messages.size() == 1; }));
  EXPECT_EQ(fourth.ear.lost + third.ear.lost, 0U);
}

// A peer that sends more than it may has taken what was laid out for others. With its link it is laid out
// again, though none of the others has anything to send.
TEST_P(MessageLinks, LaySharedReceivesOutAgainWhenALinkEnds) {
  if (!site().shares_receives()) GTEST_SKIP() << "here each link has receives of its own";
  ASSERT_NO_FATAL_FAILURE(connect_two());
  far_.ear.gives_back = false;
  ASSERT_TRUE(wait([&] {
    while (near_.ear.lost == 0 && near().room() != 0) submit(near(), Verb::send, near_.bytes(16));
    return near_.ear.lost == 1;
  }));
  close(far_);
  site().turns(5);
  submit(*ends_[2].link, Verb::send, ends_[2].bytes(64));
  EXPECT_TRUE(wait([&] { return ends_[3].ear.messages.size() == 1; }));
}

// What is lent of links that have ended keeps no promise to the others.
TEST_P(MessageLinks, KeepTheirPromisesWhileMessagesOfEndedLinksAreLent) {
  if (!site().shares_receives()) GTEST_SKIP() << "here each link has receives of its own";
  ASSERT_NO_FATAL_FAILURE(connect_two());
  far_.ear.gives_back = ends_[3].ear.gives_back = false;
  std::vector<std::unique_ptr<MessageLink>> ended;
  std::vector<std::uint32_t> lent;
  for (unsigned round = 0; round < 12; ++round) {
    far_.ear.messages.clear();
    for (unsigned i = 0; i < kReceives; ++i) submit(near(), Verb::send, near_.bytes(64));
    ASSERT_TRUE(wait([&] { return far_.ear.messages.size() == kReceives; })) << round;
    if (round == 11) break;
    for (const Ear::Message& each : far_.ear.messages) lent.push_back(each.receive);
    auto& closed = keep<Counted<Op>>();
    far().close(closed);
    ASSERT_TRUE(wait([&] { return closed.done(); }));
    ended.push_back(std::move(far_.link));
    close(near_);
    ASSERT_NO_FATAL_FAILURE(connect_again());
  }
  for (unsigned i = 0; i < kReceives; ++i) submit(*ends_[2].link, Verb::send, ends_[2].bytes(64));
  EXPECT_TRUE(wait([&] { return ends_[3].ear.messages.size() == kReceives; }));
  for (std::size_t i = 0; i < lent.size(); ++i) ended[i / kReceives]->give_back(lent[i]);
}

// However many have ended with a message on its way, whose receives may not have come back. Of one packet:
// Soft-RoCE (6.12) falls over the second one of a message to an end that has gone meanwhile.
TEST_P(MessageLinks, HaveAllTheirReceivesAfterManyHaveEnded) {
  ASSERT_NO_FATAL_FAILURE(connect_two());
  for (unsigned i = 0; i < 70; ++i) {
    submit(near(), Verb::send, near_.bytes(64));
    port(0).flush();
    close(far_);
    close(near_);
    ASSERT_NO_FATAL_FAILURE(connect_again());
  }
  far_.ear.messages.clear();
  far_.ear.gives_back = ends_[3].ear.gives_back = false;
  for (unsigned i = 0; i < kReceives; ++i) {
    submit(near(), Verb::send, near_.bytes(64));
    submit(*ends_[2].link, Verb::send, ends_[2].bytes(64));
  }
  EXPECT_TRUE(wait(
      [&] { return far_.ear.messages.size() == kReceives && ends_[3].ear.messages.size() == kReceives; }));
}

// ---- Connections.

/// A card's connection manager may put zeroes behind it.
bool begins_with(const MessageGreeting& greeting, std::string_view text) {
  return Ear::text(greeting.view()).starts_with(text);
}

TEST_P(MessageLinks, BeginWithPrivateDataBothWays) {
  Ticket ticket;
  Dial& made = ask(ticket, "I am who I am");
  EXPECT_TRUE(begins_with(messages(1).asked(ticket), "I am who I am"));
  ASSERT_NO_FATAL_FAILURE(adopt(ticket));
  observe(far_);
  ASSERT_TRUE(wait([&] { return made.done(); }) && made.result.ok);
  near_.link = std::move(made.link);
  observe(near_);
  EXPECT_TRUE(begins_with(far().greeting(), "I am who I am"));
  EXPECT_TRUE(begins_with(near().greeting(), "welcome"));
  EXPECT_TRUE(begins_with(made.greeting, "welcome"));
  EXPECT_NE(near().peer().find(std::to_string(listener_->address().port)), std::string::npos)
      << near().peer();
  EXPECT_FALSE(far().peer().empty() || far().describe().empty());
}

TEST_P(MessageLinks, BeginWithAsMuchPrivateDataAsPromised) {
  Ticket ticket;
  const std::string most(kMessagePrivateMax, 'p');
  Dial& made = ask(ticket, most);
  EXPECT_TRUE(begins_with(messages(1).asked(ticket), most));
  auto adopted = messages(1).adopt_messages(ticket, shape(), std::as_bytes(std::span(most)), {});
  ASSERT_TRUE(adopted.ok()) << adopted.error();
  far_.link = *std::move(adopted);
  ASSERT_TRUE(wait([&] { return made.done(); }) && made.result.ok);
  near_.link = std::move(made.link);
  EXPECT_TRUE(begins_with(near().greeting(), most));
}

TEST_P(MessageLinks, RefuseWithAReason) {
  Ticket ticket;
  Dial& made = ask(ticket);
  site().turns(5);
  ASSERT_FALSE(made.done());
  messages(1).refuse_messages(ticket, std::as_bytes(std::span(std::string_view("not you"))));
  ASSERT_TRUE(wait([&] { return made.done(); }));
  EXPECT_TRUE(!made.result.ok && made.link == nullptr);
  EXPECT_EQ(made.result.kind, ErrorKind::disconnected);
  EXPECT_EQ(made.result.native, ECONNREFUSED);
  EXPECT_EQ(made.result.effect, Effect::none);
  EXPECT_TRUE(begins_with(made.greeting, "not you"));
}

TEST_P(MessageLinks, RefuseWhereMemoryCouldNotBeRegistered) {
  void* const forbidden = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const MutableBytes memory(static_cast<std::byte*>(forbidden), 4096);
  ASSERT_TRUE(port(1).register_memory(memory).ok()) << "what a card refuses is no error";
  Ticket ticket;
  Dial& made = ask(ticket);
  const auto adopted = messages(1).adopt_messages(ticket, shape(), {},
                                                  std::as_bytes(std::span(std::string_view("no memory"))));
  port(1).forget_memory(memory);
  ::munmap(forbidden, 4096);
  ASSERT_FALSE(adopted.ok());
  EXPECT_EQ(adopted.error().kind(), ErrorKind::exhausted);
  EXPECT_GT(site().metrics(1).registrations_degraded, 0U);
  ASSERT_TRUE(wait([&] { return made.done(); }));
  EXPECT_EQ(made.result.native, ECONNREFUSED);
  EXPECT_TRUE(begins_with(made.greeting, "no memory"));
}

TEST_P(MessageLinks, TakeNothingFromTheOthersWhenTheyCannotBeMade) {
  Ticket ticket;
  Dial& made = ask(ticket);
  MessageShape impossible = shape();
  impossible.scratch_bytes = std::size_t{1} << 60;
  ASSERT_FALSE(messages(1).adopt_messages(ticket, impossible, {}, {}).ok());
  ASSERT_TRUE(wait([&] { return made.done(); }));
  EXPECT_FALSE(made.result.ok);
  listener_.reset();
  ASSERT_NO_FATAL_FAILURE(connect());
  ASSERT_TRUE(run(submit(near(), Verb::send, near_.bytes(64))).ok);
  EXPECT_TRUE(wait([&] { return far_.ear.messages.size() == 1; }));
}

TEST_P(MessageLinks, FailWhereNobodyListens) {
  const Address address = listen();
  listener_->close();
  Dial& made = dial(address);
  ASSERT_TRUE(wait([&] { return made.done(); }));
  EXPECT_FALSE(made.result.ok);
  EXPECT_EQ(made.result.kind, ErrorKind::disconnected);
  EXPECT_EQ(made.result.effect, Effect::none);
}

TEST_P(MessageLinks, StopConnectingAtTheDeadline) {
  auto& accept = keep<Counted<AcceptOp>>();
  auto& made = keep<Dial>();
  made.address = listen();
  made.shape = shape();
  made.deadline = site().now() + milliseconds(500);
  ASSERT_EQ(listener_->submit(accept), Submit::accepted);
  messages().connect_messages(made);
  ASSERT_TRUE(wait([&] { return made.done(); }));
  EXPECT_EQ(made.result.kind, ErrorKind::timed_out);
  EXPECT_EQ(made.completions, 1U);
  EXPECT_TRUE(made.link == nullptr);
  // Whether it got as far as the listener before is the machine's affair.
  listener_->close();
  ASSERT_TRUE(wait([&] { return accept.done(); }));
  if (!accept.result.ok) return;
  // Who adopts what nobody waits for any more is told so, at once or a moment later.
  auto adopted = messages(1).adopt_messages(accept.ticket, shape(), {}, {});
  if (!adopted) return;
  far_.link = *std::move(adopted);
  observe(far_);
  EXPECT_TRUE(wait([&] { return far_.ear.lost == 1; }));
}

TEST_P(MessageLinks, ListenersCompleteTheirAcceptAsCancelled) {
  listen();
  expect_accept_cancelled(listener_);
}

TEST_P(MessageLinks, ListenersRefuseWhomNobodyAccepted) {
  Dial& made = dial(listen());
  site().wait([&, until = std::chrono::steady_clock::now() + milliseconds(300)] {
    return std::chrono::steady_clock::now() > until;  // most likely it has knocked by then; right either way
  });
  EXPECT_FALSE(made.done());
  listener_->close();
  ASSERT_TRUE(wait([&] { return made.done(); }));
  EXPECT_EQ(made.result.kind, ErrorKind::disconnected);
}

INSTANTIATE_TEST_SUITE_P(Drivers, MessageLinks, testing::ValuesIn(kMessageLinks), name_of);

}  // namespace
}  // namespace netstor::conformance
