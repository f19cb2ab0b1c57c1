// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/user.h"

#include <netstor/cancel.h>

#include <algorithm>

namespace netstor::sim {

namespace {
constexpr std::uint64_t kGapPauseMax = 100'000'000;  // ns
}  // namespace

Loan::Loan(std::size_t size_bytes) : memory_(size_bytes + 2 * kMargin, kPoison) {}

bool Loan::margins_whole() const noexcept {
  const auto poison = [](std::byte byte) { return byte == kPoison; };
  return std::all_of(memory_.begin(), memory_.begin() + kMargin, poison) &&
         std::all_of(memory_.end() - kMargin, memory_.end(), poison);
}
void Loan::poison() noexcept { std::fill(memory_.begin(), memory_.end(), kPoison); }
bool Loan::poisoned() const noexcept {
  return std::all_of(memory_.begin(), memory_.end(), [](std::byte byte) { return byte == kPoison; });
}

Users::Users(World& world, std::uint64_t seed, WorkloadLimits limits, unsigned requests)
    : model(limits.blocks), world_(world), workload_(seed, limits), left_(requests) {}

void Users::report(std::string what) {
  if (!violation_) violation_ = std::move(what);
}

std::string Users::describe(const Job& job) {
  std::string text = "request " + std::to_string(job.number) + ", " + sim::to_string(job.request.verb);
  if (job.request.count > 0) {
    text += " of " + std::to_string(job.request.count) + " blocks at " + std::to_string(job.request.first);
  }
  return text;
}

std::string Users::unanswered() const {
  std::string text;
  for (const Job* job : under_way_) text += (text.empty() ? "" : "; ") + describe(*job);
  return text;
}

bool Users::changes(DeviceVerb verb) {
  return verb == DeviceVerb::write || verb == DeviceVerb::write_zeroes || verb == DeviceVerb::deallocate ||
         verb == DeviceVerb::compare_and_write;
}
bool Users::observes(DeviceVerb verb) { return !changes(verb) || verb == DeviceVerb::compare_and_write; }
bool Users::compares(DeviceVerb verb) {
  return verb == DeviceVerb::compare || verb == DeviceVerb::compare_and_write;
}

std::uint64_t Users::replays() { return Shard::current()->metrics().replays; }

Loan* Users::lend(std::size_t size_bytes) { return &loans_.emplace_back(size_bytes); }

Task<void> Users::run() {
  while (left_ > 0 && !violation_) {
    --left_;
    Job job;
    job.request = workload_.draw();
    job.number = ++begun_;
    if (job.request.pause > Duration::zero()) {
      auto paused = sleep(job.request.pause);
      NETSTOR_CHECK(co_await std::move(paused));
    }
    under_way_.push_back(&job);
    auto done = perform(job);
    Result<void> ended = co_await std::move(done);
    std::erase(under_way_, &job);
    if (job.disconnected && !violation_) {  // as people do: not all requests of a seed go into one gap
      auto paused = sleep(Duration(static_cast<std::int64_t>(workload_.random().below(kGapPauseMax))));
      NETSTOR_CHECK(co_await std::move(paused));
    }
    if (!ended) report(describe(job) + ": " + ended.error().to_string());
  }
  co_return ok();
}

Task<void> Users::perform(Job& job) {
  prepare(job);
  world_.trace(sim::to_string(job.request.verb), job.number, job.request.first, job.request.count);
  job.replays = replays();
  Future<void> future = start(job);
  auto waited = await_end(std::move(future), job.request);
  auto end = co_await std::move(waited);
  if (!end) co_return std::move(end).error();
  if (!*end) {  // the memory stays lent, and nobody will ever say what became of it
    world_.trace("dropped", job.number);
    ++tally.dropped;
    if (changes(job.request.verb)) dropped_writes_.push_back(job.write);
    if (observes(job.request.verb)) model.read_failed(job.read);
    co_return ok();
  }
  const Result<void>& result = **end;
  note(job, result);
  account(job, result);
  for (Loan* loan : {job.payload, job.compared}) {
    if (loan == nullptr) continue;
    if (!loan->margins_whole()) report(describe(job) + ": wrote beyond the memory that it was lent");
    loan->poison();
    returned_.push_back(loan);
  }
  co_return ok();
}

void Users::note(Job& job, const Result<void>& result) {
  if (result) {
    world_.trace("ok", job.number);
    ++tally.answered_ok;
    return;
  }
  const Error& error = result.error();
  world_.trace(netstor::to_string(error.kind()).data(), job.number,
               static_cast<std::uint64_t>(error.effect()));
  ++tally.failed[static_cast<std::size_t>(error.kind())];
  job.disconnected = error.kind() == ErrorKind::disconnected;
  if (error.effect() == Effect::unknown) ++tally.unknown;
}

void Users::prepare(Job& job) {
  ++tally.asked[static_cast<std::size_t>(job.request.verb)];
  const Request& request = job.request;
  const std::size_t size_bytes = request.count * kPatternBytes;
  if (compares(request.verb)) {
    for (std::uint64_t i = 0; i < request.count; ++i) {
      const std::vector<Version> allowed = model.allowed(request.first + i);
      job.expected.push_back(workload_.random().chance(0.9)
                                 ? allowed[workload_.random().below(allowed.size())]
                                 : workload_.random().below(last_version_ + 1));
    }
    job.compared = lend(size_bytes);
    for (std::uint64_t i = 0; i < request.count; ++i) {
      fill_block(job.compared->bytes().subspan(i * kPatternBytes, kPatternBytes), request.first + i,
                 job.expected[i]);
    }
  }
  if (request.verb == DeviceVerb::write || request.verb == DeviceVerb::compare_and_write) {
    ++last_version_;
    job.payload = lend(size_bytes);
    for (std::uint64_t i = 0; i < request.count; ++i) {
      fill_block(job.payload->bytes().subspan(i * kPatternBytes, kPatternBytes), request.first + i,
                 last_version_);
    }
  }
  if (request.verb == DeviceVerb::read) job.payload = lend(size_bytes);
  if (observes(request.verb)) job.read = model.begin_read();
  if (changes(request.verb)) {
    const Version version = job.payload == nullptr ? kZeroes : last_version_;
    job.write = model.begin_write(request.first, request.count, version);
  }
}

Future<void> Users::start(Job& job) {
  const Request& request = job.request;
  const std::uint64_t offset = request.first * kPatternBytes;
  const std::uint64_t length = request.count * kPatternBytes;
  const IoOptions options{.force_unit_access = request.force_unit_access, .idempotent = request.idempotent};
  std::vector<MutableBytes> into;
  std::vector<Bytes> from;
  std::size_t at = 0;
  for (const std::size_t piece : request.pieces) {
    if (job.payload == nullptr || job.payload->bytes().size() < at + piece) break;
    into.push_back(job.payload->bytes().subspan(at, piece));
    from.push_back(into.back());
    at += piece;
  }
  switch (request.verb) {
    case DeviceVerb::read:
      return volume.read(offset, ScatterList(into), options);
    case DeviceVerb::write:
      return volume.write(offset, ConstScatterList(from), options);
    case DeviceVerb::flush:
      return volume.flush();
    case DeviceVerb::write_zeroes:
      return volume.write_zeroes(offset, length, options);
    case DeviceVerb::deallocate:
      return volume.deallocate(offset, length);
    case DeviceVerb::compare:
      return volume.compare(offset, job.compared->bytes());
    case DeviceVerb::compare_and_write:
      return volume.compare_and_write(offset, job.compared->bytes(), job.payload->bytes());
    case DeviceVerb::verify:
      break;
  }
  return volume.verify(offset, length);
}

Task<std::optional<Result<void>>> Users::await_end(Future<void> future, const Request& request) {
  using End = Request::End;
  if (request.end == End::dropped) {
    auto waited = sleep(request.patience);
    Result<void> slept = co_await std::move(waited);
    static_cast<void>(slept);
    if (!future.ready()) co_return std::optional<Result<void>>();
  }
  if (request.end == End::deadline) future = with_deadline(std::move(future), request.patience);
  if (request.end == End::cancelled) {
    auto source = std::make_shared<CancelSource>();
    future = with_cancel(std::move(future), source->token());
    sleep(request.patience).then([source](Result<void>) { source->cancel(); }).detach();
  }
  Result<void> result = co_await std::move(future);
  co_return std::optional<Result<void>>(std::move(result));
}

void Users::account(Job& job, const Result<void>& result) {
  if (!result) check_error(job, result.error());
  if (changes(job.request.verb)) {
    account_change(job, result);
  } else {
    account_read(job, result);
  }
}

void Users::account_change(Job& job, const Result<void>& result) {
  const bool compared = job.request.verb == DeviceVerb::compare_and_write;
  if (result) {
    if (compared) judge(job, model.read_done(job.read, job.request.first, job.expected));
    if (job.request.verb == DeviceVerb::deallocate) return model.hint_done(job.write);
    // IoOptions::idempotent: "does no harm, even late". What was replayed may be carried out again.
    const bool may_recur = job.request.idempotent && replays() != job.replays;
    model.write_done(job.write, job.request.force_unit_access && !compared, may_recur);
    return;
  }
  if (result.error().effect() == Effect::unknown) {
    model.write_unknown(job.write);
  } else {
    judge(job, model.write_undone(job.write));
  }
  if (!compared) return;
  if (result.error().kind() == ErrorKind::compare_failed) {
    judge(job, model.compare_differed(job.read, job.request.first, job.expected));
  } else {
    model.read_failed(job.read);
  }
}

void Users::account_read(Job& job, const Result<void>& result) {
  const Request& request = job.request;
  if (request.verb == DeviceVerb::flush) {
    return result ? model.flush_done(job.read) : model.flush_failed(job.read);
  }
  if (request.verb == DeviceVerb::compare) {
    if (result) return judge(job, model.read_done(job.read, request.first, job.expected));
    if (result.error().kind() == ErrorKind::compare_failed) {
      return judge(job, model.compare_differed(job.read, request.first, job.expected));
    }
  }
  if (!result || request.verb == DeviceVerb::verify) return model.read_failed(job.read);
  std::vector<Version> seen;
  for (std::uint64_t i = 0; i < request.count; ++i) {
    seen.push_back(
        identify_block(job.payload->bytes().subspan(i * kPatternBytes, kPatternBytes), request.first + i));
  }
  tally.blocks_checked += request.count;
  judge(job, model.read_done(job.read, request.first, seen));
}

void Users::judge(const Job& job, const BlockModel::Violation& violation) {
  if (violation) report(describe(job) + ": " + *violation);
}

// Faults may make any request fail, but never in these ways.
void Users::check_error(const Job& job, const Error& error) {
  switch (error.kind()) {
    case ErrorKind::invalid_argument:
    case ErrorKind::out_of_range:
    case ErrorKind::not_found:
    case ErrorKind::permission_denied:
    case ErrorKind::already_exists:
    case ErrorKind::protocol:
    case ErrorKind::internal:
      return report(describe(job) + ": " + error.to_string());
    case ErrorKind::unsupported:
      // Two commands at once need a queue for two.
      if (job.request.verb == DeviceVerb::compare_and_write && volume.info().queue_depth < 2) return;
      return report(describe(job) + ": " + error.to_string());
    case ErrorKind::compare_failed:
      if (!compares(job.request.verb)) report(describe(job) + ": " + error.to_string());
      return;
    case ErrorKind::cancelled:
      if (job.request.end != Request::End::cancelled) report(describe(job) + ": nobody cancelled it");
      return;
    default:
      return;
  }
}

void Users::settle() {
  for (const BlockModel::Ticket write : dropped_writes_) model.write_unknown(write);
  dropped_writes_.clear();
  model.settle();
}

Task<bool> Users::read_all() {
  Job job;
  job.request.count = model.blocks();
  Loan* const loan = lend(model.blocks() * kPatternBytes);
  job.payload = loan;
  job.read = model.begin_read();
  auto reading = volume.read(0, loan->bytes());
  Result<void> result = co_await std::move(reading);
  if (result) world_.trace("read-all", model.blocks());
  account_read(job, result);
  co_return result.ok();
}

void Users::reclaim() {
  returned_.clear();
  for (Loan& loan : loans_) {
    if (!loan.margins_whole()) return report("an abandoned request wrote beyond its memory");
    if (!loan.poisoned()) loan.poison();
    returned_.push_back(&loan);
  }
}

void Users::check_memory() {
  for (const Loan* loan : returned_) {
    if (!loan->poisoned()) return report("memory was written after it had been given back");
  }
}

}  // namespace netstor::sim
