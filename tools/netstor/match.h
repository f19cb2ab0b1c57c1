// SPDX-License-Identifier: Apache-2.0
#pragma once
// --include and --exclude: which of many names are meant. The rules are those of `aws s3`: all are, until a
// pattern that matches says otherwise; the last one that matches counts.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace netstor::tool {

class Match {
 public:
  void include(std::string pattern) { rules_.push_back({std::move(pattern), true}); }
  void exclude(std::string pattern) { rules_.push_back({std::move(pattern), false}); }
  bool empty() const noexcept { return rules_.empty(); }
  /// `name`: relative to where the work begins. `*` and `?` match slashes, too.
  bool operator()(const std::string& name) const;

 private:
  struct Rule {
    std::string pattern;
    bool include;
  };
  std::vector<Rule> rules_;
};

/// The two options, in the order in which they stand on the command line.
void add_match(CLI::App& verb, Match& match);

}  // namespace netstor::tool
