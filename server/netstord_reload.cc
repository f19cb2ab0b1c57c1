// SPDX-License-Identifier: Apache-2.0

#include "server/netstord_reload.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <string_view>

#include "lib/proto/tls/certificate.h"
#include "server/netstord_buckets.h"
#include "server/netstord_hosts.h"

namespace netstor::server {

namespace {

constexpr std::string_view kLive[] = {"log-level", "slow-ms"};

std::vector<std::string> changed(const ParsedOptions& before, const ParsedOptions& now) {
  std::set<std::string> keys;
  for (const auto* given : {&before.given, &now.given}) {
    for (const auto& [key, values] : *given) keys.insert(key);
  }
  const auto values_of = [](const ParsedOptions& parsed, const std::string& key) {
    const auto found = parsed.given.find(key);
    return found == parsed.given.end() ? std::vector<std::string>() : found->second;
  };
  std::vector<std::string> all;
  for (const std::string& key : keys) {
    const bool live = std::ranges::find(kLive, key) != std::end(kLive);
    if (!live && values_of(before, key) != values_of(now, key)) all.push_back(key);
  }
  return all;
}

}  // namespace

Result<Reread> reread(int argc, char** argv, const Result<std::string>& default_state,
                      const ParsedOptions& before) {
  std::ostringstream said;
  ParsedOptions now = parse_options(argc, argv, default_state, said, said);
  if (now.exit) {
    std::string text = said.str();
    return Error(ErrorKind::invalid_argument, text.substr(0, text.find('\n')));
  }
  Reread fresh;
  fresh.needs_restart = changed(before, now);
  // The files that are served from: paths that need a restart are not followed yet.
  const ServerOptions& started = before.options;
  NETSTOR_TRY_RETURN(fresh.tls, BucketServer::tls_of(started));
  if (fresh.tls != nullptr) fresh.complaint = tls::certificate_complaint(started.s3_certificate);
  NETSTOR_TRY_RETURN(fresh.keys, read_keys(started));
  if (!started.s3_listen.empty()) {
    NETSTOR_TRY_RETURN(
        fresh.keys.access,
        s3server::Keys::read(BucketServer::keys_file_of(started.state, started), started.credentials));
  }
  fresh.options = std::move(now.options);
  return fresh;
}

}  // namespace netstor::server
