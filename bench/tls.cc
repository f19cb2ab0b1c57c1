// SPDX-License-Identifier: Apache-2.0
//
// What TLS itself costs, without a network: two machines on one core whose bytes a memcpy brings in the
// kernel's place. side: 0 both, 1 the one that encrypts and hands over, 2 the one that decrypts.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "lib/base/assert.h"
#include "lib/proto/tls/session.h"
#include "tests/unit/tls_certificates.h"

namespace {

using namespace netstor::tls;

struct Pair {
  Pair() {
    certificates.make({.name = "server"});
    client = Context::make({.ca_file = certificates.certificate("server")}).value();
    server = Context::make({.role = Role::server,
                            .certificate_file = certificates.certificate("server"),
                            .key_file = certificates.key("server")})
                 .value();
  }
  void connect(Resumption* resumption = nullptr) {
    near = std::make_unique<Session>(client, "localhost", resumption);
    far = std::make_unique<Session>(server, "");
    for (int i = 0; i < 10; ++i) {
      static_cast<void>(near->handshake());
      carry(*near, *far);
      static_cast<void>(far->handshake());
      carry(*far, *near);
    }
    NETSTOR_ASSERT(near->established() && far->established());
  }
  static bool carry(Session& from, Session& to) {
    const auto out = from.to_send();
    const auto in = to.space();
    if (out.empty() || in.empty()) return false;
    std::memcpy(in.data(), out.data(), out.size());
    to.received(out.size());
    from.sent(out.size());
    return true;
  }
  Certificates certificates;
  std::shared_ptr<const Context> client;
  std::shared_ptr<const Context> server;
  std::unique_ptr<Session> near;
  std::unique_ptr<Session> far;
};

/// Which side's work is timed.
enum class Side : int { both, sender, receiver };

void carry_bytes(benchmark::State& state) {
  Pair pair;
  pair.connect();
  const auto side = static_cast<Side>(state.range(1));
  std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
  std::string got(payload.size(), ' ');
  for (auto _ : state) {
    std::size_t sent = 0;
    std::size_t received = 0;
    while (received < payload.size()) {
      if (side == Side::receiver) state.PauseTiming();
      for (std::size_t bytes = 0; sent < payload.size(); sent += bytes) {
        if (pair.far->write(std::as_bytes(std::span(payload)).subspan(sent), bytes) != Step::done) break;
      }
      if (side == Side::sender) state.PauseTiming();
      Pair::carry(*pair.far, *pair.near);
      if (side == Side::receiver) state.ResumeTiming();
      for (std::size_t bytes = 0; received < payload.size(); received += bytes) {
        if (pair.near->read(std::as_writable_bytes(std::span(got)).subspan(received), bytes) != Step::done)
          break;
      }
      if (side == Side::sender) state.ResumeTiming();
    }
  }
  NETSTOR_ASSERT(got == payload);
  state.SetLabel(std::string(pair.near->cipher()));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(carry_bytes)->ArgNames({"bytes", "side"})->ArgsProduct({{4096, 1 << 20, 64 << 20}, {0, 1, 2}});

void handshake(benchmark::State& state) {
  Pair pair;
  Resumption resumption;
  const bool resumed = state.range(0) != 0;
  for (auto _ : state) {
    pair.connect(resumed ? &resumption : nullptr);
    std::byte some[1];
    std::size_t bytes = 0;
    static_cast<void>(pair.near->read(some, bytes));  // takes the ticket
    pair.near->end();
  }
  state.SetLabel(pair.near->resumed() ? "resumed" : "full");
}
BENCHMARK(handshake)->Arg(0)->Arg(1);

}  // namespace

BENCHMARK_MAIN();
