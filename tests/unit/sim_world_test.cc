// SPDX-License-Identifier: Apache-2.0
//
// The clock, the queue of events and the trace of a simulated world.
#include "transports/sim/world.h"

#include <gtest/gtest.h>

#include <vector>

namespace netstor::sim {
namespace {

using std::chrono::milliseconds;

struct Note : Event {
  Note(std::vector<int>& to, int what) : list(to), number(what) {
    fire = [](Event& event) noexcept {
      auto& self = static_cast<Note&>(event);
      self.list.push_back(self.number);
    };
  }
  std::vector<int>& list;
  int number;
};

TEST(SimWorld, FiresInOrderOfTimeThenOfScheduling) {
  World world(1);
  std::vector<int> seen;
  Note late(seen, 3), first(seen, 1), second(seen, 2);
  world.schedule(late, milliseconds(2));
  world.schedule(first, milliseconds(1));
  world.schedule(second, milliseconds(1));
  while (world.advance()) {
  }
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

TEST(SimWorld, UnscheduledEventNeverFires) {
  World world(1);
  std::vector<int> seen;
  std::vector<std::unique_ptr<Note>> notes;
  for (int i = 0; i < 50; ++i) {
    notes.push_back(std::make_unique<Note>(seen, i));
    world.schedule(*notes.back(), milliseconds(50 - i));
  }
  for (std::size_t i = 0; i < 50; i += 2) world.unschedule(*notes[i]);
  while (world.advance()) {
  }
  ASSERT_EQ(seen.size(), 25U);
  for (std::size_t i = 0; i < 25; ++i) EXPECT_EQ(seen[i], 49 - 2 * static_cast<int>(i));
}

TEST(SimWorld, AdvanceStopsAtTheGivenTime) {
  World world(1);
  std::vector<int> seen;
  Note note(seen, 1);
  world.schedule(note, milliseconds(10));
  const Time begin = world.now();
  EXPECT_TRUE(world.advance(begin + milliseconds(4)));
  EXPECT_EQ(world.now(), begin + milliseconds(4));
  EXPECT_TRUE(seen.empty());
  world.unschedule(note);
  EXPECT_FALSE(world.advance());
}

TEST(SimWorld, TraceHashTellsOneTraceFromAnother) {
  World one(5), same(5), other(5);
  one.trace("this", 1);
  same.trace("this", 1);
  other.trace("this", 2);
  EXPECT_EQ(one.trace_hash(), same.trace_hash());
  EXPECT_NE(one.trace_hash(), other.trace_hash());
  EXPECT_NE(one.trace_tail(10).find("this"), std::string::npos);
}

TEST(SimWorld, EnterNestsAndLeaves) {
  World world(1);
  EXPECT_EQ(World::current(), nullptr);
  {
    const World::Enter outer(world, "a");
    {
      const World::Enter inner(world, "b");
      EXPECT_EQ(World::current_host(), "b");
    }
    EXPECT_EQ(World::current_host(), "a");
  }
  EXPECT_EQ(World::current(), nullptr);
}

}  // namespace
}  // namespace netstor::sim
