// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/tls/context.h"

#include "lib/base/assert.h"
#include "lib/proto/tls/failure.h"
#include "lib/proto/tls/session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string_view>

namespace netstor::tls {
namespace {

// The quick one first; hardware does AES everywhere that this library runs.
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kCiphersOfKeys = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr std::string_view kProtocols = "\x08http/1.1";
constexpr unsigned char kSessionContext[] = "netstor";

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* found = nullptr;
  const int outcome = SSL_select_next_proto(&found, size, bytes(kProtocols),
                                            static_cast<unsigned>(kProtocols.size()), offered, offered_size);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A library does not ask on the terminal, which is what OpenSSL does when it is left alone.
int no_passphrase(char*, int, int, void*) { return -1; }

Error wrong(const std::string& file, std::string_view role) {
  return {ErrorKind::invalid_argument, file + ": " + std::string(role) + ": " + take_reason(), Effect::none,
          Origin::tls};
}

Result<void> load(SSL_CTX* handle, const ContextOptions& options) {
  if (!options.ca_file.empty()) {
    if (SSL_CTX_load_verify_file(handle, options.ca_file.c_str()) != 1) {
      return wrong(options.ca_file, "no PEM file of CA certificates");
    }
  } else if (options.role == Role::client && SSL_CTX_set_default_verify_paths(handle) != 1) {
    return wrong("the system's trust store", "cannot be read");
  }
  const bool has_certificate = !options.certificate_file.empty();
  if (has_certificate == options.key_file.empty() || (options.role == Role::server && !has_certificate)) {
    return Error(ErrorKind::invalid_argument, "TLS: a certificate file and its key file belong together");
  }
  if (!has_certificate) return {};
  if (SSL_CTX_use_certificate_chain_file(handle, options.certificate_file.c_str()) != 1) {
    return wrong(options.certificate_file, "no PEM file of a certificate and its chain");
  }
  if (SSL_CTX_use_PrivateKey_file(handle, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return wrong(options.key_file, "no PEM file of the certificate's private key, or one with a passphrase");
  }
  return {};
}

}  // namespace

void Context::prepare_for_keys() {
  const bool fits = SSL_CTX_set_min_proto_version(handle_, TLS1_3_VERSION) == 1 &&
                    SSL_CTX_set_ciphersuites(handle_, kCiphersOfKeys) == 1 &&
                    SSL_CTX_set_num_tickets(handle_, 0) == 1;
  NETSTOR_ASSERT(fits);
  SSL_CTX_set_session_cache_mode(handle_, SSL_SESS_CACHE_OFF);
  if (role_ == Role::client) {
    // No CA is trusted: a server that shows a certificate instead is not believed.
    SSL_CTX_set_verify(handle_, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_psk_use_session_callback(handle_, &Session::use_key);
  } else {
    SSL_CTX_set_client_hello_cb(handle_, &Session::saw_hello, nullptr);
    SSL_CTX_set_psk_find_session_callback(handle_, &Session::find_key);
  }
}

Result<void> Context::prepare_for_certificates(const ContextOptions& options) {
  const bool client = role_ == Role::client;
  const bool fits = SSL_CTX_set_min_proto_version(handle_, TLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_ciphersuites(handle_, kCiphers13) == 1 &&
                    SSL_CTX_set_cipher_list(handle_, kCiphers12) == 1 &&
                    SSL_CTX_set_session_id_context(handle_, kSessionContext, sizeof kSessionContext - 1) == 1;
  if (!fits) return Error(ErrorKind::internal, "TLS: " + take_reason(), Effect::none, Origin::tls);
  SSL_CTX_set_default_passwd_cb(handle_, &no_passphrase);
  NETSTOR_CHECK_RETURN(load(handle_, options));
  const int if_asked =
      options.ca_file.empty() ? SSL_VERIFY_NONE : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(handle_, client ? SSL_VERIFY_PEER : if_asked, &Session::verified);
  if (client) {
    // It answers 0 for success, unlike all others.
    const int failed = SSL_CTX_set_alpn_protos(handle_, bytes(kProtocols), kProtocols.size());
    NETSTOR_ASSERT(failed == 0);
    SSL_CTX_set_session_cache_mode(handle_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(handle_, &Session::new_session);
  } else {
    SSL_CTX_set_options(handle_, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(handle_, SSL_SESS_CACHE_OFF);  // tickets only: nothing is kept
    SSL_CTX_set_alpn_select_cb(handle_, &choose_protocol, nullptr);
  }
  return {};
}

Result<std::shared_ptr<const Context>> Context::make(const ContextOptions& options) {
  ERR_clear_error();
  SSL_CTX* const handle =
      SSL_CTX_new(options.role == Role::client ? TLS_client_method() : TLS_server_method());
  if (handle == nullptr)
    return Error(ErrorKind::internal, "TLS: " + take_reason(), Effect::none, Origin::tls);
  std::shared_ptr<Context> made(new Context(handle, options));
  SSL_CTX_set_options(handle, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(handle, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (options.pre_shared_keys) {
    made->prepare_for_keys();
  } else {
    NETSTOR_CHECK_RETURN(made->prepare_for_certificates(options));
  }
  return std::shared_ptr<const Context>(std::move(made));
}

Context::~Context() { SSL_CTX_free(handle_); }

Resumption::~Resumption() { SSL_SESSION_free(last_); }

}  // namespace netstor::tls
