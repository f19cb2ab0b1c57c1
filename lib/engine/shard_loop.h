// SPDX-License-Identifier: Apache-2.0
#pragma once
// The loop of one shard, and what its ports may use of it.
//
// A turn: poll the ports, take the mail, fire the timers, run the queue, flush the ports (the newest first,
// so that a port which lives on another one hands down its work before that one talks to the kernel). A
// turn in which nothing happened starts the poll budget; when it is spent the shard sleeps on its port.

#include <netstor/ext/driver.h>
#include <netstor/metrics.h>
#include <netstor/shard.h>

#include "lib/base/clock.h"
#include "lib/base/random.h"
#include "lib/engine/mailbox.h"
#include "lib/engine/settling.h"
#include "lib/engine/timers.h"

#include <functional>
#include <vector>

namespace netstor::detail {

class BlockingThread;

/// Called on its shard when the runtime ends, to end what it owns; calls `ended` when nothing is left.
class StopHook {
 public:
  virtual void stop(Runnable& ended) noexcept = 0;

 protected:
  ~StopHook() = default;
};

class ShardLoop final : public Loop, public PortContext {
 public:
  struct Config {
    unsigned index = 0;
    bool embedded = false;
    Duration poll_budget{};
    std::uint64_t seed = 0;
    Driver* io_driver = nullptr;
    const Clock* clock = nullptr;
    BlockingThread* blocking = nullptr;          // null: blocking work runs in place (simulation)
    std::atomic<unsigned>* unstopped = nullptr;  // shards whose hooks have not ended; all end together
  };
  explicit ShardLoop(const Config& config);
  ~ShardLoop() override;

  // Loop
  void post(Runnable& task) noexcept override;
  Time now() const noexcept override { return now_; }
  void arm(Timer& timer, Time when) noexcept override { timers_.arm(timer, when); }
  void disarm(Timer& timer) noexcept override { timers_.disarm(timer); }
  unsigned index() const noexcept override { return config_.index; }
  bool turn_embedded() noexcept override;

  // PortContext
  Loop& loop() noexcept override { return *this; }
  std::uint64_t random() noexcept override { return random_.next(); }
  Metrics& metrics() noexcept override { return metrics_; }
  Result<Port*> port(std::string_view scheme) override;
  void run_blocking(Runnable& work, Runnable& done) noexcept override;

  /// With every port of the shard, those to come among them.
  Result<void> register_memory(MutableBytes memory);
  void forget_memory(MutableBytes memory) noexcept;

  /// One turn without blocking; false when nothing happened.
  bool turn() noexcept;
  /// Turns and sleeps until stop() was posted and done. The shard's thread.
  void run() noexcept;
  /// Embedding: a turn that leaves fd() armed when there is nothing to do.
  bool run_once() noexcept;
  int fd() noexcept;
  /// When the next timer is due (the simulator advances its clock to it).
  Time next_deadline() const noexcept { return timers_.next(); }

  bool stopping() const noexcept { return stopping_; }
  bool stopped() const noexcept { return config_.unstopped->load(std::memory_order_acquire) == 0; }
  void add_stop_hook(StopHook& hook) { hooks_.push_back(&hook); }
  void remove_stop_hook(StopHook& hook) noexcept { std::erase(hooks_, &hook); }
  /// On the shard's thread: runs the hooks and answers every sleeper. run() ends when the hooks of all shards
  /// are done and nothing is left to do on any of them; whoever turns the shard by hand needs no settling.
  void stop(Settling* settling = nullptr) noexcept;
  /// On the shard's thread, when nothing runs any more: gives the ports back.
  void drop_ports() noexcept;

  Shard& shard() noexcept { return shard_; }

 private:
  friend class Engine;
  void sleep() noexcept;
  void wait_on_all(Time deadline) noexcept;
  void arm_timer_fd(Time deadline) noexcept;
  bool run_queue() noexcept;
  void read_clock() noexcept;
  void settle() noexcept;
  void wake() noexcept;

  Config config_;
  Shard shard_;
  std::vector<std::pair<Driver*, std::unique_ptr<Port>>> ports_;
  std::vector<MutableBytes> registered_;
  TimerHeap timers_;
  Mailbox mailbox_;
  Metrics metrics_;
  Random random_;
  Time now_;
  std::uint64_t* spent_on_ = &metrics_.busy_ns;  // where the time since now_ goes
  Time idle_since_;
  std::atomic<bool> sleeping_{false};
  std::atomic<Port*> sleeper_{nullptr};  // whom to wake while sleeping_; null: event_
  bool idle_ = false;
  bool stopping_ = false;
  Settling* settling_ = nullptr;
  std::vector<StopHook*> hooks_;
  // Waiting on several descriptors at once, and embedding; made when first needed.
  int epoll_ = -1;
  int event_ = -1;
  int timer_ = -1;
  Time timer_fd_deadline_ = Time::max();
};

/// The loop of this thread, which is always a ShardLoop.
inline ShardLoop& this_shard_loop() noexcept { return static_cast<ShardLoop&>(*current_loop); }

}  // namespace netstor::detail
