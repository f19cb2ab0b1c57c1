// SPDX-License-Identifier: Apache-2.0
#pragma once
// What all TLS sessions of one end have in common: who is trusted, who we are, which versions and ciphers.
// TLS 1.2 and 1.3, with ephemeral keys and authenticated encryption only; ALPN says http/1.1. Or, of
// NVMe/TCP, TLS 1.3 by pre-shared keys. Immutable, and so may be shared between threads. A Resumption belongs
// to one thread and to one server.

#include <netstor/result.h>

#include <cstdint>
#include <memory>
#include <string>

struct ssl_ctx_st;
struct ssl_session_st;

namespace netstor::tls {

enum class Role : std::uint8_t { client, server };

struct ContextOptions {
  Role role = Role::client;
  /// PEM. Client: who may have signed servers' certificates; empty: the system's store, which SSL_CERT_FILE
  /// and SSL_CERT_DIR move. Server: clients must have a certificate signed by these; empty: they need none.
  std::string ca_file{};
  /// PEM, own certificate first, then those between it and the CA. A server needs both files.
  std::string certificate_file{};
  /// PEM, without a passphrase.
  std::string key_file{};
  /// New keys are made after so many bytes (TLS 1.3), far below the limits of RFC 8446 section 5.5.
  std::uint64_t rekey_bytes = std::uint64_t{64} << 30;
  /// By pre_shared_key.h: TLS 1.3 alone, without any of the files, ALPN, or tickets.
  bool pre_shared_keys = false;
};

class Context {
 public:
  /// Blocks on the files. Errors: invalid_argument, naming the file and what is wrong with it.
  [[nodiscard]] static Result<std::shared_ptr<const Context>> make(const ContextOptions& options);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Role role() const noexcept { return role_; }
  bool pre_shared_keys() const noexcept { return pre_shared_keys_; }

 private:
  friend class Session;
  Context(ssl_ctx_st* handle, const ContextOptions& options) noexcept
      : handle_(handle),
        rekey_bytes_(options.rekey_bytes),
        role_(options.role),
        pre_shared_keys_(options.pre_shared_keys) {}
  void prepare_for_keys();
  Result<void> prepare_for_certificates(const ContextOptions& options);
  ssl_ctx_st* handle_;
  std::uint64_t rekey_bytes_;
  Role role_;
  bool pre_shared_keys_;
};

/// The last session with a server, so that the next connection to it needs fewer steps. Outlives the sessions
/// that were given it.
class Resumption {
 public:
  Resumption() noexcept = default;
  ~Resumption();
  Resumption(const Resumption&) = delete;
  Resumption& operator=(const Resumption&) = delete;

 private:
  friend class Session;
  ssl_session_st* last_ = nullptr;
};

}  // namespace netstor::tls
