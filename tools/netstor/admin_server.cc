// SPDX-License-Identifier: Apache-2.0
// netstor admin drain, resume, shutdown, stats, server

#include "tools/netstor/admin_parts.h"

#include <iostream>

namespace netstor::tool {

namespace {

/// Without `show`, which is each()'s.
template <class Request, class Answer>
std::pair<CLI::App*, std::shared_ptr<AdminVerb<Request, Answer>>> stream_verb(
    CLI::App& group, Command& command, const std::string& name, const std::string& method,
    const std::string& about, const std::string& examples) {
  auto verb = std::make_shared<AdminVerb<Request, Answer>>();
  CLI::App* const app = add_admin_verb(group, name, about, examples, verb->place, verb->json);
  app->callback([verb, method, &command] {
    command.run = [verb, method] {
      return stream_admin(verb->place, method, verb->request, verb->answer, [verb] {
        if (verb->json) {
          std::cout << json_of(verb->answer).dump() << std::endl;  // one line each, for whoever follows
        } else {
          verb->show();
        }
        return static_cast<bool>(std::cout);
      });
    };
  });
  return {app, verb};
}

void add_drain(CLI::App& admin, Command& command) {
  auto [drain, draining] = stream_verb<v1::DrainRequest, v1::DrainProgress>(
      admin, command, "drain", "Drain", "Take no new connections, and wait until the old ones are gone",
      "  netstor admin drain --for 300 && netstor admin shutdown\n"
      "Ended before that (Ctrl-C), the server takes connections again.");
  add_number(*drain, "--for", "Wait so many seconds at most (0: no limit)",
             [call = draining](auto number) { call->request.set_timeout_s(number); });
  draining->show = [raw = draining.get()] {
    std::cout << (raw->answer.done() ? "drained"
                                     : std::to_string(raw->answer.connections()) + " connections left")
              << std::endl;
  };
  auto [resume, resuming] = admin_verb<v1::ResumeRequest, v1::ResumeResponse>(
      admin, command, "resume", "Resume", "Take new connections again, after a drain",
      "  netstor admin resume");
  static_cast<void>(resume);
  resuming->show = [] { std::cout << "connections are taken again\n"; };
  auto [stop, stopping] = admin_verb<v1::ShutdownRequest, v1::ShutdownResponse>(
      admin, command, "shutdown", "Shutdown", "End the server, as SIGTERM does", "  netstor admin shutdown");
  static_cast<void>(stop);
  stopping->show = [] { std::cout << "the server is stopping\n"; };
}

}  // namespace

void add_admin_server(CLI::App& admin, Command& command) {
  add_drain(admin, command);
  auto [stats, watching] = stream_verb<v1::WatchStatisticsRequest, v1::Statistics>(
      admin, command, "stats", "WatchStatistics", "Counters, again and again",
      "  netstor admin stats --count 1 --json        requests, errors, refusals by kind, too\n"
      "  netstor admin stats --interval 5000");
  add_number(*stats, "--interval", "Milliseconds between two (1000)",
             [call = watching](auto number) { call->request.set_interval_ms(number); });
  add_number(*stats, "--count", "End after so many (0: go on)",
             [call = watching](auto number) { call->request.set_count(number); });
  watching->show = [raw = watching.get()] {
    const v1::Statistics& now = raw->answer;
    const auto total = [](const auto& list) {
      std::uint64_t all = 0;
      for (const auto& each : list) all += each.count();
      return all;
    };
    std::cout << now.connections() << " connections, " << now.controllers() << " controllers, "
              << now.bucket_connections() << " of buckets; " << now.volumes() << " volumes, " << now.buckets()
              << " buckets, " << now.objects() << " objects; " << now.turns() << " turns, "
              << now.system_calls() << " system calls; " << total(now.requests()) << " requests, "
              << total(now.errors()) << " errors, " << total(now.refusals()) << " refusals" << std::endl;
  };
  auto [server, asking] = admin_verb<v1::GetServerRequest, v1::Server>(
      admin, command, "server", "GetServer", "Who serves", "  netstor admin server --json");
  static_cast<void>(server);
  asking->show = [raw = asking.get()] {
    const v1::Server& it = raw->answer;
    std::cout << "netstord " << it.version() << ", process " << it.pid()
              << (it.draining() ? ", draining" : "") << "\nstate   " << it.state() << "\nI/O     "
              << it.io_driver() << ", " << it.shards() << " shards\n";
  };
}

}  // namespace netstor::tool
