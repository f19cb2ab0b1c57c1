// SPDX-License-Identifier: Apache-2.0
// A user of a volume who remembers: writes, reads, compares, zeroes and flushes at random from several
// shards, and holds each answer against what has to be there. What a lost answer may or may not have written
// is never looked at again. Says "ready" when the volume is open and ends with a line of JSON.
//
//   hammer URI [seconds=5] [shards=2] [depth=4] [span=BYTES] [queue_depth=128] [header_digest=0]
//          [data_digest=0] [keep_alive_ms=15000] [io_timeout_ms=30000] [path_loss_ms=60000] [driver=auto]
//          [read_only=0] [largest=BLOCKS] [registered=0] [reconnects=0]
//
// reconnects: goes on, for a minute at most, until the volume has found its path again so many times.

#include <netstor/netstor.h>

#include "lib/base/random.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <optional>
#include <thread>

namespace netstor {
namespace {

constexpr std::uint64_t kLaneBlocks = 512;  // of each worker's own
constexpr std::uint64_t kZeroed = 1, kForgotten = 0;

enum class Verb : unsigned {
  read,
  write,
  write_fua,
  flush,
  write_zeroes,
  compare,
  compare_and_write,
  verify
};
constexpr std::array<const char*, 8> kVerbNames = {"read",         "write",   "write_fua",         "flush",
                                                   "write_zeroes", "compare", "compare_and_write", "verify"};

struct Settings {
  std::string uri;
  std::map<std::string, std::string> words;

  std::uint64_t number(const std::string& name, std::uint64_t fallback) const {
    const auto found = words.find(name);
    return found == words.end() ? fallback : parse_size(found->second).value();
  }
};

struct Tally {
  std::array<std::uint64_t, kVerbNames.size()> done{};
  std::map<std::string, std::uint64_t> errors;
  std::uint64_t wrong = 0;
  std::string first_wrong;
};

/// One request at a time on a lane of blocks that is nobody else's.
class Worker {
 public:
  Worker(Volume volume, std::uint64_t first, std::uint64_t blocks, std::uint64_t largest, bool writes,
         MutableBytes memory, std::uint64_t seed)
      : volume_(std::move(volume)),
        block_(volume_.block_bytes()),
        first_(first),
        versions_(blocks, kForgotten),
        largest_(largest),
        writes_(writes),
        random_(seed),
        out_(memory.first(memory.size() / 2)),
        in_(memory.subspan(memory.size() / 2)) {}

  Task<void> run(const std::atomic<bool>* stop) {
    while (!stop->load(std::memory_order_relaxed)) {
      auto step = turn();
      NETSTOR_CHECK(co_await std::move(step));
    }
    co_return ok();
  }
  const Tally& tally() const { return tally_; }

 private:
  Task<void> turn() {
    const std::uint64_t count = 1 + random_.next() % largest_;
    at_ = random_.next() % (versions_.size() - count + 1);
    bytes_ = count * block_;
    const auto verb = writes_ ? static_cast<Verb>(random_.next() % kVerbNames.size()) : Verb::read;
    if (unsupported_[static_cast<unsigned>(verb)]) co_return ok();
    const bool known = std::none_of(
        lane(), lane() + count, [](auto version) { return version == kForgotten || version == kRetired; });
    if ((verb == Verb::compare || verb == Verb::compare_and_write) && !known) co_return ok();
    if (verb == Verb::compare_and_write && bytes_ > volume_.info().atomic_bytes) co_return ok();
    next_ += 2;
    auto asked = ask(verb);
    Result<void> answer = co_await std::move(asked);
    judge(verb, answer, count);
    // An answer that comes at once, again and again, would keep the loop from everything else.
    if (!answer) NETSTOR_CHECK(co_await sleep(std::chrono::milliseconds(1)));
    co_return ok();
  }

  Future<void> ask(Verb verb) {
    const std::uint64_t offset = (first_ + at_) * block_;
    const MutableBytes out = out_.first(bytes_), in = in_.first(bytes_);
    fill(out, next_);
    switch (verb) {
      case Verb::read:
        return volume_.read(offset, in);
      case Verb::write:
        return volume_.write(offset, Bytes(out));
      case Verb::write_fua:
        return volume_.write(offset, Bytes(out), {.force_unit_access = true});
      case Verb::flush:
        return volume_.flush();
      case Verb::write_zeroes:
        return volume_.write_zeroes(offset, bytes_);
      case Verb::verify:
        return volume_.verify(offset, bytes_);
      case Verb::compare:
      case Verb::compare_and_write:
        break;
    }
    fill_as_stored(in);
    // Every fourth time it must not be equal.
    lying_ = random_.next() % 4 == 0;
    if (lying_) in[bytes_ - 1] ^= std::byte{1};
    if (verb == Verb::compare) return volume_.compare(offset, in);
    return volume_.compare_and_write(offset, in, out);
  }

  void judge(Verb verb, const Result<void>& answer, std::uint64_t count) {
    const bool storing = verb == Verb::write || verb == Verb::write_fua || verb == Verb::write_zeroes ||
                         verb == Verb::compare_and_write;
    const bool comparing = verb == Verb::compare || verb == Verb::compare_and_write;
    const auto index = static_cast<unsigned>(verb);
    if (comparing && lying_ && !answer && answer.error().kind() == ErrorKind::compare_failed) {
      ++tally_.done[index];
      return;
    }
    if (!answer) {
      if (answer.error().kind() == ErrorKind::unsupported) {
        unsupported_[index] = true;
        return;
      }
      if (answer.error().kind() == ErrorKind::compare_failed) wrong(verb, "differs from what was written");
      ++tally_.errors[std::string(to_string(answer.error().kind()))];
      if (last_error_ != answer.error().to_string()) {
        last_error_ = answer.error().to_string();
        std::cerr << "hammer: " << kVerbNames[index] << ": " << last_error_ << '\n';
      }
      if (storing && answer.error().effect() == Effect::unknown) retire(count);
      return;
    }
    ++tally_.done[index];
    if (comparing && lying_) wrong(verb, "found equal what is not");
    if (storing) {
      for (std::uint64_t i = 0; i < count; ++i) {
        if (lane()[i] != kRetired) lane()[i] = verb == Verb::write_zeroes ? kZeroed : next_;
      }
    }
    if (verb == Verb::read) check(count);
  }

  void check(std::uint64_t count) {
    const MutableBytes want = out_.first(bytes_);
    fill_as_stored(want);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (lane()[i] == kForgotten || lane()[i] == kRetired) continue;
      if (std::memcmp(want.data() + i * block_, in_.data() + i * block_, block_) != 0) {
        wrong(Verb::read, "block " + std::to_string(first_ + at_ + i) + " is not what was written");
      }
    }
  }

  void wrong(Verb verb, const std::string& what) {
    if (tally_.wrong++ == 0)
      tally_.first_wrong = std::string(kVerbNames[static_cast<unsigned>(verb)]) + ": " + what;
  }
  void retire(std::uint64_t count) { std::fill(lane(), lane() + count, kRetired); }
  std::uint64_t* lane() { return versions_.data() + at_; }

  void fill_block(MutableBytes block, std::uint64_t index, std::uint64_t version) const {
    Random words(index << 24 ^ version);
    for (std::size_t at = 0; at < block.size(); at += sizeof(std::uint64_t)) {
      const std::uint64_t word = version == kZeroed ? 0 : words.next();
      std::memcpy(block.data() + at, &word, sizeof word);
    }
  }
  void fill(MutableBytes bytes, std::uint64_t version) const {
    for (std::uint64_t i = 0; i < bytes.size() / block_; ++i) {
      fill_block(bytes.subspan(i * block_, block_), first_ + at_ + i, version);
    }
  }
  void fill_as_stored(MutableBytes bytes) {
    for (std::uint64_t i = 0; i < bytes.size() / block_; ++i) {
      fill_block(bytes.subspan(i * block_, block_), first_ + at_ + i, lane()[i]);
    }
  }

  static constexpr std::uint64_t kRetired = ~std::uint64_t{0};
  const Volume volume_;
  const std::uint64_t block_, first_;
  std::vector<std::uint64_t> versions_;
  const std::uint64_t largest_;
  const bool writes_;
  Random random_;
  const MutableBytes out_, in_;
  std::uint64_t at_ = 0, bytes_ = 0, next_ = 2;
  bool lying_ = false;
  std::array<bool, kVerbNames.size()> unsupported_{};
  std::string last_error_;
  Tally tally_;
};

VolumeOptions options_of(const Settings& settings) {
  using std::chrono::milliseconds;
  const auto time = [&](const char* name, std::uint64_t fallback) {
    return milliseconds(settings.number(name, fallback));
  };
  return {.queue_depth = static_cast<std::uint16_t>(settings.number("queue_depth", 128)),
          .header_digest = settings.number("header_digest", 0) != 0,
          .data_digest = settings.number("data_digest", 0) != 0,
          .io_timeout = time("io_timeout_ms", 30000),
          .keep_alive = time("keep_alive_ms", 15000),
          .path_loss_timeout = time("path_loss_ms", 60000),
          .read_only = settings.number("read_only", 0) != 0};
}

void say(const std::vector<std::unique_ptr<Worker>>& workers, const Volume& volume, const Metrics& metrics) {
  Tally sum;
  for (const auto& worker : workers) {
    const Tally& one = worker->tally();
    for (std::size_t i = 0; i < sum.done.size(); ++i) sum.done[i] += one.done[i];
    for (const auto& [kind, count] : one.errors) sum.errors[kind] += count;
    sum.wrong += one.wrong;
    if (sum.first_wrong.empty()) sum.first_wrong = one.first_wrong;
  }
  std::cout << "{\"done\": {";
  for (std::size_t i = 0; i < sum.done.size(); ++i) {
    std::cout << (i == 0 ? "" : ", ") << '"' << kVerbNames[i] << "\": " << sum.done[i];
  }
  std::cout << "}, \"errors\": {";
  bool first = true;
  for (const auto& [kind, count] : sum.errors) {
    std::cout << (std::exchange(first, false) ? "" : ", ") << '"' << kind << "\": " << count;
  }
  std::cout << "}, \"wrong\": " << sum.wrong << ", \"first_wrong\": \"" << sum.first_wrong
            << "\", \"size_bytes\": " << volume.size_bytes() << ", \"reconnects\": " << metrics.reconnects
            << ", \"replays\": " << metrics.replays << ", \"queues\": " << volume.info().queues
            << ", \"queue_depth\": " << volume.info().queue_depth << "}" << std::endl;
}

Result<void> hammer(const Settings& settings) {
  const auto driver = settings.words.find("driver");
  RuntimeOptions runtime_options{.shards = static_cast<unsigned>(settings.number("shards", 2))};
  if (driver != settings.words.end() && driver->second != "auto") {
    runtime_options.io_driver = driver->second == "uring" ? IoDriver::uring : IoDriver::posix;
  }
  NETSTOR_TRY_RETURN(Runtime runtime, Runtime::start(runtime_options));
  NETSTOR_TRY_RETURN(const Volume volume, Volume::open(runtime, settings.uri, options_of(settings)).get());
  const std::uint64_t depth = settings.number("depth", 4), lanes = depth * runtime.shards();
  const std::uint64_t blocks =
      std::min(settings.number("span", ~std::uint64_t{0}), volume.size_bytes()) / volume.block_bytes();
  const std::uint64_t lane = std::min(kLaneBlocks, blocks / std::max<std::uint64_t>(lanes, 1));
  const std::uint64_t largest = std::min(settings.number("largest", 64), lane);
  NETSTOR_TRY_RETURN(Buffer memory, Buffer::allocate(std::max<std::uint64_t>(lanes, 1) * 2 * largest *
                                                     volume.block_bytes()));
  std::optional<Runtime::Registration> registration;
  if (settings.number("registered", 0) != 0) {
    NETSTOR_TRY_RETURN(registration, runtime.register_memory(memory.bytes()));
  }
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<Future<void>> ends;
  std::atomic<bool> stop = false;
  for (std::uint64_t i = 0; i < lanes; ++i) {
    workers.push_back(std::make_unique<Worker>(
        volume, i * (blocks / lanes), lane, largest, volume.info().writable,
        memory.bytes().subspan(i * 2 * largest * volume.block_bytes(), 2 * largest * volume.block_bytes()),
        i + 1));
    ends.push_back(runtime.shard(static_cast<unsigned>(i % runtime.shards()))
                       .run_on([worker = workers.back().get(), &stop] { return worker->run(&stop); }));
  }
  std::cout << "ready" << std::endl;
  std::this_thread::sleep_for(std::chrono::seconds(settings.number("seconds", 5)));
  const auto latest = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (runtime.metrics().reconnects < settings.number("reconnects", 0) &&
         std::chrono::steady_clock::now() < latest) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  stop = true;
  for (auto& end : ends) NETSTOR_CHECK_RETURN(end.get());
  say(workers, volume, runtime.metrics());
  return volume.close().get();
}

}  // namespace
}  // namespace netstor

int main(int argc, char** argv) {
  netstor::Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    if (i == 1) {
      settings.uri = word;
    } else {
      settings.words[word.substr(0, equals)] = equals == std::string::npos ? "1" : word.substr(equals + 1);
    }
  }
  if (settings.uri.empty()) return std::cerr << "usage: hammer URI [NAME=VALUE]...\n", 2;
  const netstor::Result<void> done = netstor::hammer(settings);
  if (!done) std::cerr << "hammer: " << done.error() << '\n';
  return done ? 0 : 1;
}
