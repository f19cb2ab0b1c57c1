// SPDX-License-Identifier: Apache-2.0
#include "server/netstord_hosts.h"

#include <sstream>

#include "lib/base/hash.h"
#include "server/store/safe_file.h"
#include "server/store/volume_record.h"

namespace netstor::server {

namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

Result<nvmf::HostSecrets> parse_line(std::istream& words) {
  nvmf::HostSecrets host;
  std::string secret, own, more;
  words >> host.host_nqn >> secret >> own >> more;
  if (auto good = store::check_nqn(host.host_nqn); !good) return std::move(good).error();
  if (secret.empty() || !more.empty()) {
    return Error(ErrorKind::invalid_argument, "expected HOST-NQN SECRET [CONTROLLER-SECRET]");
  }
  NETSTOR_TRY_RETURN(host.secrets.host, nvme::parse_auth_secret(secret));
  if (!own.empty()) {
    NETSTOR_TRY_RETURN(host.secrets.controller, nvme::parse_auth_secret(own));
  }
  return host;
}

}  // namespace

Result<std::vector<nvmf::HostSecrets>> parse_host_keys(std::string_view text, std::string_view what) {
  std::vector<nvmf::HostSecrets> hosts;
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
    for (const nvmf::HostSecrets& other : hosts) {
      if (other.host_nqn == host->host_nqn)
        return Error(ErrorKind::invalid_argument, where + ": this host has a line already");
    }
    hosts.push_back(*std::move(host));
  }
  if (hosts.empty()) return Error(ErrorKind::invalid_argument, std::string(what) + ": names no host");
  return hosts;
}

Result<std::vector<nvmf::HostSecrets>> read_host_keys(const std::string& path) {
  NETSTOR_TRY_RETURN(std::string text, store::read_secret_file(path, kFileBytesMax));
  auto hosts = parse_host_keys(text, path);
  wipe(std::as_writable_bytes(std::span(text)));
  return hosts;
}

}  // namespace netstor::server
