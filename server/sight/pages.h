// SPDX-License-Identifier: Apache-2.0
#pragma once
// A small HTTP server of pages, for those who watch a server: a thread of its own, so that neither a page nor
// whoever reads it slowly is on the way of an I/O. GET and HEAD; a client has seconds to ask and to read.
//
//   auto pages = Pages::start({.address = {"127.0.0.1", 9464}}, [](std::string_view path) -> Task<Page> …);
//   …
//   pages->stop(std::chrono::seconds(1));
//
// Thread rule: start(), stop() and the destructor on one foreign thread; the function that makes the pages is
// called on the pages' own shard, several at a time. Error rule: what listening answers.

#include <netstor/shard.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/net/acceptor.h"
#include "server/net/http_connection.h"

namespace netstor::sight {

struct Page {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class Pages {
 public:
  /// `path` is without a query, and good until the task is first suspended: copy it before.
  using Make = std::function<Task<Page>(std::string_view path)>;
  /// Connections at the same time; further ones are closed.
  static constexpr std::size_t kConnectionsMax = 64;

  static Result<std::unique_ptr<Pages>> start(const Address& address, Make make);
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  /// Stopped ones only.
  ~Pages();

  const Address& address() const noexcept { return address_; }
  /// Answers what is under way, for `grace` at most. False: a page is still being made; then the process has
  /// to end without this being destroyed.
  bool stop(Duration grace);

 private:
  class Connection;
  explicit Pages(Make make);
  Result<Address> open(const Address& address);
  Task<void> close(Duration grace);
  void adopt(const Ticket& ticket);
  void forget(Connection& connection);

  Make make_;
  Address address_;
  PortContext* context_ = nullptr;
  Port* port_ = nullptr;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  bool stopped_ = false;
  bool draining_ = false;
  std::unique_ptr<Runtime> runtime_;  ///< the last: its end is the end of everything above
};

}  // namespace netstor::sight
