// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/service.h"

#include "tools/netstor/failure.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>

namespace netstor::tool {
namespace {

constexpr std::string_view kScheme = "s3://";

struct Advice {
  std::string_view word;
  std::string_view hint;
};

// S3's codes, and words of the library's own errors. The first that the text has counts.
constexpr std::array kAdvice = {
    Advice{"NoSuchBucket", "`netstor ls` lists the buckets, `netstor mb s3://NAME` makes one"},
    Advice{"NoSuchKey", "`netstor ls s3://BUCKET/PREFIX` lists what is there"},
    Advice{"BucketNotEmpty", "`netstor rb --force` removes what is in it, too"},
    Advice{"BucketAlreadyOwnedByYou", "it is there, and yours: nothing needs to be done"},
    Advice{"BucketAlreadyExists", "the name is taken: choose another"},
    Advice{"InvalidAccessKeyId",
           "the service does not know this key: AWS_ACCESS_KEY_ID, or --profile NAME; "
           "those of netstord are in s3-keys of its state directory"},
    Advice{"SignatureDoesNotMatch",
           "the secret is not this key's: AWS_SECRET_ACCESS_KEY, or --profile NAME; is --region right?"},
    Advice{"RequestTimeTooSkewed", "the clocks of this machine and of the service differ: set them"},
    Advice{"ExpiredToken", "the credentials have expired: get new ones"},
    Advice{"no credentials",
           "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile NAME; "
           "--no-sign-request asks without any"},
    Advice{"the profile", "--profile names a section of ~/.aws/credentials or ~/.aws/config"},
    Advice{"unknown CA", "AWS_CA_BUNDLE names a file of the CAs to trust"},
    Advice{"self-signed", "AWS_CA_BUNDLE names a file of the certificates to trust"},
    Advice{"is no TLS", "--endpoint-url http://HOST:PORT, or AWS_ENDPOINT_URL, is one without TLS"},
    Advice{"BucketOptions::endpoint", "--endpoint-url http://HOST:PORT"},
    Advice{"SlowDown", "the service wants fewer requests: a smaller --parallel"},
    Advice{"EntityTooLarge", "the object is larger than the service takes"},
};

std::string_view advice(const Error& error) {
  for (const Advice& each : kAdvice) {
    if (error.text().find(each.word) != std::string::npos) return each.hint;
  }
  switch (error.kind()) {
    case ErrorKind::disconnected:
    case ErrorKind::timed_out:
      return "is an S3 endpoint there? --endpoint-url or AWS_ENDPOINT_URL names it, `netstord` starts one";
    case ErrorKind::not_found:
      if (error.origin() == Origin::s3) return "`netstor ls s3://BUCKET/PREFIX` lists what is there";
      return error.origin() == Origin::system ? "is the name right?" : std::string_view();
    case ErrorKind::permission_denied:
      if (error.origin() == Origin::s3) {
        return "may these credentials do that? AWS_ACCESS_KEY_ID, or --profile NAME, chooses others";
      }
      return {};
    case ErrorKind::compare_failed:
      return "the object was replaced while it was read: try again";
    default:
      return {};
  }
}

std::string formatted(WallTime time, bool utc, const char* form) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm parts{};
  if (utc) {
    ::gmtime_r(&seconds, &parts);
  } else {
    ::localtime_r(&seconds, &parts);
  }
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), form, &parts)};
}

}  // namespace

bool is_bucket(std::string_view text) { return text.starts_with(kScheme); }

Result<ObjectUri> parse_object_uri(const std::string& text, Wanted wanted) {
  if (!is_bucket(text)) {
    return usage_error(text + " names no bucket", "buckets are s3://BUCKET, objects s3://BUCKET/KEY");
  }
  const std::string rest = text.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  ObjectUri uri{.bucket = rest.substr(0, slash),
                .key = slash == std::string::npos ? std::string() : rest.substr(slash + 1)};
  if (uri.bucket.find('?') != std::string::npos) {
    return usage_error(text + ": a bucket's name has no '?'", "--endpoint-url and --region are options here");
  }
  if (uri.bucket.empty() && (wanted != Wanted::anything || !uri.key.empty())) {
    return usage_error(text + " has no bucket's name", "`netstor ls` lists the buckets");
  }
  if (wanted == Wanted::key && uri.key.empty()) {
    return usage_error(text + " names a bucket, not an object",
                       "name one, as in s3://" + uri.bucket + "/KEY; `netstor ls " + text + "` lists them");
  }
  if (wanted == Wanted::bucket && !uri.key.empty()) {
    return usage_error(text + " names an object, not a bucket", "s3://" + uri.bucket);
  }
  return uri;
}

void add_service(CLI::App& verb, Service& service) {
  verb.add_option("--endpoint-url", service.endpoint,
                  "The S3 service (default: AWS_ENDPOINT_URL, the profile's, Amazon's)")
      ->type_name("URL");
  verb.add_option("--region", service.region, "The service's region (default: AWS_REGION, the profile's)")
      ->type_name("NAME");
  verb.add_option("--profile", service.profile, "Credentials and settings of this profile (AWS_PROFILE)")
      ->type_name("NAME");
  verb.add_option("--ca-bundle", service.ca_file,
                  "Who may have signed its certificate (default: AWS_CA_BUNDLE, the profile's, the system's)")
      ->type_name("FILE");
  verb.add_flag("--no-sign-request", service.anonymous, "Ask as nobody, without credentials");
  static const std::map<std::string, RdmaUse> kRdma{
      {"auto", RdmaUse::automatic}, {"never", RdmaUse::never}, {"required", RdmaUse::required}};
  verb.add_option_function<std::string>(
          "--rdma", [&service](const std::string& use) { service.rdma = kRdma.at(use); },
          "Whether payload goes by RDMA: auto (where both sides can, never to https), never, required")
      ->type_name("USE")
      ->check(CLI::IsMember(&kRdma).description(""));
}

void add_checksum(CLI::App& verb, Service& service) {
  static const std::map<std::string, ChecksumAlgorithm> kNames{
      {"CRC32", ChecksumAlgorithm::crc32},         {"CRC32C", ChecksumAlgorithm::crc32c},
      {"CRC64NVME", ChecksumAlgorithm::crc64nvme}, {"SHA1", ChecksumAlgorithm::sha1},
      {"SHA256", ChecksumAlgorithm::sha256},       {"MD5", ChecksumAlgorithm::md5}};
  verb.add_option_function<std::string>(
          "--checksum-algorithm", [&service](const std::string& name) { service.checksum = kNames.at(name); },
          "What the service is to compare the bytes with, and but for MD5 to keep with them")
      ->type_name("NAME")
      ->transform(CLI::IsMember(&kNames, CLI::ignore_case));
}

void add_service_verb(CLI::App& verb, Common& common, Service& service) {
  add_common(verb, common);
  add_trace(verb, common);
  verb.add_option("--timeout", common.timeout_s, "Give up a connection after this many seconds (10)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, 600.0));
  add_service(verb, service);
}

BucketOptions bucket_options(const Common& common, const Service& service, unsigned parallel) {
  BucketOptions options;
  options.endpoint = service.endpoint;
  options.region = service.region;
  options.profile = service.profile;
  options.ca_file = service.ca_file;
  options.anonymous = service.anonymous;
  options.checksum = service.checksum;
  options.rdma = service.rdma;
  options.connect_timeout =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(common.timeout_s));
  options.connections = static_cast<std::uint16_t>(std::clamp(parallel, 32U, 1024U));
  return options;
}

Result<Bucket> open_bucket(Runtime& runtime, const Common& common, const Service& service,
                           const std::string& name, unsigned parallel) {
  return Bucket::open(runtime, "s3://" + name, bucket_options(common, service, parallel)).get();
}

Error explained(Error error) {
  const std::string_view hint = has_hint(error) ? std::string_view() : advice(error);
  return hint.empty() ? error : with_hint(std::move(error), hint);
}

Result<void> explained(Result<void> result) {
  if (!result) return explained(std::move(result).error());
  return result;
}

std::string printable(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte >= 0x20 && byte != 0x7F) {
      out += each;
    } else {
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

std::string local_time(WallTime time) { return formatted(time, false, "%Y-%m-%d %H:%M:%S"); }
std::string json_time(WallTime time) { return formatted(time, true, "%Y-%m-%dT%H:%M:%SZ"); }

}  // namespace netstor::tool
