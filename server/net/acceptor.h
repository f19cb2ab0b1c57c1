// SPDX-License-Identifier: Apache-2.0
#pragma once
// One listening address: takes connections on a server's home shard and deals them out to all shards in
// turn.

#include <netstor/ext/driver.h>

#include <functional>
#include <memory>
#include <string>

#include "server/net/warnings.h"

namespace netstor::net {

class Acceptor {
 public:
  /// Gets each ticket with its peer, and must adopt or refuse it.
  using Deal = std::function<void(const Ticket&, const std::string& peer)>;
  Acceptor(detail::Loop& loop, std::unique_ptr<Listener> listener, Deal deal, Warnings* warnings);
  ~Acceptor();

  void start();
  /// Not called when close() was; the last operation has come back once closed() is true.
  void close();
  bool closed() const noexcept { return !waiting_ && closing_; }
  const Address& address() const noexcept { return listener_->address(); }

 private:
  void accept();
  void accepted();

  struct Pause : detail::Timer {
    Acceptor* acceptor = nullptr;
  };
  detail::Loop& loop_;
  std::unique_ptr<Listener> listener_;
  Deal deal_;
  Warnings* const warnings_;
  AcceptOp op_;
  Pause pause_;
  bool waiting_ = false;
  bool closing_ = false;
};

}  // namespace netstor::net
