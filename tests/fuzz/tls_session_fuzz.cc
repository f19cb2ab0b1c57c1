// SPDX-License-Identifier: Apache-2.0
//
// Whoever sits between a client and a server of TLS. What it changes, drops or adds, neither end takes bytes
// for the other's that the other did not send in that order; and neither hangs.
//
// Input: byte 0: how finely the bytes are cut; byte 1: the ends' roles in the change (bit 0: the client's
// bytes), what is done (bits 1 and 2: alter, drop, add, end the stream); bytes 2 and 3: where; the rest is
// added.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "lib/base/assert.h"
#include "lib/proto/tls/session.h"
#include "tests/unit/tls_certificates.h"

namespace {

using namespace netstor::tls;

struct Contexts {
  Contexts() {
    certificates.make({.name = "server"});
    client = Context::make({.ca_file = certificates.certificate("server")}).value();
    server = Context::make({.role = Role::server,
                            .certificate_file = certificates.certificate("server"),
                            .key_file = certificates.key("server")})
                 .value();
  }
  Certificates certificates;
  std::shared_ptr<const Context> client;
  std::shared_ptr<const Context> server;
};

const std::string& text() {
  static const std::string made(40'000, 't');
  return made;
}

struct End {
  void turn() {
    if (failed || ended) return;
    std::size_t bytes = 0;
    while (written < text().size()) {
      const auto left = std::as_bytes(std::span(text())).subspan(written);
      if (session.write(left, bytes) != Step::done) break;
      written += bytes;
    }
    std::byte some[3000];
    Step step;
    while ((step = session.read(some, bytes)) == Step::done) {
      NETSTOR_ASSERT(got + bytes <= text().size());
      NETSTOR_ASSERT(std::memcmp(some, text().data() + got, bytes) == 0);
      got += bytes;
    }
    failed = step == Step::failed;
    ended = step == Step::ended;
    if (failed) NETSTOR_ASSERT(!session.failure().text.empty());
  }
  Session session;
  std::size_t written = 0;
  std::size_t got = 0;
  bool failed = false;
  bool ended = false;
};

struct Change {
  unsigned what;
  std::size_t at;
  std::string_view more;
  std::size_t passed = 0;
  bool done = false;
};

/// False: nothing moved.
bool carry(End& from, End& to, std::size_t step, Change* change) {
  const auto out = from.session.to_send();
  const auto in = to.session.space();
  std::size_t size = std::min({out.size(), in.size(), step});
  if (size == 0) return false;
  std::memcpy(in.data(), out.data(), size);
  from.session.sent(size);
  if (change != nullptr && !change->done && change->at < change->passed + size) {
    change->done = true;
    const std::size_t at = change->at - change->passed;
    if (change->what == 0) in[at] ^= std::byte{static_cast<unsigned char>(1U << (change->at & 7))};
    if (change->what == 1) std::memmove(in.data() + at, in.data() + at + 1, --size - at);
    if (change->what == 2) {
      const std::size_t added = std::min(change->more.size(), in.size() - at);
      std::memcpy(in.data() + at, change->more.data(), added);
      size = at + added;
    }
    if (change->what == 3) {
      size = at;
      to.session.peer_closed();
    }
  }
  if (change != nullptr) change->passed += size;
  to.session.received(size);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4 || size > 20'000) return 0;
  static const Contexts contexts;
  End client{.session = {contexts.client, "localhost"}};
  End server{.session = {contexts.server, ""}};
  const std::size_t step = std::size_t{1} << (4 + data[0] % 14);
  Change change{.what = (data[1] >> 1) & 3U,
                .at = data[2] * 256U + data[3],
                .more = {reinterpret_cast<const char*>(data) + 4, size - 4}};
  const bool of_client = (data[1] & 1) != 0;
  for (unsigned turns = 0;; ++turns) {
    NETSTOR_ASSERT(turns < 100'000);
    client.turn();
    server.turn();
    const bool there = carry(client, server, step, of_client ? &change : nullptr);
    const bool back = carry(server, client, step, of_client ? nullptr : &change);
    if (!there && !back) break;
  }
  if (!change.done) NETSTOR_ASSERT(client.got == text().size() && server.got == text().size());
  return 0;
}
