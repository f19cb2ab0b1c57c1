// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/sts.h"

#include <algorithm>

#include "lib/wire/s3/xml_text.h"

namespace netstor::s3 {

Result<StsCredentials> decode_sts_credentials(std::string_view text) {
  constexpr std::string_view kWhat = "the token service's answer";
  xml::Document document;
  if (!document.parse(text, kWhat)) return Error(ErrorKind::protocol, std::string(kWhat) + " is no XML");
  StsCredentials found;
  // AssumeRoleResponse/AssumeRoleResult/Credentials, and the same WithWebIdentity.
  document.root().each([&](const xml::Element& result) {
    const xml::Element credentials = result.child("Credentials");
    if (!credentials.found()) return;
    found.access_key_id = credentials.text("AccessKeyId");
    found.secret_access_key = credentials.text("SecretAccessKey");
    found.session_token = credentials.text("SessionToken");
    if (const auto end = http::decode_iso_date(credentials.text("Expiration"))) found.expires = *end;
  });
  if (found.access_key_id.empty() || found.secret_access_key.empty() || found.session_token.empty() ||
      found.expires == http::WallTime{}) {
    return Error(ErrorKind::protocol, std::string(kWhat) + " has no credentials in it");
  }
  return found;
}

std::string sts_error_code(std::string_view text) {
  xml::Document document;
  if (!document.parse(text, "the answer")) return {};
  std::string code = document.root().child("Error").text("Code");
  const bool word =
      code.size() <= 64 && std::all_of(code.begin(), code.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
      });
  return word ? code : std::string();
}

}  // namespace netstor::s3
