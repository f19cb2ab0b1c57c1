// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who signs, and the other settings that the AWS tools find in the environment and in files ("Standardized
// credential providers" in the AWS SDKs and Tools Reference Guide).

#include <netstor/bucket.h>

#include "lib/object/proxy.h"

#include <memory>
#include <string>
#include <variant>

namespace netstor::object {

/// What the options leave open, from the environment and the profile. Blocks on small files.
struct Surroundings {
  std::string endpoint;
  std::string region;
  std::string ca_file;
  ProxySettings proxies;
};
[[nodiscard]] Result<Surroundings> look_around(const BucketOptions& options);

struct CredentialSource;

/// AssumeRole and AssumeRoleWithWebIdentity of the Security Token Service.
struct RoleSource {
  std::string url;  ///< of the service
  std::string region;
  std::string role_arn;
  std::string session_name;
  std::string external_id;
  std::string token;                           ///< of a web identity; never printed
  std::shared_ptr<const CredentialSource> as;  ///< without a token: who asks
};
/// The service of a container (ECS, EKS).
struct ContainerSource {
  std::string url;
  std::string authorization;  ///< never printed
};
/// The metadata service of an instance (EC2), version 2.
struct InstanceSource {
  std::string url;
};

struct CredentialSource {
  std::variant<Credentials, RoleSource, ContainerSource, InstanceSource> what;
  std::string ca_file;
  ProxySettings proxies;
};

/// The first source that there is, in the order of BucketOptions::credentials. Blocks: on files, on a
/// process, on the callback. Errors: permission_denied when there is none, saying where it was looked for;
/// what a source that was chosen answers.
[[nodiscard]] Result<CredentialSource> find_source(const BucketOptions& options);

/// The answer of a credential_process ("Sourcing credentials with an external process" in the AWS CLI User
/// Guide), which the container's and the instance's service give in the same names.
[[nodiscard]] Result<Credentials> parse_credentials(std::string_view json);

/// Refuses what cannot be in a head: a source may answer anything.
[[nodiscard]] Result<void> check_credentials(const Credentials& credentials);

/// Of a container's full URI: https, or http to loopback and the addresses of ECS and EKS.
[[nodiscard]] Result<void> check_container_url(std::string_view url);

/// "no credentials: …", with why the last source had none.
[[nodiscard]] Error no_credentials(std::string_view why);

}  // namespace netstor::object
