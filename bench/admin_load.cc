// SPDX-License-Identifier: Apache-2.0
// Asks an admin socket so many calls a second for so many seconds, one after the other, and says how many it
// managed: the load beside which admin.py measures reads. In turn it asks for the volumes (which is no
// shard's business) and for the subsystems (every shard is asked for its connections).

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <thread>
#include <vector>

#include "server/control/admin.grpc.pb.h"

namespace v1 = netstor::admin::v1;

namespace {

grpc::Status ask(v1::Admin::Stub& stub, bool shards) {
  grpc::ClientContext context;
  if (shards) {
    v1::ListSubsystemsResponse answer;
    return stub.ListSubsystems(&context, {}, &answer);
  }
  v1::ListVolumesResponse answer;
  return stub.ListVolumes(&context, {}, &answer);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 5 ? argv[4] : "both";
  if (argc < 4 || argc > 5 || (what != "both" && what != "volumes" && what != "subsystems")) {
    std::cerr << "usage: admin_load SOCKET CALLS-A-SECOND SECONDS [both|volumes|subsystems]\n";
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  const auto stub = v1::Admin::NewStub(
      grpc::CreateChannel(std::string("unix:") + argv[1], grpc::InsecureChannelCredentials()));
  const double rate = std::atof(argv[2]);
  const double seconds = std::atof(argv[3]);
  const auto begin = Clock::now();
  std::vector<double> times;
  for (std::size_t i = 0; Seconds(Clock::now() - begin).count() < seconds; ++i) {
    // Whoever is late asks at once: the rate holds on the average, as far as answers come that fast.
    std::this_thread::sleep_until(
        begin + std::chrono::duration_cast<Clock::duration>(Seconds(static_cast<double>(i) / rate)));
    const auto asked = Clock::now();
    const grpc::Status status = ask(*stub, what == "subsystems" || (what == "both" && i % 2 == 0));
    if (!status.ok()) {
      std::cerr << status.error_message() << '\n';
      return 1;
    }
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - asked).count());
  }
  if (times.empty()) return 1;
  const double took = Seconds(Clock::now() - begin).count();
  std::sort(times.begin(), times.end());
  std::cout << static_cast<double>(times.size()) / took << " calls/s, p50 " << times[times.size() / 2]
            << " us, p99 " << times[times.size() * 99 / 100] << " us\n";
  return 0;
}
