// SPDX-License-Identifier: Apache-2.0

#include "server/s3/keys.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <set>

#include "lib/base/hash.h"
#include "lib/wire/http/text.h"
#include "lib/wire/http/uri.h"
#include "server/store/safe_file.h"

namespace netstor::s3server {

namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

Error bad_line(std::string_view what, unsigned line, std::string_view why) {
  return {ErrorKind::invalid_argument,
          std::string(what) + ", line " + std::to_string(line) + ": " + std::string(why)};
}

std::string_view without_blanks(std::string_view text) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  return http::trimmed(text);
}

/// "rwl:logs-*", "r:photos/2024/"; bucket and prefix percent-encoded where they have blanks.
bool parse_grant(std::string_view word, Grant& grant) {
  const std::size_t colon = word.find(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  for (const char each : word.substr(0, colon)) {
    bool* const right = each == 'r'   ? &grant.read
                        : each == 'w' ? &grant.write
                        : each == 'l' ? &grant.list
                                      : nullptr;
    if (right == nullptr || *right) return false;
    *right = true;
  }
  const std::string_view place = word.substr(colon + 1);
  const std::size_t slash = place.find('/');
  std::string_view bucket = place.substr(0, slash);
  if (bucket.ends_with('*')) {
    grant.any_ending = true;
    bucket.remove_suffix(1);
  }
  if (bucket.find('*') != std::string_view::npos || (bucket.empty() && !grant.any_ending)) return false;
  if (slash == std::string_view::npos) return http::percent_decode(bucket, http::Plus::literal, grant.bucket);
  return http::percent_decode(bucket, http::Plus::literal, grant.bucket) &&
         http::percent_decode(place.substr(slash + 1), http::Plus::literal, grant.key_prefix);
}

/// One of `letters` for each place, each as likely.
std::string random_text(std::string_view letters, std::size_t size) {
  std::string text;
  while (text.size() < size) {
    std::array<unsigned char, 64> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) continue;
    const std::size_t fair = 256 / letters.size() * letters.size();
    for (const unsigned char each : bytes) {
      if (each < fair && text.size() < size) text.push_back(letters[each % letters.size()]);
    }
  }
  return text;
}

}  // namespace

Result<std::vector<Grant>> parse_grants(std::string_view text) {
  std::vector<Grant> grants;
  while (!(text = http::trimmed(text)).empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(" \t"));
    text.remove_prefix(word.size());
    if (!parse_grant(word, grants.emplace_back()))
      return Error(ErrorKind::invalid_argument,
                   "expected RIGHTS:BUCKET[/PREFIX]…, for example rwl:* or r:photos/2024/");
  }
  return grants;
}

std::string to_string(const std::vector<Grant>& grants) {
  std::string text;
  for (const Grant& grant : grants) {
    if (!text.empty()) text += ' ';
    text += std::string(grant.read ? "r" : "") + (grant.write ? "w" : "") + (grant.list ? "l" : "") + ':';
    text += http::percent_encoded(grant.bucket, http::Slash::encode) + (grant.any_ending ? "*" : "");
    if (!grant.key_prefix.empty()) text += '/' + http::percent_encoded(grant.key_prefix, http::Slash::keep);
  }
  return text;
}

Result<void> Keys::check_id(std::string_view access_key_id) {
  const bool sound = !access_key_id.empty() && access_key_id.size() <= 128 &&
                     access_key_id.find('/') == std::string_view::npos;
  if (sound) return ok();
  return Error(ErrorKind::invalid_argument, "expected 1 to 128 characters, no slash");
}

Result<void> Keys::check_secret(std::string_view secret_access_key) {
  if (secret_access_key.size() >= 16) return ok();
  return Error(ErrorKind::invalid_argument, "expected at least 16 characters");
}

bool Keys::add(User user) {
  std::string id = user.access_key_id;
  return users_.emplace(std::move(id), std::move(user)).second;
}

bool User::may(Right right, std::string_view bucket, std::string_view key) const {
  for (const Grant& grant : grants) {
    const bool has = right == Right::read ? grant.read : right == Right::write ? grant.write : grant.list;
    if (!has) continue;
    if (grant.any_ending ? !bucket.starts_with(grant.bucket) : bucket != grant.bucket) continue;
    if (key.starts_with(grant.key_prefix)) return true;
  }
  return false;
}

bool User::knows(std::string_view bucket) const {
  for (const Grant& grant : grants) {
    if (grant.any_ending ? bucket.starts_with(grant.bucket) : bucket == grant.bucket) return true;
  }
  return false;
}

Result<Keys> Keys::parse(std::string_view text, std::string_view what) {
  struct Section {
    User user;
    unsigned line = 0;
    bool allowed = false;
  };
  std::vector<Section> sections;
  std::set<std::string, std::less<>> seen;
  unsigned number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      if (line.back() != ']' || line.size() < 3) return bad_line(what, number, "expected [NAME]");
      sections.emplace_back().user.name = http::trimmed(line.substr(1, line.size() - 2));
      sections.back().line = number;
      seen.clear();
      continue;
    }
    if (sections.empty()) return bad_line(what, number, "expected [NAME] first");
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return bad_line(what, number, "expected NAME = VALUE");
    const std::string_view name = http::trimmed(line.substr(0, equals));
    const std::string_view value = http::trimmed(line.substr(equals + 1));
    if (!seen.emplace(name).second) return bad_line(what, number, "said before in this section");
    Section& section = sections.back();
    if (name == "aws_access_key_id") {
      section.user.access_key_id = value;
    } else if (name == "aws_secret_access_key") {
      section.user.secret_access_key = value;
    } else if (name == "netstor_allow") {
      section.allowed = true;
      auto grants = parse_grants(value);
      if (!grants) return bad_line(what, number, grants.error().text());
      section.user.grants = *std::move(grants);
    } else if (name == "netstor_until") {
      const auto until = net::parse_expiry(value);
      if (!until) return bad_line(what, number, until.error().text());
      section.user.until = *until;
    } else if (name.starts_with("netstor_")) {
      return bad_line(what, number, "expected netstor_allow or netstor_until");
    }
    // Other names are the clients'.
  }
  Keys keys;
  for (Section& section : sections) {
    if (!section.allowed) return bad_line(what, section.line, "this section has no netstor_allow");
    const std::string id = section.user.access_key_id;
    if (const auto good = check_id(id); !good)
      return bad_line(what, section.line, "aws_access_key_id: " + good.error().text());
    if (const auto good = check_secret(section.user.secret_access_key); !good)
      return bad_line(what, section.line, "aws_secret_access_key: " + good.error().text());
    if (!keys.add(std::move(section.user)))
      return bad_line(what, section.line, "this aws_access_key_id is another section's, too");
  }
  return keys;
}

Result<Keys> Keys::read(const std::string& path, const std::string& credentials) {
  NETSTOR_TRY_RETURN(std::string text, store::read_secret_file(path, kFileBytesMax, credentials));
  auto keys = parse(text, path);
  wipe(std::as_writable_bytes(std::span(text)));
  return keys;
}

Result<void> Keys::make(const std::string& path) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  constexpr std::string_view kMore = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string text =
      "# The keys of netstord's S3 endpoint, and a credentials file for its clients:\n"
      "#   AWS_SHARED_CREDENTIALS_FILE=THIS_FILE aws --endpoint-url URL s3 ls\n"
      "# Read at start and at each reload. netstor_allow = RIGHTS:BUCKET[/PREFIX]…; r read, w write, l list; "
      "* ends a bucket's name.\n"
      "[default]\n"
      "aws_access_key_id = NSTR" +
      random_text(kLetters, 16) + "\naws_secret_access_key = " + random_text(kMore, 40) +
      "\nnetstor_allow = rwl:*\n";
  auto written = store::write_new_file(path, text);
  wipe(std::as_writable_bytes(std::span(text)));
  if (!written) return std::move(written).error();
  return ok();
}

const User* Keys::find(std::string_view access_key_id) const {
  const auto found = users_.find(access_key_id);
  return found == users_.end() ? nullptr : &found->second;
}

}  // namespace netstor::s3server
