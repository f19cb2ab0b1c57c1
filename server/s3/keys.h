// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who may do what: the keys file. Its form is that of AWS's shared credentials file with a line more, so that
// the same file serves the clients of this machine (AWS_SHARED_CREDENTIALS_FILE); docs/formats/s3-keys.md.
//
//   [default]
//   aws_access_key_id = NETSTOR7K2M…
//   aws_secret_access_key = …
//   netstor_allow = rwl:* r:photos/2024/
//   netstor_until = 2026-12-31T23:59:59Z
//
// Secrets are never part of an error's text.

#include <netstor/result.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/net/expiry.h"

namespace netstor::s3server {

enum class Right : std::uint8_t { read, write, list };

/// Rights to a bucket, to all whose names begin so, or to the keys of it that begin so.
struct Grant {
  bool read = false;
  bool write = false;
  bool list = false;
  std::string bucket;
  bool any_ending = false;  ///< "logs-*": `bucket` is how names begin
  std::string key_prefix;   ///< empty: all of the bucket, and the bucket itself
};

struct User {
  std::string name;
  std::string access_key_id;
  std::string secret_access_key;
  std::vector<Grant> grants;
  net::Expiry until = {};  ///< then it signs nothing any more

  /// `key`: of an object; of a listing, its prefix; empty for the bucket itself.
  [[nodiscard]] bool may(Right right, std::string_view bucket, std::string_view key) const;
  /// Anything at all in this bucket.
  [[nodiscard]] bool knows(std::string_view bucket) const;
};

/// "rwl:logs-* r:photos/2024/"; invalid_argument says what is expected.
Result<std::vector<Grant>> parse_grants(std::string_view text);
std::string to_string(const std::vector<Grant>& grants);

class Keys {
 public:
  /// `what` names the text in errors. Errors: invalid_argument with the line.
  static Result<Keys> parse(std::string_view text, std::string_view what);
  /// Errors: not_found; permission_denied when others than its owner may read or write it (`credentials`:
  /// see store::read_secret_file); as parse().
  static Result<Keys> read(const std::string& path, const std::string& credentials = {});
  /// A new file, mode 0600, with one key that may do everything. Errors: already_exists, system errors.
  static Result<void> make(const std::string& path);

  [[nodiscard]] const User* find(std::string_view access_key_id) const;
  [[nodiscard]] const std::map<std::string, User, std::less<>>& users() const { return users_; }
  /// False: this access key id is somebody's already.
  bool add(User user);
  /// invalid_argument when a user cannot have it; never with any of it.
  static Result<void> check_id(std::string_view access_key_id);
  static Result<void> check_secret(std::string_view secret_access_key);
  [[nodiscard]] std::size_t size() const { return users_.size(); }

 private:
  std::map<std::string, User, std::less<>> users_;
};

}  // namespace netstor::s3server
