// SPDX-License-Identifier: Apache-2.0

#include "server/sight/exposition.h"

#include <array>
#include <charconv>
#include <cmath>

namespace netstor::sight {

namespace {

void escape(std::string& out, std::string_view text, bool quotes) {
  for (const char each : text) {
    if (each == '\\' || (quotes && each == '"')) {
      out += '\\';
      out += each;
    } else if (each == '\n') {
      out += "\\n";
    } else {
      out += each;
    }
  }
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::string(text.data(), end) : "NaN";
}

}  // namespace

void Exposition::family(std::string_view name, Type type, std::string_view help) {
  constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram"};
  name_ = name;
  text_ += "# HELP " + name_ + " ";
  escape(text_, help, false);
  text_ += "\n# TYPE " + name_ + " " + std::string(kTypes[type]) + "\n";
}

void Exposition::begin(std::string_view suffix, const Labels& labels, std::string_view bound) {
  text_ += name_;
  text_ += suffix;
  char before = '{';
  const auto add = [&](std::string_view name, std::string_view value) {
    text_ += before;
    text_ += name;
    text_ += "=\"";
    escape(text_, value, true);
    text_ += '"';
    before = ',';
  };
  for (const auto& [name, value] : labels) add(name, value);
  if (!bound.empty()) add("le", bound);
  if (before == ',') text_ += '}';
  text_ += ' ';
}

void Exposition::end(double value) { text_ += number(value) + "\n"; }

void Exposition::sample(const Labels& labels, std::uint64_t value) {
  begin({}, labels);
  text_ += std::to_string(value) + "\n";
}

void Exposition::sample(const Labels& labels, double value) {
  begin({}, labels);
  end(value);
}

void Exposition::samples(const Labels& labels, const net::Latency& latency) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < net::Latency::kBounds; ++i) {
    sum += latency.at(i);
    begin("_bucket", labels, number(static_cast<double>(net::Latency::bound_ns(i)) / 1e9));
    text_ += std::to_string(sum) + "\n";
  }
  sum += latency.at(net::Latency::kBounds);
  begin("_bucket", labels, "+Inf");
  text_ += std::to_string(sum) + "\n";
  begin("_sum", labels);
  end(static_cast<double>(latency.sum_ns()) / 1e9);
  begin("_count", labels);
  text_ += std::to_string(sum) + "\n";
}

}  // namespace netstor::sight
