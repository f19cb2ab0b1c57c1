// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/text.h"

#include <netstor/uri.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace netstor::tool {
namespace {

/// Three significant digits.
std::string three_digits(double value) {
  std::array<char, 32> text{};
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

bool says(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

std::string wrapped(const Terminal& terminal, const char* begin, std::string_view text) {
  if (!terminal.color) return std::string(text);
  return std::string(begin) + std::string(text) + "\033[0m";
}

}  // namespace

std::string format_count(std::uint64_t value) {
  std::string text = std::to_string(value);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string format_time(double nanoseconds) {
  if (nanoseconds < 1e3) return std::to_string(static_cast<int>(nanoseconds)) + " ns";
  if (nanoseconds < 1e6) return three_digits(nanoseconds / 1e3) + " µs";
  if (nanoseconds < 1e9) return three_digits(nanoseconds / 1e6) + " ms";
  return three_digits(nanoseconds / 1e9) + " s";
}

std::string format_rate(double bytes_per_second) {
  return format_size(static_cast<std::uint64_t>(std::max(bytes_per_second, 0.0))) + "/s";
}

std::string format_percent(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", share * 100);
  return text.data();
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

Terminal terminal() {
  const char* kind = std::getenv("TERM");
  const bool dumb = kind != nullptr && std::string_view(kind) == "dumb";
  Terminal found;
  found.color = ::isatty(STDOUT_FILENO) != 0 && !dumb && !says("NO_COLOR");
  found.progress = ::isatty(STDERR_FILENO) != 0 && !dumb;
  winsize window{};
  if ((::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 ||
       ::ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0) &&
      window.ws_col != 0) {
    found.columns = std::clamp<unsigned>(window.ws_col, 40, 200);
  }
  return found;
}

std::string strong(const Terminal& terminal, std::string_view text) {
  return wrapped(terminal, "\033[1m", text);
}
std::string faint(const Terminal& terminal, std::string_view text) {
  return wrapped(terminal, "\033[2m", text);
}

}  // namespace netstor::tool
