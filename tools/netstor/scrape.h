// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a netstord shows of itself at --metrics-listen: fetched, and read as samples. Blocks.

#include <netstor/options.h>
#include <netstor/result.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace netstor::tool {

struct Sample {
  std::map<std::string, std::string> labels;
  double value = 0;
  std::string_view label(const std::string& name) const {
    const auto found = labels.find(name);
    return found == labels.end() ? std::string_view() : std::string_view(found->second);
  }
};

class Scrape {
 public:
  /// data_corrupt: the line that is no sample.
  static Result<Scrape> parse(std::string_view text, Time at);
  /// `url`: http://HOST:PORT, with or without /metrics behind it. Errors: those of the connection; protocol:
  /// not what was expected; timed_out.
  static Result<Scrape> fetch(const std::string& url, Duration timeout);
  /// Who is connected there. Of a server that does not tell, nobody.
  static Result<Scrape> fetch_connections(const std::string& url, Duration timeout);

  /// In their order; none when there is no such metric.
  const std::vector<Sample>& samples(const std::string& name) const;
  using Labels = std::map<std::string, std::string>;
  /// Of those that have all of these labels.
  double sum(const std::string& name, const Labels& labels = {}) const;
  Time at() const noexcept { return at_; }

 private:
  static Result<Scrape> fetch_page(const std::string& url, const char* page, Duration timeout);

  std::map<std::string, std::vector<Sample>> samples_;
  Time at_{};
};

}  // namespace netstor::tool
