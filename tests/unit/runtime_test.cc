// SPDX-License-Identifier: Apache-2.0
// Shards, futures and tasks: who runs when, and who is told.

#include <netstor/cancel.h>
#include <netstor/shard.h>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "lib/engine/completion.h"
#include "lib/engine/stop_asks.h"

namespace netstor {
namespace {

using std::chrono::milliseconds;

Runtime start(unsigned shards = 1) { return *Runtime::start({.shards = shards}); }

Task<int> answer(int value) { co_return value; }
Task<int> fail() { co_return Error(ErrorKind::no_space, "full"); }
Task<int> sum(int a, int b) {
  NETSTOR_TRY(const int x, co_await answer(a));
  NETSTOR_TRY(const int y, co_await answer(b));
  co_return x + y;
}

TEST(Runtime, RefusesZeroShardsNamingTheOption) {
  auto runtime = Runtime::start({.shards = 0});
  ASSERT_FALSE(runtime.ok());
  EXPECT_EQ(runtime.error().kind(), ErrorKind::invalid_argument);
  EXPECT_NE(runtime.error().text().find("shards"), std::string::npos);
}

TEST(Runtime, RunsOnTheShardThatWasAsked) {
  Runtime runtime = start(3);
  for (unsigned i = 0; i < 3; ++i) {
    EXPECT_EQ(*runtime.shard(i).run_on([] { return Shard::current()->index(); }).get(), i);
  }
  EXPECT_EQ(Shard::current(), nullptr);
}

TEST(Runtime, BringsErrorsBack) {
  Runtime runtime = start();
  auto result = runtime.shard(0).run_on([] { return fail(); }).get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind(), ErrorKind::no_space);
}

TEST(Runtime, TurnsAnExceptionIntoAnInternalError) {
  Runtime runtime = start();
  auto result = runtime.shard(0).run_on([]() -> int { throw std::runtime_error("boom"); }).get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind(), ErrorKind::internal);
  EXPECT_NE(result.error().text().find("boom"), std::string::npos);
}

TEST(Runtime, RunsBetweenShardsAndComesHome) {
  Runtime runtime = start(2);
  auto home = runtime.shard(0).run_on([&]() -> Task<std::pair<unsigned, unsigned>> {
    auto there = runtime.shard(1).run_on([] { return Shard::current()->index(); });
    NETSTOR_TRY(const unsigned away, co_await std::move(there));
    co_return std::pair{away, Shard::current()->index()};
  });
  EXPECT_EQ(*home.get(), (std::pair{1U, 0U}));
}

TEST(Runtime, GetOnAShardAnswersAnErrorInsteadOfBlocking) {
  Runtime runtime = start();
  auto kind = runtime.shard(0).run_on([] {
    auto pending = sleep(milliseconds(1));
    auto result = pending.get();
    return result.error().kind();
  });
  EXPECT_EQ(*kind.get(), ErrorKind::internal);
}

TEST(Runtime, ManyForeignThreadsMayPost) {
  Runtime runtime = start(2);
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(runtime.shard(t % 2).run_on([&] { ++ran; }).get().ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ran.load(), 2000);
}

TEST(Runtime, EndsWhileSomebodySleeps) {
  Future<void> sleeper;
  {
    Runtime runtime = start();
    sleeper = runtime.shard(0).run_on([] { return sleep(std::chrono::hours(1)); });
    EXPECT_TRUE(runtime.shard(0).run_on([] {}).get().ok());
  }
  auto result = sleeper.get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind(), ErrorKind::cancelled);
}

TEST(Runtime, EndsWhileSomebodySleepsBesideABeat) {
  struct Beat : detail::Timer {
    unsigned beats = 0;
    Timer* victim = nullptr;
  };
  const auto strike = [](detail::Timer& timer) noexcept {
    auto& beat = static_cast<Beat&>(timer);
    ++beat.beats;
    if (beat.victim != nullptr) detail::current_loop->disarm(*beat.victim);
    detail::current_loop->arm(beat, detail::current_loop->now() + std::chrono::hours(1));
  };
  std::array<Beat, 3> beats;
  Beat victim;
  for (Beat& each : beats) each.fire = strike;
  victim.fire = strike;
  beats[0].victim = &victim;
  std::array<Future<void>, 2> sleepers;
  {
    Runtime runtime = start();
    ASSERT_TRUE(runtime.shard(0)
                    .run_on([&] {
                      const Time hour = detail::current_loop->now() + std::chrono::hours(1);
                      for (Beat& each : beats) detail::current_loop->arm(each, hour);
                      detail::current_loop->arm(victim, hour + milliseconds(1));
                    })
                    .get()
                    .ok());
    sleepers[0] = runtime.shard(0).run_on([] { return sleep(std::chrono::hours(2)); });
    sleepers[1] = runtime.shard(0).run_on([] { return sleep(Duration::max()); });
    ASSERT_TRUE(runtime.shard(0).run_on([] {}).get().ok());
  }
  for (const Beat& each : beats) EXPECT_EQ(each.beats, 1u);
  EXPECT_EQ(victim.beats, 0u);
  for (auto& sleeper : sleepers) {
    ASSERT_TRUE(sleeper.ready());
    EXPECT_EQ(sleeper.get().error().kind(), ErrorKind::cancelled);
  }
}

TEST(StopAsks, AskForWhatIsNotThereYetAlone) {
  const auto ends = [](bool answered) {
    unsigned asked = 0;
    Runtime runtime = start();
    auto work = runtime.shard(0).run_on([&asked, answered]() -> Task<void> {
      Op op;
      CancellableCompletion done(op, [&] {
        ++asked;
        op.complete(op);
      });
      const detail::StopAsks stopping(detail::this_shard_loop(), done);
      if (answered) op.complete(op);
      co_await done;
      co_return co_await sleep(std::chrono::hours(1));
    });
    EXPECT_TRUE(runtime.shard(0).run_on([] {}).get().ok());
    { const Runtime ending = std::move(runtime); }
    EXPECT_FALSE(work.get().ok());
    return asked;
  };
  EXPECT_EQ(ends(false), 1u);
  EXPECT_EQ(ends(true), 0u);
}

TEST(Task, AwaitsTasksInside) {
  Runtime runtime = start();
  EXPECT_EQ(*runtime.shard(0).run_on([] { return sum(40, 2); }).get(), 42);
}

TEST(Future, ThenMapsTheResult) {
  Runtime runtime = start();
  auto text = runtime.shard(0).run_on(
      [] { return spawn(answer(7)).then([](Result<int> n) { return std::to_string(*n); }); });
  EXPECT_EQ(*text.get(), "7");
}

TEST(Future, ThenOnAForeignThreadRuns) {
  Runtime runtime = start();
  auto doubled = runtime.shard(0).run_on([] { return 21; }).then([](Result<int> n) { return *n * 2; });
  EXPECT_EQ(*doubled.get(), 42);
}

TEST(Future, DroppedPromiseAnswersCancelled) {
  Runtime runtime = start();
  auto kind = runtime.shard(0).run_on([]() -> Task<ErrorKind> {
    Future<int> future;
    {
      Promise<int> promise;
      future = promise.future();
    }
    Result<int> result = co_await std::move(future);
    co_return result.error().kind();
  });
  EXPECT_EQ(*kind.get(), ErrorKind::cancelled);
}

TEST(Future, CancelReachesTheInnermostSleep) {
  Runtime runtime = start();
  auto kind = runtime.shard(0).run_on([]() -> Task<ErrorKind> {
    auto nap = []() -> Task<void> {
      NETSTOR_CHECK(co_await sleep(std::chrono::hours(1)));
      co_return ok();
    };
    auto outer = [nap]() -> Task<void> {
      NETSTOR_CHECK(co_await nap());
      co_return ok();
    };
    auto task = outer();
    Future<void> running = spawn(std::move(task));
    running.cancel();
    Result<void> result = co_await std::move(running);
    co_return result.error().kind();
  });
  EXPECT_EQ(*kind.get(), ErrorKind::cancelled);
}

TEST(Future, CancelFromAForeignThreadReachesTheShard) {
  Runtime runtime = start();
  auto nap = runtime.shard(0).run_on([] { return sleep(std::chrono::hours(1)); });
  nap.cancel();
  auto result = nap.get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind(), ErrorKind::cancelled);
}

TEST(Future, DeadlineCancelsAndSaysSo) {
  Runtime runtime = start();
  auto result =
      runtime.shard(0).run_on([] { return with_deadline(sleep(std::chrono::hours(1)), milliseconds(1)); });
  EXPECT_EQ(result.get().error().kind(), ErrorKind::timed_out);
}

TEST(Future, DeadlineThatIsNotMetChangesNothing) {
  Runtime runtime = start();
  auto result =
      runtime.shard(0).run_on([] { return with_deadline(spawn(answer(3)), std::chrono::hours(1)); });
  EXPECT_EQ(*result.get(), 3);
}

TEST(Future, WhenAllKeepsOrderAndErrors) {
  Runtime runtime = start();
  auto all = runtime.shard(0).run_on([] {
    std::vector<Future<int>> futures;
    futures.push_back(spawn(answer(1)));
    futures.push_back(spawn(fail()));
    futures.push_back(spawn(answer(3)));
    return when_all(std::move(futures));
  });
  auto results = *all.get();
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(*results[0], 1);
  EXPECT_EQ(results[1].error().kind(), ErrorKind::no_space);
  EXPECT_EQ(*results[2], 3);
}

TEST(Future, WhenAllTakesDifferentTypes) {
  Runtime runtime = start();
  auto all = runtime.shard(0).run_on([] { return when_all(spawn(answer(1)), sleep(milliseconds(1))); });
  auto [number, slept] = *all.get();
  EXPECT_EQ(*number, 1);
  EXPECT_TRUE(slept.ok());
}

TEST(Future, WhenAnyCancelsTheOthers) {
  Runtime runtime = start();
  auto any = runtime.shard(0).run_on([] {
    std::vector<Future<void>> futures;
    futures.push_back(sleep(std::chrono::hours(1)));
    futures.push_back(sleep(milliseconds(1)));
    futures.push_back(sleep(std::chrono::hours(1)));
    return when_any(std::move(futures));
  });
  auto first = any.get();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->index, 1U);
}

TEST(Cancel, OneSourceStopsAll) {
  Runtime runtime = start();
  auto stopped = runtime.shard(0).run_on([]() -> Task<int> {
    CancelSource source;
    std::vector<Future<void>> futures;
    for (int i = 0; i < 3; ++i) futures.push_back(with_cancel(sleep(std::chrono::hours(1)), source.token()));
    source.cancel();
    futures.push_back(with_cancel(sleep(std::chrono::hours(1)), source.token()));
    auto all = co_await when_all(std::move(futures));
    int cancelled = 0;
    for (auto& one : *all) cancelled += one.error().kind() == ErrorKind::cancelled ? 1 : 0;
    co_return cancelled;
  });
  EXPECT_EQ(*stopped.get(), 4);
}

TEST(Embedding, GetDrivesTheShardOfThisThread) {
  Runtime runtime = *Runtime::start({.embedded = true});
  EXPECT_NE(Shard::current(), nullptr);
  EXPECT_TRUE(sleep(milliseconds(1)).get().ok());
}

TEST(Embedding, DescriptorBecomesReadableForTimersAndForeignThreads) {
  Runtime runtime = *Runtime::start({.embedded = true});
  Shard& shard = runtime.shard(0);
  pollfd waiting{.fd = shard.fd(), .events = POLLIN, .revents = 0};
  const auto drive_until = [&](auto done) {
    for (int i = 0; i < 1000 && !done(); ++i) {
      if (!shard.run_once()) ::poll(&waiting, 1, 1000);
    }
    return done();
  };
  Future<void> nap = sleep(milliseconds(5));
  EXPECT_TRUE(drive_until([&] { return nap.ready(); }));
  std::atomic<bool> ran{false};
  std::thread foreign([&] { EXPECT_TRUE(shard.run_on([&] { ran = true; }).get().ok()); });
  EXPECT_TRUE(drive_until([&] { return ran.load(); }));
  foreign.join();
}

TEST(Runtime, AnIdleShardSleeps) {
  Runtime runtime = start();
  std::this_thread::sleep_for(milliseconds(50));
  const Metrics before = runtime.metrics();
  std::this_thread::sleep_for(milliseconds(200));
  const Metrics after = runtime.metrics();
  EXPECT_GT(before.sleeps, 0U);
  // The two metrics() calls wake it; nothing else does.
  EXPECT_LE(after.sleeps - before.sleeps, 4U);
}

// io_uring interrupts the thread that made a ring, some time after the ring's end.
TEST(Runtime, InterruptsNoSystemCallOfItsCaller) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const timeval patience{.tv_sec = 0, .tv_usec = 20'000};
  ASSERT_EQ(::setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  for (int i = 0; i < 20; ++i) {
    Runtime runtime = start();
    char byte = 0;
    ASSERT_EQ(::recv(ends[0], &byte, 1, 0), -1);
    ASSERT_EQ(errno, EAGAIN) << std::strerror(errno);
  }
  for (const int end : ends) ::close(end);
}

TEST(BufferPool, GivesAndTakesBack) {
  auto pool = *BufferPool::make(10000, 2);
  EXPECT_EQ(pool->buffer_bytes(), 12288U);
  Buffer a = pool->take();
  Buffer b = pool->take();
  EXPECT_TRUE(a && b);
  EXPECT_FALSE(pool->take());
  a.reset();
  EXPECT_EQ(pool->available(), 1U);
}

}  // namespace
}  // namespace netstor
