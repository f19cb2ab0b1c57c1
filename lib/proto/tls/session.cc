// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/tls/session.h"

#include "lib/base/assert.h"
#include "lib/base/hash.h"
#include "lib/proto/tls/failure.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

namespace netstor::tls {
namespace {

constexpr std::size_t kRecordPayload = 16384;
constexpr std::size_t kRecordMost = kRecordPayload + 64;  // of the ciphers that are offered

Session& session_of(const ssl_st* ssl) { return *static_cast<Session*>(SSL_get_app_data(ssl)); }

}  // namespace

int Session::bio_read(BIO* bio, char* into, std::size_t size, std::size_t* bytes) {
  Session& self = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *bytes = std::min(size, self.in_end_ - self.in_begin_);
  if (*bytes == 0) {
    if (!self.closed_) BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, self.in_.get() + self.in_begin_, *bytes);
  self.in_begin_ += *bytes;
  return 1;
}

int Session::bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* bytes) {
  Session& self = *static_cast<Session*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *bytes = std::min(size, kBufferBytes - self.out_end_);
  if (*bytes == 0) {
    BIO_set_retry_write(bio);
    return 0;
  }
  std::memcpy(self.out_.get() + self.out_end_, from, *bytes);
  self.out_end_ += *bytes;
  return 1;
}

long Session::bio_control(BIO* bio, int command, long, void*) {
  const Session& self = *static_cast<Session*>(BIO_get_data(bio));
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return self.closed_ && self.in_begin_ == self.in_end_ ? 1 : 0;
  return 0;
}

BIO_METHOD* Session::bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "netstor");
    NETSTOR_ASSERT(made != nullptr);
    BIO_meth_set_read_ex(made, &Session::bio_read);
    BIO_meth_set_write_ex(made, &Session::bio_write);
    BIO_meth_set_ctrl(made, &Session::bio_control);
    return made;
  }();
  return method;
}

Session::Session(std::shared_ptr<const Context> context, Unnamed)
    : context_(std::move(context)),
      in_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)),
      out_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)) {
  ssl_ = SSL_new(context_->handle_);
  BIO* const bio = BIO_new(bio_method());
  NETSTOR_ASSERT(ssl_ != nullptr && bio != nullptr);  // out of memory
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_app_data(ssl_, this);
  if (context_->role() == Role::server) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
  }
}

Session::Session(std::shared_ptr<const Context> context, const std::string& server_name,
                 Resumption* resumption)
    : Session(std::move(context), Unnamed()) {
  resumption_ = resumption;
  server_name_ = server_name;
  if (context_->role() == Role::server) return;
  if (!set_server_name()) {
    static_cast<void>(fail({ErrorKind::invalid_argument, 0,
                            "TLS: '" + server_name_ + "' is no name that a certificate can have"}));
  }
  if (resumption_ != nullptr && resumption_->last_ != nullptr) SSL_set_session(ssl_, resumption_->last_);
  ERR_clear_error();
}

Session::~Session() { SSL_free(ssl_); }

// A name goes into the ClientHello (RFC 6066 section 3), an address does not.
bool Session::set_server_name() {
  if (server_name_.ends_with('.')) server_name_.pop_back();
  if (server_name_.empty()) return false;
  X509_VERIFY_PARAM* const parameters = SSL_get0_param(ssl_);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, server_name_.c_str()) == 1) return true;
  SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl_, server_name_.c_str()) == 1 &&
         SSL_set_tlsext_host_name(ssl_, server_name_.c_str()) == 1;
}

int Session::verified(int good, X509_STORE_CTX* store) {
  if (good == 1) return 1;
  const auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  Session& self = session_of(ssl);
  self.distrust_ = distrust(X509_STORE_CTX_get_error(store), X509_STORE_CTX_get0_cert(store),
                            X509_STORE_CTX_get_current_cert(store), self.context_->role(), self.server_name_);
  return 0;
}

int Session::new_session(SSL* ssl, SSL_SESSION* session) {
  Resumption* const resumption = session_of(ssl).resumption_;
  if (resumption == nullptr) return 0;
  SSL_SESSION_free(resumption->last_);
  resumption->last_ = session;
  return 1;  // it is ours now
}

Step Session::fail(Failure why) {
  failed_ = true;
  failure_ = std::move(why);
  return Step::failed;
}

Step Session::after(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE:
      return Step::done;
    case SSL_ERROR_WANT_READ:
      return Step::needs_in;
    case SSL_ERROR_WANT_WRITE:
      return Step::needs_out;
    case SSL_ERROR_ZERO_RETURN:
      return Step::ended;
    default:
      break;
  }
  const bool distrusted = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  Failure why = context_->pre_shared_keys() ? take_key_failure(context_->role(), key_offered_)
                                            : take_failure(context_->role());
  return fail(distrusted && !distrust_.text.empty() ? std::move(distrust_) : std::move(why));
}

Step Session::handshake() {
  if (failed_) return Step::failed;
  if (established_) return Step::done;
  ERR_clear_error();
  const Step step = after(SSL_do_handshake(ssl_));
  // A close_notify is no answer to a hello.
  if (step == Step::ended) return fail({ErrorKind::disconnected, 0, "TLS: ended in the handshake"});
  if (step != Step::done) return step;
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &size);
  if (size != 0 && std::string_view(reinterpret_cast<const char*>(protocol), size) != "http/1.1") {
    return fail({ErrorKind::protocol, 0, "TLS: the server chose a protocol that was not offered"});
  }
  // A peer that went by a certificate has not shown that it holds the key.
  if (context_->pre_shared_keys() && SSL_session_reused(ssl_) != 1) {
    return fail({ErrorKind::permission_denied, 0, "TLS: the peer did not use the key"});
  }
  established_ = true;
  if (context_->pre_shared_keys()) key_digest_ = sha256(key_.key);
  wipe(key_.key);
  return step;
}

Step Session::read(std::span<std::byte> into, std::size_t& bytes) {
  NETSTOR_ASSERT(!into.empty());
  bytes = 0;
  if (failed_) return Step::failed;
  if (!established_) {
    if (const Step step = handshake(); step != Step::done) return step;
  }
  ERR_clear_error();
  const Step step = after(SSL_read_ex(ssl_, into.data(), into.size(), &bytes));
  since_rekey_ += bytes;
  return step;
}

// Never more than fits, so that OpenSSL does not stop inside of a record.
Step Session::write(std::span<const std::byte> from, std::size_t& bytes) {
  NETSTOR_ASSERT(!from.empty());
  bytes = 0;
  if (failed_) return Step::failed;
  if (!established_) {
    if (const Step step = handshake(); step != Step::done) return step;
  }
  const std::size_t records = (kBufferBytes - out_end_) / kRecordMost;
  if (records == 0) return Step::needs_out;
  ERR_clear_error();
  if (since_rekey_ >= context_->rekey_bytes_ && SSL_version(ssl_) == TLS1_3_VERSION) {
    since_rekey_ = 0;
    SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED);
  }
  const Step step =
      after(SSL_write_ex(ssl_, from.data(), std::min(from.size(), records * kRecordPayload), &bytes));
  since_rekey_ += bytes;
  return step;
}

void Session::end() {
  if (failed_ || !established_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

std::span<std::byte> Session::space() noexcept {
  if (in_begin_ != in_end_) return {};
  in_begin_ = in_end_ = 0;
  return {in_.get(), kBufferBytes};
}

void Session::received(std::size_t bytes) noexcept {
  NETSTOR_ASSERT(in_begin_ == 0 && in_end_ == 0 && bytes <= kBufferBytes);
  in_end_ = bytes;
}

std::span<const std::byte> Session::to_send() const noexcept {
  return {out_.get() + out_begin_, out_end_ - out_begin_};
}

void Session::sent(std::size_t bytes) noexcept {
  NETSTOR_ASSERT(bytes <= out_end_ - out_begin_);
  out_begin_ += bytes;
  if (out_begin_ == out_end_) out_begin_ = out_end_ = 0;
}

bool Session::resumed() const noexcept { return SSL_session_reused(ssl_) == 1; }
std::string_view Session::version() const noexcept { return SSL_get_version(ssl_); }
std::string_view Session::cipher() const noexcept { return SSL_get_cipher_name(ssl_); }

}  // namespace netstor::tls
