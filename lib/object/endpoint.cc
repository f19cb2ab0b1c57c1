// SPDX-License-Identifier: Apache-2.0
#include "lib/object/endpoint.h"

#include <netstor/uri.h>

#include <algorithm>

namespace netstor::object {
namespace {

constexpr std::string_view kAmazon = ".amazonaws.com";

Error invalid(std::string text) { return {ErrorKind::invalid_argument, std::move(text)}; }

bool is_address(std::string_view host) {
  return host.find(':') != std::string_view::npos || host.find_first_not_of("0123456789.") == host.npos;
}

}  // namespace

Result<void> check_bucket_name(std::string_view name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = name.size() >= 3 && name.size() <= 63 && fits(name.front()) && fits(name.back()) &&
                    std::all_of(name.begin(), name.end(),
                                [&](char c) { return fits(c) || c == '-' || c == '.' || c == '_'; }) &&
                    name.find("..") == name.npos;
  if (good) return {};
  return invalid("bucket '" + std::string(name) +
                 "': 3 to 63 small letters, digits, dots and hyphens are expected");
}

Result<void> check_key(std::string_view key) {
  if (!key.empty() && key.size() <= 1024) return {};
  return invalid(key.empty() ? "a key must not be empty"
                             : "a key has at most 1,024 bytes, this one has " + std::to_string(key.size()));
}

Result<Endpoint> make_endpoint(std::string_view url, std::string_view region, Addressing addressing,
                               std::string_view bucket) {
  Endpoint endpoint;
  if (!bucket.empty()) NETSTOR_CHECK_RETURN(check_bucket_name(bucket));
  if (url.empty()) {
    endpoint.tls = true;
    endpoint.host = "s3." + std::string(region) + std::string(kAmazon);
  } else {
    Result<Uri> parsed = Uri::parse(url);
    if (!parsed) return std::move(parsed).error().with_context("BucketOptions::endpoint");
    if ((parsed->scheme != "http" && parsed->scheme != "https") || parsed->host.empty() ||
        (!parsed->path.empty() && parsed->path != "/") || !parsed->query.empty()) {
      return invalid("BucketOptions::endpoint is '" + std::string(url) +
                     "': http://HOST[:PORT] or https://HOST[:PORT] is expected");
    }
    endpoint.tls = parsed->scheme == "https";
    endpoint.host = parsed->host;
    endpoint.port = parsed->port;
  }
  const std::uint16_t usual = endpoint.tls ? 443 : 80;
  if (endpoint.port == 0) endpoint.port = usual;
  const bool amazon = endpoint.host.ends_with(kAmazon);
  const bool virtual_host =
      !bucket.empty() && (addressing == Addressing::virtual_host ||
                          (addressing == Addressing::automatic && amazon && bucket.find('.') == bucket.npos));
  if (virtual_host && is_address(endpoint.host)) {
    return invalid("BucketOptions::addressing: virtual_host needs an endpoint with a name, not " +
                   endpoint.host);
  }
  if (virtual_host) {
    endpoint.host = std::string(bucket) + "." + endpoint.host;
  } else if (!bucket.empty()) {
    endpoint.path_prefix = "/" + std::string(bucket);
  }
  const bool six = endpoint.host.find(':') != std::string::npos;
  endpoint.authority = six ? "[" + endpoint.host + "]" : endpoint.host;
  if (endpoint.port != usual) endpoint.authority += ":" + std::to_string(endpoint.port);
  return endpoint;
}

}  // namespace netstor::object
