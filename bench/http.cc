// SPDX-License-Identifier: Apache-2.0
//
// What HTTP itself costs, without a network: a head decoded, and whole exchanges of the two machines, whose
// bytes a memcpy brings in the kernel's place.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "lib/base/assert.h"
#include "lib/proto/http/client.h"
#include "lib/proto/http/server.h"
#include "lib/wire/http/head.h"

namespace {

using namespace netstor::http;

const std::string kRequest =
    "GET /bucket/some/key/of/an/object-000123?versionId=abcdef HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n"
    "User-Agent: netstor/0.1\r\nx-amz-date: 20130524T000000Z\r\n"
    "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
    "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
    "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\n"
    "Range: bytes=0-4095\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n";

std::string response(std::size_t body) {
  return "HTTP/1.1 200 OK\r\nDate: Fri, 24 May 2013 00:00:00 GMT\r\nServer: netstord\r\n"
         "x-amz-request-id: 4442587FB7D0A2F9\r\n"
         "x-amz-id-2: vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo=\r\n"
         "Last-Modified: Wed, 12 Oct 2009 17:50:00 GMT\r\nETag: \"fba9dede5f27731c9771645a39863328\"\r\n"
         "Accept-Ranges: bytes\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
         std::to_string(body) + "\r\n\r\n";
}

void request_head(benchmark::State& state) {
  RequestHead head;
  for (auto _ : state) {
    HeadScanner scanner;
    NETSTOR_ASSERT(scanner.scan(kRequest, {}) == HeadScanner::State::found);
    NETSTOR_ASSERT(decode_request(kRequest, head) == HeadError::none);
    benchmark::DoNotOptimize(head);
  }
}
BENCHMARK(request_head);

void response_head(benchmark::State& state) {
  const std::string text = response(4096);
  ResponseHead head;
  for (auto _ : state) {
    HeadScanner scanner;
    NETSTOR_ASSERT(scanner.scan(text, {}) == HeadScanner::State::found);
    NETSTOR_ASSERT(decode_response(text, false, head) == HeadError::none);
    benchmark::DoNotOptimize(head);
  }
}
BENCHMARK(response_head);

std::size_t deliver(std::string_view text, const iovec* pieces, unsigned count) {
  std::size_t at = 0;
  for (unsigned i = 0; i < count && at < text.size(); ++i) {
    const std::size_t take = std::min(pieces[i].iov_len, text.size() - at);
    std::memcpy(pieces[i].iov_base, text.data() + at, take);
    at += take;
  }
  return at;
}

/// A GET, head to done; the argument is the body's size.
void client_exchange(benchmark::State& state) {
  const auto size = static_cast<std::size_t>(state.range(0));
  const std::string text = response(size) + std::string(size, 'x');
  std::vector<char> body(size);
  const iovec memory{.iov_base = body.data(), .iov_len = size};
  Client client;
  SendBatch batch;
  for (auto _ : state) {
    client.begin({.head = std::as_bytes(std::span(kRequest)), .expected_body = size});
    batch.clear();
    NETSTOR_ASSERT(client.gather(batch));
    client.batch_sent({});
    std::string_view left = text;
    while (!client.idle()) {
      iovec pieces[8];
      bool peek = false;
      const unsigned count = client.want(pieces, 8, peek);
      const std::size_t got = deliver(left, pieces, count);
      if (!peek) left.remove_prefix(got);
      client.received(got);
      if (client.next() == Client::Event::head) {
        client.take_body(&memory, 1);
        (void)client.next();
      }
    }
    NETSTOR_ASSERT(client.reusable());
  }
}
BENCHMARK(client_exchange)->Arg(4096)->Arg(1 << 20);

/// A GET of 4 KiB from the other end.
void server_exchange(benchmark::State& state) {
  const std::string head = response(4096);
  std::string body(4096, 'x');
  const iovec memory{.iov_base = body.data(), .iov_len = body.size()};
  Server server({}, {});
  SendBatch batch;
  for (auto _ : state) {
    iovec pieces[8];
    const unsigned count = server.want(pieces, 8);
    server.received(deliver(kRequest, pieces, count), {});
    NETSTOR_ASSERT(server.next() == Server::Event::request);
    NETSTOR_ASSERT(server.next() == Server::Event::body_done);
    server.respond({.head = std::as_bytes(std::span(head)), .body = &memory, .body_pieces = 1}, {});
    batch.clear();
    NETSTOR_ASSERT(server.gather(batch, {}));
    server.batch_sent({});
    NETSTOR_ASSERT(server.next() == Server::Event::sent);
    NETSTOR_ASSERT(server.next() == Server::Event::more);
  }
}
BENCHMARK(server_exchange);

}  // namespace

BENCHMARK_MAIN();
