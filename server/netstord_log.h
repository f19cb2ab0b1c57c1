// SPDX-License-Identifier: Apache-2.0
#pragma once
// The log of netstord, on stderr: a line each, for people or as JSON for programs.

#include <cstdint>
#include <string>

#include "server/net/warnings.h"

namespace netstor::server {

enum class LogFormat : std::uint8_t { text, json };

/// spdlog's own calls log from then on. `level`: debug, info, warning, error or off.
void start_log(const std::string& level, LogFormat format);
void set_log_level(const std::string& level);
/// What net::Warnings says. In JSON the kind is the line's `event`.
void log_warning(net::Warnings::Kind kind, const std::string& line, std::uint64_t left_out);

}  // namespace netstor::server
