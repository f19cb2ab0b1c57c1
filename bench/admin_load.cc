// SPDX-License-Identifier: Apache-2.0
// Asks an admin socket so many calls a second for so many seconds, one after the other, and says how many it
// managed: the load beside which reads are measured. README.md has the commands.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <vector>

#include "server/control/admin.grpc.pb.h"

namespace v1 = netstor::admin::v1;

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: admin_load SOCKET CALLS-A-SECOND SECONDS\n";
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  const auto stub = v1::Admin::NewStub(
      grpc::CreateChannel(std::string("unix:") + argv[1], grpc::InsecureChannelCredentials()));
  const double rate = std::atof(argv[2]);
  const auto calls = static_cast<std::size_t>(rate * std::atof(argv[3]));
  const auto begin = Clock::now();
  std::vector<double> times;
  for (std::size_t i = 0; i < calls; ++i) {
    std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(
                                              std::chrono::duration<double>(static_cast<double>(i) / rate)));
    const auto asked = Clock::now();
    grpc::ClientContext context;
    v1::ListSubsystemsResponse answer;  // asks every shard for its connections
    const grpc::Status status = stub->ListSubsystems(&context, {}, &answer);
    if (!status.ok()) {
      std::cerr << status.error_message() << '\n';
      return 1;
    }
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - asked).count());
  }
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::sort(times.begin(), times.end());
  std::cout << static_cast<double>(calls) / took << " calls/s, p50 " << times[times.size() / 2] << " us, p99 "
            << times[times.size() * 99 / 100] << " us\n";
  return 0;
}
