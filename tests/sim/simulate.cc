// SPDX-License-Identifier: Apache-2.0
//
// simulate [--seed S] [--seeds N] [--requests N] [--target nvme|disk] [--break DEFECT] [--verbose] [--trace]
//
// Runs the simulation for N seeds from S on and stops at the first that fails: then it names the seed and the
// request, prints the end of the trace, and exits 1. The same seed gives the same run, which is itself
// checked for some of them.

#include "tests/sim/simulation.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

using namespace netstor::sim;

constexpr std::uint64_t kRepeatEvery = 50;
constexpr std::size_t kTailLines = 60;

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1000;
  bool verbose = false;
  SimulationOptions options;
};

[[noreturn]] void usage(const char* why) {
  std::fprintf(
      stderr,
      "simulate: %s\nusage: simulate [--seed S] [--seeds N] [--requests N] [--target nvme|disk]\n"
      "                [--break acknowledge-before-store|ignore-flush|misplace] [--verbose] [--trace]\n",
      why);
  std::exit(2);
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) usage("expected a number");
  return value;
}

Arguments parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const auto value = [&]() -> std::string_view {
      if (++i == count) usage("a value is missing");
      return words[i];
    };
    if (word == "--seed") {
      arguments.seed = number(value());
    } else if (word == "--seeds") {
      arguments.seeds = number(value());
    } else if (word == "--requests") {
      arguments.options.requests = static_cast<unsigned>(number(value()));
    } else if (word == "--target") {
      arguments.options.target = value() == "disk" ? TargetKind::disk : TargetKind::nvme;
    } else if (word == "--break") {
      const auto defect = defect_of(value());
      if (!defect) usage("no such defect");
      arguments.options.defect = *defect;
    } else if (word == "--verbose") {
      arguments.verbose = true;
    } else if (word == "--trace") {
      arguments.options.trace = true;
    } else {
      usage("unknown argument");
    }
  }
  return arguments;
}

/// False when the seed failed.
bool run(std::uint64_t seed, const Arguments& arguments) {
  Simulation simulation(seed, arguments.options);
  std::optional<std::string> failed = simulation.run();
  if (!failed && seed % kRepeatEvery == 0) {
    Simulation again(seed, arguments.options);
    static_cast<void>(again.run());
    if (again.trace_hash() != simulation.trace_hash()) failed = "the same seed gave another run";
  }
  if (arguments.verbose)
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), simulation.summary().c_str());
  if (!failed) return true;
  std::printf("%s\nseed %llu: %s\nto repeat: simulate --seed %llu --seeds 1 --trace\n",
              simulation.trace_tail(kTailLines).c_str(), static_cast<unsigned long long>(seed),
              failed->c_str(), static_cast<unsigned long long>(seed));
  return false;
}

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = parse(count, words);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (std::uint64_t i = 0; i < arguments.seeds; ++i) {
    if (!run(arguments.seed + i, arguments)) return 1;
  }
  std::printf(
      "simulated %llu seeds: every acknowledged write readable, nothing completed twice, every buffer home\n",
      static_cast<unsigned long long>(arguments.seeds));
  return 0;
}
