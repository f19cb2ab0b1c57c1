// SPDX-License-Identifier: Apache-2.0
#include "bindings/python/errors.h"

namespace netstor::python {
namespace {

/// The member of ErrorKind by its own name: what Python programs compare with.
const char* name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::cancelled:
      return "cancelled";
    case ErrorKind::timed_out:
      return "timed_out";
    case ErrorKind::disconnected:
      return "disconnected";
    case ErrorKind::invalid_argument:
      return "invalid_argument";
    case ErrorKind::out_of_range:
      return "out_of_range";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::permission_denied:
      return "permission_denied";
    case ErrorKind::already_exists:
      return "already_exists";
    case ErrorKind::no_space:
      return "no_space";
    case ErrorKind::compare_failed:
      return "compare_failed";
    case ErrorKind::data_corrupt:
      return "data_corrupt";
    case ErrorKind::protocol:
      return "protocol";
    case ErrorKind::exhausted:
      return "exhausted";
    case ErrorKind::device_error:
      return "device_error";
    case ErrorKind::internal:
      return "internal";
  }
  return "internal";
}

const char* name_of(Origin origin) {
  switch (origin) {
    case Origin::library:
      return "library";
    case Origin::system:
      return "system";
    case Origin::nvme:
      return "nvme";
    case Origin::tls:
      return "tls";
    case Origin::s3:
      return "s3";
  }
  return "library";
}

}  // namespace

py::object exception_of(const Error& error) {
  const py::object make = py::module_::import("netstor._errors").attr("_make");
  return make(name_of(error.kind()), error.text(), name_of(error.origin()), error.native(),
              std::string(to_string(error.effect())), std::string(error.code()),
              std::string(error.request_id()));
}

void raise(const Error& error) {
  const py::object exception = exception_of(error);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

void raise(ErrorKind kind, std::string text) { raise(Error(kind, std::move(text))); }

}  // namespace netstor::python
