// SPDX-License-Identifier: Apache-2.0
//
// Requests that say who they are, of any bytes: "METHOD PATH", then a line "?NAME=VALUE" for each parameter
// of the query and "NAME:VALUE" for each header. What is parsed has its parts, and a signature that nobody
// made is not believed.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/base/assert.h"
#include "lib/wire/s3/sigv4_verify.h"

using namespace netstor;
using namespace netstor::s3;

namespace {

std::string_view cut(std::string_view& rest, char at) {
  const std::size_t end = rest.find(at);
  const std::string_view head = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return head;
}

void check(const Authorization& said) {
  NETSTOR_ASSERT(!said.access_key_id.empty() && !said.region.empty() && !said.service.empty());
  NETSTOR_ASSERT(said.date8.size() == 8 && said.amz_date.view().starts_with(said.date8));
  NETSTOR_ASSERT(said.signature.size() == kSignatureSize);
  NETSTOR_ASSERT(said.scope.ends_with("/aws4_request"));
  NETSTOR_ASSERT(payload_form(said.payload_hash).has_value());
  NETSTOR_ASSERT(said.valid_for <= kPresignMax);
  NETSTOR_ASSERT(!check_time(said, said.time));
  NETSTOR_ASSERT(check_time(said, said.time + kPresignMax + kClockSkewMax * 2));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::string_view first = cut(rest, '\n');
  RequestView request;
  request.method = cut(first, ' ');
  request.path = first;
  std::vector<NameValue> query, headers;
  while (!rest.empty() && query.size() + headers.size() < 1000) {
    std::string_view line = cut(rest, '\n');
    if (line.starts_with('?')) {
      line.remove_prefix(1);
      const std::string_view name = cut(line, '=');
      query.push_back({name, line});
    } else {
      const std::string_view name = cut(line, ':');
      headers.push_back({name, line});
    }
  }
  request.query = query;
  request.headers = headers;
  Authorization said;
  if (!has_authorization(request)) return 0;
  if (const auto fault = parse_authorization(request, said)) {
    NETSTOR_ASSERT(!fault->text.empty());
    return 0;
  }
  check(said);
  static Verifier verifier;
  // No input can know the signature that this secret makes.
  NETSTOR_ASSERT(verifier.verify(request, said, "a secret that is not in the corpus").has_value());
  return 0;
}
