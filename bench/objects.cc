// SPDX-License-Identifier: Apache-2.0
// The object store alone, without HTTP: look-ups, puts, listings, on one shard.
//
// usage: objects FOLDER [--keys N] [--puts N]      FOLDER is made, filled and left to the caller to remove

#include "lib/engine/engine.h"
#include "server/store/object_store.h"

#include <netstor/shard.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace netstor::store {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Load {
  ObjectShard* shard = nullptr;
  std::string body;
  std::uint64_t keys = 0;  // to choose from
  std::uint64_t left = 0;  // to do
  std::uint64_t next = 0;
};

std::string key_of(std::uint64_t number) {
  char text[40];
  std::snprintf(text, sizeof text, "d%03u/%09llu", static_cast<unsigned>(number % 1000),
                static_cast<unsigned long long>(number));
  return text;
}

Task<void> put_some(Load* load) {
  while (load->left > 0) {
    --load->left;
    const std::string key = key_of(load->next++);
    ObjectPut put = load->shard->begin_put("bench", load->body.size());
    const iovec piece{load->body.data(), load->body.size()};
    auto writing = put.write(&piece, 1);
    NETSTOR_CHECK(co_await std::move(writing));
    ObjectFacts facts;
    facts.etag = "d41d8cd98f00b204e9800998ecf8427e";
    facts.headers.emplace_back("content-type", "application/octet-stream");
    auto committing = put.commit(key, std::move(facts));
    auto stored = co_await std::move(committing);
    if (!stored) co_return std::move(stored).error();
  }
  co_return ok();
}

Task<void> get_some(Load* load) {
  std::uint64_t state = 1;
  for (; load->left > 0; --load->left) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    auto opening = load->shard->open("bench", key_of((state >> 20) % load->keys));
    auto reader = co_await std::move(opening);
    if (!reader) co_return std::move(reader).error();
    if (reader->view()) continue;
    const iovec piece{load->body.data(), load->body.size()};
    for (std::uint64_t at = 0; at < reader->version().size; at += piece.iov_len) {
      auto reading = reader->read(at, &piece, 1);
      NETSTOR_CHECK(co_await std::move(reading));
    }
  }
  co_return ok();
}

Task<std::uint64_t> list_all(ObjectShard* shard, ListQuery query) {
  std::uint64_t found = 0;
  for (;;) {
    auto listing = shard->list("bench", query);
    auto page = co_await std::move(listing);
    if (!page) co_return std::move(page).error();
    found += page->objects.size() + page->common_prefixes.size();
    if (!page->truncated) co_return found;
    query.after = page->next;
  }
}

Task<void> make_bucket(ObjectShard* shard) {
  auto creating = shard->create_bucket("bench");
  auto created = co_await std::move(creating);
  if (!created) co_return std::move(created).error();
  co_return ok();
}

struct Spent {
  double wall = 0;
  double cpu = 0;
};

/// `depth` coroutines on the shard; its CPU too.
template <class F>
Result<Spent> run(Runtime& runtime, Load& load, unsigned depth, F function) {
  double cpu = 0;
  const auto begin = Clock::now();
  auto done = runtime.shard(0)
                  .run_on([&]() -> Future<std::vector<Result<void>>> {
                    cpu = cpu_seconds();
                    std::vector<Future<void>> running;
                    for (unsigned i = 0; i < depth; ++i) running.push_back(spawn(function(&load)));
                    return when_all(std::move(running));
                  })
                  .get();
  const double wall = seconds_since(begin);
  const double after = *runtime.shard(0).run_on([] { return cpu_seconds(); }).get();
  if (!done) return std::move(done).error();
  for (auto& each : *done) NETSTOR_CHECK_RETURN(each);
  return Spent{wall, after - cpu};
}

Result<void> bench(const std::string& path, std::uint64_t keys, std::uint64_t puts) {
  NETSTOR_TRY_RETURN(auto store, ObjectStore::open(path));
  NETSTOR_TRY_RETURN(Runtime runtime, Runtime::start({}));
  auto owned = store->attach(detail::Engine::of(runtime).loop(0));
  ObjectShard* const shard = owned.get();
  NETSTOR_CHECK_RETURN(runtime.shard(0).run_on([=] { return make_bucket(shard); }).get());
  Load load{.shard = shard, .body = std::string(4096, 'x')};
  for (const unsigned depth : {1U, 32U, 256U}) {
    load.left = depth == 1 ? puts / 20 : puts;
    const double count = static_cast<double>(load.left);
    NETSTOR_TRY_RETURN(const Spent spent, run(runtime, load, depth, put_some));
    std::printf("put 4 KiB, %3u at once: %8.0f /s, %5.1f us of the shard's CPU each\n", depth,
                count / spent.wall, spent.cpu / count * 1e6);
  }
  for (const std::uint64_t hot : {std::uint64_t{5000}, load.next}) {
    load.keys = std::min(hot, load.next);
    load.left = 500000;
    NETSTOR_TRY_RETURN(const Spent gets, run(runtime, load, 1, get_some));
    std::printf("open 4 KiB of %llu: %8.0f /s, %5.2f us of CPU each\n",
                static_cast<unsigned long long>(load.keys), 5e5 / gets.wall, gets.cpu * 2);
  }
  load.body.resize(1);
  load.left = keys;
  NETSTOR_TRY_RETURN(const Spent fill, run(runtime, load, 2000, put_some));
  std::printf("filled with %llu keys in %.1f s\n", static_cast<unsigned long long>(keys), fill.wall);
  auto begin = Clock::now();
  auto found = runtime.shard(0).run_on([=] { return list_all(shard, {}); }).get();
  if (!found) return std::move(found).error();
  std::printf("list all: %.0f keys/s\n", static_cast<double>(*found) / seconds_since(begin));
  begin = Clock::now();
  ListQuery by_folder;
  by_folder.delimiter = "/";
  found = runtime.shard(0).run_on([=] { return list_all(shard, by_folder); }).get();
  if (!found) return std::move(found).error();
  std::printf("list %llu common prefixes: %.1f ms\n", static_cast<unsigned long long>(*found),
              seconds_since(begin) * 1e3);
  load.body.assign(64 << 20, 'y');
  load.left = 16;
  load.keys = 1;
  load.next = 0;
  NETSTOR_TRY_RETURN(const Spent large, run(runtime, load, 4, put_some));
  std::printf("put 64 MiB, 4 at once: %.2f GB/s\n", 16 * 0.0671 / large.wall);
  load.left = 64;
  NETSTOR_TRY_RETURN(const Spent reads, run(runtime, load, 1, get_some));
  std::printf("read 64 MiB: %.2f GB/s\n", 64 * 0.0671 / reads.wall);
  NETSTOR_CHECK_RETURN(runtime.shard(0).run_on([=] { return shard->close(); }).get());
  owned.reset();
  store.reset();
  begin = Clock::now();
  NETSTOR_TRY_RETURN(store, ObjectStore::open(path));
  std::printf("open the store again: %.0f ms\n", seconds_since(begin) * 1e3);
  return {};
}

}  // namespace
}  // namespace netstor::store

int main(int argc, char** argv) {
  std::uint64_t keys = 1000000;
  std::uint64_t puts = 20000;
  for (int i = 2; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--keys") == 0) keys = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--puts") == 0) puts = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (argc < 2) {
    std::fprintf(stderr, "usage: objects FOLDER [--keys N] [--puts N]\n");
    return 2;
  }
  if (const auto done = netstor::store::bench(argv[1], keys, puts); !done) {
    std::fprintf(stderr, "objects: %s\n", done.error().to_string().c_str());
    return 1;
  }
  return 0;
}
