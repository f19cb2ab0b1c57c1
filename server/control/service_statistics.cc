// SPDX-License-Identifier: Apache-2.0
// What shards have counted, added up for the stream of statistics; /metrics says the same (server/sight).

#include <chrono>
#include <map>

#include "server/control/service_messages.h"

namespace netstor::control {

namespace {

template <class Facts>
std::uint32_t sum_of_connections(const std::vector<Facts>& shards) {
  std::size_t all = 0;
  for (const Facts& facts : shards) all += facts.connections;
  return static_cast<std::uint32_t>(all);
}

template <class Facts, class Value>
std::uint64_t sum(const std::vector<Facts>& shards, Value value) {
  std::uint64_t all = 0;
  for (const Facts& facts : shards) all += facts.counters.*value;
  return all;
}

template <class Facts>
net::Latency sum_of(const std::vector<Facts>& shards, std::size_t kind) {
  net::Latency all;
  for (const Facts& facts : shards) all += facts.counters.requests[kind];
  return all;
}

template <class Kind, class Facts>
void add_requests(const std::vector<Facts>& shards, const std::vector<Facts>& before, const char* protocol,
                  v1::Statistics& message) {
  constexpr std::size_t kinds = std::tuple_size_v<decltype(Facts::counters.requests)>;
  for (std::size_t i = 0; i < kinds; ++i) {
    net::Latency all = sum_of(shards, i);
    if (all.count() == 0) continue;
    v1::RequestStatistics& requests = *message.add_requests();
    requests.set_protocol(protocol);
    requests.set_operation(std::string(to_string(static_cast<Kind>(i))));
    requests.set_count(all.count());
    all -= sum_of(before, i);
    requests.set_p50_ns(all.quantile_ns(0.5));
    requests.set_p99_ns(all.quantile_ns(0.99));
  }
}

/// `add(text, count)` for each kind in the maps of all shards; several kinds may have one text.
template <class Facts, class Map, class Name, class Add>
void each_kind(const std::vector<Facts>& shards, Map map, Name name, Add add) {
  std::map<std::string, std::uint64_t> all;
  for (const Facts& facts : shards) {
    for (const auto& [kind, count] : facts.counters.*map) all[std::string(name(kind))] += count;
  }
  for (const auto& [text, count] : all) add(text, count);
}

auto add_error(v1::Statistics& message, const char* protocol) {
  return [&message, protocol](const std::string& status, std::uint64_t count) {
    v1::ErrorStatistics& errors = *message.add_errors();
    errors.set_protocol(protocol);
    errors.set_status(status);
    errors.set_count(count);
  };
}

auto add_refusal(v1::Statistics& message, const char* protocol, const char* check) {
  return [&message, protocol, check](const std::string& reason, std::uint64_t count) {
    v1::RefusalStatistics& refusals = *message.add_refusals();
    refusals.set_protocol(protocol);
    refusals.set_check(check);
    refusals.set_reason(reason);
    refusals.set_count(count);
  };
}

void add_target(const std::vector<nvmf::ShardFacts>& shards, const std::vector<nvmf::ShardFacts>& before,
                v1::Statistics& message) {
  using nvmf::Counters;
  add_requests<nvmf::IoCounter>(shards, before, "nvme", message);
  message.set_nvme_read_bytes(sum(shards, &Counters::read_bytes));
  message.set_nvme_write_bytes(sum(shards, &Counters::write_bytes));
  const auto status_in = [](nvme::StatusDialect dialect) {
    return [dialect](std::uint16_t raw) { return nvme::to_string(nvme::Status::from_raw(raw), dialect); };
  };
  each_kind(shards, &Counters::errors, status_in(nvme::StatusDialect::nvm), add_error(message, "nvme"));
  each_kind(
      shards, &Counters::refused_tls, [](nvmf::TlsRefusal why) { return to_string(why); },
      add_refusal(message, "nvme", "tls"));
  each_kind(shards, &Counters::refused_connects, status_in(nvme::StatusDialect::fabrics),
            add_refusal(message, "nvme", "connect"));
  each_kind(
      shards, &Counters::failed_authentications, [](std::string_view why) { return why; },
      add_refusal(message, "nvme", "authentication"));
}

void add_endpoint(const std::vector<s3server::ShardFacts>& shards,
                  const std::vector<s3server::ShardFacts>& before, v1::Statistics& message) {
  using s3server::Counters;
  add_requests<s3server::Operation>(shards, before, "s3", message);
  message.set_s3_read_bytes(sum(shards, &Counters::bytes_out));
  message.set_s3_write_bytes(sum(shards, &Counters::bytes_in));
  each_kind(
      shards, &Counters::errors, [](s3::ErrorCode code) { return s3::to_string(code); },
      add_error(message, "s3"));
  each_kind(
      shards, &Counters::failed_authentications, [](std::string_view code) { return code; },
      add_refusal(message, "s3", "authentication"));
}

}  // namespace

std::uint32_t connections_of(const std::vector<nvmf::ShardFacts>& shards) {
  return sum_of_connections(shards);
}
std::uint32_t connections_of(const std::vector<s3server::ShardFacts>& shards) {
  return sum_of_connections(shards);
}

void fill(const Manager::Load& load, const Manager::Load& before, v1::Statistics& message) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  message.set_time_ms(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  message.set_connections(connections_of(load.target));
  std::size_t controllers = 0;
  for (const nvmf::ShardFacts& facts : load.target) controllers += facts.controllers;
  message.set_controllers(static_cast<std::uint32_t>(controllers));
  message.set_bucket_connections(connections_of(load.endpoint));
  message.set_copied_bytes(load.metrics.copied_bytes);
  message.set_turns(load.metrics.turns);
  message.set_sleeps(load.metrics.sleeps);
  message.set_system_calls(load.metrics.system_calls);
  message.set_volumes(load.volumes);
  message.set_buckets(load.objects.buckets);
  message.set_objects(load.objects.versions);
  message.set_object_bytes(load.objects.bytes);
  add_target(load.target, before.target, message);
  add_endpoint(load.endpoint, before.endpoint, message);
}

}  // namespace netstor::control
