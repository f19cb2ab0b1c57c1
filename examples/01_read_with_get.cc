// SPDX-License-Identifier: Apache-2.0
// The shortest way: a runtime, a volume, and get() wherever an answer is wanted. For programs, tests and
// tools that have nothing else to do meanwhile. It writes to the volume that you name!
//
//   ./01_read_with_get [nvme+tcp://localhost/NQN]

#include <netstor/netstor.h>

#include "examples/scratch.h"

#include <algorithm>
#include <cstring>

using namespace netstor;

namespace {

Result<void> run(const std::string& uri) {
  // One shard: a thread that carries all I/O. This thread is a foreign one and may wait with get().
  NETSTOR_TRY_RETURN(Runtime runtime, Runtime::start());
  NETSTOR_TRY_RETURN(const Volume volume, Volume::open(runtime, uri).get());
  std::cout << volume.uri() << ": " << format_size(volume.size_bytes()) << " in blocks of "
            << format_size(volume.block_bytes()) << ", carried by " << runtime.io_driver() << '\n';

  // Offsets and lengths are bytes, in whole blocks. The buffer is borrowed until get() answers.
  NETSTOR_TRY_RETURN(Buffer block, Buffer::allocate(volume.block_bytes()));
  const char greeting[] = "hello, volume";
  std::memcpy(block.data(), greeting, sizeof greeting);
  NETSTOR_CHECK_RETURN(volume.write(0, block.bytes()).get());
  NETSTOR_CHECK_RETURN(volume.flush().get());  // on stable storage from here on

  NETSTOR_TRY_RETURN(Buffer back, Buffer::allocate(volume.block_bytes()));
  NETSTOR_CHECK_RETURN(volume.read(0, back.bytes()).get());
  std::cout << "read back: " << reinterpret_cast<const char*>(back.data()) << '\n';
  if (!std::ranges::equal(block.bytes(), back.bytes())) return Error(ErrorKind::data_corrupt, "it differs");

  // An error is a value: decide on its kind, print its text.
  const Result<void> beyond = volume.read(volume.size_bytes(), back.bytes()).get();
  if (!beyond && beyond.error().kind() == ErrorKind::out_of_range) {
    std::cout << "as expected: " << beyond.error().text() << '\n';
  }
  return volume.close().get();
}

}  // namespace

int main(int argc, char** argv) {
  const Scratch scratch(argc, argv);
  const Result<void> done = run(scratch.uri());
  if (!done) std::cerr << done.error() << '\n';
  return done ? 0 : 1;
}
