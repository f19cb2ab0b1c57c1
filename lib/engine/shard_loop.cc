// SPDX-License-Identifier: Apache-2.0
#include "lib/engine/shard_loop.h"

#include "lib/base/assert.h"
#include "lib/engine/blocking.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

namespace netstor::detail {

constinit thread_local Loop* current_loop = nullptr;

namespace {
constexpr unsigned kCompletionsPerPoll = 256;
constexpr unsigned kTasksPerTurn = 4096;
constexpr unsigned kIdleTurnsPerClock = 16;
constexpr unsigned kSettlingTurnsMax = 1000;
constexpr Duration kStopGrain =
    std::chrono::milliseconds(1);  // how often an ending shard looks at the others
}  // namespace

ShardLoop::ShardLoop(const Config& config)
    : config_(config),
      shard_(this, config.index),
      random_(config.seed),
      now_(config.clock->now()),
      idle_since_(now_) {
  ports_.reserve(8);
}

ShardLoop::~ShardLoop() {
  for (const int fd : {epoll_, event_, timer_}) {
    if (fd >= 0) ::close(fd);
  }
}

void ShardLoop::post(Runnable& task) noexcept {
  mailbox_.post(task);
  // Pairs with sleep(): either it sees the message, or we see that it sleeps.
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst))
    wake();
}

void ShardLoop::wake() noexcept {
  if (Port* const port = sleeper_.load(std::memory_order_acquire); port != nullptr) {
    port->wake();
    return;
  }
  const std::uint64_t one = 1;
  static_cast<void>(::write(event_, &one, sizeof one));
}

Result<Port*> ShardLoop::port(std::string_view scheme) {
  NETSTOR_ASSERT(current_loop == this);
  const auto serves = [&](const Driver& driver) {
    const auto schemes = driver.schemes();
    return std::find(schemes.begin(), schemes.end(), scheme) != schemes.end();
  };
  Driver* chosen = serves(*config_.io_driver) ? config_.io_driver : nullptr;
  std::string why;
  for (Driver* driver : drivers()) {
    if (chosen != nullptr) break;
    // Only one driver a shard carries I/O; the others live on it.
    if (!serves(*driver) || driver->abilities().links) continue;
    if (auto reason = driver->probe()) {
      why = std::string(driver->name()) + ": " + *reason;
    } else {
      chosen = driver;
    }
  }
  if (chosen == nullptr) {
    return Error(ErrorKind::unsupported,
                 "no driver for '" + std::string(scheme) + ":'" +
                     (why.empty() ? "; see netstor info --capabilities" : " (" + why + ")"));
  }
  for (auto& [driver, port] : ports_) {
    if (driver == chosen) return port.get();
  }
  auto made = chosen->make_port(*this);
  if (!made) return std::move(made).error();
  for (const MutableBytes memory : registered_) NETSTOR_CHECK_RETURN((*made)->register_memory(memory));
  ports_.emplace_back(chosen, *std::move(made));
  Port* const port = ports_.back().second.get();
  if (epoll_ >= 0 && port->waits()) {
    epoll_event event{.events = EPOLLIN, .data = {}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, port->fd(), &event);
  }
  return port;
}

Result<void> ShardLoop::register_memory(MutableBytes memory) {
  NETSTOR_CHECK_RETURN(port("file"));
  for (auto& [driver, port] : ports_) NETSTOR_CHECK_RETURN(port->register_memory(memory));
  registered_.push_back(memory);
  return {};
}

void ShardLoop::forget_memory(MutableBytes memory) noexcept {
  const auto same = [&](MutableBytes each) { return each.data() == memory.data(); };
  std::erase_if(registered_, same);
  for (auto& [driver, port] : ports_) port->forget_memory(memory);
}

void ShardLoop::run_blocking(Runnable& work, Runnable& done) noexcept {
  if (config_.blocking != nullptr) {
    config_.blocking->run(work, done, *this);
  } else {
    work.run(work);
    push(done);
  }
}

bool ShardLoop::run_queue() noexcept {
  if (head_ == nullptr) return false;
  for (unsigned ran = 0; head_ != nullptr && ran < kTasksPerTurn; ++ran) {
    Runnable& task = *head_;
    head_ = task.next;
    if (head_ == nullptr) tail_ = &head_;
    task.run(task);
  }
  return true;
}

void ShardLoop::read_clock() noexcept {
  const Time before = std::exchange(now_, config_.clock->now());
  *spent_on_ += static_cast<std::uint64_t>((now_ - before).count());
}

bool ShardLoop::turn() noexcept {
  ++metrics_.turns;
  // While nothing happens the clock is what a turn costs most: then it is read now and then.
  if (!idle_ || metrics_.turns % kIdleTurnsPerClock == 0) read_clock();
  unsigned done = 0;
  for (std::size_t i = 0; i < ports_.size(); ++i) done += ports_[i].second->poll(kCompletionsPerPoll);
  done += mailbox_.drain([this](Runnable& task) { push(task); });
  if (timers_.next() <= now_) done += timers_.fire_until(now_);
  const bool ran = run_queue();
  for (std::size_t i = ports_.size(); i > 0; --i) ports_[i - 1].second->flush();
  const bool worked = ran || done > 0;
  spent_on_ = worked ? &metrics_.busy_ns : &metrics_.polling_ns;
  return worked;
}

void ShardLoop::settle() noexcept {
  bool busy = true;  // before the first round: others may not have seen what was sent to them then
  do {
    for (unsigned turns = 0; turns < kSettlingTurnsMax && turn(); ++turns) busy = true;
    settling_->found(std::exchange(busy, false));
  } while (!settling_->quiet());
}

void ShardLoop::run() noexcept {
  current_loop = this;
  while (!stopped()) {
    if (turn()) {
      idle_ = false;
    } else if (!idle_) {
      idle_ = true;
      idle_since_ = now_;
    } else if (now_ - idle_since_ >= config_.poll_budget) {
      sleep();
    }
    if (config_.poll_budget == Duration::zero() && idle_ && head_ == nullptr) sleep();
  }
  settle();
  drop_ports();
  current_loop = nullptr;
}

void ShardLoop::sleep() noexcept {
  if (config_.poll_budget == Duration::max()) return;
  // One port that waits is slept on itself, in a single system call; otherwise all their descriptors are.
  const auto waits = [](auto& entry) { return entry.second->waits(); };
  const auto first = std::find_if(ports_.begin(), ports_.end(), waits);
  const bool one = first != ports_.end() && std::find_if(first + 1, ports_.end(), waits) == ports_.end();
  Port* const port = one ? first->second.get() : nullptr;
  if (port == nullptr) fd();
  sleeper_.store(port, std::memory_order_release);
  sleeping_.store(true, std::memory_order_seq_cst);
  if (mailbox_.empty()) {
    ++metrics_.sleeps;
    spent_on_ = &metrics_.sleeping_ns;
    Time deadline = timers_.next();
    if (stopping_) deadline = std::min(deadline, now_ + kStopGrain);
    if (port != nullptr) {
      port->sleep_until(deadline);
    } else {
      wait_on_all(deadline);
    }
  }
  sleeping_.store(false, std::memory_order_seq_cst);
  idle_ = false;
}

int ShardLoop::fd() noexcept {
  if (epoll_ >= 0) return epoll_;
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (epoll_ < 0 || event_ < 0 || timer_ < 0) panic("out of file descriptors for a shard");
  epoll_event event{.events = EPOLLIN, .data = {}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event);
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
  for (auto& [driver, port] : ports_) {
    if (port->waits()) ::epoll_ctl(epoll_, EPOLL_CTL_ADD, port->fd(), &event);
  }
  return epoll_;
}

void ShardLoop::arm_timer_fd(Time deadline) noexcept {
  if (deadline == timer_fd_deadline_) return;
  timer_fd_deadline_ = deadline;
  itimerspec spec{};
  if (deadline != Time::max()) {
    const auto since = std::max(deadline.time_since_epoch(), Duration(1));
    spec.it_value.tv_sec = since.count() / 1'000'000'000;
    spec.it_value.tv_nsec = since.count() % 1'000'000'000;
  }
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void ShardLoop::wait_on_all(Time deadline) noexcept {
  const int all = fd();
  for (auto& [driver, port] : ports_) {
    if (port->waits() && !port->may_sleep()) return;
  }
  arm_timer_fd(deadline);
  epoll_event event{};
  ::epoll_wait(all, &event, 1, -1);
  std::uint64_t drained = 0;
  static_cast<void>(::read(event_, &drained, sizeof drained));
}

bool ShardLoop::run_once() noexcept {
  Loop* const before = current_loop;
  current_loop = this;
  if (epoll_ >= 0 && sleeping_.exchange(false, std::memory_order_seq_cst)) {
    std::uint64_t drained = 0;
    static_cast<void>(::read(event_, &drained, sizeof drained));
  }
  bool more = turn();
  if (!more && epoll_ >= 0) {
    for (auto& [driver, port] : ports_) more |= port->waits() && !port->may_sleep();
    arm_timer_fd(timers_.next());
    sleeping_.store(true, std::memory_order_seq_cst);
    if (!mailbox_.empty()) {
      sleeping_.store(false, std::memory_order_seq_cst);
      more = true;
    } else {
      spent_on_ = &metrics_.sleeping_ns;
    }
  }
  if (before != nullptr) current_loop = before;
  return more || head_ != nullptr;
}

bool ShardLoop::turn_embedded() noexcept {
  if (!config_.embedded) return false;
  const int all = fd();
  if (!run_once()) {
    epoll_event event{};
    ::epoll_wait(all, &event, 1, 1000);
  }
  return true;
}

void ShardLoop::stop(Settling* settling) noexcept {
  stopping_ = true;
  settling_ = settling;
  // Everyone who sleeps is told; what they start anew answers `cancelled` at once.
  timers_.fire_all();
  struct Ended : Runnable {
    ShardLoop* loop = nullptr;
    std::size_t left = 0;
  };
  auto* ended = new Ended;
  ended->loop = this;
  ended->left = hooks_.size() + 1;
  ended->run = [](Runnable& self) noexcept {
    auto& all = static_cast<Ended&>(self);
    if (--all.left > 0) return;
    all.loop->config_.unstopped->fetch_sub(1, std::memory_order_acq_rel);
    all.loop->config_.unstopped->notify_all();
    delete &all;
  };
  const auto hooks = std::exchange(hooks_, {});
  for (StopHook* hook : hooks) hook->stop(*ended);
  ended->run(*ended);
}

void ShardLoop::drop_ports() noexcept {
  run_queue();
  while (!ports_.empty()) ports_.pop_back();
}

}  // namespace netstor::detail
