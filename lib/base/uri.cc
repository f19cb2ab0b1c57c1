// SPDX-License-Identifier: Apache-2.0
// URIs (RFC 3986, the parts that names of storage need) and sizes.

#include <netstor/uri.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace netstor {
namespace {

constexpr std::size_t kUriBytesMax = 4096;

Error bad(std::string_view uri, std::string_view what) {
  return {ErrorKind::invalid_argument, "uri '" + std::string(uri.substr(0, 200)) + "': " + std::string(what)};
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string percent_encode(std::string_view text, std::string_view also_plain) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos ||
                       also_plain.find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      std::array<char, 4> escape{};
      std::snprintf(escape.data(), escape.size(), "%%%02X",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escape.data();
    }
  }
  return out;
}

bool valid_scheme(std::string_view scheme) {
  if (scheme.empty() || scheme[0] < 'a' || scheme[0] > 'z') return false;
  return std::all_of(scheme.begin(), scheme.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

/// "host", "host:port", "[v6]", "[v6]:port"; true when well formed.
bool parse_authority(std::string_view authority, Uri& uri) {
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return false;
    uri.host = authority.substr(1, end - 1);
    if (uri.host.find(':') == std::string::npos) return false;
    std::string_view rest = authority.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return false;
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return false;
  } else {
    const std::size_t colon = authority.find(':');
    uri.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = authority.substr(colon + 1);
      if (port.empty()) return false;
    }
  }
  const bool odd = std::any_of(uri.host.begin(), uri.host.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '@' || c == '[' || c == ']' || c == '\x7f';
  });
  if (odd) return false;
  if (port.empty()) return true;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), uri.port);
  return error == std::errc() && end == port.data() + port.size() && uri.port != 0;
}

bool parse_query(std::string_view query, Uri& uri) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto key = percent_decode(pair.substr(0, equals));
    auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!key || key->empty() || !value) return false;
    uri.query.emplace_back(std::move(*key), std::move(*value));
  }
  return true;
}

}  // namespace

Result<Uri> Uri::parse(std::string_view text) {
  if (text.size() > kUriBytesMax) return bad(text, "longer than 4096 bytes");
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !valid_scheme(text.substr(0, colon))) {
    return bad(text, "no scheme; expected something like nvme+tcp://host/nqn or file:///path");
  }
  Uri uri;
  uri.scheme = text.substr(0, colon);
  std::string_view rest = text.substr(colon + 1);
  if (rest.find('#') != std::string_view::npos) return bad(text, "a fragment ('#') has no meaning here");
  std::string_view query;
  if (const std::size_t mark = rest.find('?'); mark != std::string_view::npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    if (!parse_authority(rest.substr(0, slash), uri)) {
      return bad(text, "host or port is not one; expected host, host:port, [ipv6] or [ipv6]:port");
    }
    rest = rest.substr(slash);
  }
  auto path = percent_decode(rest);
  if (!path) return bad(text, "a '%' in the path is not followed by two hexadecimal digits");
  uri.path = std::move(*path);
  if (!parse_query(query, uri)) return bad(text, "the query is not key=value&key=value");
  return uri;
}

std::optional<std::string_view> Uri::find(std::string_view key) const noexcept {
  for (const auto& [name, value] : query) {
    if (name == key) return value;
  }
  return std::nullopt;
}

std::string Uri::to_string() const {
  std::string out = scheme + ":";
  if (!host.empty() || path.starts_with('/')) {
    out += "//";
    out += host.find(':') != std::string::npos ? "[" + host + "]" : host;
    if (port != 0) out += ":" + std::to_string(port);
  }
  out += percent_encode(path, "/:@!$&'()*+,;=");
  char separator = '?';
  for (const auto& [key, value] : query) {
    out += separator;
    out += percent_encode(key, ":/");
    out += '=';
    out += percent_encode(value, ":/");
    separator = '&';
  }
  return out;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return Error(ErrorKind::invalid_argument, "size '" + std::string(text.substr(0, 40)) +
                                                  "': " + std::string(why) +
                                                  "; expected something like 4096, 64KiB, 1.5GiB");
  };
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0)) return wrong("no number");
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  double scale = 1;
  if (!unit.empty() && unit != "B") {
    const std::string_view letters = "kKMGTP";
    constexpr std::array<int, 6> powers = {10, 10, 20, 30, 40, 50};
    const std::size_t at = letters.find(unit.front());
    const std::string_view suffix = unit.substr(1);
    if (at == std::string_view::npos ||
        !(suffix.empty() || suffix == "iB" || suffix == "B" || suffix == "i")) {
      return wrong("unknown unit");
    }
    scale = std::ldexp(1.0, powers[at]);
  }
  const double bytes = number * scale;
  if (bytes >= std::ldexp(1.0, 63)) return wrong("too large");
  if (bytes != std::floor(bytes)) return wrong("not a whole number of bytes");
  return static_cast<std::uint64_t>(bytes);
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 6> units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> out{};
  const bool whole = value == std::floor(value);
  std::snprintf(out.data(), out.size(), whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return out.data();
}

}  // namespace netstor
