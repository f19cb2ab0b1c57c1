// SPDX-License-Identifier: Apache-2.0
#pragma once
// One request and its answer, on whichever connection is free. The owner keeps it until its future is ready:
//
//   Future<void> answered = pool.exchange(exchange);   // ready: look at outcome
//
// The head is written when a connection has been found, so that its signature is never older than that.

#include <netstor/future.h>

#include "lib/object/retry.h"
#include "lib/wire/http/head.h"
#include "lib/wire/http/head_writer.h"

#include <sys/uio.h>

#include <cstdint>
#include <string>

namespace netstor::object {

class Connection;
class ExchangeState;

/// Exchange::rdma_reply of a service that did nothing with the token.
inline constexpr unsigned kRdmaDeclined = 501;

class Exchange {
 public:
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  // ---- The request. Its bytes are borrowed until the future is ready.
  const iovec* body = nullptr;
  unsigned body_pieces = 0;
  bool body_follows = false;        ///< `body` is nothing, next_body() tells it while it is sent
  bool to_head = false;             ///< the method is HEAD
  bool expects_continue = false;    ///< the head says so, too
  std::uint64_t expected_body = 0;  ///< of the answer; a hint
  /// Longer answers are errors. A list of 1,000 keys is far below.
  std::size_t text_bytes_most = std::size_t{16} << 20;

  /// Of a body that follows. Its bytes are borrowed until the next one is asked for.
  struct BodyPart {
    const iovec* pieces = nullptr;
    unsigned count = 0;
    bool last = true;
  };

  // ---- Where the body of a successful answer goes; nothing here: to `text`.
  const iovec* into = nullptr;
  unsigned into_pieces = 0;
  std::uint64_t into_bytes = 0;

  // ---- Payload that may go by RDMA, in place of `body` or `into`: one piece, and who writes to it. Length
  // 0: it may not.
  iovec remote{};
  bool remote_writable = false;
  /// Nothing is sent: it is answered, with 200, when there is a session of RDMA. What becomes of it says
  /// nothing to other exchanges.
  bool session_only = false;

  // ---- How it ended.
  enum class Outcome : std::uint8_t {
    pending,
    answered,   ///< status, text, received; not `sent`: it is the answer to who asks for a session of RDMA
    failed,     ///< kind, why, origin, failure
    cancelled,  ///< by the future; or the bucket was closed
    declined,   ///< why, origin: nothing of it was sent, and `remote` has to be given up
  };
  Outcome outcome = Outcome::pending;
  bool sent = false;  ///< bytes of it may have been read
  unsigned status = 0;
  std::string text;            ///< body of an answer that had nowhere else to go
  std::uint64_t received = 0;  ///< bytes placed in `into`, or in `remote`
  unsigned rdma_reply = 0;     ///< what the answer says of the transfer; 0: nothing
  bool first_token = false;    ///< what the head showed was the first token of its session
  bool rdma_missing = false;   ///< failed: it was not sent for want of RDMA, which is required
  bool rdma_offered = false;   ///< the endpoint gave a session, now or before
  ErrorKind kind = ErrorKind::internal;
  Origin origin = Origin::library;
  std::int32_t native = 0;
  std::string why;
  Failure failure;

  /// For those who follow requests (trace.h).
  bool is_traced() const noexcept { return trace_ != 0; }
  void trace(const char* room, const char* what, std::string_view detail = {}) const noexcept {
    if (is_traced()) [[unlikely]]
      tell(room, what, detail);
  }

 protected:
  /// What the head shows in place of a payload; empty: that goes by HTTP.
  const std::string& token() const noexcept { return token_; }
  std::uint64_t trace_ = 0;  // its number; 0: nobody follows it

 private:
  friend class Connection;
  friend class Pool;
  friend class ExchangeState;
  virtual void write_head(http::HeadWriter& head) = 0;
  /// Of the request for a session, over which `remote` is reached.
  virtual void write_session_head(http::HeadWriter&) {}
  /// Who asks for a session, and is alone to use it.
  virtual std::string_view identity() const { return {}; }
  /// Asked for after each head until the last was given, or an answer ended it.
  virtual BodyPart next_body() { return {}; }
  /// The final head of the answer; views into it last for the call.
  virtual void take_head(const http::ResponseHead& head) = 0;
  virtual void tell(const char*, const char*, std::string_view) const noexcept {}

  void prepare() {
    outcome = Outcome::pending;
    sent = false;
    status = 0;
    text.clear();
    received = 0;
    rdma_reply = 0;
    first_token = false;
    rdma_missing = false;
    rdma_offered = false;
    token_.clear();
    origin = Origin::library;
    native = 0;
    why.clear();
    failure = {};
  }

  Connection* connection_ = nullptr;
  ExchangeState* state_ = nullptr;
  Exchange* before_ = nullptr;  // while it waits for a connection
  Exchange* after_ = nullptr;
  bool waiting_ = false;
  std::string token_;
};

}  // namespace netstor::object
