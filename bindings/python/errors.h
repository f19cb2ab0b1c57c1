// SPDX-License-Identifier: Apache-2.0
#pragma once
// Errors as exceptions: one class a kind, in netstor/_errors.py.

#include "bindings/python/python.h"

namespace netstor::python {

/// A new exception object for `error`.
py::object exception_of(const Error& error);
/// Raises it. With the interpreter's lock.
[[noreturn]] void raise(const Error& error);
[[noreturn]] void raise(ErrorKind kind, std::string text);

/// The value, or the error as an exception.
template <class T>
T value_or_raise(Result<T> result) {
  if (!result) raise(result.error());
  return *std::move(result);
}
inline void value_or_raise(const Result<void>& result) {
  if (!result) raise(result.error());
}

}  // namespace netstor::python
