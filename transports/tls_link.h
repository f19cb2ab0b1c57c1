// SPDX-License-Identifier: Apache-2.0
#pragma once
// A link that speaks TLS over another one: both are links (ext/link.h), so that who uses one need not know.
//
//   auto link = std::make_unique<TlsLink>(loop, std::move(tcp), std::move(session));
//   link->start(&established);       // completes when the handshake is over; ::failure() has the words
//
// What differs from TCP: RecvOp::peek is answered `unsupported`; every byte is copied
// (Metrics::copied_bytes); 0 bytes received mean that the peer said so (close_notify), and a stream that ends
// otherwise is an error. It is no driver of its own: it opens nothing and knows no descriptor.

#include <netstor/detail/loop.h>
#include <netstor/ext/link.h>
#include <netstor/metrics.h>

#include "lib/proto/tls/session.h"

#include <memory>
#include <string>
#include <string_view>

namespace netstor {

class TlsLink final : public Link {
 public:
  TlsLink(detail::Loop& loop, Metrics& metrics, std::unique_ptr<Link> link,
          std::unique_ptr<tls::Session> session);
  ~TlsLink() override;

  /// Begins the handshake; once, first. `established` (may be null) completes when it is over, as cancelled
  /// when the link is closed before. What is submitted meanwhile waits for it.
  void start(Op* established);

  Submit submit(SendOp& op) override;
  Submit submit(RecvOp& op) override;
  void close(Op* closed) override;
  std::optional<std::uint64_t> acknowledged_bytes() const noexcept override {
    return link_->acknowledged_bytes();
  }
  std::string_view peer() const noexcept override { return link_->peer(); }

  const tls::Session& session() const noexcept { return *session_; }
  /// Words for an operation that failed with Origin::tls.
  const std::string& failure() const noexcept { return session_->failure().text; }

 private:
  struct Work : detail::Runnable {
    TlsLink* link = nullptr;
  };
  struct Linger : detail::Timer {
    TlsLink* link = nullptr;
  };
  void later();
  void pump();
  void move();
  void work();
  bool shake_hands();
  void encrypt();
  void decrypt();
  void send_out();
  void receive_in();
  void was_sent();
  void was_received();
  void answer();
  void finish_closing();
  OpResult session_failure() const;

  detail::Loop& loop_;
  Metrics& metrics_;
  std::unique_ptr<Link> link_;
  std::unique_ptr<tls::Session> session_;
  Op* established_ = nullptr;
  SendOp* send_ = nullptr;
  RecvOp* recv_ = nullptr;
  Op* closed_ = nullptr;
  Work work_;
  Linger linger_;
  SendOp out_;
  RecvOp in_;
  Op link_closed_;
  iovec out_piece_{};
  iovec in_piece_{};
  unsigned send_piece_ = 0;
  std::size_t send_offset_ = 0;
  std::uint64_t send_bytes_ = 0;
  std::uint64_t recv_bytes_ = 0;
  OpResult send_broken_;  // !ok: the link below takes no more
  OpResult recv_broken_;
  bool worked_ = false;     // work_ is queued
  bool sending_ = false;    // out_ is in flight
  bool receiving_ = false;  // in_ is in flight
  bool wants_in_ = false;
  bool ended_ = false;   // the peer sends no more
  bool failed_ = false;  // the session
  bool closing_ = false;
  bool closing_below_ = false;
};

}  // namespace netstor
