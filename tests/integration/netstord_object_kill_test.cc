// SPDX-License-Identifier: Apache-2.0
// netstord under clients that put objects through its S3 endpoint, at once and in parts, killed at random
// moments and started again on the same state: every object that was acknowledged is there, each is whole,
// and what the client was told not to have happened is nowhere to be seen.
//
// NETSTOR_SEED repeats a run's choices, NETSTOR_ROUNDS sets how often the server is killed.

#include "tests/integration/netstord_process.h"

#include <netstor/bucket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>
#include <map>
#include <random>
#include <set>

namespace netstor {
namespace {

constexpr unsigned kWriters = 6;
constexpr unsigned kInParts = 2;  // of them
constexpr unsigned kKeysEach = 5;
constexpr std::uint64_t kPart = std::uint64_t{5} << 20;
constexpr std::size_t kLargest = 2 * kPart + 100'000;
constexpr std::size_t kWord = sizeof(std::uint64_t);

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// What a key may hold. Numbers count a writer's puts; 0: no object.
struct Expected {
  std::uint64_t acknowledged = 0;
  std::set<std::uint64_t> unknown;  // that may have happened since
};

struct Counts {
  std::uint64_t acknowledged = 0;
  std::uint64_t in_parts = 0;
  std::uint64_t unknown = 0;
  std::uint64_t not_done = 0;
};

class Writer {
 public:
  Writer(unsigned number, std::uint64_t seed)
      : number_(number), random_(seed * 100 + number), memory_(*Buffer::allocate(kLargest)) {}

  /// Until the server is gone.
  void run(const Bucket& bucket) {
    while (step(bucket)) {
    }
  }

  void check(const Bucket& bucket, std::set<std::string>& there) {
    for (unsigned key = 0; key < kKeysEach; ++key) {
      Expected& expected = expected_[key];
      std::uint64_t found = 0;
      const auto read = bucket.get(name(key), memory_.bytes()).get();
      if (read) {
        found = stamp_of(read->bytes);
        EXPECT_EQ(read->info.size_bytes, read->bytes);
        EXPECT_EQ(read->bytes, size_of(found)) << name(key) << " is not all of put " << found;
        EXPECT_EQ(found % kKeysEach, key) << name(key) << " has another's bytes";
        there.insert(name(key));
      } else {
        EXPECT_EQ(read.error().kind(), ErrorKind::not_found) << read.error();
      }
      EXPECT_TRUE(found == expected.acknowledged || expected.unknown.contains(found))
          << name(key) << " has put " << found << ", acknowledged is " << expected.acknowledged << ", and "
          << expected.unknown.size() << " others may have happened";
      // From now on that is settled.
      expected = {.acknowledged = found, .unknown = {}};
    }
  }
  const Counts& counts() const { return counts_; }

 private:
  bool in_parts() const { return number_ < kInParts; }
  std::string name(unsigned key) const {
    return "writer " + std::to_string(number_) + "/" + std::to_string(key);
  }
  /// The put's number says all about it: key, size, bytes.
  std::size_t size_of(std::uint64_t put) const {
    if (in_parts()) return kPart + 1 + (put * 7919) % (kLargest - kPart);
    constexpr std::array<std::size_t, 6> kSizes{8, 100, 4096, 16'384, 70'000, 1'000'000};
    return kSizes[(put / kKeysEach) % kSizes.size()];
  }
  std::uint64_t stamp(std::uint64_t put) const { return (put << 8) | (number_ + 1); }

  void fill(std::uint64_t put) {
    const std::uint64_t word = stamp(put);
    for (std::size_t at = 0; at < size_of(put); at += kWord) {
      std::memcpy(memory_.data() + at, &word, std::min(kWord, size_of(put) - at));
    }
  }
  /// The put whose bytes are in memory; every word has to be its.
  std::uint64_t stamp_of(std::uint64_t bytes) const {
    std::uint64_t word = 0;
    if (bytes < kWord) return 0;
    std::memcpy(&word, memory_.data(), kWord);
    EXPECT_EQ(word & 0xFF, number_ + 1) << "another's bytes";
    for (std::size_t at = 0; at < bytes; at += kWord) {
      if (std::memcmp(memory_.data() + at, &word, std::min<std::size_t>(kWord, bytes - at)) == 0) continue;
      ADD_FAILURE() << "put " << (word >> 8) << " of writer " << number_ << " is torn at byte " << at;
      break;
    }
    return word >> 8;
  }

  bool step(const Bucket& bucket) {
    const std::uint64_t put = next_++ * kKeysEach + random_() % kKeysEach;
    const auto key = static_cast<unsigned>(put % kKeysEach);
    Expected& expected = expected_[key];
    fill(put);
    const auto stored = bucket.put(name(key), memory_.bytes().first(size_of(put))).get();
    if (stored) {
      expected = {.acknowledged = put, .unknown = {}};
      ++(in_parts() ? counts_.in_parts : counts_.acknowledged);
      return true;
    }
    const bool unknown = stored.error().effect() == Effect::unknown;
    if (unknown) expected.unknown.insert(put);
    ++(unknown ? counts_.unknown : counts_.not_done);
    return false;
  }

  unsigned number_;
  std::mt19937_64 random_;
  Buffer memory_;
  std::uint64_t next_ = 1;
  std::array<Expected, kKeysEach> expected_{};
  Counts counts_;
};

std::set<std::string> listed(const Bucket& bucket) {
  std::set<std::string> keys;
  ListOptions options;
  do {
    const auto page = bucket.list(options).get();
    EXPECT_TRUE(page) << page.error();
    if (!page) return keys;
    for (const ObjectInfo& each : page->objects) keys.insert(each.key);
    options.continuation = page->next;
  } while (!options.continuation.empty());
  return keys;
}

/// Uploads whose client is gone stay until somebody ends them; this is that somebody.
void abort_uploads(const Bucket& bucket) {
  const auto uploads = bucket.uploads().get();
  ASSERT_TRUE(uploads) << uploads.error();
  for (const UploadInfo& each : *uploads) {
    const auto upload = bucket.resume_upload(each.key, each.id).get();
    ASSERT_TRUE(upload) << upload.error();
    EXPECT_TRUE(upload->abort().get());
  }
}

class NetstordObjectKill : public ::testing::TestWithParam<const char*> {
 protected:
  NetstordObjectKill() {
    std::ofstream(folder / "keys") << "[all]\naws_access_key_id = ALL\n"
                                      "aws_secret_access_key = secret-of-all-0123456789\n"
                                      "netstor_allow = rwl:*\n";
    std::filesystem::permissions(folder / "keys", std::filesystem::perms(0600));
  }
  std::vector<std::string> arguments() const {
    return {"--s3-listen", "127.0.0.1:0", "--s3-keys", folder / "keys", "--bucket",
            "things",      "--shards",    "2",         "--io-driver",   GetParam()};
  }
  Result<Bucket> open(const ServerProcess& server) {
    BucketOptions options;
    options.endpoint = "http://127.0.0.1:" + std::to_string(server.port(1));
    options.region = "us-east-1";
    options.credentials = Credentials{.access_key_id = "ALL",
                                      .secret_access_key = "secret-of-all-0123456789",
                                      .session_token = {},
                                      .expires = {}};
    options.part_bytes = kPart;
    options.retries = 0;
    return Bucket::open(runtime, "s3://things", options).get();
  }

  const ServerFolder folder;
  Runtime runtime = *Runtime::start({.shards = 2});
};

TEST_P(NetstordObjectKill, LosesNothingThatItAcknowledged) {
  const std::uint64_t seed = number_from("NETSTOR_SEED", 1);
  const std::uint64_t rounds = number_from("NETSTOR_ROUNDS", 8);
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<Writer> writers;
  for (unsigned i = 0; i < kWriters; ++i) writers.emplace_back(i, seed);
  for (std::uint64_t round = 0; round <= rounds; ++round) {
    SCOPED_TRACE("NETSTOR_SEED=" + std::to_string(seed) + ", round " + std::to_string(round));
    ServerProcess server(folder, arguments());
    ASSERT_TRUE(server.wait_ready());
    const auto bucket = open(server);
    ASSERT_TRUE(bucket) << bucket.error();
    std::set<std::string> there;
    for (Writer& each : writers) each.check(*bucket, there);
    EXPECT_EQ(listed(*bucket), there) << "what is listed and what can be read differ";
    abort_uploads(*bucket);
    if (HasFailure()) return;
    if (round == rounds) break;
    std::vector<std::thread> threads;
    for (Writer& each : writers) threads.emplace_back([&] { each.run(*bucket); });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 500'000));
    EXPECT_EQ(server.kill(SIGKILL), 128 + SIGKILL);
    for (std::thread& each : threads) each.join();
  }
  Counts all;
  for (const Writer& each : writers) {
    all.acknowledged += each.counts().acknowledged;
    all.in_parts += each.counts().in_parts;
    all.unknown += each.counts().unknown;
    all.not_done += each.counts().not_done;
  }
  std::cout << rounds << " kills; acknowledged " << all.acknowledged << " puts at once and " << all.in_parts
            << " in parts; " << all.unknown << " had an unknown effect, " << all.not_done << " none\n";
  EXPECT_GT(all.acknowledged, 0U);
  EXPECT_GT(all.in_parts, 0U);
}

std::vector<const char*> drivers() {
  std::vector<const char*> all{"posix"};
  if (Runtime::start({.io_driver = IoDriver::uring})) all.push_back("uring");
  return all;
}
INSTANTIATE_TEST_SUITE_P(Drivers, NetstordObjectKill, ::testing::ValuesIn(drivers()),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace netstor
