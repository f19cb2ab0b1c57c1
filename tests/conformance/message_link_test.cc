// SPDX-License-Identifier: Apache-2.0
// The contract of message links (transports/message_link.h), for every driver that has them: one test a rule.
// How they begin and end is in message_end_test.cc.

#include "tests/conformance/counting_new.h"
#include "tests/conformance/messages.h"

#include <poll.h>

#include <cstring>
#include <set>
#include <thread>

namespace netstor::conformance {
namespace {

// ---- Messages.

TEST_P(MessageLinks, CompleteOnceAndNeverInsideSubmit) {
  connect();
  Work& send = submit(near(), Verb::send, near_.bytes(5));
  ASSERT_TRUE(run(send).ok);
  ASSERT_TRUE(wait([&] { return far_.ear.messages.size() == 1; }));
  site().turns(50);
  EXPECT_EQ(send.completions, 1U);
  EXPECT_EQ(far_.ear.messages.size(), 1U);
}

TEST_P(MessageLinks, CarryMessagesWholeAndInOrder) {
  connect();
  const std::size_t turns_at = near().inline_bytes();
  const std::size_t sizes[] = {1, 16, turns_at == 0 ? 1 : turns_at, turns_at + 1, kMessageBytes, 2, 3000};
  for (End* const from : {&near_, &far_}) {
    End& to = from == &near_ ? far_ : near_;
    std::size_t at = 0;
    std::vector<std::string> sent;
    for (const std::size_t size : sizes) {
      const MutableBytes bytes = from->bytes(size, at);
      at += size;
      sent.push_back(Ear::text(bytes));
      submit(*from->link, Verb::send, bytes, RemoteMemory{}, size < 3 ? 1U : 3U);
    }
    ASSERT_TRUE(wait([&] { return to.ear.messages.size() == sent.size(); }));
    for (std::size_t i = 0; i < sent.size(); ++i) {
      EXPECT_TRUE(to.ear.messages[i].bytes == sent[i]) << "message " << i;
      EXPECT_EQ(to.ear.messages[i].ended_key, 0U);
    }
  }
}

TEST_P(MessageLinks, TakeInlineMessagesFromAnyMemory) {
  connect();
  if (near().inline_bytes() == 0) GTEST_SKIP() << "this card sends nothing inline";
  std::vector<std::byte> anywhere(near().inline_bytes(), std::byte{7});
  ASSERT_TRUE(run(submit(near(), Verb::send, MutableBytes(anywhere))).ok);
  ASSERT_TRUE(wait([&] { return far_.ear.messages.size() == 1; }));
  EXPECT_EQ(far_.ear.messages[0].bytes, std::string(anywhere.size(), 7));
}

TEST_P(MessageLinks, LeaveAMessageInItsReceiveUntilItIsGivenBack) {
  connect();
  far_.ear.gives_back = false;
  for (unsigned i = 0; i < kReceives; ++i) submit(near(), Verb::send, near_.bytes(1000, i * 1000));
  ASSERT_TRUE(wait([&] { return far_.ear.messages.size() == kReceives; }));
  std::set<std::uint32_t> places;
  for (const Ear::Message& each : far_.ear.messages) {
    places.insert(each.receive);
    EXPECT_TRUE(Ear::text(each.where) == each.bytes) << "another one has come over it";
  }
  EXPECT_EQ(places.size(), kReceives);
  far_.ear.gives_back = true;
  for (const std::uint32_t each : places) far().give_back(each);
  site().turns(5);
  for (unsigned i = 0; i < kReceives; ++i) submit(near(), Verb::send, near_.bytes(1000, i * 2000));
  EXPECT_TRUE(wait([&] { return far_.ear.messages.size() == 2 * kReceives; }));
}

TEST_P(MessageLinks, CarryMoreMessagesThanThereAreReceivesByCredits) {
  connect();
  for (unsigned i = 0; i < 40; ++i) {
    ASSERT_TRUE(run(submit(near(), Verb::send, near_.bytes(100, i * 100))).ok);
    ASSERT_TRUE(wait([&] { return far_.ear.messages.size() == i + 1; }));
    ASSERT_TRUE(run(submit(far(), Verb::send, far_.bytes(16))).ok);
    ASSERT_TRUE(wait([&] { return near_.ear.messages.size() == i + 1; }));
    EXPECT_TRUE(far_.ear.messages[i].bytes == Ear::text(near_.bytes(100, i * 100)));
  }
}

TEST_P(MessageLinks, SayThatTheyAreFullAndNothingElse) {
  connect();
  EXPECT_GE(near().room(), kOperations);
  std::vector<Work*> taken;
  const RemoteMemory remote = [&] {
    auto& opened = keep<Work>(Verb::close_window);
    auto made = far().open_window(0, far_.piece(), true, &opened);
    EXPECT_TRUE(made && wait([&] { return opened.done(); }));
    return made.value_or(RemoteMemory{});
  }();
  while (near().room() >= near().transfer_works()) {
    ASSERT_LT(taken.size(), 10'000U);
    taken.push_back(&submit(near(), Verb::write, near_.bytes(8), remote));
  }
  Work& one_more = keep<Work>(Verb::write, near_.bytes(8), remote);
  EXPECT_EQ(near().submit(one_more), Submit::full);
  ASSERT_TRUE(wait([&] { return std::ranges::all_of(taken, [](Work* each) { return each->done(); }); }));
  EXPECT_EQ(one_more.completions, 0U);
  EXPECT_EQ(near().submit(one_more), Submit::accepted);
  EXPECT_TRUE(run(one_more).ok);
}

TEST_P(MessageLinks, CompleteInTheOrderOfSubmission) {
  connect();
  const RemoteMemory remote = open(near_.piece(), true);
  const RemoteMemory source = open(near_.piece(), false, 1);
  std::vector<Work*> all;
  for (unsigned round = 0; round < 3; ++round) {
    for (const Verb verb : {Verb::write, Verb::send, Verb::read}) {
      Work& work = keep<Work>(verb, far_.bytes(verb == Verb::send ? 100 : 4096, round * 4096),
                              verb == Verb::read ? source : remote);
      work.prompt = verb == Verb::read;
      ASSERT_EQ(far().submit(work), Submit::accepted);
      all.push_back(&work);
    }
  }
  ASSERT_TRUE(wait([&] { return all.back()->done(); }));
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_TRUE(all[i]->completions == 1 && all[i]->result.ok) << i;
    EXPECT_TRUE(i == 0 || all[i - 1]->order < all[i]->order) << i;
  }
}

/// Looks at its bytes when it completes, not later.
struct Look : Work {
  Look(MutableBytes into, RemoteMemory from, std::string expected)
      : Work(Verb::read, into, from), bytes(into), wanted(std::move(expected)) {
    complete = [](Op& op) noexcept {
      auto& self = static_cast<Look&>(op);
      ++self.completions;
      self.order = ++last_order;
      self.right = Ear::text(self.bytes) == self.wanted;
    };
  }
  MutableBytes bytes;
  std::string wanted;
  bool right = false;
};

TEST_P(MessageLinks, CompleteNoReadBeforeItsBytesHaveCome) {
  connect();
  constexpr std::size_t kSize = kMemory / 4;
  const RemoteMemory source = open(near_.piece(), false);
  for (unsigned round = 0; round < 10; ++round) {
    near_.fill(100 + round);
    std::vector<Look*> looks;
    for (unsigned i = 0; i < 3; ++i) {
      const RemoteMemory from{.address = source.address + i * kSize, .key = source.key};
      looks.push_back(
          &keep<Look>(far_.bytes(kSize, i * kSize), from, Ear::text(near_.bytes(kSize, i * kSize))));
      ASSERT_EQ(far().submit(*looks.back()), Submit::accepted);
      submit(far(), Verb::send, far_.bytes(16, 3 * kSize));
    }
    ASSERT_TRUE(wait([&] { return looks.back()->done() && near_.ear.messages.size() == 3 * (round + 1); }));
    for (Look* const each : looks) EXPECT_TRUE(each->completions == 1 && each->result.ok && each->right);
  }
}

// ---- Memory.

TEST_P(MessageLinks, ReadAndWriteThePeersMemory) {
  connect();
  const std::string before = Ear::text(near_.bytes());
  const RemoteMemory remote = open(near_.piece(8192, 4096), true);
  ASSERT_TRUE(run(submit(far(), Verb::write, far_.bytes(8192), remote, kMessagePiecesMax)).ok);
  EXPECT_TRUE(Ear::text(near_.bytes(8192, 4096)) == Ear::text(far_.bytes(8192)));
  EXPECT_TRUE(Ear::text(near_.bytes(4096)) == before.substr(0, 4096));
  EXPECT_TRUE(Ear::text(near_.bytes().subspan(12288)) == before.substr(12288));
  ASSERT_TRUE(run(submit(near(), Verb::close_window)).ok);

  const RemoteMemory source = open(near_.piece(kMemory / 2), false);
  const RemoteMemory inside{.address = source.address + 100, .key = source.key};
  ASSERT_TRUE(run(submit(far(), Verb::read, far_.bytes(20'000), inside, kMessagePiecesMax)).ok);
  EXPECT_TRUE(Ear::text(far_.bytes(20'000)) == Ear::text(near_.bytes(20'000, 100)));
}

TEST_P(MessageLinks, WriteBeforeTheMessageBehindIt) {
  connect();
  const RemoteMemory remote = open(near_.piece(), true);
  submit(far(), Verb::write, far_.bytes(), remote);
  submit(far(), Verb::send, far_.bytes(16));
  ASSERT_TRUE(wait([&] { return near_.ear.messages.size() == 1; }));
  EXPECT_TRUE(Ear::text(near_.bytes()) == Ear::text(far_.bytes()));
}

TEST_P(MessageLinks, HaveScratchThatTheyReach) {
  connect();
  const MutableBytes scratch = near().scratch();
  ASSERT_EQ(scratch.size(), shape().scratch_bytes);
  std::memset(scratch.data(), 'x', scratch.size());
  ASSERT_TRUE(run(submit(near(), Verb::send, scratch.first(2000))).ok);
  ASSERT_TRUE(wait([&] { return far_.ear.messages.size() == 1; }));
  EXPECT_EQ(far_.ear.messages[0].bytes, std::string(2000, 'x'));
}

TEST_P(MessageLinks, ReachWhatIsRegisteredAndNothingElse) {
  connect();
  Buffer other = Buffer::allocate(kMemory).value();
  const auto reaches = [&](iovec piece) { return near().reaches(&piece, 1); };
  const iovec all{other.data(), other.size()};
  EXPECT_TRUE(reaches(near_.piece()) && reaches(near_.piece(1, kMemory - 1)));
  EXPECT_FALSE(reaches(near_.piece(2, kMemory - 1)) || reaches(all));
  EXPECT_TRUE(near().registered_around(all).empty());
  EXPECT_EQ(near().registered_around(near_.piece(5, 5)).data(), near_.bytes().data());
  ASSERT_TRUE(port().register_memory(other.bytes()).ok());
  ASSERT_TRUE(port().register_memory(other.bytes()).ok());
  EXPECT_TRUE(reaches(all));
  port().forget_memory(other.bytes());
  EXPECT_TRUE(reaches(all)) << "the last one counts";
  port().forget_memory(other.bytes());
  EXPECT_FALSE(reaches(all));
}

TEST_P(MessageLinks, OpenNoMemoryThatIsNotRegistered) {
  connect();
  if (!near().has_windows()) GTEST_SKIP() << "this card registers what it opens";
  std::vector<std::byte> other(4096);
  auto& opened = keep<Work>(Verb::close_window);
  EXPECT_FALSE(near().open_window(0, {other.data(), other.size()}, true, &opened));
  site().turns(20);
  EXPECT_EQ(opened.completions, 0U);
}

TEST_P(MessageLinks, OpenAndCloseAWindowAgainAndAgain) {
  connect();
  std::set<std::uint32_t> keys;
  for (unsigned i = 0; i < 20; ++i) {
    const RemoteMemory remote = open(near_.piece(64, i * 64), true);
    keys.insert(remote.key);
    ASSERT_TRUE(run(submit(far(), Verb::write, far_.bytes(64, i * 128), remote)).ok);
    ASSERT_TRUE(run(submit(near(), Verb::close_window)).ok);
    EXPECT_TRUE(Ear::text(near_.bytes(64, i * 64)) == Ear::text(far_.bytes(64, i * 128)));
  }
  EXPECT_GT(keys.size(), 1U) << "a key of long ago opens the window of now";
}

TEST_P(MessageLinks, EndAWindowWithAMessage) {
  connect();
  const RemoteMemory remote = open(near_.piece(), true);
  if (!near().has_windows()) GTEST_SKIP() << "windows of this card end by their owner's word alone";
  Work& work = keep<Work>(Verb::send, far_.bytes(16));
  work.end_key = remote.key;
  ASSERT_EQ(far().submit(work), Submit::accepted);
  ASSERT_TRUE(wait([&] { return near_.ear.messages.size() == 1; }));
  EXPECT_EQ(near_.ear.messages[0].ended_key, remote.key);
  near().window_ended(0);
  const RemoteMemory next = open(near_.piece(4096), true);
  EXPECT_NE(next.key, remote.key);
  ASSERT_TRUE(run(submit(far(), Verb::write, far_.bytes(4096), next)).ok);
  expect_refused(Verb::write, far_.bytes(512), remote);
}

TEST_P(MessageLinks, RefuseAKeyThatNobodyGaveOut) {
  connect();
  const auto where = reinterpret_cast<std::uintptr_t>(near_.bytes().data());
  expect_refused(Verb::write, far_.bytes(512), {.address = where, .key = 0x5A5A5A});
}

TEST_P(MessageLinks, RefuseAKeyThatWasTakenBack) {
  connect();
  const RemoteMemory remote = open(near_.piece(), true);
  ASSERT_TRUE(run(submit(near(), Verb::close_window)).ok);
  expect_refused(Verb::write, far_.bytes(512), remote);
}

TEST_P(MessageLinks, RefuseToWriteToWhatIsOpenForReading) {
  connect();
  expect_refused(Verb::write, far_.bytes(512), open(near_.piece(), false));
}

TEST_P(MessageLinks, RefuseToReadWhatIsOpenForWriting) {
  connect();
  expect_refused(Verb::read, far_.bytes(512), open(near_.piece(), true));
}

TEST_P(MessageLinks, RefuseAWriteBeyondTheRegistration) {
  connect();
  RemoteMemory remote = open(near_.piece(), true);
  remote.address += kMemory - 256;
  expect_refused(Verb::write, far_.bytes(512), remote);
}

TEST_P(MessageLinks, RefuseAReadBeyondTheRegistration) {
  connect();
  RemoteMemory remote = open(near_.piece(), false);
  remote.address -= 256;
  expect_refused(Verb::read, far_.bytes(512), remote);
}

// ---- The port.

TEST_P(MessageLinks, AllocateNothingOnceOpen) {
  connect();
  near_.ear.counts_only = far_.ear.counts_only = true;
  const RemoteMemory remote = open(near_.piece(), true);
  Work& send = keep<Work>(Verb::send, near_.bytes(3000));
  Work& write = keep<Work>(Verb::write, far_.bytes(9000), remote, 3U);
  const auto exchange = [&](unsigned rounds) {
    for (unsigned i = 0; i < rounds; ++i) {
      send.completions = write.completions = 0;
      const unsigned came = far_.ear.count;
      if (near().submit(send) != Submit::accepted || far().submit(write) != Submit::accepted) return false;
      const auto over = [&] { return send.done() && write.done() && far_.ear.count != came; };
      if (!wait(std::cref(over))) return false;  // a copy would be an allocation
    }
    return true;
  };
  ASSERT_TRUE(exchange(20));
  const auto before = allocations.load();
  ASSERT_TRUE(exchange(100));
  EXPECT_EQ(allocations.load(), before);
}

TEST_P(MessageLinks, SleepersWakeForAMessage) {
  connect();
  site().turns(5);
  submit(far(), Verb::send, far_.bytes(16));
  port(1).flush();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (near_.ear.messages.empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    port().sleep_until(give_up);
    port().poll(16);
  }
  site().turns(20);
}

TEST_P(MessageLinks, TheDescriptorShowsAMessage) {
  connect();
  const auto readable = [&](int timeout_ms) {
    pollfd watched{.fd = port().fd(), .events = POLLIN, .revents = 0};
    return ::poll(&watched, 1, timeout_ms) == 1;
  };
  for (int i = 0; i < 200 && (!port().may_sleep() || readable(0)); ++i) site().turn();
  EXPECT_FALSE(readable(0)) << "nothing to do, yet readable";
  submit(far(), Verb::send, far_.bytes(16));
  port(1).flush();
  EXPECT_TRUE(readable(20'000));
  EXPECT_TRUE(wait([&] { return near_.ear.messages.size() == 1; }));
}

TEST_P(MessageLinks, SleepersWakeFromAnotherThread) {
  connect();
  site().turns(5);
  std::thread waker([&] { port().wake(); });
  port().sleep_until(Time::max());  // ends, whichever comes first
  waker.join();
  site().turns(5);
}

INSTANTIATE_TEST_SUITE_P(Drivers, MessageLinks, testing::ValuesIn(kMessageLinks), name_of);

}  // namespace
}  // namespace netstor::conformance
