// SPDX-License-Identifier: Apache-2.0
#include "lib/object/credentials.h"

#include "lib/object/aws_profile.h"
#include "lib/wire/http/date.h"

#include <netstor/uri.h>

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <cctype>
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

/// A token, without the line end that an editor leaves.
Result<std::string> read_token(const std::string& path) {
  NETSTOR_TRY_RETURN(std::string token, read_file(path));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty()) return Error(ErrorKind::permission_denied, path + ": there is no token in it");
  return token;
}

bool is_true(std::string value) {
  for (char& letter : value) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return value == "true";
}

std::optional<Credentials> static_keys(const AwsProfile& profile) {
  Credentials found;
  found.access_key_id = value_of(profile, "aws_access_key_id");
  found.secret_access_key = value_of(profile, "aws_secret_access_key");
  found.session_token = value_of(profile, "aws_session_token");
  if (found.access_key_id.empty() || found.secret_access_key.empty()) return std::nullopt;
  return found;
}

std::optional<Credentials> environment_keys() {
  Credentials found;
  found.access_key_id = environment("AWS_ACCESS_KEY_ID");
  found.secret_access_key = environment("AWS_SECRET_ACCESS_KEY");
  found.session_token = environment("AWS_SESSION_TOKEN");
  if (found.access_key_id.empty() || found.secret_access_key.empty()) return std::nullopt;
  return found;
}

/// Looks through one chain of sources.
class Search {
 public:
  explicit Search(const BucketOptions& options) : options_(options) {}

  using What = decltype(CredentialSource::what);
  Result<What> run() {
    if (options_.credentials) return What(*options_.credentials);
    if (options_.credentials_callback) {
      NETSTOR_TRY_RETURN(Credentials answered, options_.credentials_callback());
      return What(std::move(answered));
    }
    if (options_.profile.empty()) {
      if (auto keys = environment_keys()) return What(*std::move(keys));
      if (const std::string file = environment("AWS_WEB_IDENTITY_TOKEN_FILE"); !file.empty()) {
        return web_identity(file, environment("AWS_ROLE_ARN"), environment("AWS_ROLE_SESSION_NAME"));
      }
    }
    NETSTOR_TRY_RETURN(const AwsProfile profile, read_profile(options_));
    NETSTOR_TRY_RETURN(std::optional<What> found, of_profile(profile, 0));
    if (found) return *std::move(found);
    NETSTOR_TRY_RETURN(found, container());
    if (found) return *std::move(found);
    found = instance();
    if (found) return *std::move(found);
    return no_credentials("the instance metadata service is switched off (AWS_EC2_METADATA_DISABLED)");
  }

 private:
  Result<RoleSource> role(const std::string& arn, const std::string& session) {
    if (arn.empty()) return Error(ErrorKind::invalid_argument, "no role to assume: AWS_ROLE_ARN, role_arn");
    NETSTOR_TRY_RETURN(const Surroundings around, look_around(options_));
    NETSTOR_TRY_RETURN(const AwsProfile profile, read_profile(options_));
    RoleSource source;
    source.region = around.region;
    source.role_arn = arn;
    source.session_name = first_of({session, "netstor-" + std::to_string(::getpid())});
    const std::string suffix = around.region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com";
    source.url = first_of({environment("AWS_ENDPOINT_URL_STS"), environment("AWS_ENDPOINT_URL"),
                           value_of(profile, "sts.endpoint_url"), value_of(profile, "endpoint_url"),
                           "https://sts." + around.region + suffix});
    return source;
  }
  Result<What> web_identity(const std::string& file, const std::string& arn, const std::string& session) {
    NETSTOR_TRY_RETURN(RoleSource source, role(arn, session));
    NETSTOR_TRY_RETURN(source.token, read_token(file));
    return What(std::move(source));
  }

  Result<std::optional<What>> of_profile(const AwsProfile& profile, unsigned depth) {
    constexpr unsigned kDepthMost = 5;
    const std::string arn = value_of(profile, "role_arn");
    const std::string session = value_of(profile, "role_session_name");
    if (const std::string file = value_of(profile, "web_identity_token_file");
        !arn.empty() && !file.empty()) {
      NETSTOR_TRY_RETURN(What found, web_identity(file, arn, session));
      return std::optional<What>(std::move(found));
    }
    const std::string from_profile = value_of(profile, "source_profile");
    const std::string from_source = value_of(profile, "credential_source");
    if (!arn.empty() && (!from_profile.empty() || !from_source.empty())) {
      if (depth == kDepthMost)
        return Error(ErrorKind::invalid_argument, "source_profile: the profiles lead in a circle");
      NETSTOR_TRY_RETURN(RoleSource source, role(arn, session));
      source.external_id = value_of(profile, "external_id");
      NETSTOR_TRY_RETURN(What as, from_profile.empty() ? of_name(from_source)
                                                       : of_source_profile(profile, from_profile, depth));
      NETSTOR_TRY_RETURN(const Surroundings around, look_around(options_));
      source.as = std::make_shared<const CredentialSource>(
          CredentialSource{.what = std::move(as), .ca_file = around.ca_file, .proxies = around.proxies});
      return std::optional<What>(std::move(source));
    }
    if (auto keys = static_keys(profile)) return std::optional<What>(*std::move(keys));
    if (const std::string command = value_of(profile, "credential_process"); !command.empty()) {
      NETSTOR_TRY_RETURN(Credentials answered, run_process(command));
      return std::optional<What>(std::move(answered));
    }
    return std::optional<What>();
  }
  Result<What> of_source_profile(const AwsProfile& profile, const std::string& name, unsigned depth) {
    // A profile may name itself: then its own keys ask for its role.
    BucketOptions other;
    other.profile = name;
    NETSTOR_TRY_RETURN(const AwsProfile source, read_profile(other));
    if (source == profile) {
      if (auto keys = static_keys(source)) return What(*std::move(keys));
    }
    NETSTOR_TRY_RETURN(std::optional<What> found, of_profile(source, depth + 1));
    if (found) return *std::move(found);
    return Error(ErrorKind::permission_denied, "source_profile '" + name + "' has no credentials");
  }
  Result<What> of_name(const std::string& name) {
    std::optional<What> found;
    if (name == "Environment") {
      if (auto keys = environment_keys()) found.emplace(*std::move(keys));
    } else if (name == "EcsContainer") {
      NETSTOR_TRY_RETURN(found, container());
    } else if (name == "Ec2InstanceMetadata") {
      found = instance();
    } else {
      return Error(ErrorKind::invalid_argument,
                   "credential_source '" + name + "': Environment, EcsContainer or Ec2InstanceMetadata");
    }
    if (found) return *std::move(found);
    return Error(ErrorKind::permission_denied, "credential_source " + name + " has no credentials");
  }

  static Result<std::optional<What>> container() {
    constexpr std::string_view kHost = "http://169.254.170.2";
    ContainerSource source;
    if (const std::string path = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !path.empty()) {
      source.url = std::string(kHost) + (path.front() == '/' ? "" : "/") + path;
    } else {
      source.url = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
      if (source.url.empty()) return std::optional<What>();
      NETSTOR_CHECK_RETURN(check_container_url(source.url));
    }
    if (const std::string file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
      NETSTOR_TRY_RETURN(source.authorization, read_token(file));
    } else {
      source.authorization = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    }
    return std::optional<What>(std::move(source));
  }
  static std::optional<What> instance() {
    if (is_true(environment("AWS_EC2_METADATA_DISABLED"))) return std::nullopt;
    return What(InstanceSource{
        first_of({environment("AWS_EC2_METADATA_SERVICE_ENDPOINT"), "http://169.254.169.254"})});
  }

  const BucketOptions& options_;
};

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

namespace {

ProxySettings proxies_of_environment() {
  // A CGI program has what its client said in HTTP_PROXY.
  const bool cgi = !environment("REQUEST_METHOD").empty();
  return {.http = first_of({environment("http_proxy"), cgi ? std::string() : environment("HTTP_PROXY")}),
          .https = first_of({environment("https_proxy"), environment("HTTPS_PROXY")}),
          .none = first_of({environment("no_proxy"), environment("NO_PROXY")})};
}

}  // namespace

Result<Surroundings> look_around(const BucketOptions& options) {
  NETSTOR_TRY_RETURN(const AwsProfile profile, read_profile(options));
  return Surroundings{
      .endpoint =
          first_of({options.endpoint, environment("AWS_ENDPOINT_URL_S3"), environment("AWS_ENDPOINT_URL"),
                    value_of(profile, "s3.endpoint_url"), value_of(profile, "endpoint_url")}),
      .region = first_of({options.region, environment("AWS_REGION"), environment("AWS_DEFAULT_REGION"),
                          value_of(profile, "region"), "us-east-1"}),
      .ca_file = first_of({options.ca_file, environment("AWS_CA_BUNDLE"), value_of(profile, "ca_bundle")}),
      .proxies = proxies_of_environment()};
}

Result<CredentialSource> find_source(const BucketOptions& options) {
  CredentialSource source;
  NETSTOR_TRY_RETURN(source.what, Search(options).run());
  if (const auto* found = std::get_if<Credentials>(&source.what)) {
    NETSTOR_CHECK_RETURN(check_credentials(*found));
    return source;
  }
  NETSTOR_TRY_RETURN(const Surroundings around, look_around(options));
  source.ca_file = around.ca_file;
  source.proxies = around.proxies;
  return source;
}

Result<void> check_credentials(const Credentials& credentials) {
  const auto printable = [](const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  };
  constexpr std::size_t kTokenMost = 16384;
  if (!printable(credentials.access_key_id) || credentials.access_key_id.size() > 256 ||
      credentials.access_key_id.find('/') != std::string::npos) {
    return Error(ErrorKind::invalid_argument,
                 "the access key id is none: it has odd characters, or too many");
  }
  if (!printable(credentials.session_token) || credentials.session_token.size() > kTokenMost)
    return Error(ErrorKind::invalid_argument, "the session token has odd characters, or too many");
  return {};
}

Result<void> check_container_url(std::string_view url) {
  const auto scheme = url.find("://");
  const auto end = scheme == url.npos ? url.npos : url.find_first_of("/?#", scheme + 3);
  const Result<Uri> parsed = Uri::parse(url.substr(0, end));
  if (!parsed || parsed->host.empty())
    return Error(ErrorKind::invalid_argument, "AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL");
  if (parsed->scheme == "https") return {};
  const std::string& host = parsed->host;
  const bool known = host == "169.254.170.2" || host == "169.254.170.23" || host == "fd00:ec2::23";
  if (parsed->scheme == "http" && (known || is_loopback(host))) return {};
  return Error(ErrorKind::permission_denied, "AWS_CONTAINER_CREDENTIALS_FULL_URI: " + host +
                                                 " is neither this machine nor a container's service; "
                                                 "https:// is expected");
}

Error no_credentials(std::string_view why) {
  return {ErrorKind::permission_denied,
          "no credentials: not in BucketOptions, not in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not in "
          "the profile of the shared AWS files, from no web identity and no container; " +
              std::string(why) + "; BucketOptions::anonymous asks without"};
}

}  // namespace netstor::object
