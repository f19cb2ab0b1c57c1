// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/tls/failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <ctime>
#include <memory>
#include <system_error>

namespace netstor::tls {
namespace {

constexpr std::size_t kNamesBytesMost = 200;

/// What a stranger chose to write, fit for a line of text.
std::string printable(std::string text) {
  if (text.size() > kNamesBytesMost) text.resize(kNamesBytesMost);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

std::string one_line(const X509_NAME* name) {
  char text[256];
  return name != nullptr ? printable(X509_NAME_oneline(name, text, sizeof text)) : "nobody";
}

/// "a.example, *.b.example, 10.0.0.1"
std::string names_of(const X509* certificate) {
  std::string names;
  const auto add = [&](const std::string& name) { names += (names.empty() ? "" : ", ") + name; };
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> list(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  const int count = list ? sk_GENERAL_NAME_num(list.get()) : 0;
  for (int i = 0; i < count && names.size() < kNamesBytesMost; ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(list.get(), i);
    if (name->type == GEN_DNS) {
      add({reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
           static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))});
    } else if (name->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN] = "?";
      const int size = ASN1_STRING_length(name->d.iPAddress);
      if (size == 4 || size == 16) {
        ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text,
                    sizeof text);
      }
      add(text);
    }
  }
  return names.empty() ? "no name" : printable(std::move(names));
}

struct Meaning {
  ErrorKind kind;
  std::string_view words;  // empty: OpenSSL's own
};

Meaning meaning_of_alert(int alert) {
  switch (alert) {
    case SSL_AD_PROTOCOL_VERSION:
      return {ErrorKind::unsupported, "it speaks no TLS 1.2 or 1.3"};
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_INSUFFICIENT_SECURITY:
      return {
          ErrorKind::unsupported,
          "no cipher and key exchange in common, or it wants a client certificate: client_certificate_file "
          "and client_key_file"};
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return {ErrorKind::unsupported, "it does not speak HTTP/1.1"};
    case SSL_AD_CERTIFICATE_REQUIRED:
      return {ErrorKind::permission_denied,
              "it wants a client certificate: client_certificate_file and client_key_file"};
    case SSL_AD_UNKNOWN_CA:
      return {ErrorKind::permission_denied, "it does not know the CA of our certificate"};
    case SSL_AD_CERTIFICATE_EXPIRED:
      return {ErrorKind::permission_denied, "our certificate has expired"};
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_ACCESS_DENIED:
      return {ErrorKind::permission_denied, "it does not accept our certificate"};
    case SSL_AD_UNRECOGNIZED_NAME:
      return {ErrorKind::permission_denied, "it does not know the server's name that was asked for"};
    default:
      return {ErrorKind::protocol, ""};
  }
}

Meaning meaning_of(int reason, Role role) {
  switch (reason) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return {ErrorKind::disconnected, "cut off: the stream ended without the end of the session"};
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
      return {ErrorKind::protocol, role == Role::client
                                       ? "what came is no TLS; is plain HTTP spoken there (http://)?"
                                       : "what came is no TLS; was plain HTTP meant (https://)?"};
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
      return {ErrorKind::unsupported, "the peer speaks no TLS 1.2 or 1.3"};
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_CIPHERS_AVAILABLE:
      return {ErrorKind::unsupported, "no cipher and key exchange in common"};
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return {ErrorKind::unsupported, "the peer does not speak HTTP/1.1"};
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return {ErrorKind::permission_denied, "the client has no certificate"};
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
      return {ErrorKind::protocol, "a record was altered on its way"};
    default:
      return {ErrorKind::protocol, ""};
  }
}

}  // namespace

std::string time_text(const ASN1_TIME* time) {
  tm parts{};
  char text[32] = "an unreadable date";
  if (time != nullptr && ASN1_TIME_to_tm(time, &parts) == 1) {
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  }
  return text;
}

std::string take_reason() {
  const unsigned long error = ERR_peek_error();
  const char* const reason = ERR_reason_error_string(error);
  std::string text = reason != nullptr         ? reason
                     : ERR_SYSTEM_ERROR(error) ? std::generic_category().message(ERR_GET_REASON(error))
                                               : "unknown reason";
  ERR_clear_error();
  return text;
}

Failure take_failure(Role role) {
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_REASON(error);
  std::string usual = take_reason();
  const bool of_tls = ERR_GET_LIB(error) == ERR_LIB_SSL;
  if (of_tls && reason > SSL_AD_REASON_OFFSET) {
    const Meaning meaning = meaning_of_alert(reason - SSL_AD_REASON_OFFSET);
    std::string text = "TLS: the peer ended the session (" + usual + ")";
    if (!meaning.words.empty()) text.append(": ").append(meaning.words);
    return {meaning.kind, reason, std::move(text)};
  }
  const Meaning meaning = of_tls ? meaning_of(reason, role) : Meaning{ErrorKind::protocol, ""};
  return {meaning.kind, reason, "TLS: " + (meaning.words.empty() ? usual : std::string(meaning.words))};
}

Failure take_key_failure(Role role, bool offered) {
  const unsigned long error = ERR_peek_error();
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  const auto denied = [reason](std::string text) {
    ERR_clear_error();
    return Failure{ErrorKind::permission_denied, reason, "TLS: " + std::move(text)};
  };
  switch (reason) {
    // What peers answer to an identity or a key that they do not know, each in its own way.
    case SSL_AD_REASON_OFFSET + SSL_AD_DECRYPT_ERROR:
    case SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_PSK_IDENTITY:
    case SSL_AD_REASON_OFFSET + SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_REASON_OFFSET + SSL_AD_ILLEGAL_PARAMETER:
    case SSL_AD_REASON_OFFSET + SSL_AD_INSUFFICIENT_SECURITY:
    case SSL_AD_REASON_OFFSET + SSL_AD_ACCESS_DENIED:
      return denied("the peer refused us: it does not know this key for this host and subsystem (" +
                    take_reason() + ")");
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return denied("the peer does not know this key, and showed a certificate");
    case SSL_R_BINDER_DOES_NOT_VERIFY:
      return denied("the peer does not hold the key that it named, or nobody does");
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
      ERR_clear_error();
      return {ErrorKind::protocol, reason, "TLS: what came is no TLS; the peer may speak NVMe/TCP without"};
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_CIPHER:
      if (!offered) return denied("the peer named no key");
      break;
    default:
      break;
  }
  return take_failure(role);
}

Failure distrust(int verify_error, const X509* certificate, const X509* at, Role role,
                 const std::string& server_name) {
  std::string whose = role == Role::client ? "the server's certificate " : "the client's certificate ";
  if (at == nullptr) at = certificate;
  std::string what;
  switch (verify_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      if (at != certificate) whose += "or its CA '" + one_line(X509_get_subject_name(at)) + "' ";
      what =
          "expired at " + time_text(X509_get0_notAfter(at)) + "; renew it, or look at this machine's clock";
      break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      if (at != certificate) whose += "or its CA '" + one_line(X509_get_subject_name(at)) + "' ";
      what = "is not valid before " + time_text(X509_get0_notBefore(at)) + "; look at this machine's clock";
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      what = "is for " + names_of(certificate) + ", not for " + server_name +
             "; use a name that it has, or one with that name";
      break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      what = "is self-signed and not trusted; name it as ca_file to trust it";
      break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      what = "was issued by '" + one_line(X509_get_issuer_name(certificate)) +
             "', an unknown CA; name the CA's file as ca_file, or add it to the system's store";
      break;
    default:
      what = std::string("is not trusted: ") + X509_verify_cert_error_string(verify_error);
  }
  return {ErrorKind::permission_denied, verify_error, "TLS: " + whose + what};
}

}  // namespace netstor::tls
