// SPDX-License-Identifier: Apache-2.0
#include "bindings/python/process.h"

#include "bindings/python/errors.h"
#include "bindings/python/keywords.h"
#include "bindings/python/operation.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>

namespace netstor::python {
namespace {

// Written with the interpreter's lock, or in the child of a fork, which has one thread. Never destroyed: at
// the process's end there may be threads that look.
std::atomic<std::uint64_t> forks{0};
std::atomic<Runtime*> started{nullptr};
std::atomic<bool> ended{false};
std::atomic<unsigned> users{0};
RuntimeOptions chosen;
unsigned turn = 0;

/// The child has none of the runtime's threads: it leaves the parent's as it lies in memory.
void forget_in_child() {
  forks.fetch_add(1);
  started.store(nullptr);
  users.store(0);
  Operation::forget_in_child();
}

void start() {
  if (ended.load()) {
    raise(ErrorKind::unsupported, "netstor has ended with the interpreter: nothing can be started any more");
  }
  // Signals are for the interpreter's own threads: those that are made now block them.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  Result<Runtime> made = Runtime::start(chosen);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  started.store(new Runtime(value_or_raise(std::move(made))));
}

/// From atexit, before the interpreter takes itself apart: all work is answered, all threads have ended.
void end() {
  ended.store(true);
  Runtime* const last = started.exchange(nullptr);
  if (last != nullptr) {
    const py::gil_scoped_release unlocked;
    // Nobody begins any more; who is in is soon out.
    while (users.load() != 0) ::usleep(1000);
    delete last;
  }
  Operation::bury_the_dead();
}

IoDriver driver_of(const std::string& name) {
  if (name == "auto") return IoDriver::automatic;
  if (name == "uring") return IoDriver::uring;
  if (name == "posix") return IoDriver::posix;
  raise(ErrorKind::invalid_argument, "io_driver: 'auto', 'uring' or 'posix' is expected, not '" + name + "'");
}

void configure(const py::kwargs& given) {
  if (running()) {
    raise(ErrorKind::invalid_argument, "configure: netstor runs already; call it before the first open");
  }
  RuntimeOptions options = chosen;
  std::string driver = "auto";
  Keywords words("configure", given);
  words.take("shards", options.shards).take("pin_threads", options.pin_threads).take("io_driver", driver);
  words.take_seconds("poll_budget", options.poll_budget).end();
  options.io_driver = driver_of(driver);
  chosen = options;
}

py::dict metrics() {
  Runtime& all = runtime();
  Metrics now;
  {
    const InUse in_use;
    const py::gil_scoped_release unlocked;
    now = all.metrics();
  }
  py::dict shown;
  shown["reads"] = now.reads;
  shown["writes"] = now.writes;
  shown["other"] = now.other;
  shown["errors"] = now.errors;
  shown["read_bytes"] = now.read_bytes;
  shown["write_bytes"] = now.write_bytes;
  shown["copied_bytes"] = now.copied_bytes;
  shown["replays"] = now.replays;
  shown["reconnects"] = now.reconnects;
  shown["registrations_degraded"] = now.registrations_degraded;
  shown["rdma_requests"] = now.rdma_requests;
  shown["rdma_bytes"] = now.rdma_bytes;
  shown["turns"] = now.turns;
  shown["sleeps"] = now.sleeps;
  shown["system_calls"] = now.system_calls;
  return shown;
}

py::list capability_list() {
  std::vector<Capability> all;
  {
    const py::gil_scoped_release unlocked;
    all = capabilities();
  }
  py::list shown;
  for (const Capability& one : all) shown.append(py::make_tuple(one.name, one.available, one.reason));
  return shown;
}

}  // namespace

std::uint64_t generation() noexcept { return forks.load(std::memory_order_relaxed); }
bool running() noexcept { return started.load(std::memory_order_acquire) != nullptr; }

InUse::InUse() noexcept { users.fetch_add(1); }
InUse::~InUse() { users.fetch_sub(1); }

Runtime& runtime() {
  if (!running()) start();
  return *started.load(std::memory_order_acquire);
}

Shard& next_shard() {
  Runtime& all = runtime();
  return all.shard(turn++ % all.shards());
}

void bind_process(py::module_& module) {
  static const int registered = ::pthread_atfork(nullptr, nullptr, forget_in_child);
  if (registered != 0) raise(Error::system(registered, "pthread_atfork"));
  module.def("_end", end);
  module.def("generation", generation);
  module.def("configure", configure);
  module.def("metrics", metrics);
  module.def("capabilities", capability_list);
  module.def("io_driver", [] { return std::string(runtime().io_driver()); });
  module.def("shards", [] { return runtime().shards(); });
  module.attr("__version__") = kVersion;
}

}  // namespace netstor::python
