// SPDX-License-Identifier: Apache-2.0

#include "server/netstord_sight.h"

#include <netstor/version.h>

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstring>

namespace netstor::server {

using sight::Page;

namespace {

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct LoopAnswer {
  Metrics metrics;
  std::uint64_t allocations = 0;
};

/// A question to shards. A future gives its answer once and is empty then, so what it gave is kept here:
/// questions of one scrape that were answered wait beside those that are late.
template <class T>
class Question {
 public:
  Question() = default;
  explicit Question(Future<T> future) : future_(std::move(future)) {}
  void ask(Future<T> future) { future_ = std::move(future); }

  /// Nothing is awaited: it was answered, or never asked.
  bool answered() const noexcept { return !future_.valid() || future_.ready(); }
  /// Null for what was not asked, is late, or failed.
  const T* answer() {
    if (future_.valid() && future_.ready()) {
      if (Result<T> result = future_.get()) answer_ = *std::move(result);
    }
    return answer_ ? &*answer_ : nullptr;
  }

 private:
  Future<T> future_;
  std::optional<T> answer_;
};

Page unavailable(const std::string& reason) { return {.status = 503, .body = reason + "\n"}; }

}  // namespace

/// The questions of one scrape.
struct Sight::Asked {
  std::vector<Question<LoopAnswer>> loops;
  Question<std::vector<nvmf::ShardFacts>> target;
  Question<std::vector<s3server::ShardFacts>> endpoint;
  Question<std::vector<nvmf::ConnectionFacts>> hosts;
  Question<std::vector<s3server::ConnectionFacts>> clients;

  bool loops_answered() const {
    return std::ranges::all_of(loops, [](const auto& each) { return each.answered(); });
  }
  bool answered() const {
    return loops_answered() && target.answered() && endpoint.answered() && hosts.answered() &&
           clients.answered();
  }
};

Sight::Sight() : started_seconds_(seconds_since_1970()), reason_("starting") {}
Sight::~Sight() = default;

Result<Address> Sight::listen(const Address& address) {
  NETSTOR_TRY_RETURN(pages_,
                     sight::Pages::start(address, [this](std::string_view path) { return page(path); }));
  return pages_->address();
}

void Sight::not_ready(std::string reason) {
  const std::lock_guard lock(mutex_);
  reason_ = std::move(reason);
}

void Sight::ready(SightSources sources) {
  const std::lock_guard lock(mutex_);
  sources_ = std::move(sources);
  reason_.clear();
}

std::uint64_t Sight::reload_begun() {
  const std::lock_guard lock(mutex_);
  reloads_.last_seconds = seconds_since_1970();
  reloads_.last_good = false;
  return ++reloads_begun_;
}

void Sight::reload_ended(std::uint64_t number, bool good) {
  const std::lock_guard lock(mutex_);
  ++(good ? reloads_.in_force : reloads_.failed);
  if (number == reloads_begun_) reloads_.last_good = good;
}

bool Sight::quiet() {
  if (pages_ == nullptr) return true;
  const bool stopped = pages_->stop(std::chrono::milliseconds(500));
  if (!stopped || !std::ranges::all_of(late_, [](const auto& each) { return each->answered(); })) {
    // Their answers come to a thread that has to be there still.
    static_cast<void>(pages_.release());
    return false;
  }
  pages_.reset();
  return true;
}

Task<Page> Sight::page(std::string_view path) {
  if (path == "/metrics") return metrics();
  if (path == "/healthz") return health();
  if (path == "/connections") return connections();
  return [](Page page) -> Task<Page> {
    co_return std::move(page);
  }(path == "/readyz" ? readiness()
                      : Page{.status = path == "/" ? 200U : 404U,
                             .body = "netstord: /metrics, /connections, /healthz, /readyz\n"});
}

// ---- Asking.

SightSources Sight::sources() {
  const std::lock_guard lock(mutex_);
  return sources_;
}

std::shared_ptr<Sight::Asked> Sight::ask_for_connections() {
  const SightSources from = sources();
  auto asked = std::make_shared<Asked>();
  if (from.target != nullptr) asked->hosts.ask(from.target->connections());
  if (from.endpoint != nullptr) asked->clients.ask(from.endpoint->connections());
  return asked;
}

std::shared_ptr<Sight::Asked> Sight::ask() {
  const SightSources from = sources();
  auto asked = std::make_shared<Asked>();
  if (from.runtime == nullptr) return asked;
  for (unsigned i = 0; i < from.runtime->shards(); ++i) {
    asked->loops.emplace_back(from.runtime->shard(i).run_on([count = from.thread_allocations] {
      return LoopAnswer{.metrics = Shard::current()->metrics(),
                        .allocations = count == nullptr ? 0 : count()};
    }));
  }
  if (from.target != nullptr) asked->target.ask(from.target->observe());
  if (from.endpoint != nullptr) asked->endpoint.ask(from.endpoint->observe());
  return asked;
}

// A shard that is stuck, on a disk perhaps, must not hold whoever wants to see that it is. A question that
// was asked cannot be taken back: who does not answer in time keeps it.
Task<void> Sight::wait_for(std::shared_ptr<Asked> asked) {
  std::erase_if(late_, [](const auto& each) { return each->answered(); });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!asked->answered() && std::chrono::steady_clock::now() < deadline) {
    auto pause = sleep(std::chrono::milliseconds(1));
    auto paused = co_await std::move(pause);
    if (!paused) break;
  }
  if (!asked->answered()) late_.push_back(asked);
  co_return ok();
}

// ---- Pages.

std::vector<sight::LoopFacts> Sight::loops_of(Asked& asked) const {
  std::vector<sight::LoopFacts> loops;
  for (unsigned i = 0; i < asked.loops.size(); ++i) {
    sight::LoopFacts facts{.shard = i};
    if (const LoopAnswer* const answer = asked.loops[i].answer()) {
      facts.answers = true;
      facts.metrics = answer->metrics;
      facts.allocations = answer->allocations;
    }
    loops.push_back(facts);
  }
  return loops;
}

std::vector<sight::VolumeFacts> Sight::volumes() const {
  std::vector<sight::VolumeFacts> all;
  if (!sources_.volumes) return all;
  for (const SightSources::Volume& each : sources_.volumes()) {
    sight::VolumeFacts facts{
        .name = each.name, .uuid = each.uuid, .size_bytes = each.size_bytes, .used_bytes = {}};
    struct stat file {};
    if (!each.data_path.empty() && ::stat(each.data_path.c_str(), &file) == 0)
      facts.used_bytes = static_cast<std::uint64_t>(file.st_blocks) * 512;
    all.push_back(std::move(facts));
  }
  return all;
}

std::optional<std::string> Sight::why_not_ready() {
  const std::lock_guard lock(mutex_);
  if (!reason_.empty()) return reason_;
  if (sources_.draining && sources_.draining()) return "draining";
  struct statvfs space {};
  if (::statvfs(sources_.state.c_str(), &space) != 0)
    return "state directory " + sources_.state + ": " + std::strerror(errno);
  if ((space.f_flag & ST_RDONLY) != 0) return "state directory " + sources_.state + " is read-only";
  if (!sources_.volumes) return std::nullopt;
  for (const SightSources::Volume& each : sources_.volumes()) {
    struct stat file {};
    if (!each.data_path.empty() && ::stat(each.data_path.c_str(), &file) != 0)
      return "volume " + each.name + ": " + each.data_path + ": " + std::strerror(errno);
  }
  return std::nullopt;
}

Page Sight::readiness() {
  const auto reason = why_not_ready();
  return reason ? unavailable(*reason) : Page{.body = "ready\n"};
}

Task<Page> Sight::health() {
  auto asked = ask();
  auto waiting = wait_for(asked);
  auto waited = co_await std::move(waiting);
  static_cast<void>(waited);
  std::string silent;
  for (unsigned i = 0; i < asked->loops.size(); ++i) {
    if (!asked->loops[i].answered()) silent += (silent.empty() ? "" : ", ") + std::to_string(i);
  }
  if (!silent.empty()) co_return unavailable("no answer within 2 s from shard " + silent);
  co_return Page{.body = "alive\n"};
}

std::string Sight::text_of(Asked& asked) {
  sight::Exposition out;
  sight::ProcessFacts process{.version = std::string(linked_version()),
                              .io_driver = "none",
                              .ready = !why_not_ready(),
                              .started_seconds = started_seconds_};
  const std::lock_guard lock(mutex_);
  if (sources_.runtime != nullptr) process.io_driver = std::string(sources_.runtime->io_driver());
  if (sources_.warnings != nullptr) process.warnings = sources_.warnings->counts();
  if (struct statvfs space{}; !sources_.state.empty() && ::statvfs(sources_.state.c_str(), &space) == 0) {
    process.space = {.size_bytes = std::uint64_t{space.f_blocks} * space.f_frsize,
                     .free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize};
  }
  process.reloads = reloads_;
  look_at_process(process);
  write_process(out, process);
  write_loops(out, loops_of(asked));
  if (const auto* const shards = asked.target.answer()) write_target(out, *shards, volumes());
  if (const auto* const shards = asked.endpoint.answer())
    write_endpoint(out, *shards, sources_.objects->usage());
  return out.take();
}

// Not a part of the metrics: a time series each would be too many.
Task<Page> Sight::connections() {
  auto asked = ask_for_connections();
  auto waiting = wait_for(asked);
  auto waited = co_await std::move(waiting);
  static_cast<void>(waited);
  sight::Exposition out;
  if (const auto* const hosts = asked->hosts.answer()) write_hosts(out, *hosts);
  if (const auto* const clients = asked->clients.answer()) write_clients(out, *clients);
  Page page{.content_type = std::string(sight::Exposition::kContentType), .body = out.take()};
  co_return std::move(page);
}

Task<Page> Sight::metrics() {
  auto asked = ask();
  auto waiting = wait_for(asked);
  auto waited = co_await std::move(waiting);
  static_cast<void>(waited);
  Page page{.content_type = std::string(sight::Exposition::kContentType), .body = {}};
  page.body = text_of(*asked);
  co_return std::move(page);
}

}  // namespace netstor::server
