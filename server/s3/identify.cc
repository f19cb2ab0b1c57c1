// SPDX-License-Identifier: Apache-2.0

#include "server/s3/identify.h"

namespace netstor::s3server {

Identified identify(const Keys& keys, s3::Verifier& verifier, const s3::RequestView& request,
                    const s3::Authorization& said) {
  const User* const user = keys.find(said.access_key_id);
  // What is signed with it is checked, and refused whatever comes of that.
  constexpr std::string_view kNobodysSecret = "a secret that opens nothing";
  s3::Authorization asked = said;
  // One place among the signing keys that are kept, however many names are tried.
  if (user == nullptr) asked.access_key_id = {};
  const auto wrong =
      verifier.verify(request, asked, user != nullptr ? user->secret_access_key : kNobodysSecret);
  constexpr auto kUnknown = s3::ErrorCode::invalid_access_key_id;
  if (user == nullptr) return {.fault = s3::Fault{kUnknown, s3::facts(kUnknown).message}};
  if (wrong) return {.fault = wrong};
  if (net::passed(user->until))
    return {.fault = s3::Fault{s3::ErrorCode::expired_token, "The access key has expired."}};
  return {.user = user};
}

}  // namespace netstor::s3server
