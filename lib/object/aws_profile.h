// SPDX-License-Identifier: Apache-2.0
#pragma once
// The shared files of the AWS tools, as text: ~/.aws/config and ~/.aws/credentials ("Shared config and
// credentials files" in the AWS SDKs and Tools Reference Guide).
//
//   [default]                     # credentials file: sections are profiles
//   aws_access_key_id = …
//   [profile training]            # config file: profiles but "default" have the word before them
//   region = eu-central-1
//   s3 =
//     addressing_style = path     # nested: "s3.addressing_style" here

#include <map>
#include <string>
#include <string_view>

namespace netstor::object {

/// Settings of one profile, names in lower case.
using AwsProfile = std::map<std::string, std::string, std::less<>>;

enum class AwsFile : std::uint8_t { config, credentials };

/// The settings of `profile` in `text`; empty when it is not there. What is no setting is passed over, as
/// those tools do. Later sections of the same name add to earlier ones and win.
[[nodiscard]] AwsProfile read_aws_profile(std::string_view text, AwsFile file, std::string_view profile);

}  // namespace netstor::object
