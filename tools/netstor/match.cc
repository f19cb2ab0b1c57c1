// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/match.h"

#include <CLI/CLI.hpp>

#include <fnmatch.h>

#include <map>
#include <memory>

namespace netstor::tool {

bool Match::operator()(const std::string& name) const {
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (::fnmatch(rule->pattern.c_str(), name.c_str(), 0) == 0) return rule->include;
  }
  return true;
}

void add_match(CLI::App& verb, Match& match) {
  struct Given {
    std::vector<std::string> include, exclude;
  };
  const auto given = std::make_shared<Given>();
  const auto option = [&verb](const char* name, std::vector<std::string>& into, const char* text) {
    return verb.add_option(name, into, text)->type_name("GLOB")->allow_extra_args(false);
  };
  const CLI::Option* include =
      option("--include", given->include, "Take names that match after all (repeatable)");
  const CLI::Option* exclude =
      option("--exclude", given->exclude, "Leave out names that match (repeatable); the last counts");
  // The parser keeps the values of an option together; their order among each other it keeps beside them.
  verb.parse_complete_callback([&verb, &match, include, exclude, given] {
    std::map<const CLI::Option*, std::size_t> seen;
    for (const CLI::Option* each : verb.parse_order()) {
      if (each != include && each != exclude) continue;
      const std::string& pattern = each->results().at(seen[each]++);
      each == include ? match.include(pattern) : match.exclude(pattern);
    }
  });
}

}  // namespace netstor::tool
