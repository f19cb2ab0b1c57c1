// SPDX-License-Identifier: Apache-2.0

#include "server/netstord_config.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

namespace netstor::server {

namespace {

constexpr std::size_t kColumns = 100;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r";
  const auto first = text.find_first_not_of(kWhite);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhite) - first + 1);
}

/// Insertions, deletions and replacements between the two (Levenshtein).
std::size_t distance(std::string_view one, std::string_view other) {
  std::vector<std::size_t> row(other.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < one.size(); ++i) {
    std::size_t corner = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < other.size(); ++j) {
      const std::size_t replaced = corner + (one[i] == other[j] ? 0 : 1);
      corner = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

/// The options that a file may have, by their names, in their order.
std::vector<const CLI::Option*> keys_of(const CLI::App& app) {
  std::vector<const CLI::Option*> keys;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_configurable() && !option->get_lnames().empty()) keys.push_back(option);
  }
  return keys;
}

const std::string& name_of(const CLI::Option& option) { return option.get_lnames().front(); }
bool is_flag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }
bool repeats(const CLI::Option& option) {
  return option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
}

std::string unquoted(std::string_view value, bool& good) {
  std::string text;
  good = value.size() >= 2 && value.back() == '"';
  value = value.substr(1, value.size() - (good ? 2 : 1));
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '"') good = false;
    if (value[i] == '\\') {
      ++i;
      if (i == value.size() || (value[i] != '"' && value[i] != '\\')) {
        good = false;
        break;
      }
    }
    text += value[i];
  }
  return text;
}

std::string quoted(const std::string& value) {
  std::string text = "\"";
  for (const char each : value) {
    if (each == '"' || each == '\\') text += '\\';
    text += each;
  }
  return text + "\"";
}

class ConfigFile final : public CLI::Config {
 public:
  explicit ConfigFile(const CLI::App& app) : app_(app) {}

  std::string to_config(const CLI::App* app, bool, bool, std::string) const override {
    return config_text(*app);
  }

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> found;
    unsigned number = 0;
    for (std::string line; std::getline(input, line);) {
      ++number;
      const std::string_view text = trimmed(line);
      if (text.empty() || text.starts_with('#')) continue;
      add(found, text, number);
    }
    if (input.bad())
      throw CLI::FileError("--config " + file() + ": cannot be read", CLI::ExitCodes::FileError);
    return found;
  }

 private:
  std::string file() const {
    const auto& given = app_.get_config_ptr()->results();
    return given.empty() ? std::string() : given.front();
  }
  CLI::ConfigError wrong(unsigned line, const std::string& what) const {
    return {file() + ", line " + std::to_string(line) + ": " + what, CLI::ExitCodes::ConfigError};
  }

  const CLI::Option& key(std::string_view name, unsigned line) const {
    const auto keys = keys_of(app_);
    const CLI::Option* nearest = nullptr;
    std::size_t least = 1 + name.size() / 3;  // further away is no slip of the finger
    for (const CLI::Option* each : keys) {
      const std::size_t far = distance(name, name_of(*each));
      if (far == 0) return *each;
      if (far <= least) {
        nearest = each;
        least = far;
      }
    }
    throw wrong(line, "there is no key '" + std::string(name) + "'" +
                          (nearest != nullptr ? "; did you mean '" + name_of(*nearest) + "'?"
                                              : "; netstord --print-config lists them"));
  }

  void add(std::vector<CLI::ConfigItem>& found, std::string_view text, unsigned line) const {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) throw wrong(line, "expected KEY = VALUE");
    const CLI::Option& option = key(trimmed(text.substr(0, equals)), line);
    std::string value(trimmed(text.substr(equals + 1)));
    if (value.starts_with('"')) {
      bool good = true;
      value = unquoted(value, good);
      if (!good) throw wrong(line, "a quoted value ends with its quote, and has \\\" and \\\\ inside");
    }
    if (is_flag(option) && value != "true" && value != "false")
      throw wrong(line, name_of(option) + " takes true or false");
    const auto same = std::ranges::find(found, name_of(option), &CLI::ConfigItem::name);
    if (same == found.end()) {
      CLI::ConfigItem item;
      item.name = name_of(option);
      item.inputs.push_back(std::move(value));
      found.push_back(std::move(item));
    } else if (repeats(option)) {
      same->inputs.push_back(std::move(value));
    } else {
      throw wrong(line, name_of(option) + " is there already");
    }
  }

  const CLI::App& app_;
};

/// `text` as comment lines.
void comment(std::string& out, std::string_view text) {
  std::string line = "#";
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (line.size() + 1 + end > kColumns) {
      out += line + "\n";
      line = "#";
    }
    line += " " + std::string(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out += line + "\n";
}

}  // namespace

void add_config(CLI::App& app, bool& print) {
  app.add_flag(
         "--print-config", print,
         "Print every key of a configuration file, with what is set now, and end. Reads back by --config")
      ->configurable(false);
  app.set_config(
         "--config", "",
         "Take options from FILE, too: a line each, KEY = VALUE, the keys are the long options. Options "
         "on the command line win")
      ->type_name("FILE");
  app.config_formatter(std::make_shared<ConfigFile>(app));
  app.allow_config_extras(CLI::config_extras_mode::error);
}

std::string config_text(const CLI::App& app) {
  std::string out =
      "# netstord's configuration: netstord --config FILE. A key is a long option of the command line, "
      "which\n"
      "# wins over this file. Lines with # are comments; keys that are commented out have their defaults.\n";
  for (const CLI::Option* option : keys_of(app)) {
    out += '\n';
    comment(out, option->get_description());
    std::string takes = is_flag(*option) ? "true or false" : option->get_type_name();
    if (repeats(*option)) takes += "; may be repeated";
    comment(out, "Takes: " + takes);
    const std::string by_default = is_flag(*option) ? "false" : option->get_default_str();
    if (!by_default.empty()) comment(out, "Default: " + by_default);
    if (option->count() == 0) {
      out += "#" + name_of(*option) + " = " + by_default + "\n";
    } else if (is_flag(*option)) {
      out += name_of(*option) + " = " + option->results().front() + "\n";
    } else {
      for (const std::string& value : option->results())
        out += name_of(*option) + " = " + quoted(value) + "\n";
    }
  }
  return out;
}

}  // namespace netstor::server
