// SPDX-License-Identifier: Apache-2.0
#pragma once
// Certificates for the tests of TLS: made on the spot, in files of a folder that goes with its owner.

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace netstor::tls {

class Certificates {
 public:
  struct Wish {
    std::string name;                                  ///< of the files, and the subject
    std::string names = "DNS:localhost,IP:127.0.0.1";  ///< subjectAltName; empty: a CA
    std::string issuer{};                              ///< made before; empty: self-signed
    long valid_from = -3600;                           ///< seconds from now
    long valid_to = 3600;
  };

  Certificates() {
    std::string name = std::filesystem::temp_directory_path() / "netstor-tls-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
  }
  ~Certificates() { std::filesystem::remove_all(folder_); }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  const std::string& folder() const { return folder_; }
  std::string certificate(const std::string& name) const { return folder_ + "/" + name + ".pem"; }
  std::string key(const std::string& name) const { return folder_ + "/" + name + ".key"; }

  void make(const Wish& wish) const {
    const Key own(EVP_EC_gen("P-256"), &EVP_PKEY_free);
    const Certificate made(X509_new(), &X509_free);
    X509_set_version(made.get(), 2);
    static long serial = 1000;
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), wish.valid_from);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), wish.valid_to);
    X509_set_pubkey(made.get(), own.get());
    X509_NAME* const subject = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1, 0);
    const Certificate signer =
        wish.issuer.empty() ? Certificate(nullptr, &X509_free) : read_certificate(wish.issuer);
    X509* const issuer = signer ? signer.get() : made.get();
    X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, made.get(), nullptr, nullptr, 0);
    const auto extend = [&](int what, const char* value) {
      X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, what, value);
      if (extension == nullptr) std::abort();
      X509_add_ext(made.get(), extension, -1);
      X509_EXTENSION_free(extension);
    };
    extend(NID_basic_constraints, wish.names.empty() ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!wish.names.empty()) extend(NID_subject_alt_name, wish.names.c_str());
    const Key signing = wish.issuer.empty() ? Key(nullptr, &EVP_PKEY_free) : read_key(wish.issuer);
    if (X509_sign(made.get(), signing ? signing.get() : own.get(), EVP_sha256()) == 0) std::abort();
    write(certificate(wish.name), [&](FILE* file) { return PEM_write_X509(file, made.get()); });
    write(key(wish.name), [&](FILE* file) {
      return PEM_write_PrivateKey(file, own.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  /// The same key behind a passphrase.
  void encrypt_key(const std::string& name, const std::string& as) const {
    const Key plain = read_key(name);
    write(key(as), [&](FILE* file) {
      unsigned char passphrase[] = "secret";
      return PEM_write_PrivateKey(file, plain.get(), EVP_aes_128_cbc(), passphrase, 6, nullptr, nullptr);
    });
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
  using File = std::unique_ptr<FILE, decltype(&std::fclose)>;

  Certificate read_certificate(const std::string& name) const {
    const File file(std::fopen(certificate(name).c_str(), "r"), &std::fclose);
    return {PEM_read_X509(file.get(), nullptr, nullptr, nullptr), &X509_free};
  }
  Key read_key(const std::string& name) const {
    const File file(std::fopen(key(name).c_str(), "r"), &std::fclose);
    return {PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
  }
  template <class F>
  static void write(const std::string& path, F body) {
    const File file(std::fopen(path.c_str(), "w"), &std::fclose);
    if (!file || body(file.get()) != 1) std::abort();
  }
  std::string folder_;
};

}  // namespace netstor::tls
