// SPDX-License-Identifier: Apache-2.0
// Memory: one request over several pieces (a header here, a payload there), and memory that is made known to
// the drivers once, so that they need not pin it for each request.
//
//   ./05_scatter_and_registered_memory [nvme+tcp://localhost/NQN]

#include <netstor/netstor.h>

#include "examples/scratch.h"

#include <algorithm>
#include <array>

using namespace netstor;

namespace {

bool equal(Bytes left, Bytes right) { return std::ranges::equal(left, right); }

Result<void> run(const std::string& uri) {
  NETSTOR_TRY_RETURN(Runtime runtime, Runtime::start());
  NETSTOR_TRY_RETURN(const Volume volume, Volume::open(runtime, uri).get());
  const std::size_t block = volume.block_bytes();

  // One allocation for all, registered once. It outlives its registration, which outlives the last I/O on it:
  // the order of these two lines sees to that. Too little locked memory is no error: the registration then
  // means nothing, and a counter says so.
  NETSTOR_TRY_RETURN(Buffer memory, Buffer::allocate(6 * block));
  NETSTOR_TRY_RETURN(const Runtime::Registration registration, runtime.register_memory(memory.bytes()));
  const MutableBytes all = registration.memory();
  const MutableBytes header = all.first(block);
  const MutableBytes payload = all.subspan(block, 2 * block);
  const MutableBytes back = all.subspan(3 * block);
  std::ranges::fill(header, std::byte{0x11});
  std::ranges::fill(payload, std::byte{0x22});

  // Gathered on the way out: one request, three blocks. The list is read during the call; the bytes that it
  // names are lent until the answer is there.
  const std::array<Bytes, 2> out = {header, payload};
  NETSTOR_CHECK_RETURN(volume.write(0, out, {.force_unit_access = true}).get());

  // Scattered on the way in, into the other half, in another order of memory.
  const std::array<MutableBytes, 2> in = {back.subspan(2 * block), back.first(2 * block)};
  NETSTOR_CHECK_RETURN(volume.read(0, in).get());
  if (!equal(in[0], header) || !equal(in[1], payload)) return Error(ErrorKind::data_corrupt, "it differs");

  const Metrics metrics = runtime.metrics();
  std::cout << "wrote " << metrics.write_bytes << " and read " << metrics.read_bytes << " bytes in "
            << metrics.reads + metrics.writes << " requests; copied on the way: " << metrics.copied_bytes
            << '\n';
  if (metrics.registrations_degraded != 0) std::cout << "(the limit of locked memory was met)\n";

  // The rest of a large buffer can be used as it is: any length, the library splits at the device's limits.
  const Result<void> crooked = volume.write(1, Bytes(header)).get();
  std::cout << "as expected: " << (crooked ? "nothing" : crooked.error().text()) << '\n';
  return volume.close().get();
}

}  // namespace

int main(int argc, char** argv) {
  const Scratch scratch(argc, argv);
  const Result<void> done = run(scratch.uri());
  if (!done) std::cerr << done.error() << '\n';
  return done ? 0 : 1;
}
