// SPDX-License-Identifier: Apache-2.0
#pragma once
// The way through a proxy to an https endpoint: a CONNECT and its answer (RFC 9110, 9.3.6), as text. What
// follows on the connection is between the two ends.

#include "lib/object/endpoint.h"
#include "lib/wire/http/head.h"

#include <sys/uio.h>

#include <array>
#include <string>

namespace netstor::object {

class Tunnel {
 public:
  /// `endpoint` has a proxy.
  explicit Tunnel(const Endpoint& endpoint);

  /// To be sent; lives as long as this.
  const iovec& request() const noexcept { return request_piece_; }
  /// Where the next bytes of the answer go. Never empty while the answer is incomplete.
  const iovec& room() noexcept;
  enum class State : std::uint8_t { more, open, refused };
  /// So many bytes came; 0: the end of the stream.
  State received(std::size_t bytes);
  /// Of `refused`.
  const Error& why() const noexcept { return *why_; }

 private:
  State judge(std::string_view head);
  State refuse(ErrorKind kind, std::string text);

  std::string request_;
  iovec request_piece_{};
  iovec room_{};
  std::array<char, 8192> answer_;
  std::size_t size_ = 0;
  http::HeadScanner scanner_;
  std::optional<Error> why_;
};

}  // namespace netstor::object
