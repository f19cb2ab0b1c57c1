// SPDX-License-Identifier: Apache-2.0
#pragma once
// The terminal while `netstor top` has it: a screen of its own, keys at once, no cursor. Given back as it was
// when this goes, and on SIGINT, SIGTERM and SIGHUP, which wait() tells of.

#include <netstor/options.h>

#include <termios.h>

#include <string>

namespace netstor::tool {

class Screen {
 public:
  Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  struct Size {
    unsigned rows = 24;
    unsigned columns = 80;
  };
  static Size size();
  /// Shows these lines, cut to the screen.
  void show(const std::string& text);
  /// Until the time has passed, or the screen has another size (true), or a key or signal says to end
  /// (false).
  bool wait(Duration time);

 private:
  termios before_{};
  bool raw_ = false;
};

/// The first columns of a line; escape sequences take none, and stay whole.
std::string cut(const std::string& line, unsigned columns);

}  // namespace netstor::tool
