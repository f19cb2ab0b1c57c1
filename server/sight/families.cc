// SPDX-License-Identifier: Apache-2.0

#include "server/sight/families.h"

#include "server/net/chunk_pool.h"

namespace netstor::sight {

namespace {

using Type = Exposition::Type;
using Labels = Exposition::Labels;

/// One sample of each shard.
template <class Facts, class Value>
void each_shard(Exposition& out, const std::vector<Facts>& shards, std::string_view name, Type type,
                std::string_view help, Value value) {
  out.family(name, type, help);
  for (const Facts& facts : shards) out.sample({{"shard", std::to_string(facts.shard)}}, value(facts));
}

template <class Facts, class Value>
std::uint64_t sum(const std::vector<Facts>& shards, Value value) {
  std::uint64_t all = 0;
  for (const Facts& facts : shards) all += value(facts.counters);
  return all;
}

/// The maps of all shards together, a sample each.
template <class Facts, class Map, class Name>
void by_kind(Exposition& out, const std::vector<Facts>& shards, Map map, std::string_view label, Name name,
             Labels others = {}) {
  std::map<std::string, std::uint64_t> all;
  for (const Facts& facts : shards) {
    for (const auto& [kind, count] : facts.counters.*map) all[std::string(name(kind))] += count;
  }
  for (const auto& [kind, count] : all) {
    Labels labels = others;
    labels.emplace_back(label, kind);
    out.sample(labels, count);
  }
}

std::string_view connect_status(std::uint16_t raw) {
  return nvme::to_string(nvme::Status::from_raw(raw), nvme::StatusDialect::fabrics);
}

template <class Facts>
void write_buffers(Exposition& out, const std::vector<Facts>& shards, std::string_view protocol) {
  out.family("netstor_" + std::string(protocol) + "_buffer_bytes", Exposition::gauge,
             "Memory for data on its way, lent to requests or free.");
  for (const Facts& facts : shards) {
    const std::string shard = std::to_string(facts.shard);
    out.sample({{"shard", shard}, {"state", "lent"}}, std::uint64_t{facts.chunks_lent * net::kChunkBytes});
    out.sample({{"shard", shard}, {"state", "free"}},
               std::uint64_t{(facts.chunks - facts.chunks_lent) * net::kChunkBytes});
  }
}

void write_traffic(Exposition& out, std::string_view what, const std::map<std::string, net::Traffic>& all) {
  const std::string prefix = "netstor_" + std::string(what) + "_";
  out.family(prefix + "requests_total", Exposition::counter,
             "Requests answered; what is no read counts as a write.");
  for (const auto& [name, traffic] : all) {
    out.sample({{what, name}, {"direction", "read"}}, traffic.reads);
    out.sample({{what, name}, {"direction", "write"}}, traffic.writes);
  }
  out.family(prefix + "bytes_total", Exposition::counter,
             "Payload given to clients (read) and taken (write).");
  for (const auto& [name, traffic] : all) {
    out.sample({{what, name}, {"direction", "read"}}, traffic.read_bytes);
    out.sample({{what, name}, {"direction", "write"}}, traffic.write_bytes);
  }
  out.family(prefix + "errors_total", Exposition::counter, "Requests answered with an error.");
  for (const auto& [name, traffic] : all) out.sample({{what, name}}, traffic.errors);
}

}  // namespace

void write_loops(Exposition& out, const std::vector<LoopFacts>& loops) {
  each_shard(out, loops, "netstor_shard_up", Exposition::gauge,
             "1: the shard answered this scrape; 0: it did not in time, and its other samples are missing.",
             [](const LoopFacts& facts) { return std::uint64_t{facts.answers}; });
  std::vector<LoopFacts> answering;
  for (const LoopFacts& facts : loops) {
    if (facts.answers) answering.push_back(facts);
  }
  out.family("netstor_shard_seconds_total", Exposition::counter,
             "Time of the shard's thread, by what it did: work, look for work, sleep.");
  for (const LoopFacts& facts : answering) {
    const std::string shard = std::to_string(facts.shard);
    const auto state = [&](std::string_view name, std::uint64_t ns) {
      out.sample({{"shard", shard}, {"state", name}}, static_cast<double>(ns) / 1e9);
    };
    state("busy", facts.metrics.busy_ns);
    state("polling", facts.metrics.polling_ns);
    state("sleeping", facts.metrics.sleeping_ns);
  }
  const auto count = [&](std::string_view name, std::string_view help, auto value) {
    each_shard(out, answering, name, Exposition::counter, help, value);
  };
  count("netstor_shard_turns_total", "Turns of the shard's loop.",
        [](const LoopFacts& facts) { return facts.metrics.turns; });
  count("netstor_shard_sleeps_total", "Times that the shard slept on the kernel.",
        [](const LoopFacts& facts) { return facts.metrics.sleeps; });
  count("netstor_shard_system_calls_total", "System calls of the shard's I/O driver, where it counts them.",
        [](const LoopFacts& facts) { return facts.metrics.system_calls; });
  count("netstor_copied_bytes_total", "Payload bytes copied in user space on their way.",
        [](const LoopFacts& facts) { return facts.metrics.copied_bytes; });
  count("netstor_shard_allocations_total", "Allocations (operator new) on the shard's thread.",
        [](const LoopFacts& facts) { return facts.allocations; });
}

void write_target(Exposition& out, const std::vector<nvmf::ShardFacts>& shards,
                  const std::vector<VolumeFacts>& volumes) {
  using Facts = nvmf::ShardFacts;
  std::array<net::Latency, nvmf::kIoCounters> requests;
  for (const Facts& facts : shards) {
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i] += facts.counters.requests[i];
  }
  out.family("netstor_nvme_request_seconds", Exposition::histogram,
             "From a command's arrival to the departure of its answer; _count is the number of commands.");
  for (std::size_t i = 0; i < requests.size(); ++i)
    out.samples({{"operation", to_string(static_cast<nvmf::IoCounter>(i))}}, requests[i]);
  out.family("netstor_nvme_bytes_total", Exposition::counter, "Payload of commands that succeeded.");
  out.sample({{"direction", "read"}}, sum(shards, [](const auto& each) { return each.read_bytes; }));
  out.sample({{"direction", "write"}}, sum(shards, [](const auto& each) { return each.write_bytes; }));
  out.family("netstor_nvme_errors_total", Exposition::counter, "Commands answered with an error, by status.");
  by_kind(out, shards, &nvmf::Counters::errors, "status",
          [](std::uint16_t raw) { return nvme::to_string(nvme::Status::from_raw(raw)); });
  out.family("netstor_nvme_connects_refused_total", Exposition::counter,
             "Connect commands refused, by status.");
  by_kind(out, shards, &nvmf::Counters::refused_connects, "status", connect_status);
  out.family("netstor_nvme_authentications_failed_total", Exposition::counter,
             "Queues whose host had to prove itself (DH-HMAC-CHAP) and did not, by reason.");
  by_kind(out, shards, &nvmf::Counters::failed_authentications, "reason",
          [](std::string_view why) { return why; });
  out.family("netstor_nvme_tls_refused_total", Exposition::counter,
             "Connections of volumes that did not come about for what TLS or its keys said, by reason.");
  by_kind(out, shards, &nvmf::Counters::refused_tls, "reason",
          [](nvmf::TlsRefusal why) { return nvmf::to_string(why); });
  each_shard(out, shards, "netstor_nvme_in_flight", Exposition::gauge,
             "Commands between arrival and departure, held Asynchronous Event Requests too.",
             [](const Facts& facts) { return facts.counters.in_flight; });
  each_shard(out, shards, "netstor_nvme_connections", Exposition::gauge, "Connections, one a queue.",
             [](const Facts& facts) { return std::uint64_t{facts.connections}; });
  each_shard(out, shards, "netstor_nvme_controllers", Exposition::gauge,
             "Controllers: hosts times the subsystems that each is connected to.",
             [](const Facts& facts) { return std::uint64_t{facts.controllers}; });
  each_shard(out, shards, "netstor_nvme_accepted_total", Exposition::counter, "Connections accepted.",
             [](const Facts& facts) { return facts.counters.accepted; });
  each_shard(out, shards, "netstor_nvme_turned_away_total", Exposition::counter,
             "Connections closed at once, because --max-connections were there.",
             [](const Facts& facts) { return facts.counters.turned_away; });
  write_buffers(out, shards, "nvme");

  std::map<std::string, net::Traffic> traffic;
  for (const VolumeFacts& volume : volumes) {
    net::Traffic& sum = traffic[volume.name];
    for (const Facts& facts : shards) {
      for (const Facts::Volume& part : facts.volumes) {
        if (part.uuid == volume.uuid) sum += part.traffic;
      }
    }
  }
  write_traffic(out, "volume", traffic);
  out.family("netstor_volume_size_bytes", Exposition::gauge, "What hosts see of the volume.");
  for (const VolumeFacts& volume : volumes) out.sample({{"volume", volume.name}}, volume.size_bytes);
  out.family("netstor_volume_used_bytes", Exposition::gauge, "What the volume takes of its medium.");
  for (const VolumeFacts& volume : volumes) {
    if (volume.used_bytes) out.sample({{"volume", volume.name}}, *volume.used_bytes);
  }
}

void write_endpoint(Exposition& out, const std::vector<s3server::ShardFacts>& shards,
                    const store::ObjectUsage& usage) {
  using Facts = s3server::ShardFacts;
  std::array<net::Latency, s3server::kOperations> requests;
  for (const Facts& facts : shards) {
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i] += facts.counters.requests[i];
  }
  out.family("netstor_s3_request_seconds", Exposition::histogram,
             "From a request's head to the end of its answer; _count is the number of requests.");
  // There are many, and few of them come to any one server.
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].count() != 0)
      out.samples({{"operation", to_string(static_cast<s3server::Operation>(i))}}, requests[i]);
  }
  out.family("netstor_s3_bytes_total", Exposition::counter,
             "Bodies of requests (write) and of answers (read).");
  out.sample({{"direction", "read"}}, sum(shards, [](const auto& each) { return each.bytes_out; }));
  out.sample({{"direction", "write"}}, sum(shards, [](const auto& each) { return each.bytes_in; }));
  out.family("netstor_s3_errors_total", Exposition::counter, "Requests answered with an error, by code.");
  by_kind(out, shards, &s3server::Counters::errors, "code",
          [](s3::ErrorCode code) { return s3::to_string(code); });
  out.family(
      "netstor_s3_authentications_failed_total", Exposition::counter,
      "Requests whose signature (SigV4) was not accepted, by code; missing: that had none and needed one.");
  by_kind(out, shards, &s3server::Counters::failed_authentications, "code",
          [](std::string_view code) { return code; });
  out.family("netstor_s3_lost_total", Exposition::counter,
             "Requests whose client went away before the end of the answer.");
  out.sample({}, sum(shards, [](const auto& each) { return each.lost; }));
  each_shard(out, shards, "netstor_s3_in_flight", Exposition::gauge, "Requests under way.",
             [](const Facts& facts) { return facts.counters.in_flight; });
  each_shard(out, shards, "netstor_s3_connections", Exposition::gauge, "Connections.",
             [](const Facts& facts) { return std::uint64_t{facts.connections}; });
  each_shard(out, shards, "netstor_s3_accepted_total", Exposition::counter, "Connections accepted.",
             [](const Facts& facts) { return facts.counters.accepted; });
  each_shard(out, shards, "netstor_s3_turned_away_total", Exposition::counter,
             "Connections closed at once, because --max-connections were there.",
             [](const Facts& facts) { return facts.counters.turned_away; });
  out.family("netstor_s3_rdma_requests_total", Exposition::counter,
             "Requests whose payload went by RDMA; netstor_s3_request_seconds has them, too.");
  out.sample({{"direction", "read"}}, sum(shards, [](const auto& each) { return each.rdma_reads; }));
  out.sample({{"direction", "write"}}, sum(shards, [](const auto& each) { return each.rdma_writes; }));
  out.family("netstor_s3_rdma_bytes_total", Exposition::counter,
             "Payload by RDMA, a part of netstor_s3_bytes_total.");
  out.sample({{"direction", "read"}}, sum(shards, [](const auto& each) { return each.rdma_bytes_out; }));
  out.sample({{"direction", "write"}}, sum(shards, [](const auto& each) { return each.rdma_bytes_in; }));
  each_shard(out, shards, "netstor_s3_rdma_sessions_total", Exposition::counter,
             "Connections that clients made for it.",
             [](const Facts& facts) { return facts.counters.rdma_sessions; });
  each_shard(out, shards, "netstor_s3_rdma_refused_total", Exposition::counter,
             "Sessions and tokens that were declined or refused, and transfers that failed.",
             [](const Facts& facts) { return facts.counters.rdma_refused; });
  write_buffers(out, shards, "s3");

  std::map<std::string, net::Traffic> traffic;
  for (const Facts& facts : shards) {
    for (const auto& [name, part] : facts.counters.buckets) traffic[name] += part;
  }
  write_traffic(out, "bucket", traffic);
  const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    out.family(name, Exposition::gauge, help);
    out.sample({}, value);
  };
  gauge("netstor_object_store_buckets", "Buckets.", usage.buckets);
  gauge("netstor_object_store_versions", "Versions of objects, delete markers too.", usage.versions);
  gauge("netstor_object_store_bytes", "The sizes of all versions together.", usage.bytes);
  gauge("netstor_object_store_stored_bytes", "What versions and unfinished uploads take in the data files.",
        usage.stored_bytes);
}

void write_hosts(Exposition& out, const std::vector<nvmf::ConnectionFacts>& hosts) {
  out.family("netstor_nvme_connection", Exposition::gauge,
             "A queue of a host; names as far as it said them.");
  for (const nvmf::ConnectionFacts& each : hosts) {
    const std::string shard = std::to_string(each.shard), id = shard + '-' + std::to_string(each.id);
    const std::string queue = std::to_string(each.qid);
    out.sample({{"shard", shard},
                {"id", id},
                {"peer", each.peer},
                {"host", each.host_nqn},
                {"subsystem", each.subsystem_nqn},
                {"queue", queue}},
               std::uint64_t{1});
  }
}

void write_clients(Exposition& out, const std::vector<s3server::ConnectionFacts>& clients) {
  out.family("netstor_s3_connection", Exposition::gauge, "A client's connection.");
  for (const s3server::ConnectionFacts& each : clients)
    out.sample({{"shard", std::to_string(each.shard)}, {"peer", each.peer}}, std::uint64_t{1});
}

}  // namespace netstor::sight
