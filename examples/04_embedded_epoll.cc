// SPDX-License-Identifier: Apache-2.0
// Embedding: no thread of netstor's own. A program that has an event loop already gives it the shard's
// descriptor and lets the shard take its turns; here the program's own business is a timer that ticks.
//
//   ./04_embedded_epoll [nvme+tcp://localhost/NQN]

#include <netstor/netstor.h>

#include "examples/scratch.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

using namespace netstor;

namespace {

Task<void> many_reads(Volume volume) {
  NETSTOR_TRY(Buffer block, Buffer::allocate(volume.block_bytes()));
  for (unsigned i = 0; i < 100; ++i) {
    const std::uint64_t offset = i * block.size() % volume.size_bytes();
    NETSTOR_CHECK(co_await volume.read(offset, block.bytes()));
    NETSTOR_CHECK(co_await sleep(std::chrono::milliseconds(1)));
  }
  co_return ok();
}

void watch(int loop, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  ::epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

Result<void> run(const std::string& uri) {
  // With one embedded shard the thread that starts it is the shard's: get() turns the shard while it waits.
  NETSTOR_TRY_RETURN(Runtime runtime, Runtime::start({.embedded = true}));
  NETSTOR_TRY_RETURN(const Volume volume, Volume::open(runtime, uri).get());
  Shard& shard = runtime.shard(0);

  const int loop = ::epoll_create1(EPOLL_CLOEXEC);
  const int ticker = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  const itimerspec every{.it_interval = {.tv_sec = 0, .tv_nsec = 10'000'000},
                         .it_value = {.tv_sec = 0, .tv_nsec = 10'000'000}};
  ::timerfd_settime(ticker, 0, &every, nullptr);
  watch(loop, ticker);
  watch(loop, shard.fd());  // readable: the shard has something to do

  Future<void> reads = spawn(many_reads(volume));
  unsigned ticks = 0;
  while (!reads.ready()) {
    while (shard.run_once()) {  // as long as more is ready; then it is safe to wait on fd()
    }
    if (reads.ready()) break;
    epoll_event event{};
    if (::epoll_wait(loop, &event, 1, -1) == 1 && event.data.fd == ticker) {
      std::uint64_t passed = 0;
      if (::read(ticker, &passed, sizeof passed) == sizeof passed) ++ticks;
    }
  }
  ::close(ticker);
  ::close(loop);
  std::cout << "100 reads, and " << ticks << " ticks of the program's own timer meanwhile\n";
  NETSTOR_CHECK_RETURN(reads.get());
  return volume.close().get();
}

}  // namespace

int main(int argc, char** argv) {
  const Scratch scratch(argc, argv);
  const Result<void> done = run(scratch.uri());
  if (!done) std::cerr << done.error() << '\n';
  return done ? 0 : 1;
}
