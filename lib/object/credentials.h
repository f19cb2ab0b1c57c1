// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who signs, and the other settings that the AWS tools find in the environment and in files.

#include <netstor/bucket.h>

#include <string>

namespace netstor::object {

/// What the options leave open, from the environment and the profile. Blocks on small files.
struct Surroundings {
  std::string endpoint;
  std::string region;
  std::string ca_file;
};
[[nodiscard]] Result<Surroundings> look_around(const BucketOptions& options);

/// The first source that has some, in the order of BucketOptions::credentials. Blocks: on files, on a
/// process, on the callback. Errors: permission_denied when nobody has any, saying where they were looked
/// for; what a source that was chosen answers.
[[nodiscard]] Result<Credentials> find_credentials(const BucketOptions& options);

/// The answer of a credential_process ("Sourcing credentials with an external process" in the AWS CLI User
/// Guide), which the container's and the instance's service give in the same names.
[[nodiscard]] Result<Credentials> parse_credentials(std::string_view json);

}  // namespace netstor::object
