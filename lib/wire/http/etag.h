// SPDX-License-Identifier: Apache-2.0
#pragma once
// Entity tags and the lists of If-Match and If-None-Match (RFC 9110, 8.8.3 and 13.1). S3's clients also send
// tags without their quotes; such a tag is read as if it had them.

#include <string_view>

namespace netstor::http {

struct EntityTag {
  std::string_view opaque;  ///< without quotes
  bool weak = false;
};

/// Reads a list: for (TagReader r(value); r.next();) …r.tag()…; afterwards failed() tells a malformed one.
class TagReader {
 public:
  explicit TagReader(std::string_view value);
  /// The field is "*": any representation. There are no tags then.
  [[nodiscard]] bool any() const { return any_; }
  [[nodiscard]] bool next();
  [[nodiscard]] const EntityTag& tag() const { return tag_; }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  EntityTag tag_;
  bool any_ = false;
  bool failed_ = false;
};

enum class TagMatch { no, yes, malformed };
/// If-Match: strong comparison, a weak tag matches nothing. `opaque` is the object's tag without quotes;
/// "*" matches it.
[[nodiscard]] TagMatch match_strongly(std::string_view list, std::string_view opaque);
/// If-None-Match: weak comparison.
[[nodiscard]] TagMatch match_weakly(std::string_view list, std::string_view opaque);

}  // namespace netstor::http
