// SPDX-License-Identifier: Apache-2.0
// A peer: random reads through libnbd's asynchronous calls, --depth in flight on one connection. The socket
// is polled without pause, as ours is.

#include "bench/stats.h"

#include <libnbd.h>

#include <vector>

namespace {

using namespace netstor::bench;

struct Slot {
  std::int64_t cookie = -1;
  SteadyTime begun;
};

int fail() {
  std::fprintf(stderr, "peer_nbd: %s\n", nbd_get_error());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto depth = static_cast<std::size_t>(number(argc, argv, "--depth", "1"));
  const auto block = static_cast<std::size_t>(number(argc, argv, "--block", "4096"));
  const double seconds = std::strtod(argument(argc, argv, "--seconds", "1").c_str(), nullptr);
  const bool write = argument(argc, argv, "--rw", "randread") == "randwrite";
  pin_to_cpu(static_cast<int>(number(argc, argv, "--cpu", "0")));
  nbd_handle* const nbd = nbd_create();
  if (nbd == nullptr || nbd_connect_uri(nbd, argument(argc, argv, "--uri", "nbd://127.0.0.1").c_str()) != 0)
    return fail();
  const std::uint64_t blocks = static_cast<std::uint64_t>(nbd_get_size(nbd)) / block;
  std::vector<Slot> slots(depth);
  std::vector<char> memory(depth * block);
  Latencies latencies;
  std::uint64_t seed = 88172645463325252U;
  const double cpu_before = cpu_seconds();
  auto start = now();
  bool warm = false;
  for (;;) {
    const auto time = now();
    if (!warm && time - start > std::chrono::milliseconds(200)) {
      warm = true;
      latencies.reset();
      start = time;
    }
    if (warm && time - start >= std::chrono::duration<double>(seconds)) break;
    for (std::size_t i = 0; i < depth; ++i) {
      Slot& slot = slots[i];
      if (slot.cookie >= 0) {
        const int done = nbd_aio_command_completed(nbd, static_cast<std::uint64_t>(slot.cookie));
        if (done < 0) return fail();
        if (done == 0) continue;
        latencies.add(now() - slot.begun);
      }
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      slot.begun = now();
      char* const at = memory.data() + i * block;
      const std::uint64_t offset = seed % blocks * block;
      slot.cookie = write ? nbd_aio_pwrite(nbd, at, block, offset, NBD_NULL_COMPLETION, 0)
                          : nbd_aio_pread(nbd, at, block, offset, NBD_NULL_COMPLETION, 0);
      if (slot.cookie < 0) return fail();
    }
    if (nbd_poll(nbd, 0) < 0) return fail();
  }
  const double taken = std::chrono::duration<double>(now() - start).count();
  print_json(latencies, taken, cpu_seconds() - cpu_before);
}
