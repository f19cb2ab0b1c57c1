// SPDX-License-Identifier: Apache-2.0
#pragma once
// One end of one TLS connection (RFC 8446, RFC 5246): a state machine over OpenSSL. Its owner moves the
// bytes:
//
//   step = session.handshake(); / read(into, n); / write(from, n);
//     done      n bytes were moved; the handshake is over
//     needs_in  receive into space(), then received(n) or peer_closed(); the same call again
//     needs_out send to_send(), then sent(n); the same call again
//     ended     the peer said that it sends no more (close_notify)
//     failed    failure() says why; nothing more can be done but to send to_send(): the alert
//   After each call, to_send() may have something, whatever the step was.
//
// No descriptor, no time; OpenSSL's own allocations alone. A stream that ends without close_notify was cut
// off: failed. Renegotiation is refused. A payload byte is copied twice each way, which OpenSSL's records
// need: space() to the record, where it is decrypted, to the caller; the caller to the record to to_send().

#include <netstor/result.h>

#include "lib/base/hash.h"
#include "lib/proto/tls/context.h"
#include "lib/proto/tls/pre_shared_key.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct bio_st;
struct bio_method_st;
struct evp_md_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace netstor::tls {

/// For Error: Origin::tls. permission_denied: a certificate or key, ours or the peer's; unsupported: no
/// version or cipher in common; protocol: what came is no TLS, or was altered; disconnected: cut off.
struct Failure {
  ErrorKind kind = ErrorKind::internal;
  std::int32_t native = 0;  ///< X509_V_ERR_… of a certificate that was not believed, else OpenSSL's reason
  std::string text{};
};

enum class Step : std::uint8_t { done, needs_in, needs_out, ended, failed };

class Session {
 public:
  /// Bytes received or sent at once.
  static constexpr std::size_t kBufferBytes = 8 * (16384 + 64);

  /// A client checks that the certificate is for `server_name` (a name or an IP address), and says it.
  Session(std::shared_ptr<const Context> context, const std::string& server_name,
          Resumption* resumption = nullptr);
  /// By a pre-shared key: a client with the one that it holds, a server that looks it up. The context is one
  /// of keys. `keys` outlives the handshake.
  Session(std::shared_ptr<const Context> context, PreSharedKey key);
  Session(std::shared_ptr<const Context> context, KeyFinder& keys);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] Step handshake();
  /// At least one byte, when done.
  [[nodiscard]] Step read(std::span<std::byte> into, std::size_t& bytes);
  [[nodiscard]] Step write(std::span<const std::byte> from, std::size_t& bytes);
  /// We send no more: close_notify, when there is an open session to end.
  void end();

  /// Empty while there are received bytes that no call has used.
  [[nodiscard]] std::span<std::byte> space() noexcept;
  void received(std::size_t bytes) noexcept;
  void peer_closed() noexcept { closed_ = true; }
  [[nodiscard]] std::span<const std::byte> to_send() const noexcept;
  void sent(std::size_t bytes) noexcept;

  [[nodiscard]] bool established() const noexcept { return established_; }
  [[nodiscard]] bool resumed() const noexcept;
  [[nodiscard]] std::string_view version() const noexcept;  ///< "TLSv1.3"
  [[nodiscard]] std::string_view cipher() const noexcept;
  [[nodiscard]] const Failure& failure() const noexcept { return failure_; }
  /// Of the key by which the client has proved itself, once established. Empty without pre-shared keys.
  [[nodiscard]] const std::string& identity() const noexcept { return key_.identity; }
  /// Whether it was this key: an identity may go on to name another one.
  [[nodiscard]] bool proved_by(std::span<const std::byte> key) const noexcept;
  /// Server: whether the client offered a key at all.
  [[nodiscard]] bool key_offered() const noexcept { return key_offered_; }

 private:
  friend class Context;
  struct Unnamed {};
  Session(std::shared_ptr<const Context> context, Unnamed);
  static bio_method_st* bio_method();
  static int bio_read(bio_st* bio, char* into, std::size_t size, std::size_t* bytes);
  static int bio_write(bio_st* bio, const char* from, std::size_t size, std::size_t* bytes);
  static long bio_control(bio_st* bio, int command, long number, void* pointer);
  static int verified(int good, x509_store_ctx_st* store);
  static int new_session(ssl_st* ssl, ssl_session_st* session);
  static int use_key(ssl_st* ssl, const evp_md_st* hash, const unsigned char** identity,
                     std::size_t* identity_size, ssl_session_st** session);
  static int find_key(ssl_st* ssl, const unsigned char* identity, std::size_t size, ssl_session_st** session);
  static int saw_hello(ssl_st* ssl, int* alert, void* context);
  void look_up(std::string_view extension);
  bool set_server_name();
  Step after(int result);
  Step fail(Failure why);

  std::shared_ptr<const Context> context_;
  Resumption* resumption_ = nullptr;
  std::string server_name_;
  KeyFinder* finder_ = nullptr;
  PreSharedKey key_;
  Sha256::Digest key_digest_{};  // of its bytes, which are wiped once established
  bool key_offered_ = false;
  ssl_st* ssl_ = nullptr;
  std::unique_ptr<std::byte[]> in_;
  std::unique_ptr<std::byte[]> out_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  std::size_t out_begin_ = 0;
  std::size_t out_end_ = 0;
  std::uint64_t since_rekey_ = 0;
  bool closed_ = false;  // the peer's end of the stream
  bool established_ = false;
  bool failed_ = false;
  Failure distrust_;  // what is wrong with the peer's certificate
  Failure failure_;
};

}  // namespace netstor::tls
