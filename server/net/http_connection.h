// SPDX-License-Identifier: Apache-2.0
#pragma once
// One HTTP connection of a server: the link's bytes to http::Server and back, and the coroutine that answers
// the request under way. What is said here is about bytes and time alone; who derives from it knows what is
// asked for.

#include <netstor/ext/driver.h>
#include <netstor/ext/link.h>
#include <netstor/metrics.h>
#include <netstor/task.h>

#include <coroutine>
#include <memory>
#include <span>
#include <vector>

#include "lib/proto/http/send_batch.h"
#include "lib/proto/http/server.h"

namespace netstor::net {

class HttpConnection {
 public:
  /// `context` is the shard's and outlives it.
  HttpConnection(PortContext& context, const http::ServerOptions& options, std::unique_ptr<Link> link);
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  virtual ~HttpConnection();

  std::string_view peer() const noexcept { return link_->peer(); }
  void start();
  void end();
  /// Answers the request under way and ends; at `deadline` at the latest.
  void drain(Time deadline);

  // ---- For the coroutine. Each call but gone() is for a request that is not gone.
  /// Its fields are views that are good until the request is gone.
  [[nodiscard]] const http::RequestHead& request() const { return server_.request(); }
  /// The client or the connection is: no answer can be given any more.
  [[nodiscard]] bool gone() const { return gone_; }
  /// All of the body is here.
  [[nodiscard]] bool body_done() const { return body_done_; }
  [[nodiscard]] bool will_close() const { return server_.will_close(); }
  /// Of a body nothing was asked for yet, and its client waits for that.
  [[nodiscard]] std::uint64_t body_bytes() const { return server_.body_bytes(); }
  /// What was received of bodies, and given to respond() as such, on this connection.
  [[nodiscard]] std::uint64_t bytes_in() const { return bytes_in_; }
  [[nodiscard]] std::uint64_t bytes_out() const { return bytes_out_; }
  std::span<char> head_memory(std::size_t bytes);

  class Wait {
   public:
    explicit Wait(HttpConnection& connection, bool ready) : connection_(connection), ready_(ready) {}
    bool await_ready() const noexcept { return ready_ || connection_.gone_; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { connection_.waiting_ = handle; }
    /// False: the request is gone. Then nothing is in flight to or from the memory given.
    bool await_resume() const noexcept { return !connection_.gone_; }

   private:
    HttpConnection& connection_;
    bool ready_;
  };
  /// Starts to receive; the list and its memory are lent until received() was awaited.
  void receive_body(const iovec* pieces, unsigned count);
  /// The memory is full, or the body is over: body_bytes() says how far it is.
  Wait received() { return Wait(*this, body_done_ || body_full_); }
  /// Starts an answer, or its next part; borrowed until sent() was awaited.
  void respond(const http::Reply& reply);
  void respond_more(const iovec* pieces, unsigned count, bool last);
  Wait sent() { return Wait(*this, sent_); }
  void abandon();

 protected:
  /// Answers the request under way, to its end.
  virtual Task<void> answer() = 0;
  /// Nothing of it is in use any more: whoever owns it frees it, though not inside this call.
  virtual void over() noexcept = 0;
  /// The connection ends, and the request under way with it. What else than this connection its coroutine
  /// may wait for has to end now, too: over() comes after that. Once, and never from inside the coroutine.
  virtual void ends() noexcept {}

 private:
  void pump();
  void kick() noexcept;
  void handle_events();
  void tell_gone() noexcept;
  void resume_waiting() noexcept;
  Task<void> serve();
  void receive();
  void send();
  void arm();
  void was_received();
  void was_sent();
  void was_closed();
  void on_timer();
  void finish_if_idle();

  void count_body();

  PortContext& context_;
  std::unique_ptr<Link> link_;
  http::Server server_;
  http::SendBatch batch_;
  SendOp send_;
  RecvOp recv_;
  Op closed_;
  struct Self : detail::Runnable {
    HttpConnection* connection = nullptr;
  };
  struct SelfTimer : detail::Timer {
    HttpConnection* connection = nullptr;
  };
  Self pump_task_;
  SelfTimer alarm_;
  std::coroutine_handle<> waiting_;
  std::vector<char> head_memory_;
  iovec recv_pieces_[32];
  Time drain_deadline_ = Time::max();
  std::uint64_t bytes_in_ = 0;
  std::uint64_t body_counted_ = 0;  // of the body under way, in bytes_in_ already
  std::uint64_t bytes_out_ = 0;
  std::uint64_t copied_bytes_ = 0;  // of the server's, in the shard's counter already
  bool pump_scheduled_ = false;
  bool pumping_ = false;
  bool receiving_ = false;
  bool sending_ = false;
  bool handling_ = false;
  bool ending_ = false;
  bool link_closed_ = false;
  bool over_ = false;  // the request is; gone_ follows when nothing is in flight
  bool gone_ = false;
  bool body_full_ = false;
  bool body_done_ = false;
  bool sent_ = false;
};

}  // namespace netstor::net
