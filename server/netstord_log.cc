// SPDX-License-Identifier: Apache-2.0

#include "server/netstord_log.h"

#include <nlohmann/json.hpp>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace netstor::server {

namespace {

constexpr const char* kTime = "%Y-%m-%dT%H:%M:%S.%e%z";

/// {"time":…,"level":…,"event":…,"message":…}; the event is the logger's name, and that of netstord is none.
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    spdlog::memory_buf_t time;
    time_.format(message, time);
    nlohmann::ordered_json line;
    line["time"] = std::string(time.data(), time.size());
    const auto level = spdlog::level::to_string_view(message.level);
    line["level"] = std::string(level.data(), level.size());
    const std::string name(message.logger_name.data(), message.logger_name.size());
    if (name != "netstord") line["event"] = name;
    line["message"] = std::string(message.payload.data(), message.payload.size());
    // A path of the system need not be UTF-8.
    const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(); }

 private:
  spdlog::pattern_formatter time_{kTime, spdlog::pattern_time_type::local, ""};
};

}  // namespace

void start_log(const std::string& level, LogFormat format) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  if (format == LogFormat::json)
    sink->set_formatter(std::make_unique<JsonFormatter>());
  else
    sink->set_pattern(std::string(kTime) + " %l: %v");
  const auto add = [&](std::string name) {
    auto log = std::make_shared<spdlog::logger>(std::move(name), sink);
    log->set_level(spdlog::level::from_str(level));
    log->flush_on(spdlog::level::info);
    return log;
  };
  spdlog::set_default_logger(add("netstord"));
  for (std::size_t i = 0; i < net::Warnings::kKinds; ++i)
    spdlog::register_logger(add(std::string(to_string(static_cast<net::Warnings::Kind>(i)))));
}

void set_log_level(const std::string& level) { spdlog::set_level(spdlog::level::from_str(level)); }

void log_warning(net::Warnings::Kind kind, const std::string& line, std::uint64_t left_out) {
  const auto log = spdlog::get(std::string(to_string(kind)));
  if (left_out == 0)
    log->warn("{}", line);
  else
    log->warn("{} ({} more of this kind were left out)", line, left_out);
}

}  // namespace netstor::server
