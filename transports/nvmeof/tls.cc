// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/tls.h"

#include <optional>

#include "lib/base/assert.h"
#include "lib/engine/completion.h"
#include "lib/proto/nvme/tls_psk.h"
#include "lib/wire/fabrics/nqn.h"
#include "transports/nvmeof/port.h"
#include "transports/tls_link.h"

namespace netstor::nvmeof {

namespace {

/// Closes the link when a handshake takes too long, or nobody wants it any more.
struct Patience : detail::Timer {
  void end(ErrorKind why) noexcept {
    if (spent) return;
    spent = why;
    link->close(closed);
  }
  TlsLink* link = nullptr;
  Op* closed = nullptr;
  std::optional<ErrorKind> spent;
};

}  // namespace

Result<tls::PreSharedKey> tls_key_of(const Target& target, unsigned form) {
  NETSTOR_ASSERT(form < kTlsForms);
  auto configured = nvme::parse_tls_key(target.options.tls_key);
  if (!configured) return std::move(configured).error().with_context("VolumeOptions::tls_key");
  auto psk = nvme::derive_tls_psk(
      *configured,
      {.version = form == 0 ? 1U : 0U,
       .hash = configured->usual_hash(),
       .host_nqn = target.host.nqn,
       .subsystem_nqn = target.subnqn.empty() ? std::string(nvme::kDiscoveryNqn) : target.subnqn},
      form == 2 ? nvme::TlsDerivation::old_libnvme : nvme::TlsDerivation::standard);
  if (!psk) return Error(ErrorKind::unsupported, "TLS: the names are too long for the older identity");
  tls::PreSharedKey key;
  key.identity = std::move(psk->identity);
  key.hash = psk->hash == nvme::AuthHash::sha384 ? tls::Hash::sha384 : tls::Hash::sha256;
  key.key = std::move(psk->key);
  return key;
}

Task<std::unique_ptr<Link>> shake_hands(NvmeofPort& port, const Target& target, std::unique_ptr<Link> link,
                                        std::shared_ptr<const tls::Context> context, tls::PreSharedKey key) {
  auto session = std::make_unique<tls::Session>(std::move(context), std::move(key));
  auto secure =
      std::make_unique<TlsLink>(port.loop(), port.context().metrics(), std::move(link), std::move(session));
  Op established, closed;
  Patience patience;
  CancellableCompletion shaken(established, [&] { patience.end(ErrorKind::cancelled); });
  Completion gone(closed);
  patience.link = secure.get();
  patience.closed = &closed;
  patience.fire = [](detail::Timer& timer) noexcept {
    static_cast<Patience&>(timer).end(ErrorKind::timed_out);
  };
  port.loop().arm(patience, port.loop().now() + target.options.connect_timeout);
  secure->start(&established);
  co_await shaken;
  if (patience.armed()) port.loop().disarm(patience);
  if (established.result.ok && !patience.spent) co_return std::unique_ptr<Link>(std::move(secure));
  if (!patience.spent) secure->close(&closed);
  co_await gone;
  const std::string peer(secure->peer());
  if (patience.spent == ErrorKind::timed_out)
    co_return Error(ErrorKind::timed_out, "TLS with " + peer + " took too long");
  if (patience.spent) co_return Error(*patience.spent, "TLS with " + peer + " is not wanted any more");
  if (established.result.origin != Origin::tls) co_return established.result.error("TLS with " + peer);
  const tls::Failure& why = secure->session().failure();
  co_return Error(why.kind, why.text + ", with " + peer, Effect::none, Origin::tls, why.native);
}

}  // namespace netstor::nvmeof
