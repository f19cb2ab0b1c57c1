// SPDX-License-Identifier: Apache-2.0
#pragma once
// The server's end of one HTTP/1.1 connection (RFC 9112): requests come in, one after another, each is
// answered before the next is looked at. A pure state machine: no descriptor, time is told to it.
//
//   n = server.want(pieces, max); …receive…; server.received(bytes, now);    // 0 bytes came: peer_closed()
//   server.gather(batch, now); …send it…; server.batch_sent(now);            // one batch in flight
//   server.tick(now);                                                        // at deadline()
//   for (;;) switch (server.next()) {                                        // after each of these calls
//     case more:      receive if want() has pieces, send if gather() has
//     case request:   look at request(); take_body() now or later, or respond() at once
//     case body_full: take_body() with more memory, now or later: nothing is received until then
//     case body_done: all of the body is here (told of requests without one, too)
//     case sent:      the pieces given to respond() or add_reply() are free; replied(): that was all
//     case dropped:   the request is over without an answer of the owner's: forget it
//     case ended:     close the link
//   }
//
// Each request is told once, then at most one body_done, and ends with sent and replied(), with dropped, or
// with ended. The owner may respond before the body is done; the rest of it is read over when it is short,
// and is the end of the connection when it is not: ask will_close() before the reply's head is written, and
// say "Connection: close" then.
//
// A client that expects 100 Continue gets it with the first take_body(). A request that is malformed, too
// large or too slow is answered here: 400, 408, 411, 413, 414, 431, 501, 505, with Connection: close. After a
// last answer the stream is read for a short while yet, so that the answer is not lost to a reset.

#include <netstor/detail/loop.h>

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "lib/proto/http/body_reader.h"
#include "lib/proto/http/pieces.h"
#include "lib/proto/http/read_buffer.h"
#include "lib/proto/http/send_batch.h"
#include "lib/wire/http/head.h"

namespace netstor::http {

struct ServerOptions {
  HeadLimits limits{};
  ChunkedLimits chunked{};
  Duration idle_timeout = std::chrono::seconds(60);  ///< between requests; ends without a word
  Duration head_timeout = std::chrono::seconds(15);  ///< from a head's first byte to its last
  /// While a body is asked for, each of these spans has to bring body_progress_bytes, or the body's end.
  Duration body_timeout = std::chrono::seconds(20);
  std::uint64_t body_progress_bytes = 4 * 1024;
  Duration send_timeout = std::chrono::seconds(60);  ///< of one batch
  Duration linger_timeout = std::chrono::seconds(2);
  std::uint64_t body_bytes_max = std::uint64_t{6} << 40;
  std::uint64_t read_over_max = 128 * 1024;  ///< of a body that nobody wants
  bool put_needs_length = true;              ///< a PUT without Content-Length and coding is answered 411
  /// The XML of the machine's own answers, by their status; nothing: they have no body.
  std::function<std::string(unsigned status)> refusal = nullptr;
};

/// What respond() is told. Everything is borrowed until `sent`.
struct Reply {
  std::span<const std::byte> head{};  ///< encoded, with its empty line; see HeadWriter
  const iovec* body = nullptr;
  unsigned body_pieces = 0;
  bool body_follows = false;  ///< add_reply() brings more, its last call the end
  bool chunked = false;       ///< the head says Transfer-Encoding: chunked
};

class Server {
 public:
  enum class Event : std::uint8_t { more, request, body_full, body_done, sent, dropped, ended };

  Server(const ServerOptions& options, Time now);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // ---- Receiving.
  /// Where the next bytes go; 0: nothing is received now. At least 2 pieces.
  [[nodiscard]] unsigned want(iovec* pieces, unsigned max);
  void received(std::size_t bytes, Time now);
  void peer_closed();
  [[nodiscard]] Event next();

  // ---- The request, from its event until its end.
  [[nodiscard]] const RequestHead& request() const { return request_; }
  /// The next bytes of the body go here; list and bytes are borrowed until body_full, body_done, dropped or
  /// ended; when a receive is in flight then, or when respond() came before the body's end, until that
  /// receive or the link has ended.
  void take_body(const iovec* pieces, unsigned count, Time now);
  /// So much of the body has been placed.
  [[nodiscard]] std::uint64_t body_bytes() const { return reader_.bytes(); }
  [[nodiscard]] std::string_view trailers() const { return reader_.trailers(); }

  // ---- The reply, once a request.
  /// Whether the connection ends after a reply that is given now.
  [[nodiscard]] bool will_close() const;
  void respond(const Reply& reply, Time now);
  /// The next part of a body that follows, after `sent`. An empty last one ends it.
  void add_reply(const iovec* pieces, unsigned count, bool last);
  /// With Event::sent: all of the reply has left.
  [[nodiscard]] bool replied() const { return reply_ == ReplyState::done; }
  /// The owner cannot go on: the connection ends, without an answer.
  void abandon() { phase_ = Phase::ended; }
  /// The owner shuts down: the connection ends after the request under way, or at once when there is none.
  void close_soon();

  // ---- Sending.
  /// Fills a cleared batch; false when there is nothing to send. It is in flight until batch_sent().
  bool gather(SendBatch& batch, Time now);
  void batch_sent(Time now);
  void send_failed() { abandon(); }
  [[nodiscard]] bool sending() const { return in_flight_; }

  void tick(Time now);
  /// Nothing happens by time before it.
  [[nodiscard]] Time deadline() const;

  [[nodiscard]] bool idle() const { return phase_ == Phase::idle; }
  /// The status of the machine's own last answer; 0 for none.
  [[nodiscard]] unsigned refused_status() const { return refused_status_; }
  [[nodiscard]] HeadError head_error() const { return head_error_; }
  [[nodiscard]] std::uint64_t copied_bytes() const { return reader_.copied_bytes(); }
  /// While idle: gives the buffer's memory back; not while a receive is in flight.
  void shrink();

 private:
  enum class Phase : std::uint8_t {
    idle,      // no byte of a request is here
    head,      // some are
    handling,  // the owner has a request
    refusing,  // our own last answer waits to be sent, or is being sent
    lingering,
    ended,
  };
  enum class ReplyState : std::uint8_t { none, sending, done };

  Event read_head();
  Event admit();
  Event handle();
  Event read_body();
  Event refuse(unsigned status);
  void next_request();
  void linger();
  void gather_chunk(SendBatch& batch);
  [[nodiscard]] bool body_wanted() const;
  [[nodiscard]] bool rest_is_short() const;
  [[nodiscard]] bool reply_gathered() const {
    return reply_head_.empty() && reply_body_.left() == 0 && chunk_end_.empty();
  }

  Phase phase_ = Phase::idle;
  ReplyState reply_ = ReplyState::none;
  bool keep_ = true;
  bool closed_ = false;
  bool in_flight_ = false;
  bool interim_ = false;       // 100 Continue is to be sent
  bool interim_owed_ = false;  // the client waits for it
  bool body_over_ = false;     // body_done was told, or will not be
  bool has_memory_ = false;    // take_body() was called, and that is not full
  bool full_told_ = false;
  bool skipped_ = false;  // an empty line in front of this request
  bool sent_ = false;     // to be told
  bool follows_ = false;
  bool chunked_ = false;
  bool chunk_open_ = false;
  bool dropped_ = false;  // to be told
  std::uint64_t direct_offered_ = 0;
  ReadBuffer buffer_;
  HeadScanner scanner_;
  BodyReader reader_;

  std::string_view reply_head_;
  Pieces reply_body_;
  std::string_view chunk_end_;
  char chunk_size_[kChunkSizeMax];

  Time now_{};     // as last told
  Time since_{};   // of the phase idle, head or lingering
  Time window_{};  // in which the body has to make progress
  Time batch_since_{};
  std::uint64_t window_bytes_ = 0;  // of the body, when it began
  unsigned refused_status_ = 0;
  HeadError head_error_ = HeadError::none;
  std::array<char, 128> refusal_;
  std::string refusal_body_;
  iovec refusal_piece_{};
  ServerOptions options_;
  RequestHead request_;
};

}  // namespace netstor::http
