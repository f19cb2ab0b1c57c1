// SPDX-License-Identifier: Apache-2.0
#pragma once
// The door for operators: the service of admin.proto over a Unix socket, and over TCP with TLS on both sides.
// Calls run on gRPC's own threads and go to the manager; shards hear of them by run_on() alone, so the way of
// an I/O never waits for one. Nor do these threads interrupt a shard that runs.
//
// Where this build lacks gRPC, start() answers unsupported and why.

#include <netstor/ext/driver.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/control/manager.h"

namespace netstor::control {

struct ServiceOptions {
  std::string socket;             ///< a path; empty: none
  std::optional<Address> listen;  ///< TCP; needs the three files
  std::string certificate_file;   ///< PEM, its chain behind it
  std::string key_file;           ///< PEM; its mode has to be 0600
  std::string client_ca_file;     ///< PEM: who may have signed operators' certificates
  std::string credentials;        ///< see store::read_secret_file
  std::string state;              ///< for people: the state directory
  std::string io_driver;
  unsigned shards = 1;
  /// Called by Shutdown; returns at once.
  std::function<void()> shutdown;
};

class Service {
 public:
  /// False: built without gRPC, and why.
  static bool available(std::string* why_not);
  /// Takes calls from now on. The manager outlives it. Errors: unsupported; already_exists (somebody answers
  /// on the socket, or the port is taken); invalid_argument (a certificate, a key, a path that is too long);
  /// system errors.
  static Result<std::unique_ptr<Service>> start(Manager& manager, ServiceOptions options);
  /// Takes no more calls, ends streams, waits for calls under way.
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Of TCP, with the port that was chosen where 0 was asked for.
  const std::optional<Address>& listening() const noexcept;

 private:
  struct Inside;
  explicit Service(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace netstor::control
