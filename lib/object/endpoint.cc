// SPDX-License-Identifier: Apache-2.0
#include "lib/object/endpoint.h"

#include <netstor/uri.h>

#include "lib/wire/http/uri.h"

#include <algorithm>

namespace netstor::object {
namespace {

constexpr std::string_view kAmazon = ".amazonaws.com";

Error invalid(std::string text) { return {ErrorKind::invalid_argument, std::move(text)}; }

bool is_address(std::string_view host) {
  return host.find(':') != std::string_view::npos || host.find_first_not_of("0123456789.") == host.npos;
}

std::uint16_t usual_port(bool tls) { return tls ? 443 : 80; }

std::string authority_of(const Endpoint& endpoint) {
  const bool six = endpoint.host.find(':') != std::string::npos;
  std::string authority = six ? "[" + endpoint.host + "]" : endpoint.host;
  if (endpoint.port != usual_port(endpoint.tls)) authority += ":" + std::to_string(endpoint.port);
  return authority;
}

bool is_or_ends(std::string_view text, std::string_view name) {
  return text == name || (text.ends_with(name) && text[text.size() - name.size() - 1] == '.');
}

/// "s3.amazonaws.com", "BUCKET.s3.REGION.amazonaws.com", "s3-REGION…", "s3.dualstack.REGION…": names below
/// amazonaws.com are Amazon's customers', too.
bool is_amazon_s3(std::string_view host) {
  if (host.ends_with(".cn")) host.remove_suffix(3);
  if (!host.ends_with(kAmazon)) return false;
  host.remove_suffix(kAmazon.size());
  if (is_or_ends(host, "s3")) return true;
  const auto dot = host.rfind('.');
  const std::string_view region = dot == host.npos ? host : host.substr(dot + 1);
  if (region.starts_with("s3-")) return true;
  if (dot == host.npos) return false;
  return is_or_ends(host.substr(0, dot), "s3") || is_or_ends(host.substr(0, dot), "s3.dualstack");
}

Error refused(const std::string& location, std::string why) {
  return {ErrorKind::permission_denied, "the service redirects to " + location + ", " + std::move(why) +
                                            "; BucketOptions::endpoint says where to go"};
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
  if (endpoint.port == 0) endpoint.port = usual_port(endpoint.tls);
  const bool amazon = endpoint.host.ends_with(kAmazon);
  const bool virtual_host =
      !bucket.empty() && (addressing == Addressing::virtual_host ||
                          (addressing == Addressing::automatic && amazon && bucket.find('.') == bucket.npos));
  if (virtual_host && is_address(endpoint.host)) {
    return invalid("BucketOptions::addressing: virtual_host needs an endpoint with a name, not " +
                   endpoint.host);
  }
  endpoint.domain = endpoint.host;
  if (virtual_host) {
    endpoint.host = std::string(bucket) + "." + endpoint.host;
  } else if (!bucket.empty()) {
    endpoint.path_prefix = "/" + std::string(bucket);
  }
  endpoint.authority = authority_of(endpoint);
  return endpoint;
}

bool is_below(const Endpoint& endpoint, std::string_view host) {
  if (is_amazon_s3(endpoint.domain)) return is_amazon_s3(host);
  return host == endpoint.domain || (!is_address(endpoint.domain) && host.ends_with("." + endpoint.domain));
}

Result<Redirect> follow_redirect(const Endpoint& configured, const Endpoint& from, std::string_view from_path,
                                 std::string_view location) {
  constexpr std::size_t kLocationMost = 4096;
  const std::string shown(location.substr(0, 200));
  Redirect to{.endpoint = from, .path = {}};
  std::string_view rest = location;
  if (const auto scheme = location.find("://"); scheme != location.npos) {
    const auto end = std::min(location.find_first_of("/?#", scheme + 3), location.size());
    const Result<Uri> parsed = Uri::parse(location.substr(0, end));
    if (!parsed || parsed->host.empty()) return refused(shown, "which is no URL");
    if (parsed->scheme != (from.tls ? "https" : "http")) return refused(shown, "which is another scheme");
    to.endpoint.host = parsed->host;
    to.endpoint.port = parsed->port != 0 ? parsed->port : usual_port(from.tls);
    to.endpoint.authority = authority_of(to.endpoint);
    rest = location.substr(end);
  }
  if (location.starts_with("//")) return refused(shown, "which is another host");
  if (location.size() > kLocationMost || (!rest.empty() && rest.front() != '/' && rest.front() != '?'))
    return refused(shown, "which is no URL");
  std::string name = to.endpoint.host;
  for (char& letter : name) letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
  if (!is_below(configured, name)) {
    return refused(shown, "which is outside of " + configured.domain + ": nothing is signed for it");
  }
  // Encoded anew, as the signature wants it. The query stays ours.
  const std::string_view path = rest.substr(0, rest.find_first_of("?#"));
  std::string decoded;
  if (!http::percent_decode(path, http::Plus::literal, decoded)) return refused(shown, "which is no URL");
  http::percent_encode(decoded, http::Slash::keep, to.path);
  if (to.path.empty()) to.path = from_path;
  return to;
}

}  // namespace netstor::object
