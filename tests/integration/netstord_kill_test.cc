// SPDX-License-Identifier: Apache-2.0
// netstord under several writers, killed at random moments and started again on the same state: what was
// answered is there, each block whole. The server keeps no write cache of its own, so that holds for every
// answer; those to flush and to writes with force_unit_access are part of the mix.
//
// NETSTOR_SEED repeats a run's choices, NETSTOR_ROUNDS sets how often the server is killed.

#include "tests/integration/netstord_process.h"

#include <netstor/volume.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

namespace netstor {
namespace {

constexpr std::size_t kBlock = 8192;
constexpr std::size_t kWords = kBlock / sizeof(std::uint64_t);
constexpr unsigned kWriters = 4;
constexpr unsigned kBlocksEach = 64;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// One writer's part of the volume: what each block must at least hold, and what it may hold at most.
class Writer {
 public:
  Writer(unsigned number, std::uint64_t seed) : number_(number), random_(seed * 100 + number) {}

  /// Until the server is gone.
  void run(const Volume& volume) {
    while (step(volume)) {
    }
  }

  void check(const Volume& volume) {
    for (unsigned block = 0; block < kBlocksEach; ++block) {
      const auto read = volume.read(offset(block), buffer_.bytes()).get();
      ASSERT_TRUE(read) << read.error();
      std::array<std::uint64_t, kWords> words{};
      std::memcpy(words.data(), buffer_.data(), kBlock);
      const std::uint64_t stamp = words[0];
      EXPECT_TRUE(std::all_of(words.begin(), words.end(), [stamp](auto each) { return each == stamp; }))
          << "block " << block << " of writer " << number_ << " is torn";
      const std::uint64_t sequence = stamp >> 16;
      EXPECT_GE(sequence, answered_[block]) << "block " << block << " of writer " << number_ << " went back";
      EXPECT_LE(sequence, tried_[block]);
      EXPECT_TRUE(stamp == 0 || (stamp & 0xFFFF) == tag(block)) << "another's bytes";
      // What was under way may have happened; from now on that is settled.
      answered_[block] = sequence;
    }
  }
  std::uint64_t answers() const { return answers_; }

 private:
  bool step(const Volume& volume) {
    const std::uint64_t choice = random_();
    if (choice % 8 == 0) return volume.flush().get().ok();
    const auto block = static_cast<unsigned>((choice >> 8) % kBlocksEach);
    const std::uint64_t stamp = (++sequence_ << 16) | tag(block);
    for (std::size_t i = 0; i < kWords; ++i) std::memcpy(buffer_.data() + i * 8, &stamp, 8);
    tried_[block] = sequence_;
    const bool forced = choice % 8 < 3;
    if (!volume.write(offset(block), buffer_.bytes(), {.force_unit_access = forced}).get()) return false;
    answered_[block] = sequence_;
    ++answers_;
    return true;
  }
  std::uint64_t offset(unsigned block) const { return (std::uint64_t{block} * kWriters + number_) * kBlock; }
  std::uint64_t tag(unsigned block) const { return number_ * kBlocksEach + block + 1; }

  unsigned number_;
  std::mt19937_64 random_;
  std::uint64_t sequence_ = 0;
  std::uint64_t answers_ = 0;
  std::array<std::uint64_t, kBlocksEach> tried_{};
  std::array<std::uint64_t, kBlocksEach> answered_{};
  Buffer buffer_ = *Buffer::allocate(kBlock);
};

class NetstordKill : public ::testing::TestWithParam<const char*> {};

TEST_P(NetstordKill, LosesNothingThatItAnswered) {
  const std::uint64_t seed = number_from("NETSTOR_SEED", 1);
  const std::uint64_t rounds = number_from("NETSTOR_ROUNDS", 16);
  RecordProperty("seed", std::to_string(seed));
  const ServerFolder folder;
  Runtime runtime = *Runtime::start({.shards = 2});
  std::mt19937_64 random(seed);
  std::vector<Writer> writers;
  for (unsigned i = 0; i < kWriters; ++i) writers.emplace_back(i, seed);
  VolumeOptions options;
  options.path_loss_timeout = Duration::zero();
  for (std::uint64_t round = 0; round <= rounds; ++round) {
    SCOPED_TRACE("NETSTOR_SEED=" + std::to_string(seed) + ", round " + std::to_string(round));
    ServerProcess server(folder, {"--volume", "v=16MiB", "--io-driver", GetParam(), "--shards", "2"});
    ASSERT_TRUE(server.wait_ready());
    const auto volume = Volume::open(runtime, server.uri("v"), options).get();
    ASSERT_TRUE(volume) << volume.error();
    for (Writer& each : writers) each.check(*volume);
    if (HasFailure()) return;
    if (round == rounds) break;
    std::vector<std::thread> threads;
    for (Writer& each : writers) threads.emplace_back([&] { each.run(*volume); });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 300'000));
    EXPECT_EQ(server.kill(SIGKILL), 128 + SIGKILL);
    for (std::thread& each : threads) each.join();
  }
  std::uint64_t answers = 0;
  for (const Writer& each : writers) answers += each.answers();
  RecordProperty("answers", std::to_string(answers));
  EXPECT_GT(answers, 0U) << "nothing was written at all";
}

std::vector<const char*> drivers() {
  std::vector<const char*> all{"posix"};
  if (Runtime::start({.io_driver = IoDriver::uring})) all.push_back("uring");
  return all;
}
INSTANTIATE_TEST_SUITE_P(Drivers, NetstordKill, ::testing::ValuesIn(drivers()),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace netstor
