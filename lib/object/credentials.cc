// SPDX-License-Identifier: Apache-2.0
#include "lib/object/credentials.h"

#include "lib/object/aws_profile.h"
#include "lib/wire/http/date.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

namespace netstor::object {
namespace {

constexpr std::size_t kFileBytesMost = 1 << 20;
constexpr std::size_t kAnswerBytesMost = 64 << 10;

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string first_of(std::initializer_list<std::string> values) {
  for (const std::string& value : values) {
    if (!value.empty()) return value;
  }
  return {};
}

std::string file_of(const char* variable, std::string_view usual) {
  if (std::string chosen = environment(variable); !chosen.empty()) return chosen;
  const std::string home = environment("HOME");
  return home.empty() ? std::string() : home + "/.aws/" + std::string(usual);
}

/// Empty when there is none.
Result<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return std::string();
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error(ErrorKind::permission_denied, path + ": cannot be read");
  // Its size is not asked for: /dev/null, which says that there is none, has none.
  std::string text(kFileBytesMost + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  const auto had = static_cast<std::size_t>(file.gcount());
  if (std::filesystem::is_directory(path, error) || file.bad() || had > kFileBytesMost) {
    return Error(ErrorKind::invalid_argument, path + ": not a file of at most 1 MiB");
  }
  text.resize(had);
  return text;
}

Result<AwsProfile> read_profile(const BucketOptions& options) {
  const std::string name =
      first_of({options.profile, environment("AWS_PROFILE"), environment("AWS_DEFAULT_PROFILE"), "default"});
  NETSTOR_TRY_RETURN(const std::string config, read_file(file_of("AWS_CONFIG_FILE", "config")));
  NETSTOR_TRY_RETURN(const std::string keys,
                     read_file(file_of("AWS_SHARED_CREDENTIALS_FILE", "credentials")));
  AwsProfile profile = read_aws_profile(config, AwsFile::config, name);
  for (auto& [key, value] : read_aws_profile(keys, AwsFile::credentials, name)) {
    profile.insert_or_assign(key, value);
  }
  if (profile.empty() && name != "default") {
    return Error(ErrorKind::not_found, "the profile '" + name + "' is in neither of the shared AWS files");
  }
  return profile;
}

std::string value_of(const AwsProfile& profile, std::string_view name) {
  const auto found = profile.find(name);
  return found != profile.end() ? found->second : std::string();
}

Result<Credentials> run_process(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), &::pclose);
  if (!pipe) return Error::system(errno, "credential_process");
  std::string answer(kAnswerBytesMost, '\0');
  answer.resize(std::fread(answer.data(), 1, answer.size(), pipe.get()));
  auto parsed = parse_credentials(answer);
  std::fill(answer.begin(), answer.end(), '\0');
  if (!parsed) return std::move(parsed).error().with_context("credential_process");
  return parsed;
}

}  // namespace

Result<Credentials> parse_credentials(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto get = [&](const char* name) -> std::string {
    const auto at = json.is_object() ? json.find(name) : json.end();
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  Credentials found;
  found.access_key_id = get("AccessKeyId");
  found.secret_access_key = get("SecretAccessKey");
  found.session_token = first_of({get("SessionToken"), get("Token")});
  if (found.access_key_id.empty() || found.secret_access_key.empty()) {
    return Error(ErrorKind::permission_denied, "answered without AccessKeyId and SecretAccessKey");
  }
  if (const std::string end = get("Expiration"); !end.empty()) {
    found.expires = http::decode_iso_date(end);
    if (!found.expires) return Error(ErrorKind::protocol, "answered with an Expiration that is no date");
  }
  return found;
}

Result<Surroundings> look_around(const BucketOptions& options) {
  NETSTOR_TRY_RETURN(const AwsProfile profile, read_profile(options));
  return Surroundings{
      .endpoint =
          first_of({options.endpoint, environment("AWS_ENDPOINT_URL_S3"), environment("AWS_ENDPOINT_URL"),
                    value_of(profile, "s3.endpoint_url"), value_of(profile, "endpoint_url")}),
      .region = first_of({options.region, environment("AWS_REGION"), environment("AWS_DEFAULT_REGION"),
                          value_of(profile, "region"), "us-east-1"}),
      .ca_file = first_of({options.ca_file, environment("AWS_CA_BUNDLE"), value_of(profile, "ca_bundle")})};
}

Result<Credentials> find_credentials(const BucketOptions& options) {
  if (options.credentials) return *options.credentials;
  if (options.credentials_callback) return options.credentials_callback();
  if (options.profile.empty()) {
    Credentials found;
    found.access_key_id = environment("AWS_ACCESS_KEY_ID");
    found.secret_access_key = environment("AWS_SECRET_ACCESS_KEY");
    found.session_token = environment("AWS_SESSION_TOKEN");
    if (!found.access_key_id.empty() && !found.secret_access_key.empty()) return found;
  }
  NETSTOR_TRY_RETURN(const AwsProfile profile, read_profile(options));
  Credentials found;
  found.access_key_id = value_of(profile, "aws_access_key_id");
  found.secret_access_key = value_of(profile, "aws_secret_access_key");
  found.session_token = value_of(profile, "aws_session_token");
  if (!found.access_key_id.empty() && !found.secret_access_key.empty()) return found;
  if (const std::string command = value_of(profile, "credential_process"); !command.empty()) {
    return run_process(command);
  }
  return Error(
      ErrorKind::permission_denied,
      "no credentials: not in BucketOptions, not in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not in "
      "the profile of the shared AWS files; BucketOptions::anonymous asks without");
}

}  // namespace netstor::object
