// SPDX-License-Identifier: Apache-2.0
// The server's end of an HTTP connection against requests of every kind, cut at every byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/proto/http/server.h"
#include "tests/unit/http_stream.h"

namespace netstor::http {
namespace {

using Event = Server::Event;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::span<const std::byte> as_head(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A server whose owner takes each body and answers with its size; what it was asked is noted.
struct Site {
  explicit Site(const ServerOptions& options = {}) : server(options, Time{}) {}

  bool receive() {
    iovec pieces[8];
    const unsigned count = server.want(pieces, 8);
    if (count == 0 || stream.bytes.empty()) return false;
    server.received(stream.receive(pieces, count, false), now);
    return true;
  }
  bool send() {
    SendBatch batch;
    if (!server.gather(batch, now)) return false;
    sent += text_of(batch);
    server.batch_sent(now);
    return true;
  }
  void give() {
    memory.push_back(std::make_unique<Memory>(room, 1000));
    server.take_body(memory.back()->list.data(), memory.back()->count(), now);
  }
  void answer() {
    const std::string text = std::to_string(server.body_bytes());
    replies.push_back(std::make_unique<Memory>(text, 2));
    heads.push_back(
        std::make_unique<std::string>("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) +
                                      (server.will_close() ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n")));
    server.respond({.head = as_head(*heads.back()),
                    .body = replies.back()->list.data(),
                    .body_pieces = replies.back()->count()},
                   now);
  }
  void on(Event event) {
    switch (event) {
      case Event::request:
        asked.emplace_back(server.request().target);
        if (answers_early) answer();
        break;
      case Event::body_full:
        give();
        break;
      case Event::body_done: {
        std::string body;
        for (const auto& each : memory) body += each->bytes;
        body.resize(server.body_bytes());
        bodies.push_back(body);
        memory.clear();
        if (server.request().framing == Framing::chunked) trailers = server.trailers();
        if (answers) answer();
        break;
      }
      case Event::sent:
        replied += server.replied() ? 1 : 0;
        break;
      case Event::dropped:
        ++dropped;
        break;
      case Event::ended:
        ended = true;
        break;
      case Event::more:
        break;
    }
  }
  /// Until nothing moves any more.
  void run() {
    for (int i = 0; i < 1'000'000 && !ended; ++i) {
      const Event event = server.next();
      on(event);
      if (event != Event::more) continue;
      const bool moved = send();
      if (!receive() && !moved) return;
    }
    EXPECT_TRUE(ended) << "goes round in circles";
  }
  std::string run(const std::string& text) {
    stream.bytes += text;
    run();
    return std::exchange(sent, "");
  }

  Server server;
  Stream stream;
  Time now{};
  std::size_t room = 100'000;
  bool answers = true;
  bool answers_early = false;
  std::vector<std::unique_ptr<Memory>> memory;
  std::vector<std::unique_ptr<Memory>> replies;
  std::vector<std::unique_ptr<std::string>> heads;
  std::vector<std::string> asked;
  std::vector<std::string> bodies;
  std::string sent;
  std::string trailers;
  unsigned replied = 0;
  unsigned dropped = 0;
  bool ended = false;
};

struct Seen {
  std::vector<std::string> asked;
  std::vector<std::string> bodies;
  std::string sent;
  unsigned replied = 0;
  unsigned dropped = 0;
  unsigned refused = 0;
  friend bool operator==(const Seen&, const Seen&) = default;
};

/// At once and cut at every size, into memory large and small: always the same.
Seen serve(const std::string& text, const ServerOptions& options = {}) {
  std::optional<Seen> first;
  for (const std::size_t room : {std::size_t{100'000}, std::size_t{7}}) {
    for (std::size_t step = 1; step <= text.size(); step += step < 300 ? 1 : text.size() / 7 + 1) {
      Site site(options);
      site.stream.step = step;
      site.room = room;
      site.run(text);
      site.run();
      site.server.tick(site.now);
      site.run("");
      Seen seen{site.asked, site.bodies, "", site.replied, site.dropped, site.server.refused_status()};
      if (!first) first = seen;
      EXPECT_EQ(seen.asked, first->asked) << "step " << step << " room " << room;
      EXPECT_EQ(seen.bodies, first->bodies) << "step " << step << " room " << room;
      EXPECT_EQ(seen, *first) << "step " << step << " room " << room;
      if (seen != *first) return *first;
    }
  }
  return *first;
}

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
std::string put(std::size_t size, const std::string& fields = "") {
  return "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n" + fields + "\r\n";
}

TEST(HttpServer, AnswersRequestsInOrder) {
  const Seen seen =
      serve(kGet + put(5) + "abcde" + "\r\n" + "DELETE /d HTTP/1.1\r\nHost: a\r\n\r\n" + put(0) + kGet);
  EXPECT_THAT(seen.asked, ElementsAre("/a", "/p", "/d", "/p", "/a"));
  EXPECT_THAT(seen.bodies, ElementsAre("", "abcde", "", "", ""));
  EXPECT_EQ(seen.replied, 5U);
  Site site;
  EXPECT_EQ(site.run(kGet + put(5) + "abcde" + kGet),
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5"
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0");
  EXPECT_FALSE(site.ended);
  EXPECT_TRUE(site.server.idle());
}

TEST(HttpServer, ReadsChunkedBodies) {
  const Seen seen = serve(
      "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n4;x=y\r\nWiki\r\n10\r\n0123456789abcdef"
      "\r\n0\r\nA: b\r\n\r\n" +
      kGet);
  EXPECT_THAT(seen.asked, ElementsAre("/c", "/a"));
  EXPECT_THAT(seen.bodies, ElementsAre("Wiki0123456789abcdef", ""));
  Site site;
  site.run("PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n");
  EXPECT_EQ(site.trailers, "A: b\r\n\r\n");
}

TEST(HttpServer, PlacesLargeBodiesWhereTheirOwnerSays) {
  const std::string body = numbered(3 << 20);
  Site site;
  site.room = 1 << 20;
  EXPECT_THAT(site.run(put(body.size()) + body), HasSubstr("3145728"));
  EXPECT_THAT(site.bodies, ElementsAre(body));
  EXPECT_LE(site.server.copied_bytes(), 8192U) << "what came with the head";
}

TEST(HttpServer, ReceivesNothingWhileTheOwnerHasNoMemory) {
  Site site;
  site.stream.bytes = put(10'000) + std::string(10'000, 'x');
  iovec pieces[8];
  ASSERT_TRUE(site.receive());
  EXPECT_EQ(site.server.next(), Event::request);
  EXPECT_EQ(site.server.next(), Event::body_full);
  EXPECT_EQ(site.server.next(), Event::more) << "told once";
  EXPECT_EQ(site.server.want(pieces, 8), 0U);
  EXPECT_EQ(site.server.deadline(), Time::max()) << "the owner is slow, not the client";
  site.give();
  EXPECT_NE(site.server.deadline(), Time::max());
  site.run();
  EXPECT_THAT(site.bodies, ElementsAre(std::string(10'000, 'x')));
}

TEST(HttpServer, SaysContinueWhenItsOwnerTakesTheBody) {
  Site site;
  EXPECT_EQ(site.run(put(3, "Expect: 100-continue\r\n")), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(site.run("abc"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(site.bodies, ElementsAre("abc"));
  EXPECT_FALSE(site.ended);
  Site hasty;
  EXPECT_THAT(hasty.run(put(3, "Expect: 100-continue\r\n") + "abc"), StartsWith("HTTP/1.1 200"));
}

TEST(HttpServer, SaysContinueToWhoWaitsWithAnEmptyBody) {
  Site site;
  EXPECT_THAT(site.run(put(0, "Expect: 100-continue\r\n")),
              StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"));
  Site early;
  early.answers_early = true;
  EXPECT_THAT(early.run(put(0, "Expect: 100-continue\r\n")),
              StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"));
  EXPECT_FALSE(early.ended);
}

TEST(HttpServer, ClosesWhenItDoesNotWantWhatIsAnnounced) {
  Site site;
  site.answers_early = true;
  EXPECT_THAT(site.run(put(3, "Expect: 100-continue\r\n")), HasSubstr("Connection: close"));
  EXPECT_EQ(site.replied, 1U);
  EXPECT_FALSE(site.ended) << "lingers";
  site.run("abc" + kGet);
  EXPECT_THAT(site.asked, ElementsAre("/p"));
  site.now += seconds(2);
  site.server.tick(site.now);
  site.run();
  EXPECT_TRUE(site.ended);
}

TEST(HttpServer, ReadsOverAShortBodyThatNobodyWants) {
  Site site;
  site.answers_early = true;
  site.answers = false;
  for (const std::size_t size : {10U, 50'000U}) {
    const std::string sent = site.run(put(size) + std::string(size, 'x'));
    EXPECT_THAT(sent, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(sent, testing::Not(HasSubstr("close")));
  }
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(site.run(kGet), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0") << "there is none to read";
  EXPECT_EQ(site.asked.size(), 4U);
  EXPECT_THAT(site.run(put(1 << 20) + std::string(1 << 20, 'x')), HasSubstr("Connection: close"));
}

TEST(HttpServer, KeepsAndClosesAsAsked) {
  Site site;
  EXPECT_THAT(site.run("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + kGet),
              HasSubstr("Connection: close"));
  EXPECT_EQ(site.asked.size(), 1U);
  site.server.peer_closed();
  site.run();
  EXPECT_TRUE(site.ended);
  Site old;
  EXPECT_THAT(old.run("GET /a HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close"));
  Site kept;
  kept.run("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n");
  EXPECT_EQ(kept.asked.size(), 2U);
}

TEST(HttpServer, RefusesInAnOrderlyWay) {
  const auto status = [](const std::string& text, const ServerOptions& options = {}) {
    const Seen seen = serve(text, options);
    EXPECT_EQ(seen.replied, 0U);
    return seen.refused;
  };
  const std::string host = "Host: a\r\n";
  EXPECT_EQ(status("GET / HTTP/1.1\n"), 400U);
  EXPECT_EQ(status("GET / HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(status("PUT / HTTP/1.1\r\n" + host + "\r\n"), 411U);
  EXPECT_EQ(status(put(101), {.body_bytes_max = 100}), 413U);
  EXPECT_EQ(status("GET /" + std::string(50, 'a'), {.limits = {.line_bytes_max = 40}}), 414U);
  EXPECT_EQ(status("GET / HTTP/1.1\r\n" + host + "A: " + std::string(300, 'a'),
                   {.limits = {.head_bytes_max = 200}}),
            431U);
  EXPECT_EQ(status("PUT / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501U);
  EXPECT_EQ(status("GET / HTTP/3.0\r\n" + host + "\r\n"), 505U);
  EXPECT_EQ(status(put(3, "Transfer-Encoding: chunked\r\n")), 400U);
  Site site;
  EXPECT_EQ(site.run("GET / HTTP/1.1\n\n"),
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(HttpServer, DropsARequestWhoseBodyIsMalformed) {
  const std::string head = "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const Seen bad = serve(head + "4\r\nWikiX");
  EXPECT_EQ(bad.refused, 400U);
  EXPECT_EQ(bad.dropped, 1U);
  EXPECT_EQ(bad.bodies.size(), 0U);
  const Seen large = serve(head + "ff\r\n" + std::string(255, 'x') + "\r\n", {.body_bytes_max = 100});
  EXPECT_EQ(large.refused, 413U);
  EXPECT_EQ(large.dropped, 1U);
}

TEST(HttpServer, EndsWhenTheClientLeaves) {
  for (const std::string& text : {std::string("GET / HT"), put(10) + "abc", std::string()}) {
    Site site;
    site.run(text);
    EXPECT_FALSE(site.ended);
    site.server.peer_closed();
    site.run();
    EXPECT_TRUE(site.ended);
    EXPECT_EQ(site.replied, 0U);
    EXPECT_EQ(site.bodies.size(), 0U);
  }
}

TEST(HttpServer, AnswersWhoEndedHisDirectionAfterTheRequest) {
  Site site;
  site.answers = false;
  site.run(kGet);
  site.server.peer_closed();
  site.run();
  EXPECT_FALSE(site.ended);
  site.answer();
  site.run();
  EXPECT_THAT(site.sent, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(site.replied, 1U);
  EXPECT_TRUE(site.ended);
}

TEST(HttpServer, StopsASlowHead) {
  Site site;
  EXPECT_EQ(site.server.deadline(), Time{} + seconds(60));
  site.run("G");
  for (int i = 0; i < 14; ++i) {
    site.now += seconds(1);
    site.run("E");
    EXPECT_EQ(site.server.deadline(), Time{} + seconds(15)) << "each byte buys nothing";
  }
  site.now = Time{} + seconds(15);
  site.server.tick(site.now);
  EXPECT_THAT(site.run(""), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(site.server.refused_status(), 408U);
  EXPECT_EQ(site.dropped, 0U);
}

TEST(HttpServer, StopsASlowBody) {
  Site site;
  site.run(put(1 << 20) + "x");
  for (int window = 0; window < 3; ++window) {
    EXPECT_EQ(site.server.deadline(), site.now + seconds(20));
    site.run(std::string(4096, 'x'));
    site.now += seconds(20);
    site.server.tick(site.now);
  }
  site.run(std::string(4095, 'x'));
  site.now += seconds(20);
  site.server.tick(site.now);
  EXPECT_THAT(site.run(""), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(site.dropped, 1U);
}

TEST(HttpServer, EndsAnIdleConnectionWithoutAWord) {
  Site site;
  site.now += seconds(30);
  site.run(kGet);
  site.sent.clear();
  EXPECT_EQ(site.server.deadline(), site.now + seconds(60));
  site.now += seconds(60);
  site.server.tick(site.now);
  site.run();
  EXPECT_TRUE(site.ended);
  EXPECT_EQ(site.sent, "");
}

TEST(HttpServer, EndsWhenNobodyReadsItsAnswer) {
  Site site;
  site.answers = false;
  site.run(kGet);
  site.answer();
  SendBatch batch;
  ASSERT_TRUE(site.server.gather(batch, site.now));
  EXPECT_EQ(site.server.deadline(), site.now + seconds(60));
  site.server.tick(site.now + seconds(60));
  EXPECT_EQ(site.server.next(), Event::ended);
}

TEST(HttpServer, ClosesSoon) {
  Site idle;
  idle.server.close_soon();
  idle.run();
  EXPECT_TRUE(idle.ended);
  Site busy;
  busy.answers = false;
  busy.run(kGet);
  busy.server.close_soon();
  busy.answer();
  EXPECT_THAT(busy.run(""), HasSubstr("Connection: close"));
}

TEST(HttpServer, SendsTheOwnersOwnBytes) {
  Site site;
  site.answers = false;
  site.run(kGet);
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
  Memory body(numbered(3000), 1000);
  site.server.respond({.head = as_head(head), .body = body.list.data(), .body_pieces = body.count()},
                      site.now);
  SendBatch batch;
  ASSERT_TRUE(site.server.gather(batch, site.now));
  EXPECT_EQ(text_of(batch), head + body.bytes);
  EXPECT_EQ(batch.pieces()[1].iov_base, body.bytes.data());
  site.server.batch_sent(site.now);
  EXPECT_EQ(site.server.next(), Event::sent);
  EXPECT_TRUE(site.server.replied());
}

TEST(HttpServer, SendsABodyThatFollows) {
  for (const bool chunked : {false, true}) {
    Site site;
    site.answers = false;
    site.run(kGet);
    const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    Memory first("abc");
    Memory more(numbered(1600), 10);
    site.server.respond({.head = as_head(head),
                         .body = first.list.data(),
                         .body_pieces = first.count(),
                         .body_follows = true,
                         .chunked = chunked},
                        site.now);
    while (site.send()) continue;
    EXPECT_EQ(site.server.next(), Event::sent);
    EXPECT_FALSE(site.server.replied());
    site.server.add_reply(more.list.data(), more.count(), false);
    while (site.send()) continue;
    EXPECT_EQ(site.server.next(), Event::sent);
    site.server.add_reply(nullptr, 0, true);
    while (site.send()) continue;
    EXPECT_EQ(site.server.next(), Event::sent);
    EXPECT_TRUE(site.server.replied());
    EXPECT_EQ(site.sent,
              head + (chunked ? "3\r\nabc\r\n640\r\n" + more.bytes + "\r\n0\r\n\r\n" : "abc" + more.bytes));
    EXPECT_THAT(site.run(""), testing::_);
    EXPECT_TRUE(site.server.idle());
  }
}

TEST(HttpServer, TakesHeadsUpToTheLimit) {
  std::string head = "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n";
  while (head.size() < 60'000) head += "x-amz-meta-a: " + std::string(1000, 'v') + "\r\n";
  Site site;
  EXPECT_THAT(site.run(head + "\r\n" + std::string(20'000, 'x') + kGet), HasSubstr("20000HTTP/1.1 200"));
  EXPECT_THAT(site.bodies, ElementsAre(std::string(20'000, 'x'), ""));
}

}  // namespace
}  // namespace netstor::http
