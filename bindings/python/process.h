// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one runtime of the process: started when first needed, ended before the interpreter is, and forgotten
// by the child of a fork. docs/decisions/0004-python-runtime.md says why.

#include "bindings/python/python.h"

namespace netstor::python {

/// Counts forks: what was made under another number belongs to the parent.
std::uint64_t generation() noexcept;

/// The runtime, started if need be. Raises when the interpreter is ending, or where it cannot be started.
Runtime& runtime();
/// The shard whose turn it is.
Shard& next_shard();
/// Is there one that was made in this process and has not ended?
bool running() noexcept;

/// Keeps the runtime from ending while a thread uses it without the interpreter's lock. Made with the lock.
class InUse {
 public:
  InUse() noexcept;
  ~InUse();
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;
};

/// A value that refers to the runtime: dropped with it, and left alone by the child of a fork and after the
/// end, where destroying it would reach for threads that are not there.
template <class T>
class Bound {
 public:
  explicit Bound(T value) : value_(new T(std::move(value))), generation_(python::generation()) {}
  Bound(Bound&& other) noexcept
      : value_(std::exchange(other.value_, nullptr)), generation_(other.generation_) {}
  Bound& operator=(Bound&& other) noexcept {
    std::swap(value_, other.value_);
    std::swap(generation_, other.generation_);
    return *this;
  }
  ~Bound() {
    if (value_ != nullptr && usable()) delete value_;
  }
  bool usable() const noexcept { return generation_ == python::generation() && running(); }
  T& operator*() const noexcept { return *value_; }
  T* operator->() const noexcept { return value_; }

 private:
  T* value_;
  std::uint64_t generation_;
};

void bind_process(py::module_& module);

}  // namespace netstor::python
