// SPDX-License-Identifier: Apache-2.0
#include "lib/object/tunnel.h"

namespace netstor::object {

Tunnel::Tunnel(const Endpoint& endpoint) {
  const bool six = endpoint.host.find(':') != std::string::npos;
  const std::string place =
      (six ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
  request_ = "CONNECT " + place + " HTTP/1.1\r\nhost: " + place + "\r\n";
  if (!endpoint.proxy->authorization.empty())
    request_ += "proxy-authorization: " + endpoint.proxy->authorization + "\r\n";
  request_ += "\r\n";
  request_piece_ = {request_.data(), request_.size()};
}

const iovec& Tunnel::room() noexcept {
  room_ = {answer_.data() + size_, answer_.size() - size_};
  return room_;
}

Tunnel::State Tunnel::refuse(ErrorKind kind, std::string text) {
  why_.emplace(kind, std::move(text));
  return State::refused;
}

Tunnel::State Tunnel::received(std::size_t bytes) {
  size_ += bytes;
  const std::string_view text(answer_.data(), size_);
  if (bytes == 0) return refuse(ErrorKind::disconnected, "ended the connection without an answer to CONNECT");
  const http::HeadLimits limits{.head_bytes_max = answer_.size()};
  switch (scanner_.scan(text, limits)) {
    case http::HeadScanner::State::more:
      if (size_ < answer_.size()) return State::more;
      break;
    case http::HeadScanner::State::refused:
      if (scanner_.error() == http::HeadError::head_too_long) break;
      return refuse(ErrorKind::protocol, "answered CONNECT with what is no HTTP");
    case http::HeadScanner::State::found:
      return judge(text.substr(0, scanner_.size()));
  }
  return refuse(ErrorKind::protocol, "answered CONNECT with a head that is too long");
}

Tunnel::State Tunnel::judge(std::string_view text) {
  const http::HeadLimits limits{.head_bytes_max = answer_.size()};
  http::ResponseHead head;
  if (decode_response(text, true, head, limits) != http::HeadError::none)
    return refuse(ErrorKind::protocol, "answered CONNECT with what is no HTTP");
  if (head.status / 100 != 2) {
    const bool rights = head.status == 401 || head.status == 403 || head.status == 407;
    return refuse(rights ? ErrorKind::permission_denied : ErrorKind::disconnected,
                  "refused the connection (HTTP " + std::to_string(head.status) + ")");
  }
  // The client is the first to speak behind it.
  if (text.size() != size_) return refuse(ErrorKind::protocol, "sent bytes that nobody asked for");
  return State::open;
}

}  // namespace netstor::object
