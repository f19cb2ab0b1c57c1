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

// Where both are spoken, the host's first byte says which it is; it is looked at and left in the stream.
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
  if (*static_cast<const std::byte*>(recv_pieces_[0].iov_base) == kTlsHandshake) begin_tls();
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
  if (tls_ == nullptr || tls_->session().established()) return;
  const tls::Session& session = tls_->session();
  const bool denied = session.failure().kind == ErrorKind::permission_denied;
  ++shard().counters().refused_tls[denied && session.key_offered() ? TlsRefusal::key
                                   : denied                        ? TlsRefusal::no_key
                                                                   : TlsRefusal::broken];
  shard().warn(net::Warnings::Kind::refused_host, [&] {
    std::string text(link_->peer());
    text += ": a host was not let in: " + (tls_->failure().empty() ? "TLS: it went away" : tls_->failure());
    return text;
  });
}

// NVMe TCP Transport 1.1, section 3.6.1: the key that was used is of one host and one subsystem. It is looked
// up once more: between handshake and Connect it may have been taken away, replaced, or come to its end.
bool TcpConnection::fits_key(const nvme::ConnectData& data) {
  if (tls_ == nullptr) {
    const bool fits = shard().may_connect_plain(data.subnqn.view(), data.hostnqn.view());
    if (!fits) ++shard().counters().refused_tls[TlsRefusal::missing];
    return fits;
  }
  const tls::Session& session = tls_->session();
  const auto names = nvme::parse_tls_identity(session.identity());
  const bool own =
      names && names->host_nqn == data.hostnqn.view() && names->subsystem_nqn == data.subnqn.view();
  tls::PreSharedKey now;
  const bool holds = own && shard().tls_keys().find(session.identity(), now) && session.proved_by(now.key);
  if (!holds) ++shard().counters().refused_tls[own ? TlsRefusal::key : TlsRefusal::other_host];
  return holds;
}

}  // namespace netstor::nvmf
