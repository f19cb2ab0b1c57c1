// SPDX-License-Identifier: Apache-2.0
#pragma once
// One listening address: takes connections on a server's home shard and deals them out to all shards in
// turn.

#include <netstor/ext/driver.h>

#include <functional>
#include <memory>

namespace netstor::net {

class Acceptor {
 public:
  /// `deal` gets each ticket, and must adopt or refuse it.
  Acceptor(detail::Loop& loop, std::unique_ptr<Listener> listener, std::function<void(const Ticket&)> deal);
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
  std::function<void(const Ticket&)> deal_;
  AcceptOp op_;
  Pause pause_;
  bool waiting_ = false;
  bool closing_ = false;
};

}  // namespace netstor::net
