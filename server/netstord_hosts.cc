// SPDX-License-Identifier: Apache-2.0
#include "server/netstord_hosts.h"

#include <sstream>

#include "lib/base/hash.h"
#include "server/store/safe_file.h"
#include "server/store/volume_record.h"

namespace netstor::server {

namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

/// Takes "until=TIME" for its own, wherever it stands behind the key; answers the next other word, or none.
Result<std::string> next_word(std::istream& words, net::Expiry& until) {
  constexpr std::string_view kUntil = "until=";
  std::string word;
  while (words >> word && word.starts_with(kUntil)) {
    if (until) return Error(ErrorKind::invalid_argument, "until= is there twice");
    NETSTOR_TRY_RETURN(until, net::parse_expiry(std::string_view(word).substr(kUntil.size())));
    word.clear();
  }
  return words ? word : std::string();
}

Result<nvmf::HostSecrets> parse_secrets(std::istream& words) {
  nvmf::HostSecrets host;
  std::string secret;
  words >> host.host_nqn >> secret;
  NETSTOR_TRY_RETURN(const std::string own, next_word(words, host.until));
  NETSTOR_TRY_RETURN(const std::string more, next_word(words, host.until));
  if (auto good = store::check_nqn(host.host_nqn); !good) return std::move(good).error();
  if (secret.empty() || !more.empty()) {
    return Error(ErrorKind::invalid_argument, "expected HOST-NQN SECRET [CONTROLLER-SECRET] [until=TIME]");
  }
  NETSTOR_TRY_RETURN(host.secrets.host, nvme::parse_auth_secret(secret));
  if (!own.empty()) {
    NETSTOR_TRY_RETURN(host.secrets.controller, nvme::parse_auth_secret(own));
  }
  return host;
}

Result<nvmf::HostTlsKey> parse_key(std::istream& words) {
  nvmf::HostTlsKey host;
  std::string key;
  words >> host.host_nqn >> key;
  NETSTOR_TRY_RETURN(const std::string form, next_word(words, host.until));
  NETSTOR_TRY_RETURN(const std::string more, next_word(words, host.until));
  if (auto good = store::check_nqn(host.host_nqn); !good) return std::move(good).error();
  if (key.empty() || !more.empty() || !(form.empty() || form == "old-libnvme"))
    return Error(ErrorKind::invalid_argument, "expected HOST-NQN KEY [old-libnvme] [until=TIME]");
  NETSTOR_TRY_RETURN(host.key, nvme::parse_tls_key(key));
  if (!form.empty()) host.derivation = nvme::TlsDerivation::old_libnvme;
  return host;
}

/// A host for each line that says something.
template <class Host>
Result<std::vector<Host>> parse_lines(std::string_view text, std::string_view what,
                                      Result<Host> (*parse_line)(std::istream&)) {
  std::vector<Host> hosts;
  unsigned number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++number;
    std::istringstream words(std::string(line.substr(0, line.find('#'))));
    if ((words >> std::ws).eof()) continue;
    const std::string where = std::string(what) + ", line " + std::to_string(number);
    auto host = parse_line(words);
    if (!host) return std::move(host).error().with_context(where);
    for (const Host& other : hosts) {
      if (other.host_nqn == host->host_nqn)
        return Error(ErrorKind::invalid_argument, where + ": this host has a line already");
    }
    hosts.push_back(*std::move(host));
  }
  if (hosts.empty()) return Error(ErrorKind::invalid_argument, std::string(what) + ": names no host");
  return hosts;
}

template <class Hosts>
Result<Hosts> read_lines(const std::string& path, const std::string& credentials,
                         Result<Hosts> (*parse)(std::string_view, std::string_view)) {
  NETSTOR_TRY_RETURN(std::string text, store::read_secret_file(path, kFileBytesMax, credentials));
  auto hosts = parse(text, path);
  wipe(std::as_writable_bytes(std::span(text)));
  return hosts;
}

}  // namespace

Result<std::vector<nvmf::HostSecrets>> parse_host_keys(std::string_view text, std::string_view what) {
  return parse_lines(text, what, &parse_secrets);
}

Result<std::vector<nvmf::HostTlsKey>> parse_tls_keys(std::string_view text, std::string_view what) {
  return parse_lines(text, what, &parse_key);
}

Result<control::FileKeys> read_keys(const ServerOptions& options) {
  control::FileKeys keys;
  if (!options.host_keys.empty()) {
    auto secrets = read_lines(options.host_keys, options.credentials, &parse_host_keys);
    if (!secrets) return std::move(secrets).error().with_context("--host-keys");
    keys.secrets = *std::move(secrets);
  }
  if (!options.tls_keys.empty()) {
    auto tls_keys = read_lines(options.tls_keys, options.credentials, &parse_tls_keys);
    if (!tls_keys) return std::move(tls_keys).error().with_context("--tls-keys");
    keys.tls_keys = *std::move(tls_keys);
  }
  return keys;
}

}  // namespace netstor::server
