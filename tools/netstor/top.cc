// SPDX-License-Identifier: Apache-2.0
// netstor top: what a server does at the moment, from its metrics.

#include <netstor/uri.h>

#include "tools/netstor/failure.h"
#include "tools/netstor/scrape.h"
#include "tools/netstor/table.h"
#include "tools/netstor/text.h"
#include "tools/netstor/top_screen.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>

namespace netstor::tool {
namespace {

constexpr const char* kFooter = R"(Examples:
  netstor top http://127.0.0.1:9420               a live screen; q or Ctrl-C ends it
  netstor top http://127.0.0.1:9420 --once        two looks, one second apart, as tables
  netstor top http://127.0.0.1:9420 --json        the same for programs
The server has to run with --metrics-listen.)";

struct Arguments {
  std::string url;
  double interval_s = 1;
  double timeout_s = 5;
  bool once = false;
  bool json = false;
};

using json = nlohmann::ordered_json;
using Labels = Scrape::Labels;

/// Two looks at a server, and what happened between them.
class Change {
 public:
  Change(const Scrape& before, const Scrape& now) : before_(before), now_(now) {}
  const Scrape& now() const { return now_; }
  double seconds() const { return std::chrono::duration<double>(now_.at() - before_.at()).count(); }
  /// Growth a second; a server that began anew counts from nothing.
  double rate(const std::string& name, const Labels& labels = {}) const {
    const double grown = now_.sum(name, labels) - before_.sum(name, labels);
    return std::max(grown < 0 ? now_.sum(name, labels) : grown, 0.0) / std::max(seconds(), 1e-3);
  }
  /// The values of a label, in their order.
  std::set<std::string> values(const std::string& name, const std::string& label) const {
    std::set<std::string> found;
    for (const Sample& each : now_.samples(name)) found.emplace(each.label(label));
    return found;
  }
  /// Seconds that `share` of the histogram's requests between the looks did not exceed: a bucket's bound.
  double quantile(const std::string& name, Labels labels, double share) const {
    const double all = rate(name + "_count", labels);
    std::map<double, std::string> bounds;
    for (const Sample& each : now_.samples(name + "_bucket")) {
      const std::string le(each.label("le"));
      bounds.emplace(le == "+Inf" ? INFINITY : std::stod(le), le);
    }
    for (const auto& [bound, le] : bounds) {
      labels["le"] = le;
      if (rate(name + "_bucket", labels) >= share * all) return bound;
    }
    return INFINITY;
  }

 private:
  const Scrape& before_;
  const Scrape& now_;
};

json traffic_of(const Change& change, const std::string& what, const std::string& name) {
  const std::string prefix = "netstor_" + what + "_";
  const auto rate = [&](const char* metric, const char* direction) {
    return change.rate(prefix + metric, {{what, name}, {"direction", direction}});
  };
  return {{"name", name},
          {"reads_per_s", rate("requests_total", "read")},
          {"writes_per_s", rate("requests_total", "write")},
          {"read_bytes_per_s", rate("bytes_total", "read")},
          {"write_bytes_per_s", rate("bytes_total", "write")},
          {"errors_per_s", change.rate(prefix + "errors_total", {{what, name}})}};
}

json shard_of(const Change& change, const std::string& shard) {
  const Labels here{{"shard", shard}};
  const auto share = [&](const char* state) {
    return change.rate("netstor_shard_seconds_total", {{"shard", shard}, {"state", state}});
  };
  return {{"shard", std::stoul(shard)},
          {"answers", change.now().sum("netstor_shard_up", here) != 0},
          {"busy", share("busy")},
          {"polling", share("polling")},
          {"sleeping", share("sleeping")},
          {"nvme_connections", change.now().sum("netstor_nvme_connections", here)},
          {"s3_connections", change.now().sum("netstor_s3_connections", here)},
          {"in_flight",
           change.now().sum("netstor_nvme_in_flight", here) + change.now().sum("netstor_s3_in_flight", here)},
          {"copied_bytes_per_s", change.rate("netstor_copied_bytes_total", here)},
          {"allocations_per_s", change.rate("netstor_shard_allocations_total", here)},
          {"system_calls_per_s", change.rate("netstor_shard_system_calls_total", here)}};
}

void add_operations(json& list, const Change& change, const std::string& protocol) {
  const std::string name = "netstor_" + protocol + "_request_seconds";
  for (const std::string& operation : change.values(name + "_count", "operation")) {
    const Labels here{{"operation", operation}};
    const double rate = change.rate(name + "_count", here);
    if (rate == 0) continue;
    list.push_back({{"protocol", protocol},
                    {"operation", operation},
                    {"per_s", rate},
                    {"p50_s", change.quantile(name, here, 0.5)},
                    {"p99_s", change.quantile(name, here, 0.99)}});
  }
}

/// Who was not let in, by what they were asked for; what never happened is left out.
json refusals_of(const Change& change) {
  constexpr std::array<std::array<const char*, 3>, 4> kChecks{
      {{"nvme tls", "netstor_nvme_tls_refused_total", "reason"},
       {"nvme connect", "netstor_nvme_connects_refused_total", "status"},
       {"nvme authentication", "netstor_nvme_authentications_failed_total", "reason"},
       {"s3 authentication", "netstor_s3_authentications_failed_total", "code"}}};
  json list = json::array();
  for (const auto& [check, name, label] : kChecks) {
    for (const std::string& reason : change.values(name, label)) {
      const Labels here{{label, reason}};
      list.push_back({{"check", check},
                      {"reason", reason},
                      {"per_s", change.rate(name, here)},
                      {"total", change.now().sum(name, here)}});
    }
  }
  return list;
}

/// A host's queues to a subsystem are one, and so are a client's connections: by the address that they come
/// from.
json connections_of(const Scrape& connections) {
  std::map<std::array<std::string, 3>, unsigned> found;
  const auto add = [&](const Sample& each) {
    const std::string_view peer = each.label("peer");
    ++found[{std::string(peer.substr(0, peer.rfind(':'))), std::string(each.label("host")),
             std::string(each.label("subsystem"))}];
  };
  for (const Sample& each : connections.samples("netstor_nvme_connection")) add(each);
  for (const Sample& each : connections.samples("netstor_s3_connection")) add(each);
  json list = json::array();
  for (const auto& [who, count] : found)
    list.push_back({{"peer", who[0]}, {"host", who[1]}, {"subsystem", who[2]}, {"connections", count}});
  return list;
}

/// All that is shown, as values.
json view_of(const Change& change, const Scrape& connections) {
  const Scrape& now = change.now();
  json view;
  const auto& builds = now.samples("netstor_build_info");
  view["version"] = builds.empty() ? "" : std::string(builds.front().label("version"));
  view["io_driver"] = builds.empty() ? "" : std::string(builds.front().label("io_driver"));
  view["ready"] = now.sum("netstor_ready") != 0;
  const double unix_now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  view["uptime_s"] = std::max(unix_now - now.sum("process_start_time_seconds"), 0.0);
  view["cpu"] = change.rate("process_cpu_seconds_total");
  view["memory_bytes"] = now.sum("process_resident_memory_bytes");
  view["state_free_bytes"] = now.sum("netstor_state_free_bytes");
  view["warnings_per_s"] = change.rate("netstor_warnings_total");
  view["connections_accepted_per_s"] =
      change.rate("netstor_nvme_accepted_total") + change.rate("netstor_s3_accepted_total");
  view["refusals"] = refusals_of(change);
  view["refused"] = 0.0;
  for (const json& each : view["refusals"])
    view["refused"] = view["refused"].get<double>() + each["total"].get<double>();
  view["reload_failed"] = now.sum("netstor_reloads_total") != 0 && now.sum("netstor_reload_last_good") == 0;
  for (const char* list : {"operations", "volumes", "buckets", "shards"}) view[list] = json::array();
  add_operations(view["operations"], change, "nvme");
  add_operations(view["operations"], change, "s3");
  view["connections"] = connections_of(connections);
  for (const std::string& name : change.values("netstor_volume_size_bytes", "volume")) {
    json volume = traffic_of(change, "volume", name);
    volume["size_bytes"] = now.sum("netstor_volume_size_bytes", {{"volume", name}});
    volume["used_bytes"] = now.sum("netstor_volume_used_bytes", {{"volume", name}});
    view["volumes"].push_back(std::move(volume));
  }
  for (const std::string& name : change.values("netstor_bucket_requests_total", "bucket"))
    view["buckets"].push_back(traffic_of(change, "bucket", name));
  for (const std::string& shard : change.values("netstor_shard_up", "shard"))
    view["shards"].push_back(shard_of(change, shard));
  std::sort(view["shards"].begin(), view["shards"].end(), [](const json& one, const json& other) {
    return one["shard"].get<unsigned>() < other["shard"].get<unsigned>();
  });
  return view;
}

// ---- For people.

std::string count_text(double value) {
  std::array<char, 32> text{};
  if (value >= 1e6)
    std::snprintf(text.data(), text.size(), "%.1fM", value / 1e6);
  else if (value >= 1e4)
    std::snprintf(text.data(), text.size(), "%.1fk", value / 1e3);
  else if (value >= 10 || value == std::floor(value))
    std::snprintf(text.data(), text.size(), "%.0f", value);
  else
    std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

std::string size_text(const json& value) {
  return format_size(static_cast<std::uint64_t>(std::max(value.get<double>(), 0.0)));
}
std::string share_text(const json& value) {
  return std::to_string(std::lround(value.get<double>() * 100)) + "%";
}
std::string bound_text(const json& value) {
  const auto seconds = value.is_number() ? value.get<double>() : INFINITY;
  return std::isinf(seconds) ? "over 17 s" : "≤ " + format_time(seconds * 1e9);
}
std::string uptime_text(double seconds) {
  const auto minutes = static_cast<std::uint64_t>(seconds / 60);
  if (minutes < 60) return std::to_string(minutes) + " min";
  if (minutes < 48 * 60) return std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min";
  return std::to_string(minutes / 60 / 24) + " days";
}

/// Its rows, the busiest `most` of them when there are more.
std::vector<json> rows_of(const json& list, std::size_t most) {
  std::vector<json> rows(list.begin(), list.end());
  if (rows.size() <= most) return rows;
  std::ranges::stable_sort(rows, std::greater<>(), [](const json& row) {
    return row["reads_per_s"].get<double>() + row["writes_per_s"].get<double>();
  });
  rows.resize(most);
  return rows;
}

class Text {
 public:
  Text(const Terminal& terminal, std::ostream& out) : terminal_(terminal), out_(out) {}

  void table(const std::string& alignment, const std::vector<std::string>& head,
             const std::vector<std::vector<std::string>>& rows) {
    Table table(alignment);
    table.add(head);
    for (const auto& row : rows) table.add(row);
    std::ostringstream text;
    table.print(text);
    const std::string all = text.str();
    const std::size_t first = all.find('\n');
    out_ << '\n' << strong(terminal_, all.substr(0, first)) << all.substr(first);
  }
  void more(std::size_t all, std::size_t shown, const std::string& what = "less busy") {
    if (all > shown) out_ << faint(terminal_, "… and " + std::to_string(all - shown) + " " + what) << '\n';
  }
  void traffic(const std::string& title, const json& list, std::size_t most, bool sizes) {
    if (list.empty()) return;
    const auto shown = rows_of(list, most);
    std::vector<std::vector<std::string>> rows;
    for (const json& each : shown) {
      std::vector<std::string> row{each["name"].get<std::string>()};
      if (columns_of(row[0]) > 16) row[0] = cut(row[0], 15) + "…";
      if (sizes) {
        row.push_back(size_text(each["size_bytes"]));
        row.push_back(size_text(each["used_bytes"]));
      }
      for (const char* rate : {"reads_per_s", "writes_per_s"})
        row.push_back(count_text(each[rate].get<double>()));
      for (const char* rate : {"read_bytes_per_s", "write_bytes_per_s"}) row.push_back(size_text(each[rate]));
      row.push_back(count_text(each["errors_per_s"].get<double>()));
      rows.push_back(std::move(row));
    }
    if (sizes)
      table("lrrrrrrr", {title, "SIZE", "USED", "READ/S", "WRITE/S", "R BYTES", "W BYTES", "ERR/S"}, rows);
    else
      table("lrrrrr", {title, "READ/S", "WRITE/S", "R BYTES", "W BYTES", "ERR/S"}, rows);
    more(list.size(), shown.size());
  }

 private:
  const Terminal& terminal_;
  std::ostream& out_;
};

void print_head(const json& view, const std::string& url, const Terminal& terminal, std::ostream& out) {
  out << strong(terminal, "netstord " + view["version"].get<std::string>()) << " at " << url << "  "
      << (view["ready"].get<bool>() ? "ready" : strong(terminal, "NOT READY")) << "  up "
      << uptime_text(view["uptime_s"].get<double>()) << "  " << view["io_driver"].get<std::string>() << '\n';
  out << "cpu " << share_text(view["cpu"]) << "  mem " << size_text(view["memory_bytes"]) << "  free "
      << size_text(view["state_free_bytes"]) << "  connects "
      << count_text(view["connections_accepted_per_s"].get<double>()) << "/s  refused "
      << count_text(view["refused"].get<double>()) << "  warnings "
      << count_text(view["warnings_per_s"].get<double>()) << "/s\n";
  if (view["reload_failed"].get<bool>())
    out << strong(terminal, "the last reload failed: see the log") << '\n';
}

/// Those that happen now, the most often first.
std::vector<std::vector<std::string>> refusal_rows(const json& view, std::size_t most) {
  constexpr std::size_t kReasonColumns = 40;
  std::vector<json> now;
  for (const json& each : view["refusals"]) {
    if (each["per_s"].get<double>() > 0) now.push_back(each);
  }
  std::ranges::stable_sort(now, std::greater<>(), [](const json& row) { return row["per_s"].get<double>(); });
  std::vector<std::vector<std::string>> rows;
  for (const json& each : now) {
    if (rows.size() == most) break;
    auto reason = each["reason"].get<std::string>();
    if (reason.size() > kReasonColumns) reason = cut(reason, kReasonColumns - 1) + "…";
    rows.push_back({each["check"].get<std::string>(), std::move(reason),
                    count_text(each["per_s"].get<double>()), count_text(each["total"].get<double>())});
  }
  return rows;
}

/// As many as there is room for. What names begin with they have in common: their ends tell them apart.
void print_connections(const json& view, std::size_t room, Text& text) {
  constexpr std::size_t kNameColumns = 28;
  const auto end_of = [](const json& name) {
    const auto whole = name.get<std::string>();
    return whole.size() <= kNameColumns ? whole : "…" + whole.substr(whole.size() - kNameColumns + 1);
  };
  const json& list = view["connections"];
  if (list.empty() || room == 0) return;
  std::vector<std::vector<std::string>> rows;
  for (const json& each : list) {
    if (rows.size() == room) break;
    const bool host = !each["host"].get<std::string>().empty();
    rows.push_back({each["peer"].get<std::string>(), host ? end_of(each["host"]) : "-",
                    host ? end_of(each["subsystem"]) : "-",
                    std::to_string(each["connections"].get<unsigned>())});
  }
  text.table("lllr", {"FROM", "HOST", "SUBSYSTEM", "COUNT"}, rows);
  text.more(list.size(), rows.size(), "more");
}

std::string text_of(const json& view, const std::string& url, const Terminal& terminal, unsigned lines) {
  std::ostringstream out;
  print_head(view, url, terminal, out);
  Text text(terminal, out);
  // What has to fit: each table has a head and an empty line before it.
  const std::size_t shards = view["shards"].size(), operations = view["operations"].size();
  const auto refusals = refusal_rows(view, 3);
  const std::size_t fixed = (view["reload_failed"].get<bool>() ? 3 : 2) + 2 + shards +
                            (operations != 0 ? 2 + std::min<std::size_t>(operations, 6) : 0) +
                            (refusals.empty() ? 0 : 2 + refusals.size()) + 6;
  const std::size_t left = lines > fixed + 4 ? lines - fixed : 4;
  const std::size_t buckets = std::min(view["buckets"].size(), std::max<std::size_t>(left / 2, 1));
  text.traffic("VOLUME", view["volumes"], std::max<std::size_t>(left - buckets, 1), true);
  text.traffic("BUCKET", view["buckets"], std::max<std::size_t>(buckets, 1), false);
  std::vector<std::vector<std::string>> rows;
  for (const json& each : view["operations"]) {
    if (rows.size() == 6 && lines < 10'000) break;
    rows.push_back({each["protocol"].get<std::string>() + " " + each["operation"].get<std::string>(),
                    count_text(each["per_s"].get<double>()), bound_text(each["p50_s"]),
                    bound_text(each["p99_s"])});
  }
  if (!rows.empty()) text.table("lrrr", {"OPERATION", "PER S", "HALF", "99 %"}, rows);
  if (!refusals.empty()) text.table("llrr", {"REFUSED", "WHY", "PER S", "ALL"}, refusals);
  rows.clear();
  for (const json& each : view["shards"]) {
    if (!each["answers"].get<bool>()) {
      rows.push_back({std::to_string(each["shard"].get<unsigned>()), "does not answer"});
      continue;
    }
    rows.push_back(
        {std::to_string(each["shard"].get<unsigned>()), share_text(each["busy"]), share_text(each["polling"]),
         share_text(each["sleeping"]), count_text(each["nvme_connections"].get<double>()),
         count_text(each["s3_connections"].get<double>()), count_text(each["in_flight"].get<double>()),
         size_text(each["copied_bytes_per_s"]), count_text(each["allocations_per_s"].get<double>()),
         count_text(each["system_calls_per_s"].get<double>())});
  }
  text.table("lrrrrrrrrr",
             {"SHARD", "BUSY", "POLL", "SLEEP", "NVME", "S3", "FLIGHT", "COPY B/S", "NEW/S", "CALLS/S"},
             rows);
  // What is left of the screen is theirs.
  const std::string above = out.str();
  const auto used = static_cast<std::size_t>(std::ranges::count(above, '\n'));
  print_connections(view, lines > used + 4 ? lines - used - 4 : 0, text);
  return out.str();
}

// ---- The verb.

Result<void> live(const Arguments& arguments, Scrape before) {
  const auto interval =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.interval_s));
  const auto timeout =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.timeout_s));
  const Terminal colors = terminal();
  Screen screen;
  screen.show("netstor top " + arguments.url + ": looking, for the first time");
  std::string shown;
  Time next = std::chrono::steady_clock::now() + interval;
  for (;;) {
    while (std::chrono::steady_clock::now() < next) {
      if (!screen.wait(next - std::chrono::steady_clock::now())) return ok();
      if (!shown.empty() && std::chrono::steady_clock::now() < next) screen.show(shown);
    }
    next = std::chrono::steady_clock::now() + interval;
    auto now = Scrape::fetch(arguments.url, timeout);
    if (!now) {
      screen.show(strong(colors, plain_text(now.error())) + "\n\ntrying again; q ends\n");
      shown.clear();
      continue;
    }
    const auto connections = Scrape::fetch_connections(arguments.url, timeout).value_or(Scrape());
    shown = text_of(view_of(Change(before, *now), connections), arguments.url, colors, Screen::size().rows);
    screen.show(shown);
    before = *std::move(now);
  }
}

Result<void> run(const Arguments& arguments) {
  const auto timeout =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.timeout_s));
  NETSTOR_TRY_RETURN(Scrape before, Scrape::fetch(arguments.url, timeout));
  const bool tables = arguments.once || arguments.json;
  if (!tables && (::isatty(STDOUT_FILENO) == 0 || ::isatty(STDIN_FILENO) == 0))
    return usage_error("top needs a terminal", "--once or --json do without");
  if (!tables) return live(arguments, std::move(before));
  std::this_thread::sleep_for(std::chrono::duration<double>(arguments.interval_s));
  NETSTOR_TRY_RETURN(const Scrape now, Scrape::fetch(arguments.url, timeout));
  NETSTOR_TRY_RETURN(const Scrape connections, Scrape::fetch_connections(arguments.url, timeout));
  const json view = view_of(Change(before, now), connections);
  if (arguments.json)
    std::cout << view.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  else
    std::cout << text_of(view, arguments.url, terminal(), 100'000);
  return ok();
}

}  // namespace

void add_top(CLI::App& app, Command& command) {
  CLI::App* verb = app.add_subcommand("top", "Watch what a server does");
  verb->footer(kFooter);
  auto arguments = std::make_shared<Arguments>();
  verb->add_option("URL", arguments->url, "Where its metrics are: http://HOST[:PORT]")
      ->type_name("")
      ->required();
  verb->add_option("--interval", arguments->interval_s, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verb->add_option("--timeout", arguments->timeout_s, "Seconds for an answer")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verb->add_flag("--once", arguments->once, "Two looks, then end");
  verb->add_flag("--json", arguments->json, "The same for programs");
  verb->callback([arguments, &command] { command.run = [arguments] { return run(*arguments); }; });
}

}  // namespace netstor::tool
