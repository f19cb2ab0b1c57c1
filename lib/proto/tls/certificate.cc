// SPDX-License-Identifier: Apache-2.0
#include "lib/proto/tls/certificate.h"

#include "lib/proto/tls/failure.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <memory>

namespace netstor::tls {

std::string certificate_complaint(const std::string& file) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> input(std::fopen(file.c_str(), "re"), &std::fclose);
  if (input == nullptr) return {};
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_X509(input.get(), nullptr, nullptr, nullptr), &X509_free);
  ERR_clear_error();
  if (certificate == nullptr) return {};
  const ASN1_TIME* const begin = X509_get0_notBefore(certificate.get());
  const ASN1_TIME* const end = X509_get0_notAfter(certificate.get());
  if (X509_cmp_current_time(end) < 0)
    return file + ": the certificate expired at " + time_text(end) + "; clients will refuse it";
  if (X509_cmp_current_time(begin) > 0)
    return file + ": the certificate is not valid before " + time_text(begin) +
           "; look at this machine's clock";
  return {};
}

}  // namespace netstor::tls
