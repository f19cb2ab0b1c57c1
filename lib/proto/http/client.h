// SPDX-License-Identifier: Apache-2.0
#pragma once
// The client's end of one HTTP/1.1 connection: one exchange at a time, a request out and its response in (RFC
// 9112). A pure state machine: no descriptor, no future, time is told to it. Its owner moves the bytes:
//
//   client.begin(request);
//   if (client.gather(batch)) …send it…; client.batch_sent(now);            // one batch in flight
//   n = client.want(pieces, max, peek); …receive…; client.received(bytes);  // 0 bytes came: peer_closed()
//   for (;;) switch (client.next()) {                                       // after each of these calls
//     case more:      go on sending and receiving
//     case head:      look at response(); take_body(), collect_body() or discard_body()
//     case body_full: take_body() with more memory, now or later: told again, and nothing received, until
//     then case done:      the response is whole; begin() again if reusable(), else close the link case
//     failed:    failure(); close the link
//   }
//
// No payload is copied on its way out. On its way in it goes straight to the memory of take_body(), but for
// what was received together with the head: up to kSmallBody of a body from which no more was expected. Of a
// body that was expected to be larger nothing is: the head is looked at with a receive that leaves the bytes
// in the stream (RecvOp::peek), and is then received together with the body, each to its place. Over links
// that cannot peek, switch that off; copied_bytes() tells.
//
// An answer that comes before the request was sent whole stops the sending: done is then told although a
// batch may be in flight (sending()), whose memory is free once the link has been closed.

#include <netstor/detail/loop.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "lib/proto/http/body_reader.h"
#include "lib/proto/http/pieces.h"
#include "lib/proto/http/read_buffer.h"
#include "lib/proto/http/send_batch.h"
#include "lib/wire/http/head.h"

namespace netstor::http {

struct ClientOptions {
  HeadLimits limits{};
  ChunkedLimits chunked{};
  bool peek = true;                     ///< the link can leave bytes in the stream
  unsigned interim_max = 16;            ///< 1xx answers of one exchange
  std::size_t collect_max = 64 * 1024;  ///< what collect_body() keeps
};

/// What begin() is told. The bytes that it names are borrowed until done or failed, and until the batch in
/// flight has ended; the values are copied.
struct ClientRequest {
  std::span<const std::byte> head{};  ///< encoded, with its empty line; see HeadWriter
  const iovec* body = nullptr;        ///< the list is borrowed, too
  unsigned body_pieces = 0;
  bool body_follows = false;  ///< `body` is not all: add_body() brings more, its last call the end
  bool chunked = false;       ///< the head says Transfer-Encoding: chunked
  bool to_head = false;       ///< the method is HEAD: there is no body, whatever the answer's fields say
  /// The head says Expect: 100-continue: the body waits for the answer, but no longer than this.
  std::optional<Duration> continue_wait = std::nullopt;
  std::uint64_t expected_body = 0;  ///< how many bytes of response are likely; a hint
};

enum class ClientFailure : std::uint8_t {
  none,
  closed_unanswered,  ///< before the first byte of a response: the request may be tried on another connection
  closed_in_head,
  closed_in_body,  ///< the body is shorter than said
  bad_head,        ///< head_error() says what
  bad_chunk,
  unsolicited,    ///< bytes that nobody asked for, between exchanges
  interim_flood,  ///< too many 1xx
};
[[nodiscard]] std::string_view to_string(ClientFailure failure) noexcept;

class Client {
 public:
  enum class Event : std::uint8_t { more, head, body_full, done, failed };
  static constexpr std::size_t kSmallBody = 16 * 1024;

  explicit Client(const ClientOptions& options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Only when idle() and reusable().
  void begin(const ClientRequest& request);
  /// The next part of a body that follows; only when wants_body(). An empty last one ends it.
  void add_body(const iovec* pieces, unsigned count, bool last);
  /// All that was given of the body has been sent, and more follows.
  [[nodiscard]] bool wants_body() const { return follows_ && !stopped_ && !in_flight_ && body_.left() == 0; }

  // ---- Sending.
  /// Fills a cleared batch; false when there is nothing to send. It is in flight until batch_sent().
  bool gather(SendBatch& batch);
  void batch_sent(Time now);
  /// The batch in flight failed. What the server may have answered is still to be received.
  void send_failed();
  [[nodiscard]] bool sending() const { return in_flight_; }
  /// Nothing of the request is left to be sent.
  [[nodiscard]] bool sent() const { return !in_flight_ && fully_gathered(); }

  // ---- Receiving.
  /// Where the next bytes go, and whether they stay in the stream (RecvOp::peek); 0: receive nothing now.
  /// Also between exchanges, to learn that the server closes; such a receive may stay in flight over begin().
  [[nodiscard]] unsigned want(iovec* pieces, unsigned max, bool& peek);
  void received(std::size_t bytes);
  void peer_closed();
  [[nodiscard]] Event next();

  // ---- The response, from Event::head until the next begin(), or want() while idle.
  [[nodiscard]] const ResponseHead& response() const { return response_; }
  /// Its body's length when the head told it. Compare it before take_body(): nothing has been written yet.
  [[nodiscard]] std::optional<std::uint64_t> body_length() const;
  /// The next bytes of the body go here; list and bytes are borrowed until body_full, done or failed.
  void take_body(const iovec* pieces, unsigned count) { reader_.give(pieces, count); }
  /// The body goes to memory of the machine's own, as much as collect_max; the rest is read and dropped.
  void collect_body();
  void discard_body() { reader_.discard(); }
  [[nodiscard]] std::string_view collected() const { return {collected_.get(), collected_bytes_}; }
  [[nodiscard]] bool truncated() const { return truncated_; }
  /// So much of the body has been placed: what is new since the last look may be summed up.
  [[nodiscard]] std::uint64_t body_bytes() const { return reader_.bytes(); }
  /// Of a chunked body, at done; decode_trailers() reads it.
  [[nodiscard]] std::string_view trailers() const;

  [[nodiscard]] ClientFailure failure() const { return failure_; }
  [[nodiscard]] HeadError head_error() const { return head_error_; }
  /// Whether a byte of any response to this request has come.
  [[nodiscard]] bool answered() const { return answered_; }
  [[nodiscard]] bool idle() const { return phase_ == Phase::idle; }
  /// After done: another exchange may begin on this connection.
  [[nodiscard]] bool reusable() const { return idle() && keep_ && !in_flight_; }

  /// Time has passed: a wait for 100 Continue may be over; gather() again.
  void tick(Time now);
  /// Nothing happens by time before it.
  [[nodiscard]] Time deadline() const { return continue_deadline_; }

  /// While idle, and no receive that may not peek in flight: gives the buffers' memory back.
  void shrink();
  [[nodiscard]] std::uint64_t copied_bytes() const { return reader_.copied_bytes(); }

 private:
  enum class Phase : std::uint8_t { idle, head, body, failed };
  enum class Receive : std::uint8_t { plain, probe, peek };

  [[nodiscard]] bool fully_gathered() const {
    return head_.empty() && body_.left() == 0 && !follows_ && chunk_end_.empty();
  }
  void gather_chunk(SendBatch& batch);
  void body_may_go();
  [[nodiscard]] bool looks_ahead() const { return peek_ && expected_body_ >= kSmallBody; }
  Event read_head();
  Event read_body();
  Event finish();
  Event fail(ClientFailure failure, HeadError error = HeadError::none);

  Phase phase_ = Phase::idle;
  Receive receive_ = Receive::plain;
  bool peek_;
  bool keep_ = true;  // nothing has happened that ends the connection
  bool closed_ = false;
  bool answered_ = false;

  // The request.
  std::string_view head_;
  Pieces body_;
  std::string_view chunk_end_;
  bool chunked_ = false;
  bool chunk_open_ = false;
  bool follows_ = false;
  bool waits_ = false;    // for 100 Continue
  bool stopped_ = false;  // nothing more is sent
  bool in_flight_ = false;
  bool to_head_ = false;
  bool whole_ = false;  // the response is here; only the sending is not known to be over
  bool truncated_ = false;
  Duration continue_wait_{};
  Time continue_deadline_ = Time::max();
  std::uint64_t expected_body_ = 0;
  char chunk_size_[kChunkSizeMax];

  // The response.
  std::uint64_t direct_offered_ = 0;  // of the last want()
  std::size_t owed_offered_ = 0;
  std::size_t peeked_ = 0;  // the last bytes of the buffer were only looked at
  std::size_t owed_ = 0;    // bytes that were looked at, are known, and lie in the stream still
  unsigned interims_ = 0;
  ReadBuffer buffer_;
  HeadScanner scanner_;
  BodyReader reader_;
  ClientFailure failure_ = ClientFailure::none;
  HeadError head_error_ = HeadError::none;
  std::unique_ptr<char[]> collected_;
  std::size_t collected_bytes_ = 0;
  iovec collect_piece_{};
  bool collecting_ = false;
  char probe_ = 0;
  ClientOptions options_;
  ResponseHead response_;
};

}  // namespace netstor::http
