// SPDX-License-Identifier: Apache-2.0
#include "transports/sim/world.h"

#include "lib/base/assert.h"
#include "transports/sim/disk.h"
#include "transports/sim/network.h"
#include "transports/sim/port.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace netstor::sim {

namespace {
thread_local World* entered_world = nullptr;
thread_local std::string entered_host;
}  // namespace

World::World(std::uint64_t seed, FaultPlan plan)
    : random_(seed), faults_(plan), hash_(scatter_bits(seed)), network_(std::make_unique<Network>(*this)) {
  heap_.reserve(1024);
  tail_.reserve(kTraceLines);
}

World::~World() { NETSTOR_ASSERT(ports_.empty()); }

World* World::current() noexcept { return entered_world; }
std::string_view World::current_host() noexcept { return entered_host; }

World::Enter::Enter(World& world, std::string_view host)
    : outer_world_(entered_world), outer_host_(std::move(entered_host)) {
  entered_world = &world;
  entered_host = host;
}
World::Enter::~Enter() {
  entered_world = outer_world_;
  entered_host = std::move(outer_host_);
}

// A binary heap of pointers that knows each event's place, so that unscheduling needs no search and
// scheduling needs no memory.
void World::place(Event* event, std::size_t index) noexcept {
  heap_[index] = event;
  event->heap_index = index;
}

void World::sift(std::size_t index) noexcept {
  Event* const event = heap_[index];
  while (index > 0 && before(*event, *heap_[(index - 1) / 2])) {
    place(heap_[(index - 1) / 2], index);
    index = (index - 1) / 2;
  }
  for (std::size_t child = 2 * index + 1; child < heap_.size(); child = 2 * index + 1) {
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
    if (!before(*heap_[child], *event)) break;
    place(heap_[child], index);
    index = child;
  }
  place(event, index);
}

void World::schedule(Event& event, Duration after) noexcept {
  NETSTOR_ASSERT(!event.scheduled() && after >= Duration::zero());
  event.when = now_ + after;
  event.sequence = ++sequence_;
  heap_.push_back(&event);
  event.heap_index = heap_.size() - 1;
  sift(event.heap_index);
}

void World::unschedule(Event& event) noexcept {
  if (!event.scheduled()) return;
  const std::size_t index = std::exchange(event.heap_index, Event::kIdle);
  Event* const last = heap_.back();
  heap_.pop_back();
  if (last == &event) return;
  place(last, index);
  sift(index);
}

unsigned World::run_due() noexcept {
  unsigned fired = 0;
  // What an event schedules for this very instant waits for the next call: a port that keeps itself busy
  // must not keep the others from running.
  const std::uint64_t last = sequence_;
  while (!heap_.empty() && heap_.front()->when <= now_ && heap_.front()->sequence <= last) {
    Event& event = *heap_.front();
    unschedule(event);
    event.fire(event);
    ++fired;
  }
  return fired;
}

bool World::advance(Time latest) noexcept {
  const Time when = std::min(next_event(), latest);
  if (when == Time::max()) return false;
  now_ = std::max(now_, when);
  run_due();
  return true;
}

Disk& World::disk(std::string_view name, std::uint64_t size_bytes) {
  auto found = disks_.find(name);
  if (found == disks_.end()) {
    found = disks_.emplace(std::string(name), std::make_unique<Disk>(*this, size_bytes)).first;
  }
  return *found->second;
}

Disk* World::find_disk(std::string_view name) noexcept {
  const auto found = disks_.find(name);
  return found == disks_.end() ? nullptr : found->second.get();
}

void World::set_cut(std::string_view from, std::string_view to, bool cut) {
  const std::pair way{std::string(from), std::string(to)};
  trace(cut ? "cut" : "join", cuts_.size());
  if (cut) {
    met(Fault::partition);
    cuts_.insert(way);
  } else {
    cuts_.erase(way);
  }
}

bool World::cut(std::string_view from, std::string_view to) const {
  return !cuts_.empty() && cuts_.contains(std::pair{std::string(from), std::string(to)});
}

void World::kill(std::string_view host, Death death) {
  trace(death == Death::power ? "power-failure" : "kill");
  met(death == Death::power ? Fault::power_failure : Fault::kill);
  network_->kill(host, death == Death::process);
  for (auto& [order, port] : ports_) {
    if (port->host() == host) port->die();
  }
  if (death == Death::process) return;
  for (auto& [name, disk] : disks_) {
    if (disk->host() == host) disk->lose_power();
  }
}

bool World::lives(std::string_view host) const noexcept {
  return std::any_of(ports_.begin(), ports_.end(), [&](const auto& entry) {
    return entry.second->host() == host && !entry.second->dead();
  });
}

void World::add(SimPort& port) {
  ports_.emplace(port_order_++, &port);
  hosts_.insert(port.host());
}

void World::remove(SimPort& port) noexcept {
  std::erase_if(ports_, [&](const auto& entry) { return entry.second == &port; });
}

void World::trace(const char* what, std::uint64_t a, std::uint64_t b, std::uint64_t c) noexcept {
  const TraceLine line{.when = now_, .what = what, .numbers = {a, b, c}};
  hash_ = scatter_bits(hash_ ^ static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  for (const char* letter = what; *letter != 0; ++letter) {
    hash_ = (hash_ ^ static_cast<unsigned char>(*letter)) * 0x100000001b3U;
  }
  for (const std::uint64_t number : line.numbers) hash_ = scatter_bits(hash_ ^ number);
  if (tail_.size() < kTraceLines) {
    tail_.push_back(line);
  } else {
    tail_[traced_ % kTraceLines] = line;
  }
  ++traced_;
  if (on_trace) on_trace(line);
}

std::string World::to_string(const TraceLine& line) {
  char text[160];
  const double ms =
      std::chrono::duration<double, std::milli>(line.when.time_since_epoch()).count() - 3'600'000;
  std::snprintf(text, sizeof text, "%12.6f ms  %-20s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", ms, line.what,
                line.numbers[0], line.numbers[1], line.numbers[2]);
  return text;
}

std::string World::trace_tail(std::size_t lines_max) const {
  std::string text;
  const std::size_t count = std::min({lines_max, traced_, kTraceLines});
  for (std::size_t i = traced_ - count; i < traced_; ++i) text += to_string(tail_[i % kTraceLines]);
  return text;
}

}  // namespace netstor::sim
