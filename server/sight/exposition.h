// SPDX-License-Identifier: Apache-2.0
#pragma once
// Prometheus's text exposition format, version 0.0.4: what a scrape is answered with. A family is begun, then
// its samples follow; families come once each.
//
//   Exposition out;
//   out.family("netstor_shard_turns_total", Exposition::counter, "Turns of the loop.");
//   out.sample({{"shard", "0"}}, 42);

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/net/latency.h"

namespace netstor::sight {

class Exposition {
 public:
  enum Type : std::uint8_t { counter, gauge, histogram };
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  /// Names are constants of the program, [a-z_]; `help` says the unit and what is counted.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(const Labels& labels, std::uint64_t value);
  void sample(const Labels& labels, double value);
  /// Of a histogram family; in seconds.
  void samples(const Labels& labels, const net::Latency& latency);

  const std::string& text() const noexcept { return text_; }
  std::string take() noexcept { return std::move(text_); }

 private:
  void begin(std::string_view suffix, const Labels& labels, std::string_view bound = {});
  void end(double value);
  std::string text_;
  std::string name_;
};

}  // namespace netstor::sight
