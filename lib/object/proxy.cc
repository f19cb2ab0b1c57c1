// SPDX-License-Identifier: Apache-2.0
#include "lib/object/proxy.h"

#include "lib/base/encoding.h"
#include "lib/wire/http/uri.h"

#include <netstor/uri.h>

#include <algorithm>
#include <cctype>

namespace netstor::object {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& letter : out) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return out;
}

/// One entry of NO_PROXY: "host", "host:port", ".domain", "*.domain", an address in brackets or not.
bool names(std::string_view entry, std::string_view host, std::uint16_t port) {
  const auto colon = entry.rfind(':');
  const bool one_colon = colon != entry.npos && entry.find(':') == colon;
  if (one_colon || (colon != entry.npos && colon > 0 && entry[colon - 1] == ']')) {
    if (entry.substr(colon + 1) != std::to_string(port)) return false;
    entry = entry.substr(0, colon);
  }
  if (entry.size() > 2 && entry.front() == '[' && entry.back() == ']')
    entry = entry.substr(1, entry.size() - 2);
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  if (entry.starts_with('.')) return host.ends_with(entry) || host == entry.substr(1);
  if (entry.empty()) return false;
  return host == entry || (host.ends_with(entry) && host[host.size() - entry.size() - 1] == '.');
}

bool is_excepted(const std::string& none, std::string_view host, std::uint16_t port) {
  const std::string all = lower(none);
  for (std::string_view rest = all; !rest.empty();) {
    const auto end = std::min(rest.find_first_of(", \t"), rest.size());
    const std::string_view entry = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (entry == "*" || names(entry, host, port)) return true;
  }
  return false;
}

}  // namespace

bool is_loopback(std::string_view host) noexcept {
  if (host == "localhost" || host == "::1") return true;
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

Result<std::optional<Proxy>> proxy_for(const ProxySettings& settings, bool tls, std::string_view host,
                                       std::uint16_t port) {
  const std::string& chosen = tls ? settings.https : settings.http;
  const std::string name = lower(host);
  if (chosen.empty() || is_loopback(name) || is_excepted(settings.none, name, port))
    return std::optional<Proxy>();
  const std::string variable_name = tls ? "HTTPS_PROXY" : "HTTP_PROXY";
  std::string url = chosen.find("://") == chosen.npos ? "http://" + chosen : chosen;
  Proxy proxy;
  const auto begin = url.find("://") + 3;
  const auto end = std::min(url.find_first_of("/?#", begin), url.size());
  if (const auto at = url.rfind('@', end); at != url.npos && at >= begin) {
    std::string user;
    if (!http::percent_decode(std::string_view(url).substr(begin, at - begin), http::Plus::literal, user))
      return Error(ErrorKind::invalid_argument, variable_name + ": user and password are not well formed");
    if (user.find(':') == user.npos) user += ':';
    proxy.authorization = "Basic " + to_base64(std::as_bytes(std::span(user)));
    url.erase(begin, at + 1 - begin);
  }
  const Result<Uri> parsed = Uri::parse(url);
  if (!parsed || parsed->host.empty() || (!parsed->path.empty() && parsed->path != "/"))
    return Error(ErrorKind::invalid_argument,
                 variable_name + ": http://[USER:PASSWORD@]HOST[:PORT] is expected");
  if (parsed->scheme != "http") {
    return Error(ErrorKind::unsupported,
                 variable_name + ": a proxy by " + parsed->scheme + " is not supported, http:// is");
  }
  proxy.host = parsed->host;
  proxy.port = parsed->port != 0 ? parsed->port : std::uint16_t{80};
  return std::optional<Proxy>(std::move(proxy));
}

}  // namespace netstor::object
