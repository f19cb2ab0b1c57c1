// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the tool writes numbers, and what it knows of the terminal it writes to. Sizes themselves are
// format_size's (uri.h); this is the rest: rates, times, counts, emphasis.

#include <cstdint>
#include <string>
#include <string_view>

namespace netstor::tool {

/// "12,345,678".
std::string format_count(std::uint64_t value);
/// "812 ns", "12.4 µs", "3.08 ms", "1.20 s".
std::string format_time(double nanoseconds);
/// "1.5 GiB/s".
std::string format_rate(double bytes_per_second);
/// "12.3 %".
std::string format_percent(double share);

/// How many columns `text` takes: UTF-8 continuation bytes take none.
std::size_t columns_of(std::string_view text);

/// What may be sent to standard output and standard error.
struct Terminal {
  bool color = false;     ///< standard output is a terminal and NO_COLOR is not set
  bool progress = false;  ///< standard error is a terminal
  unsigned columns = 80;
};
Terminal terminal();

/// `text` in bold where the terminal shows it.
std::string strong(const Terminal& terminal, std::string_view text);
/// `text` in the second voice where the terminal has one.
std::string faint(const Terminal& terminal, std::string_view text);

}  // namespace netstor::tool
