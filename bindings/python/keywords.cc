// SPDX-License-Identifier: Apache-2.0
#include "bindings/python/keywords.h"

#include <algorithm>
#include <cmath>

namespace netstor::python {

WallTime wall_time_of(py::handle given, const char* name) {
  double seconds = 0;
  if (PyNumber_Check(given.ptr()) != 0) {
    seconds = py::cast<double>(py::float_(py::reinterpret_borrow<py::object>(given)));
  } else if (py::hasattr(given, "timestamp") && !given.attr("tzinfo").is_none()) {
    seconds = py::cast<double>(given.attr("timestamp")());
  } else {
    throw py::type_error(std::string(name) + ": a datetime with a time zone, or seconds since 1970");
  }
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(seconds)));
}

py::object datetime_of(WallTime time) {
  if (time == WallTime{}) return py::none();
  const py::module_ datetime = py::module_::import("datetime");
  const double seconds = std::chrono::duration<double>(time.time_since_epoch()).count();
  return datetime.attr("datetime").attr("fromtimestamp")(seconds, datetime.attr("timezone").attr("utc"));
}

py::handle Keywords::find(const char* name) {
  if (given_.empty()) return {};
  known_.push_back(name);
  PyObject* const found = PyDict_GetItemString(given_.ptr(), name);
  if (found != nullptr) --left_;
  return found;
}

Keywords& Keywords::take_seconds(const char* name, Duration& into) {
  const py::handle found = find(name);
  if (!found || found.is_none()) return *this;
  double seconds = 0;
  if (py::hasattr(found, "total_seconds")) {
    seconds = py::cast<double>(found.attr("total_seconds")());
  } else {
    seconds = cast<double>(found, name);
  }
  if (!(seconds >= 0) || seconds > 1e9) refuse_value(name, "seconds, from 0 on");
  into = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  return *this;
}

Keywords& Keywords::take_time(const char* name, std::optional<WallTime>& into) {
  if (const py::handle found = find(name); found && !found.is_none()) into = wall_time_of(found, name);
  return *this;
}

Keywords& Keywords::take_pairs(const char* name, Pairs& into) {
  const py::handle found = find(name);
  if (!found || found.is_none()) return *this;
  if (!py::isinstance<py::dict>(found)) refuse_value(name, "a dict of strings");
  into.clear();
  for (const auto& [key, value] : py::reinterpret_borrow<py::dict>(found)) {
    into.emplace_back(cast<std::string>(key, name), cast<std::string>(value, name));
  }
  return *this;
}

void Keywords::refuse_value(const char* name, const std::string& expected) const {
  const py::object given = py::reinterpret_borrow<py::object>(PyDict_GetItemString(given_.ptr(), name));
  throw py::type_error(std::string(call_) + ": " + name + "=" + py::cast<std::string>(py::repr(given)) +
                       (expected.empty() ? " has the wrong type or is out of range" : ": " + expected));
}

void Keywords::refuse() const {
  std::string known;
  for (const char* name : known_) known += (known.empty() ? "" : ", ") + std::string(name);
  for (const auto& [key, value] : given_) {
    const auto name = py::cast<std::string>(key);
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      std::string text = call_;
      text += ": no option '" + name + "'; there are: ";
      text += known;
      throw py::type_error(text);
    }
  }
  throw py::type_error(std::string(call_) + ": an option was given that is not known");
}

}  // namespace netstor::python
