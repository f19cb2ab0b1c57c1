// SPDX-License-Identifier: Apache-2.0
//
// What the Security Token Service answers to AssumeRole and AssumeRoleWithWebIdentity ("AWS STS API
// Reference"), as far as a client wants it.

#pragma once

#include <netstor/result.h>

#include <string>
#include <string_view>

#include "lib/wire/http/date.h"

namespace netstor::s3 {

struct StsCredentials {
  std::string access_key_id, secret_access_key, session_token;
  http::WallTime expires{};
};
/// Errors have nothing of the text in them: it is full of secrets.
[[nodiscard]] Result<StsCredentials> decode_sts_credentials(std::string_view text);

/// "ExpiredTokenException" of an ErrorResponse; empty when it is none, or no word.
[[nodiscard]] std::string sts_error_code(std::string_view text);

}  // namespace netstor::s3
