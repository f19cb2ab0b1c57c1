// SPDX-License-Identifier: Apache-2.0
#include "bindings/python/operation.h"

#include "bindings/python/errors.h"

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace netstor::python {
namespace {

/// How long a sleeping thread goes without looking for signals that another thread caught.
constexpr long kSliceNanoseconds = 50'000'000;
/// How long a cancelled call may take to give its memory back before it is left behind.
constexpr int kSlicesOfStopping = 100;

struct Graveyard {
  std::mutex mutex;
  std::vector<Operation*> dead;
};
// Never destroyed: shards use it until the last moment. The child of a fork gets a new one.
Graveyard* graveyard = new Graveyard;
std::atomic<bool> any_dead{false};

int bury(void* /*unused*/) {
  Operation::bury_the_dead();
  return 0;
}

py::handle interned(const char* name) { return PyUnicode_InternFromString(name); }

}  // namespace

// ---- Completions.

Completions::Completions()
    : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), generation_(python::generation()) {
  if (fd_ < 0) raise(Error::system(errno, "eventfd"));
}

Completions::~Completions() {
  close();
  ::close(fd_);
}

void Completions::push(Operation& operation) noexcept {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) {
      operation.release_later();
      return;
    }
    first = arrived_.empty();
    arrived_.push_back(&operation);
    if (first) ::eventfd_write(fd_, 1);
  }
}

std::size_t Completions::drain() {
  if (generation_ != python::generation()) return 0;
  {
    const std::lock_guard lock(mutex_);
    eventfd_t count = 0;
    ::eventfd_read(fd_, &count);
    batch_.swap(arrived_);
  }
  std::vector<Operation*> batch;
  batch.swap(batch_);
  for (Operation* operation : batch) {
    operation->answer();
    operation->release();
  }
  const std::size_t answered = batch.size();
  batch.clear();
  batch_.swap(batch);
  return answered;
}

void Completions::close() noexcept {
  if (generation_ != python::generation()) return;
  std::vector<Operation*> left;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(arrived_);
  }
  for (Operation* operation : left) operation->release();
}

// ---- Operation.

void Operation::cancel() noexcept {
  if (!done() && relay_.valid() && generation_ == python::generation() && running()) relay_.cancel();
}

void Operation::arrived() noexcept {
  const std::uint32_t before = state_.fetch_or(kDone, std::memory_order_acq_rel);
  if ((before & kAttached) != 0) {
    queue_->push(*this);
    return;
  }
  if ((before & kWaiting) != 0)
    ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  release_later();
}

void Operation::release_later() noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::lock_guard lock(graveyard->mutex);
  graveyard->dead.push_back(this);
  if (!any_dead.exchange(true)) Py_AddPendingCall(bury, nullptr);
}

void Operation::bury_the_dead() noexcept {
  if (!any_dead.load(std::memory_order_acquire)) return;
  std::vector<Operation*> dead;
  {
    const std::lock_guard lock(graveyard->mutex);
    any_dead.store(false);
    dead.swap(graveyard->dead);
  }
  for (Operation* operation : dead) operation->destroy_(*operation);
}

void Operation::forget_in_child() noexcept {
  graveyard = new Graveyard;
  any_dead.store(false);
}

bool Operation::pause() noexcept {
  const std::uint32_t seen = state_.fetch_or(kWaiting, std::memory_order_acq_rel) | kWaiting;
  if ((seen & kDone) != 0) return true;
  const timespec slice{.tv_sec = 0, .tv_nsec = kSliceNanoseconds};
  ::syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, seen, &slice, nullptr, 0);
  return done();
}

void Operation::stop_and_wait() {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  cancel();
  {
    const py::gil_scoped_release unlocked;
    for (int i = 0; i < kSlicesOfStopping && !pause(); ++i) {
    }
  }
  // The memory is the caller's again now, not when the shard has let go of this operation.
  if (done()) lent_.clear();
  PyErr_Restore(type, value, trace);
}

py::object Operation::wait() {
  while (!done()) {
    if (generation_ != python::generation()) {
      raise(ErrorKind::unsupported, "this call was begun before fork(): it goes on in the parent only");
    }
    PyThreadState* const saved = PyEval_SaveThread();
    const bool there = pause();
    PyEval_RestoreThread(saved);
    if (there) break;
    if (PyErr_CheckSignals() != 0) {
      stop_and_wait();
      throw py::error_already_set();
    }
    if (!running() && !done()) raise(ErrorKind::cancelled, "netstor ended with the interpreter");
  }
  return take();
}

py::object Operation::take() {
  if (std::exchange(taken_, true)) throw std::runtime_error("the answer of this call was taken already");
  if (relay_.valid()) relay_.detach();
  lent_.clear();
  return convert_(*this);
}

void Operation::answer() {
  static const py::handle set_result = interned("set_result");
  static const py::handle set_exception = interned("set_exception");
  static const py::handle is_done = interned("done");
  const py::object waiter = std::move(waiter_);
  waiter_ = py::object();
  settled_ = true;
  const auto ask = [&](py::handle method, PyObject* argument) {
    PyObject* const told = argument != nullptr
                               ? PyObject_CallMethodOneArg(waiter.ptr(), method.ptr(), argument)
                               : PyObject_CallMethodNoArgs(waiter.ptr(), method.ptr());
    if (told == nullptr) PyErr_WriteUnraisable(waiter.ptr());
    return py::reinterpret_steal<py::object>(told);
  };
  const py::object cancelled = ask(is_done, nullptr);
  if (cancelled && cancelled.is(py::bool_(true))) {
    lent_.clear();
    return;
  }
  try {
    const py::object value = take();
    ask(set_result, value.ptr());
  } catch (py::error_already_set& error) {
    error.restore();
    PyObject* type = nullptr;
    PyObject* value = nullptr;
    PyObject* trace = nullptr;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    ask(set_exception, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
  }
}

void Operation::attach(const std::shared_ptr<Completions>& queue, py::object waiter) {
  waiter_ = std::move(waiter);
  if (done()) {
    if (settled_ || (state_.load() & kAttached) == 0) answer();
    return;
  }
  if (generation_ != python::generation()) {
    raise(ErrorKind::unsupported, "this call was begun before fork(): it goes on in the parent only");
  }
  if ((state_.load() & kAttached) != 0)
    return;  // a second waiter of the same loop takes the first one's place
  queue_ = queue;
  const std::uint32_t before = state_.fetch_or(kAttached, std::memory_order_acq_rel);
  if ((before & kDone) != 0) answer();
}

void bind_operation(py::module_& module) {
  py::class_<Completions, std::shared_ptr<Completions>>(module, "Completions")
      .def(py::init<>())
      .def("fileno", &Completions::fd)
      .def_property_readonly("generation", &Completions::generation)
      .def("drain", &Completions::drain)
      .def("close", &Completions::close);
  py::class_<Operation, Ref<Operation>>(module, "Operation")
      .def("wait", &Operation::wait)
      .def("cancel", &Operation::cancel)
      .def_property_readonly("done", &Operation::done)
      .def_property_readonly("settled", &Operation::settled)
      .def("attach", &Operation::attach);
}

}  // namespace netstor::python
