// SPDX-License-Identifier: Apache-2.0
#pragma once
// Keyword arguments into options: each name is taken once, and what nobody took is an error that lists what
// there is.

#include "bindings/python/python.h"

#include <chrono>

namespace netstor::python {

/// A datetime with a time zone, or seconds since 1970.
WallTime wall_time_of(py::handle given, const char* name);
/// A datetime in UTC.
py::object datetime_of(WallTime time);

class Keywords {
 public:
  Keywords(const char* call, const py::kwargs& given) : call_(call), given_(given), left_(given.size()) {}

  template <class T>
  Keywords& take(const char* name, T& into) {
    if (const py::handle found = find(name); found && !found.is_none()) into = cast<T>(found, name);
    return *this;
  }
  /// Seconds as a number, or a timedelta.
  Keywords& take_seconds(const char* name, Duration& into);
  Keywords& take_time(const char* name, std::optional<WallTime>& into);
  /// A dict of strings.
  Keywords& take_pairs(const char* name, Pairs& into);
  /// One of a few words, the first of them where none is given; refuses another.
  template <class T>
  Keywords& take_word(const char* name, T& into,
                      std::initializer_list<std::pair<std::string_view, T>> words) {
    std::string given(words.begin()->first);
    take(name, given);
    std::string expected;
    for (const auto& [word, meaning] : words) {
      if (given == word) {
        into = meaning;
        return *this;
      }
      const bool last = word == std::prev(words.end())->first;
      expected += (expected.empty() ? "'" : last ? " or '" : ", '") + std::string(word) + "'";
    }
    refuse_value(name, expected);
  }
  /// The argument itself, or nothing.
  py::handle find(const char* name);
  /// Raises TypeError if anything was not taken.
  void end() const {
    if (left_ != 0) refuse();
  }
  [[noreturn]] void refuse_value(const char* name, const std::string& expected) const;

 private:
  template <class T>
  T cast(py::handle found, const char* name) const {
    try {
      return py::cast<T>(found);
    } catch (const py::cast_error&) {
      refuse_value(name, "");
    }
  }
  [[noreturn]] void refuse() const;
  const char* call_;
  const py::kwargs& given_;
  std::size_t left_;
  std::vector<const char*> known_;
};

}  // namespace netstor::python
