// SPDX-License-Identifier: Apache-2.0
#pragma once
// Percent-encoding (RFC 3986, 2) and the parts of a request's target. S3 signs paths and queries in one
// canonical spelling: unreserved characters as they are, all else as %XX with capital digits;
// percent_encode() writes that.

#include <optional>
#include <string>
#include <string_view>

namespace netstor::http {

enum class Slash : bool { encode, keep };

/// Appends. Keys keep their slashes; query names and values do not.
void percent_encode(std::string_view raw, Slash slash, std::string& out);
[[nodiscard]] std::string percent_encoded(std::string_view raw, Slash slash);

enum class Plus : bool { literal, space };

/// Appends; nothing when a % is not followed by two digits, `out` is then as far as it got. In paths a plus
/// is a plus; in queries form encoding makes it a space. %00 is decoded as any other: keys have every byte.
[[nodiscard]] bool percent_decode(std::string_view encoded, Plus plus, std::string& out);

/// A target in its raw parts: "/a%20b?x=1&y". What is behind a # never is in a target, and is refused.
struct Target {
  std::string_view authority;  ///< of the absolute form, "http://host:1/path"; "" mostly
  std::string_view path;       ///< begins with a slash, or is "*"
  std::string_view query;      ///< without its question mark
  bool has_query = false;
};
[[nodiscard]] std::optional<Target> split_target(std::string_view target);

/// Reads the pairs of a query, in order, undecoded: for (QueryReader r(q); r.next();) …r.name(), r.value()…
class QueryReader {
 public:
  explicit QueryReader(std::string_view query) : rest_(query) {}
  [[nodiscard]] bool next();
  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] std::string_view value() const { return value_; }
  [[nodiscard]] bool has_value() const { return has_value_; }  ///< "?acl" has none, "?acl=" an empty one

 private:
  std::string_view rest_;
  std::string_view name_;
  std::string_view value_;
  bool has_value_ = false;
};

}  // namespace netstor::http
