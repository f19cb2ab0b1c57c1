// SPDX-License-Identifier: Apache-2.0
//
// simulate: runs the simulation for many seeds and stops at the first that fails. Then it prints the end of
// the trace, names the seed, the request and the command that repeats it, and exits 1. The same seed gives
// the same run, to the last step; some are run twice to see that this is so.

#include "tests/sim/simulation.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

// The sanitizers' way to be told that they end the process; absent without one.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using namespace netstor::sim;
using RealClock = std::chrono::steady_clock;

constexpr std::uint64_t kRepeatEvery = 50;
constexpr std::size_t kTailLines = 80;
constexpr unsigned kSeedSeconds = 120;  // of real time, for one seed: far more than any needs
constexpr auto kProgressEvery = std::chrono::seconds(5);

constexpr const char* kUsage = R"(usage: simulate [--seed S] [--seeds N] [options]
  --seed S         the first seed (1)
  --seeds N        how many (1000); stops at the first that fails, and exits 1
  --target KIND    nvme (initiator, simulated links, target, file store), disk (a simulated local disk),
                   any (one of them, by the seed; the default)
  --requests N     requests in one seed (200)
  --break DEFECT   plants a defect in the server's store, which has to be found: acknowledge-before-store,
                   ignore-flush, misplace, complete-twice, forget
  --trace          prints every step: time, what, and numbers:
                     request: its number, first block, blocks   answer: its number, effect (0 none, 1 unknown)
                     disk: verb, offset, bytes                  received: connection, end, bytes
  --verbose        a line for each seed
)";

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1000;
  bool verbose = false;
  SimulationOptions options;
  const char* program = "simulate";
  std::string repeated;  // of the options, for the command that repeats a seed
};

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr, "simulate: %s\n%s", why.c_str(), kUsage);
  std::exit(2);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    usage("expected a number, not " + std::string(text));
  }
  return value;
}

TargetKind target_of(std::string_view name) {
  if (name == "any") return TargetKind::any;
  if (name == "disk") return TargetKind::disk;
  if (name == "nvme") return TargetKind::nvme;
  usage("--target is nvme, disk or any, not " + std::string(name));
}

Defect planted(std::string_view name) {
  if (const auto defect = defect_of(name)) return *defect;
  usage("no such defect: " + std::string(name));
}

Arguments parse(int count, char** words) {
  Arguments arguments;
  arguments.program = words[0];
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const auto value = [&]() -> std::string_view {
      if (++i == count) usage("a value is missing after " + std::string(word));
      return words[i];
    };
    const auto kept = [&] {
      const std::string_view text = value();
      arguments.repeated += ' ' + std::string(word) + ' ' + std::string(text);
      return text;
    };
    if (word == "--seed") {
      arguments.seed = number(value());
    } else if (word == "--seeds") {
      arguments.seeds = number(value());
    } else if (word == "--requests") {
      arguments.options.requests = static_cast<unsigned>(number(kept()));
    } else if (word == "--target") {
      arguments.options.target = target_of(kept());
    } else if (word == "--break") {
      arguments.options.defect = planted(kept());
    } else if (word == "--verbose") {
      arguments.verbose = true;
    } else if (word == "--trace") {
      arguments.options.trace = true;
    } else if (word == "--help") {
      std::printf("%s", kUsage);
      std::exit(0);
    } else {
      usage("unknown argument " + std::string(word));
    }
  }
  if (arguments.options.target == TargetKind::disk && arguments.options.defect != Defect::none) {
    usage("--break needs the server's store: not with --target disk");
  }
  return arguments;
}

// ---- A seed that ends the process is named, too.

char last_words[512];  // made before each seed: a handler may not do more than write
volatile sig_atomic_t last_words_size = 0;

void say_last_words() {
  [[maybe_unused]] const auto written =
      write(STDOUT_FILENO, last_words, static_cast<std::size_t>(last_words_size));
}

void prepare_last_words(std::uint64_t seed, const Arguments& arguments) {
  const int size =
      std::snprintf(last_words, sizeof last_words,
                    "seed %llu: the process crashed, or the seed took longer than %u s of real time\n"
                    "to repeat: %s --seed %llu --seeds 1%s --trace\n",
                    static_cast<unsigned long long>(seed), kSeedSeconds, arguments.program,
                    static_cast<unsigned long long>(seed), arguments.repeated.c_str());
  last_words_size = std::min(size, static_cast<int>(sizeof last_words) - 1);
  alarm(kSeedSeconds);
}

void watch_for_crashes() {
  const auto on_signal = [](int signal) {
    say_last_words();
    ::signal(signal, SIG_DFL);
    raise(signal);
  };
  signal(SIGABRT, on_signal);
  signal(SIGALRM, on_signal);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(&say_last_words);
  } else {
    signal(SIGSEGV, on_signal);
  }
}

// ----

class Progress {
 public:
  explicit Progress(std::uint64_t seeds) : seeds_(seeds) {}
  void done(std::uint64_t count) {
    if (RealClock::now() - last_ < kProgressEvery) return;
    last_ = RealClock::now();
    std::fprintf(stderr, "%llu of %llu seeds, %.0f s\n", static_cast<unsigned long long>(count),
                 static_cast<unsigned long long>(seeds_), seconds());
  }
  double seconds() const { return std::chrono::duration<double>(RealClock::now() - begin_).count(); }

 private:
  const std::uint64_t seeds_;
  const RealClock::time_point begin_ = RealClock::now();
  RealClock::time_point last_ = begin_;
};

/// False when the seed failed.
bool run(std::uint64_t seed, const Arguments& arguments, Tally& tally, std::uint64_t& digest) {
  prepare_last_words(seed, arguments);
  Simulation simulation(seed, arguments.options);
  std::optional<std::string> failed = simulation.run();
  if (!failed && seed % kRepeatEvery == 0) {
    Simulation again(seed, arguments.options);
    static_cast<void>(again.run());
    if (again.trace_hash() != simulation.trace_hash()) failed = "the same seed gave another run";
  }
  tally += simulation.tally();
  digest = netstor::scatter_bits(digest ^ simulation.trace_hash());
  if (arguments.verbose) {
    std::printf("seed %llu: %s, digest %016llx\n%s", static_cast<unsigned long long>(seed),
                simulation.target_name(), static_cast<unsigned long long>(simulation.trace_hash()),
                simulation.tally().to_string().c_str());
  }
  if (!failed) return true;
  if (!arguments.options.trace) std::printf("%s", simulation.trace_tail(kTailLines).c_str());
  std::printf("seed %llu: %s\nto repeat: %s --seed %llu --seeds 1%s --trace\n",
              static_cast<unsigned long long>(seed), failed->c_str(), arguments.program,
              static_cast<unsigned long long>(seed), arguments.repeated.c_str());
  return false;
}

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = parse(count, words);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  watch_for_crashes();
  Progress progress(arguments.seeds);
  Tally tally;
  std::uint64_t digest = 0;
  for (std::uint64_t i = 0; i < arguments.seeds; ++i) {
    if (!run(arguments.seed + i, arguments, tally, digest)) return 1;
    progress.done(i + 1);
  }
  std::printf(
      "%sseeds %llu to %llu: %.1f hours of simulated time in %.1f s, digest %016llx\n"
      "simulated %llu seeds: every acknowledged write readable, nothing completed twice, every buffer home\n",
      tally.to_string().c_str(), static_cast<unsigned long long>(arguments.seed),
      static_cast<unsigned long long>(arguments.seed + arguments.seeds - 1),
      std::chrono::duration<double, std::ratio<3600>>(tally.time).count(), progress.seconds(),
      static_cast<unsigned long long>(digest), static_cast<unsigned long long>(arguments.seeds));
  return 0;
}
