// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tells the service manager what the server is at: datagrams to the socket of NOTIFY_SOCKET, as sd_notify(3)
// describes them. Without such a socket nothing happens.

#include <string>

namespace netstor::server {

class ServiceManager {
 public:
  /// `socket`: a path, or an abstract name behind '@'; empty: nobody is told.
  explicit ServiceManager(std::string socket) : socket_(std::move(socket)) {}

  void ready(const std::string& status) const { send("READY=1\nSTATUS=" + status); }
  /// Until ready() says that the new state is in force.
  void reloading() const;
  void stopping() const { send("STOPPING=1\nSTATUS=stopping"); }

 private:
  void send(const std::string& state) const;
  std::string socket_;
};

}  // namespace netstor::server
