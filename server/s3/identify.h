// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whose signature a request has. Every refusal costs what a signature costs to check: an access key that is
// not there, not any more, or over takes as long as one whose signature is wrong.

#include <optional>

#include "lib/wire/s3/sigv4_verify.h"
#include "server/s3/keys.h"

namespace netstor::s3server {

struct Identified {
  const User* user = nullptr;  ///< of `keys`; null: `fault` says why
  std::optional<s3::Fault> fault{};
};

/// `said` is the request's own, its time and scope already checked. Faults: InvalidAccessKeyId;
/// SignatureDoesNotMatch and what else the verifier finds; ExpiredToken, only to who has signed rightly.
[[nodiscard]] Identified identify(const Keys& keys, s3::Verifier& verifier, const s3::RequestView& request,
                                  const s3::Authorization& said);

}  // namespace netstor::s3server
