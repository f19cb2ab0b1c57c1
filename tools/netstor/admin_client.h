// SPDX-License-Identifier: Apache-2.0
#pragma once
// The way to a server's admin service: where it is, one call, one stream. The only place of the tool that
// knows gRPC; verbs know the messages alone.

#include <google/protobuf/message.h>
#include <netstor/result.h>

#include <functional>
#include <string>

namespace netstor::tool {

/// Where the server is, and how to reach it.
struct AdminPlace {
  std::string socket;  ///< a path; empty: the default state directory's
  std::string server;  ///< HOST:PORT, by TLS; then the three files
  std::string certificate;
  std::string key;
  std::string authority;
  double timeout_s = 30;
};

/// `method`: of netstor.admin.v1.Admin. Errors: what the server answered, in its words; disconnected,
/// timed_out.
Result<void> call_admin(const AdminPlace& place, const std::string& method,
                        const google::protobuf::Message& request, google::protobuf::Message& answer);

/// `each()` after each answer was read into `answer`; false ends the stream.
Result<void> stream_admin(const AdminPlace& place, const std::string& method,
                          const google::protobuf::Message& request, google::protobuf::Message& answer,
                          const std::function<bool()>& each);

}  // namespace netstor::tool
