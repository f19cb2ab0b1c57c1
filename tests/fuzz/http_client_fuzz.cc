// SPDX-License-Identifier: Apache-2.0
//
// Any server against a Client. The same bytes, cut and peeked at in the chosen way and whole, mean the same;
// nothing is written outside of the memory given; the machine neither hangs nor goes in circles.
//
// Input: byte 0: cut (bits 0 to 2), peek (3), a large body expected (4), HEAD (5), what is done with the body
// (6, 7); byte 1: the size of the body's memory; the rest is what the server sends, then it closes.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/assert.h"
#include "lib/proto/http/client.h"

namespace {

using namespace netstor::http;

struct Seen {
  std::string body;
  std::vector<unsigned> statuses;
  std::string collected;
  ClientFailure failure = ClientFailure::none;
  bool reusable = false;
  friend bool operator==(const Seen&, const Seen&) = default;
};

Seen run(std::string_view text, std::size_t step, bool can_peek, std::uint8_t mode, std::size_t room,
         int exchanges) {
  static constexpr std::string_view kHead = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  Client client({.limits = {.head_bytes_max = 4096}, .peek = can_peek, .interim_max = 3, .collect_max = 100});
  Seen out;
  std::vector<std::vector<char>> memory;
  std::vector<iovec> pieces(1);
  const auto give = [&] {
    memory.emplace_back(room);
    pieces[0] = {.iov_base = memory.back().data(), .iov_len = room};
    client.take_body(pieces.data(), 1);
  };
  for (int exchange = 0; exchange < exchanges && client.reusable(); ++exchange) {
    memory.clear();
    client.begin({.head = std::as_bytes(std::span(kHead)),
                  .to_head = (mode & 0x20) != 0,
                  .expected_body = (mode & 0x10) != 0 ? 1u << 20 : 0u});
    SendBatch batch;
    NETSTOR_ASSERT(client.gather(batch));
    client.batch_sent({});
    auto event = Client::Event::more;
    for (std::size_t turns = 0; !client.idle() && event != Client::Event::failed; ++turns) {
      NETSTOR_ASSERT(turns < 200'000);
      event = client.next();
      if (event == Client::Event::head) {
        out.statuses.push_back(client.response().status);
        if ((mode >> 6) == 0)
          client.discard_body();
        else if ((mode >> 6) == 1)
          client.collect_body();
        else
          give();
        continue;
      }
      if (event == Client::Event::body_full) give();
      if (event != Client::Event::more) continue;
      iovec want[4];
      bool peek = false;
      const unsigned count = client.want(want, 4, peek);
      NETSTOR_ASSERT(count != 0 && count <= 4);
      std::size_t at = 0;
      for (unsigned i = 0; i < count; ++i) {
        const std::size_t take = std::min({want[i].iov_len, text.size() - at, step - at});
        NETSTOR_ASSERT(want[i].iov_len != 0);
        std::memcpy(want[i].iov_base, text.data() + at, take);
        at += take;
      }
      if (!peek) text.remove_prefix(at);
      client.received(at);
    }
    std::string body;
    for (const auto& each : memory) body.append(each.data(), each.size());
    if (!memory.empty()) body.resize(std::min<std::size_t>(body.size(), client.body_bytes()));
    out.body += body;
    out.collected += client.collected();
  }
  out.failure = client.failure();
  out.reusable = client.reusable();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 16'384) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::uint8_t mode = data[0];
  const std::size_t room = data[1] + 1u;
  const std::size_t step = std::size_t{1} << ((mode & 7) * 2);
  const bool peek = (mode & 8) != 0;
  Seen seen = run(text, step, peek, mode, room, 1);
  Seen whole = run(text, SIZE_MAX, false, mode, room, 1);
  // Bytes behind the answer end a connection, but only those that came by then.
  seen.reusable = whole.reusable = false;
  NETSTOR_ASSERT(seen == whole);
  (void)run(text, step, peek, mode, room, 3);
  return 0;
}
