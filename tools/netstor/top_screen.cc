// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/top_screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <sstream>
#include <string_view>

namespace netstor::tool {
namespace {

volatile std::sig_atomic_t ended = 0;
void on_end(int) { ended = 1; }
void on_resize(int) {}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;  // without SA_RESTART: poll() is to end
  ::sigaction(signal, &action, nullptr);
}

void put(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data(), text.size());
    if (wrote < 0 && errno != EINTR && errno != EAGAIN) return;
    if (wrote > 0) text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

}  // namespace

std::string cut(const std::string& line, unsigned columns) {
  std::string out;
  unsigned used = 0;
  for (std::size_t i = 0; i < line.size();) {
    std::size_t size = 1;
    if (line[i] == '\033') {
      while (i + size < line.size() && (line[i + size] < '@' || line[i + size] == '[')) ++size;
      size = std::min(size + 1, line.size() - i);
    } else {
      while (i + size < line.size() && (line[i + size] & 0xC0) == 0x80) ++size;
      if (used++ >= columns) {
        i += size;
        continue;
      }
    }
    out += line.substr(i, size);
    i += size;
  }
  return out;
}

Screen::Screen() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) handle(signal, on_end);
  handle(SIGWINCH, on_resize);
  if (::tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios now = before_;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    now.c_cc[VSUSP] = _POSIX_VDISABLE;  // stopped, it would leave its screen behind
    raw_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
  }
  put("\033[?1049h\033[?25l\033[?7l");
}

Screen::~Screen() {
  put("\033[?7h\033[?25h\033[?1049l");
  if (raw_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

Screen::Size Screen::size() {
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0 || window.ws_row == 0) return {};
  return {.rows = window.ws_row, .columns = window.ws_col};
}

void Screen::show(const std::string& text) {
  const Size size = Screen::size();
  std::string out = "\033[H";
  std::istringstream lines(text);
  unsigned row = 0;
  for (std::string line; row < size.rows && std::getline(lines, line); ++row) {
    if (row != 0) out += "\r\n";
    out += cut(line, size.columns) + "\033[0m\033[K";
  }
  put(out + (row < size.rows ? "\r\n\033[J" : ""));
}

bool Screen::wait(Duration time) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (ended == 0) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return true;
    pollfd keys{.fd = raw_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    const int found = ::poll(&keys, 1, static_cast<int>(left.count()));
    if (found < 0 && ended == 0) return true;  // another size
    if (found <= 0) continue;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') return false;
  }
  return false;
}

}  // namespace netstor::tool
