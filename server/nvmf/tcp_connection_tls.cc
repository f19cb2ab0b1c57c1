// SPDX-License-Identifier: Apache-2.0
//
// A connection over TLS: how it begins, and what the host's key says about who may connect by it.

#include "lib/wire/fabrics/tls_key.h"

#include "server/nvmf/target_shard.h"
#include "server/nvmf/tcp_connection.h"

namespace netstor::nvmf {

namespace {

// The first byte of a TLS record that holds a handshake (RFC 8446 section 5.1). The first PDU of NVMe/TCP, an
// ICReq, begins with 0.
constexpr std::byte kTlsHandshake{22};

}  // namespace

std::string_view to_string(TlsRefusal why) noexcept {
  constexpr std::string_view kNames[] = {"missing", "no_key", "key", "broken", "other_host"};
  return kNames[static_cast<std::size_t>(why)];
}

// The host's first byte says what it speaks; it is looked at and left in the stream.
void TcpConnection::look_at_first_byte() {
  recv_pieces_[0] = {.iov_base = batch_.header(), .iov_len = 1};
  recv_.pieces = recv_pieces_;
  recv_.piece_count = 1;
  recv_.peek = true;
  receiving_ = true;
  const Submit submitted = link_->submit(recv_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void TcpConnection::saw_first_byte() {
  recv_.peek = false;
  const bool secure = *static_cast<const std::byte*>(recv_pieces_[0].iov_base) == kTlsHandshake;
  if (!secure && tls_use_ == TlsUse::required) {
    tell_of_refusal(TlsRefusal::missing, "it came without TLS");
    return end();
  }
  if (secure) begin_tls();
  receive();
}

void TcpConnection::begin_tls() {
  auto session = std::make_unique<tls::Session>(shard().config().tls, shard().tls_keys());
  auto secure = std::make_unique<TlsLink>(shard().loop(), shard().context().metrics(), std::move(link_),
                                          std::move(session));
  tls_ = secure.get();
  link_ = std::move(secure);
  tls_->start(nullptr);
}

// A handshake that came to nothing, told apart from a connection that just ended.
void TcpConnection::tell_of_handshake() {
  if (tls_ == nullptr) {
    if (tls_use_ == TlsUse::required) tell_of_refusal(TlsRefusal::broken, "it said nothing");
    return;
  }
  const tls::Session& session = tls_->session();
  if (session.established()) return;
  const bool denied = session.failure().kind == ErrorKind::permission_denied;
  tell_of_refusal(denied && session.key_offered() ? TlsRefusal::key
                  : denied                        ? TlsRefusal::no_key
                                                  : TlsRefusal::broken,
                  tls_->failure().empty() ? "TLS: it went away" : tls_->failure());
}

// The name is what the host says of itself.
void TcpConnection::tell_of_refusal(TlsRefusal why, std::string_view text) {
  ++shard().counters().refused_tls[why];
  shard().warn(net::Warnings::Kind::refused_host, [&] {
    const auto names = tls_ != nullptr ? nvme::parse_tls_identity(tls_->session().identity()) : std::nullopt;
    return std::string(link_->peer()) + ": " + (names ? "host " + names->host_nqn : "a host") +
           " was not let in: " + std::string(text);
  });
}

// NVMe TCP Transport 1.1, section 3.6.1: the key that was used is of one host and one subsystem. It is looked
// up once more: between handshake and Connect it may have been taken away, replaced, or come to its end.
std::optional<TlsRefusal> TcpConnection::refusal_of_tls(const nvme::ConnectData& data) {
  if (tls_ == nullptr) {
    if (shard().may_connect_plain(data.subnqn.view(), data.hostnqn.view())) return std::nullopt;
    return TlsRefusal::missing;
  }
  const tls::Session& session = tls_->session();
  const auto names = nvme::parse_tls_identity(session.identity());
  const bool own =
      names && names->host_nqn == data.hostnqn.view() && names->subsystem_nqn == data.subnqn.view();
  if (!own) return TlsRefusal::other_host;
  tls::PreSharedKey now;
  const bool holds = shard().tls_keys().find(session.identity(), now) && session.proved_by(now.key);
  return holds ? std::nullopt : std::optional(TlsRefusal::key);
}

}  // namespace netstor::nvmf
