// SPDX-License-Identifier: Apache-2.0
//
// What the S3 client reads from files, environment and small services, of any bytes: credentials files, the
// answers of credential services, URLs of proxies and redirects, the answer to CONNECT. The first byte
// chooses.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/object/aws_profile.h"
#include "lib/object/credentials.h"
#include "lib/object/endpoint.h"
#include "lib/object/tunnel.h"
#include "lib/wire/s3/sts.h"

using namespace netstor;
using namespace netstor::object;

namespace {

void read_profiles(std::string_view text) {
  for (const AwsFile file : {AwsFile::config, AwsFile::credentials}) {
    for (const auto& [name, value] : read_aws_profile(text, file, "default")) {
      NETSTOR_ASSERT(name.find('\n') == name.npos && value.find('\n') == value.npos);
    }
  }
}

/// No credentials that are accepted can end the line of a head.
void check(const Result<Credentials>& found) {
  if (!found || !check_credentials(*found)) return;
  for (const std::string* text : {&found->access_key_id, &found->session_token}) {
    NETSTOR_ASSERT(std::none_of(text->begin(), text->end(), [](char c) { return c >= 0 && c <= 0x20; }));
  }
}

void redirect(std::string_view location) {
  static const Endpoint own = *make_endpoint("http://s3.example:9000", "x", Addressing::path, "samples");
  const auto led = follow_redirect(own, own, "/samples/a", location);
  if (!led) return;
  NETSTOR_ASSERT(is_below(own, own.host) && !led->path.empty() && led->path.front() == '/');
  std::string host = led->endpoint.host;
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  NETSTOR_ASSERT(host == "s3.example" || host.ends_with(".s3.example"));
}

void connect(std::string_view answer) {
  Endpoint endpoint = *make_endpoint("https://s3.example", "x", Addressing::path, "samples");
  endpoint.proxy = Proxy{.host = "p", .port = 1, .authorization = {}};
  Tunnel tunnel(endpoint);
  // In pieces, whose sizes the bytes choose.
  for (std::size_t i = 0; i < answer.size();) {
    const iovec& room = tunnel.room();
    NETSTOR_ASSERT(room.iov_len > 0);
    const std::size_t wish = static_cast<unsigned char>(answer[i]) % 7 + 1;
    const std::size_t bytes = std::min({wish, answer.size() - i, room.iov_len});
    std::memcpy(room.iov_base, answer.data() + i, bytes);
    i += bytes;
    if (tunnel.received(bytes) != Tunnel::State::more) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 7) {
    case 0:
      read_profiles(text);
      break;
    case 1:
      check(parse_credentials(text));
      break;
    case 2: {
      const auto found = s3::decode_sts_credentials(text);
      if (found) check(Credentials{found->access_key_id, found->secret_access_key, found->session_token, {}});
      NETSTOR_ASSERT(s3::sts_error_code(text).size() <= 64);
      break;
    }
    case 3:
      static_cast<void>(check_container_url(text));
      break;
    case 4:
      for (const ProxySettings& settings :
           {ProxySettings{std::string(text), {}, {}}, ProxySettings{"p", {}, std::string(text)}}) {
        static_cast<void>(proxy_for(settings, false, "a.example", 80));
      }
      break;
    case 5:
      redirect(text);
      break;
    case 6:
      connect(text);
      break;
  }
  return 0;
}
