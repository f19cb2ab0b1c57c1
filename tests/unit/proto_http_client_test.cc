// SPDX-License-Identifier: Apache-2.0
// The client's end of an HTTP connection against answers of every kind, cut at every byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/proto/http/client.h"
#include "tests/unit/http_stream.h"

namespace netstor::http {
namespace {

using Event = Client::Event;
using std::chrono::seconds;

constexpr std::string_view kGet = "GET /b/k HTTP/1.1\r\nHost: a\r\n\r\n";

std::span<const std::byte> as_head(std::string_view text) { return std::as_bytes(std::span(text)); }

/// One client and what it talks to.
struct Peer {
  explicit Peer(bool can_peek = true, const ClientOptions& options = {})
      : client([&] {
          ClientOptions o = options;
          o.peek = can_peek;
          return o;
        }()) {}

  void get(std::uint64_t expected = 0) { client.begin({.head = as_head(kGet), .expected_body = expected}); }
  std::string send() {
    std::string out;
    SendBatch batch;
    while (client.gather(batch)) {
      out += text_of(batch);
      batch.clear();
      client.batch_sent(now);
    }
    return out;
  }
  /// One receive; false when the machine wants none or there is nothing.
  bool receive() {
    iovec pieces[8];
    bool peek = false;
    const unsigned count = client.want(pieces, 8, peek);
    if (count == 0 || stream.bytes.empty()) return false;
    client.received(stream.receive(pieces, count, peek));
    return true;
  }
  /// Receives until something other than `more` is told, or the bytes are used up; then the stream may end.
  Event run(bool end = false) {
    for (int i = 0; i < 1'000'000; ++i) {
      if (const Event event = client.next(); event != Event::more) return event;
      if (receive()) continue;
      if (!end) return Event::more;
      end = false;
      client.peer_closed();
    }
    ADD_FAILURE() << "goes round in circles";
    return Event::failed;
  }

  Client client;
  Stream stream;
  Time now{};
};

struct Answer {
  Event last = Event::more;
  unsigned status = 0;
  std::string body;
  ClientFailure failure = ClientFailure::none;
  bool reusable = false;
  friend bool operator==(const Answer&, const Answer&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Answer& a) {
    return out << "event " << static_cast<int>(a.last) << " status " << a.status << " failure "
               << to_string(a.failure) << " reusable " << a.reusable << " body of " << a.body.size();
  }
};

/// Reads one answer into memory of `room` bytes at a time.
Answer read(Peer& peer, std::size_t room, bool end) {
  Answer out;
  std::vector<std::unique_ptr<Memory>> memory;
  const auto give = [&] {
    memory.push_back(std::make_unique<Memory>(room, 1000));
    peer.client.take_body(memory.back()->list.data(), memory.back()->count());
  };
  for (;;) {
    out.last = peer.run(end);
    if (out.last == Event::head) {
      out.status = peer.client.response().status;
      give();
    } else if (out.last == Event::body_full) {
      give();
    } else {
      break;
    }
  }
  for (const auto& each : memory) out.body += each->bytes;
  out.body.resize(std::min<std::size_t>(out.body.size(), peer.client.body_bytes()));
  out.failure = peer.client.failure();
  out.reusable = peer.client.reusable();
  return out;
}

/// The same answer at once and cut at every size; peeking and not; expected large or not; in memory large and
/// small: always the same.
Answer exchange(const std::string& text, bool end = false, std::string_view head = kGet,
                bool to_head = false) {
  std::optional<Answer> first;
  for (const bool can_peek : {false, true}) {
    for (const std::uint64_t expected : {std::uint64_t{0}, std::uint64_t{1} << 20}) {
      for (const std::size_t room : {std::size_t{100'000}, std::size_t{7}}) {
        for (std::size_t step = 1; step <= text.size(); step += step < 300 ? 1 : text.size() / 7 + 1) {
          Peer peer(can_peek);
          peer.client.begin({.head = as_head(head), .to_head = to_head, .expected_body = expected});
          EXPECT_EQ(peer.send(), head);
          peer.stream.bytes = text;
          peer.stream.step = step;
          const Answer answer = read(peer, room, end);
          if (!first) first = answer;
          EXPECT_EQ(answer, *first) << "peek " << can_peek << " expected " << expected << " room " << room
                                    << " step " << step;
          if (answer != *first) return *first;
        }
      }
    }
  }
  return *first;
}

TEST(HttpClient, ReadsABodyOfKnownLength) {
  const Answer answer = exchange("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
  EXPECT_EQ(answer, (Answer{Event::done, 200, "0123456789", ClientFailure::none, true}));
}

TEST(HttpClient, ReadsAChunkedBody) {
  const Answer answer = exchange(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n10;a=b\r\n0123456789abcdef\r\n0\r\n"
      "A: b\r\n\r\n");
  EXPECT_EQ(answer, (Answer{Event::done, 200, "Wiki0123456789abcdef", ClientFailure::none, true}));
}

TEST(HttpClient, ReadsABodyUntilTheClose) {
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\n\r\nabc", true),
            (Answer{Event::done, 200, "abc", ClientFailure::none, false}));
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\n\r\n0123456", true).body, "0123456") << "as long as the memory";
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\n\r\nabc", false).last, Event::more);
}

TEST(HttpClient, KnowsAnswersWithoutABody) {
  const Answer whole{Event::done, 204, "", ClientFailure::none, true};
  EXPECT_EQ(exchange("HTTP/1.1 204 No Content\r\n\r\n"), whole);
  EXPECT_EQ(exchange("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").status, 304U);
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").last, Event::done);
  const Answer head = exchange("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", false, kGet, true);
  EXPECT_EQ(head, (Answer{Event::done, 200, "", ClientFailure::none, true}));
}

TEST(HttpClient, PassesOverInterimAnswers) {
  EXPECT_EQ(exchange("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
            (Answer{Event::done, 200, "abc", ClientFailure::none, true}));
  std::string flood;
  for (int i = 0; i < 17; ++i) flood += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(exchange(flood).failure, ClientFailure::interim_flood);
  EXPECT_EQ(exchange("HTTP/1.1 101 Switching Protocols\r\n\r\n").failure, ClientFailure::bad_head);
}

TEST(HttpClient, TellsHowTheServerLeft) {
  Peer peer;
  peer.get();
  peer.send();
  EXPECT_EQ(peer.run(true), Event::failed);
  EXPECT_EQ(peer.client.failure(), ClientFailure::closed_unanswered);
  EXPECT_FALSE(peer.client.answered());
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\nCont", true).failure, ClientFailure::closed_in_head);
  EXPECT_EQ(exchange("HTTP/1.1 100 Continue\r\n\r\n", true).failure, ClientFailure::closed_in_head);
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd", true).failure,
            ClientFailure::closed_in_body);
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n", true).failure,
            ClientFailure::closed_in_body);
}

TEST(HttpClient, RefusesMalformedAnswers) {
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n").failure, ClientFailure::bad_head);
  EXPECT_EQ(exchange("SSH-2.0-OpenSSH\r\n\r\n").failure, ClientFailure::bad_head);
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").failure,
            ClientFailure::bad_head);
  EXPECT_EQ(exchange("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").failure,
            ClientFailure::bad_chunk);
}

TEST(HttpClient, NeverUsesAConnectionAgainThatIsInDoubt) {
  EXPECT_FALSE(exchange("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na").reusable);
  EXPECT_FALSE(exchange("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na").reusable);
  EXPECT_TRUE(exchange("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na").reusable);
  Peer peer(false);
  peer.get();
  peer.send();
  peer.stream.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK";
  EXPECT_EQ(peer.run(), Event::head);
  EXPECT_EQ(peer.run(), Event::done);
  EXPECT_FALSE(peer.client.reusable()) << "bytes behind the answer";
}

TEST(HttpClient, WatchesAnIdleConnection) {
  for (const bool can_peek : {false, true}) {
    Peer peer(can_peek);
    peer.stream.bytes = "HTTP/1.1 408 Request Timeout\r\n\r\n";
    EXPECT_EQ(peer.run(), Event::failed);
    EXPECT_EQ(peer.client.failure(), ClientFailure::unsolicited);
    Peer closed(can_peek);
    EXPECT_EQ(closed.run(true), Event::failed);
    EXPECT_EQ(closed.client.failure(), ClientFailure::closed_unanswered);
  }
}

TEST(HttpClient, MayBeginWhileAReceiveIsInFlight) {
  for (const bool can_peek : {false, true}) {
    Peer peer(can_peek);
    for (int round = 0; round < 3; ++round) {
      iovec pieces[8];
      bool peek = false;
      const unsigned count = peer.client.want(pieces, 8, peek);
      peer.get(1 << 20);
      peer.send();
      peer.stream.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde";
      peer.client.received(peer.stream.receive(pieces, count, peek));
      EXPECT_EQ(read(peer, 100, false), (Answer{Event::done, 200, "abcde", ClientFailure::none, true}));
    }
  }
}

TEST(HttpClient, CopiesNothingOfALargeBody) {
  const std::string body = numbered(3 << 20);
  Peer peer;
  Memory memory(body.size(), 100'000);
  for (int round = 0; round < 2; ++round) {
    peer.get(body.size());
    peer.send();
    peer.stream.bytes =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    ASSERT_EQ(peer.run(), Event::head);
    EXPECT_EQ(peer.client.body_length(), body.size());
    peer.client.take_body(memory.list.data(), memory.count());
    EXPECT_EQ(peer.run(), Event::done);
    EXPECT_EQ(memory.bytes, body);
    EXPECT_TRUE(peer.client.reusable());
  }
  EXPECT_EQ(peer.client.copied_bytes(), 0U);
  EXPECT_EQ(peer.stream.peeks, 2U);
}

TEST(HttpClient, CopiesNothingOfALargeBodyHoweverItIsCut) {
  const std::string body = numbered(100'000);
  for (const std::size_t step : {1UL, 2UL, 20UL, 39UL, 1000UL, 65'536UL}) {
    Peer peer;
    peer.get(body.size());
    peer.send();
    peer.stream.step = step;
    peer.stream.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + body;
    EXPECT_EQ(read(peer, body.size(), false).body, body);
    EXPECT_EQ(peer.client.copied_bytes(), 0U) << step;
  }
}

TEST(HttpClient, ReceivesASmallBodyTogetherWithItsHead) {
  Peer peer;
  peer.get(4096);
  peer.send();
  peer.stream.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n" + numbered(4096);
  EXPECT_EQ(read(peer, 4096, false).body, numbered(4096));
  EXPECT_EQ(peer.stream.receives, 1U);
  EXPECT_EQ(peer.stream.peeks, 0U);
  EXPECT_EQ(peer.client.copied_bytes(), 4096U);
}

TEST(HttpClient, CopiesLittleOfALargeChunkedBody) {
  const std::string body = numbered(1 << 20);
  Peer peer;
  peer.get(body.size());
  peer.send();
  peer.stream.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < body.size(); at += 65'536)
    peer.stream.bytes += "10000\r\n" + body.substr(at, 65'536) + "\r\n";
  peer.stream.bytes += "0\r\n\r\n";
  EXPECT_EQ(read(peer, body.size(), false).body, body);
  EXPECT_LE(peer.client.copied_bytes(), 16U * 17U);
}

TEST(HttpClient, LetsItsOwnerLookBeforeAnythingIsWritten) {
  Peer peer;
  peer.get(1 << 20);
  peer.send();
  peer.stream.bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n<Error/>\n";
  ASSERT_EQ(peer.run(), Event::head);
  EXPECT_EQ(peer.client.body_length(), 9U);
  peer.client.collect_body();
  EXPECT_EQ(peer.run(), Event::done);
  EXPECT_EQ(peer.client.collected(), "<Error/>\n");
  EXPECT_FALSE(peer.client.truncated());
  EXPECT_TRUE(peer.client.reusable());
}

TEST(HttpClient, CollectsNoMoreThanItMay) {
  for (const std::size_t size : {std::size_t{100}, std::size_t{101}, std::size_t{50'000}}) {
    Peer peer(true, {.collect_max = 100});
    peer.get();
    peer.send();
    peer.stream.bytes = "HTTP/1.1 503 Slow Down\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                        std::string(size, 'x');
    ASSERT_EQ(peer.run(), Event::head);
    peer.client.collect_body();
    EXPECT_EQ(peer.run(), Event::done);
    EXPECT_EQ(peer.client.collected(), std::string(100, 'x'));
    EXPECT_EQ(peer.client.truncated(), size > 100);
    EXPECT_TRUE(peer.client.reusable());
  }
}

TEST(HttpClient, DiscardsABodyAndGoesOn) {
  Peer peer;
  for (int round = 0; round < 3; ++round) {
    peer.get(round == 1 ? 1 << 20 : 0);
    peer.send();
    peer.stream.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'x');
    ASSERT_EQ(peer.run(), Event::head);
    peer.client.discard_body();
    EXPECT_EQ(peer.run(), Event::done);
    EXPECT_TRUE(peer.client.reusable());
    EXPECT_TRUE(peer.stream.bytes.empty());
  }
}

TEST(HttpClient, TakesHeadsUpToTheLimit) {
  std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n";
  while (head.size() < 60'000) head += "x-amz-meta-a: " + std::string(1000, 'v') + "\r\n";
  for (const std::uint64_t expected : {0, 1 << 20}) {
    Peer peer;
    peer.get(expected);
    peer.send();
    peer.stream.bytes = head + "\r\nabc";
    EXPECT_EQ(read(peer, 10, false), (Answer{Event::done, 200, "abc", ClientFailure::none, true}));
    peer.get(expected);
    peer.send();
    peer.stream.bytes = head + "a: " + std::string(9000, 'x') + "\r\n\r\nabc";
    EXPECT_EQ(read(peer, 10, false).failure, ClientFailure::bad_head);
    EXPECT_EQ(peer.client.head_error(), HeadError::head_too_long);
  }
}

TEST(HttpClient, SendsTheCallersOwnBytes) {
  Peer peer;
  const std::string head = "PUT /b/k HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n";
  Memory body(numbered(5000), 1000);
  peer.client.begin({.head = as_head(head), .body = body.list.data(), .body_pieces = body.count()});
  SendBatch batch;
  ASSERT_TRUE(peer.client.gather(batch));
  EXPECT_EQ(text_of(batch), head + body.bytes);
  ASSERT_EQ(batch.piece_count(), 6U);
  EXPECT_EQ(batch.pieces()[0].iov_base, head.data());
  EXPECT_EQ(batch.pieces()[1].iov_base, body.bytes.data());
  EXPECT_EQ(batch.bytes(), head.size() + 5000);
  SendBatch second;
  EXPECT_FALSE(peer.client.gather(second)) << "one batch at a time";
  EXPECT_FALSE(peer.client.sent());
  peer.client.batch_sent(peer.now);
  EXPECT_TRUE(peer.client.sent());
}

TEST(HttpClient, SendsMorePiecesThanABatchHas) {
  Peer peer;
  Memory body(numbered(10'000), 10);
  peer.client.begin({.head = as_head(kGet), .body = body.list.data(), .body_pieces = body.count()});
  EXPECT_EQ(peer.send(), std::string(kGet) + body.bytes);
}

TEST(HttpClient, SendsABodyThatFollows) {
  for (const bool chunked : {false, true}) {
    Peer peer;
    peer.client.begin({.head = as_head(kGet), .body_follows = true, .chunked = chunked});
    std::string sent = peer.send();
    Memory part(numbered(1600), 10);  // more pieces than a batch has
    EXPECT_TRUE(peer.client.wants_body());
    peer.client.add_body(part.list.data(), part.count(), false);
    EXPECT_FALSE(peer.client.wants_body());
    sent += peer.send();
    EXPECT_FALSE(peer.client.sent());
    peer.client.add_body(nullptr, 0, true);
    sent += peer.send();
    EXPECT_TRUE(peer.client.sent());
    EXPECT_EQ(sent, std::string(kGet) + (chunked ? "640\r\n" + part.bytes + "\r\n0\r\n\r\n" : part.bytes));
  }
  Peer peer;
  Memory last("abc");
  peer.client.begin(
      {.head = as_head(kGet), .body = last.list.data(), .body_pieces = last.count(), .chunked = true});
  EXPECT_EQ(peer.send(), std::string(kGet) + "3\r\nabc\r\n0\r\n\r\n");
  Peer none;
  none.client.begin({.head = as_head(kGet), .chunked = true});
  EXPECT_EQ(none.send(), std::string(kGet) + "0\r\n\r\n");
}

struct Expecting : Peer {
  Expecting() {
    client.begin({.head = as_head(kGet),
                  .body = body.list.data(),
                  .body_pieces = body.count(),
                  .continue_wait = seconds(1)});
  }
  Memory body{"body"};
};

TEST(HttpClient, SendsTheBodyWhenToldToContinue) {
  Expecting peer;
  EXPECT_EQ(peer.send(), kGet);
  peer.stream.bytes = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(peer.run(), Event::more);
  EXPECT_EQ(peer.send(), "body");
  peer.stream.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(read(peer, 1, false).reusable, true);
}

TEST(HttpClient, SendsTheBodyWhenNobodyContinues) {
  Expecting peer;
  EXPECT_EQ(peer.client.deadline(), Time::max());
  peer.now += seconds(10);
  EXPECT_EQ(peer.send(), kGet);
  EXPECT_EQ(peer.client.deadline(), peer.now + seconds(1));
  peer.client.tick(peer.now + seconds(1) - Duration(1));
  EXPECT_EQ(peer.send(), "");
  peer.client.tick(peer.now + seconds(1));
  EXPECT_EQ(peer.send(), "body");
  EXPECT_EQ(peer.client.deadline(), Time::max());
}

TEST(HttpClient, StopsSendingWhenAnsweredEarly) {
  for (const std::string status : {"417 Expectation Failed", "403 Forbidden", "307 Temporary Redirect"}) {
    Expecting peer;
    EXPECT_EQ(peer.send(), kGet);
    peer.stream.bytes = "HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nno";
    const Answer answer = read(peer, 10, false);
    EXPECT_EQ(answer.body, "no");
    EXPECT_FALSE(answer.reusable) << "the server may wait for the body";
    EXPECT_EQ(peer.send(), "");
    EXPECT_EQ(peer.client.deadline(), Time::max());
  }
}

TEST(HttpClient, TellsAnEarlyAnswerWhileABatchIsInFlight) {
  Peer peer;
  Memory body(std::string(9 << 20, 'x'));
  peer.client.begin({.head = as_head(kGet), .body = body.list.data(), .body_pieces = body.count()});
  SendBatch batch;
  ASSERT_TRUE(peer.client.gather(batch));
  peer.stream.bytes = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(read(peer, 1, false).last, Event::done);
  EXPECT_TRUE(peer.client.sending());
  EXPECT_FALSE(peer.client.reusable());
  peer.client.send_failed();
  EXPECT_FALSE(peer.client.sending());
}

TEST(HttpClient, WaitsForItsLastBatchBeforeItIsDone) {
  for (const std::string answer :
       {"Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
    Peer peer(false);
    peer.get();
    SendBatch batch;
    ASSERT_TRUE(peer.client.gather(batch));
    peer.stream.bytes = "HTTP/1.1 200 OK\r\n" + answer;
    EXPECT_EQ(peer.run(), Event::head);
    EXPECT_EQ(peer.run(), Event::more) << "the send's completion is only a little late";
    iovec pieces[8];
    bool peek = false;
    EXPECT_EQ(peer.client.want(pieces, 8, peek), 0U) << "a receive now would be one of the next exchange";
    peer.client.batch_sent(peer.now);
    EXPECT_EQ(peer.client.next(), Event::done);
    EXPECT_TRUE(peer.client.reusable());
  }
}

TEST(HttpClient, ReadsTheAnswerToASendThatFailed) {
  Peer peer;
  peer.get();
  SendBatch batch;
  ASSERT_TRUE(peer.client.gather(batch));
  peer.client.send_failed();
  peer.stream.bytes = "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno";
  EXPECT_EQ(read(peer, 5, false), (Answer{Event::done, 400, "no", ClientFailure::none, false}));
}

TEST(HttpClient, ReceivesNothingUntilThereIsMemory) {
  Peer peer(false);
  peer.get();
  peer.send();
  peer.stream.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
  ASSERT_EQ(peer.run(), Event::head);
  EXPECT_EQ(peer.client.next(), Event::body_full);
  EXPECT_EQ(peer.client.next(), Event::body_full);
  iovec pieces[8];
  bool peek = false;
  EXPECT_EQ(peer.client.want(pieces, 8, peek), 0U);
  Memory memory(10);
  peer.client.take_body(memory.list.data(), memory.count());
  EXPECT_EQ(peer.client.next(), Event::done);
  EXPECT_EQ(memory.bytes, "0123456789");
}

TEST(HttpClient, TellsTrailers) {
  Peer peer;
  peer.get();
  peer.send();
  peer.stream.bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-amz-checksum: q\r\n\r\n";
  EXPECT_EQ(read(peer, 5, false).last, Event::done);
  Fields fields;
  EXPECT_EQ(decode_trailers(peer.client.trailers(), fields), HeadError::none);
  EXPECT_EQ(fields.value("X-Amz-Checksum"), "q");
}

}  // namespace
}  // namespace netstor::http
