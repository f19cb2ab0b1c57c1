// SPDX-License-Identifier: Apache-2.0
//
// The server's files of keys, of any bytes; the first one chooses which. Each host comes once, and an error
// never repeats a key.
#include <cstddef>
#include <cstdint>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "lib/base/assert.h"
#include "server/netstord_hosts.h"
#include "server/s3/keys.h"

using namespace netstor;

namespace {

constexpr std::string_view kWhat = "the file";

/// No word that is as long as a key is, and begins as one.
void check_silence(const Error& error, std::string_view text) {
  NETSTOR_ASSERT(error.text().find(kWhat) != std::string::npos);
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    const bool key = word.starts_with("NVMeTLSkey-1:") || word.starts_with("DHHC-1:");
    if (key && word.size() >= 40) NETSTOR_ASSERT(error.text().find(word) == std::string::npos);
  }
}

template <class Host>
void check(const Result<std::vector<Host>>& hosts, std::string_view text) {
  if (!hosts) return check_silence(hosts.error(), text);
  std::set<std::string> names;
  for (const Host& host : *hosts) NETSTOR_ASSERT(names.insert(host.host_nqn).second);
  NETSTOR_ASSERT(!names.empty());
}

void check_access_keys(std::string_view text) {
  const auto keys = s3server::Keys::parse(text, kWhat);
  if (!keys) return;
  for (const auto& [id, user] : keys->users()) {
    NETSTOR_ASSERT(s3server::Keys::check_id(id) && s3server::Keys::check_secret(user.secret_access_key));
    NETSTOR_ASSERT(s3server::parse_grants(s3server::to_string(user.grants)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      check(server::parse_tls_keys(text, kWhat), text);
      break;
    case 1:
      check(server::parse_host_keys(text, kWhat), text);
      break;
    default:
      check_access_keys(text);
      break;
  }
  return 0;
}
