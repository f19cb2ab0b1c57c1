// SPDX-License-Identifier: Apache-2.0
#pragma once
// Header fields of one message, in the order of the wire, as views into its head: nothing is copied, so they
// live as long as the buffer that holds the head. Names compare without case. The list has a fixed room and
// allocates nothing; it is big, so keep one and use it again.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "lib/wire/http/text.h"

namespace netstor::http {

inline constexpr unsigned kFieldsMax = 128;

struct Field {
  Field() = default;
  Field(std::string_view a_name, std::string_view a_value) : name(a_name), value(a_value) {}
  std::string_view name;   ///< as sent; a token
  std::string_view value;  ///< without white space around it; no CR, LF or NUL; may be empty
};

class Fields {
 public:
  /// The places behind size() hold nothing worth to be cleared.
  Fields() {}  // NOLINT(modernize-use-equals-default): would clear all of them in Fields{}

  void clear() { count_ = 0; }
  /// False when there is no room.
  [[nodiscard]] bool add(std::string_view name, std::string_view value) {
    if (count_ == kFieldsMax) return false;
    std::construct_at(&fields_[count_++], name, value);
    return true;
  }

  [[nodiscard]] unsigned size() const { return count_; }
  [[nodiscard]] std::span<const Field> all() const { return {fields_, count_}; }
  [[nodiscard]] const Field* begin() const { return fields_; }
  [[nodiscard]] const Field* end() const { return fields_ + count_; }

  /// The value of the first field of this name; nothing when there is none.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  /// The same, with "" for none.
  [[nodiscard]] std::string_view value(std::string_view name) const { return find(name).value_or(""); }
  [[nodiscard]] bool has(std::string_view name) const { return find(name).has_value(); }
  [[nodiscard]] unsigned count(std::string_view name) const;
  /// Whether a comma-separated list of keywords, perhaps over several fields, has this one.
  [[nodiscard]] bool lists(std::string_view name, std::string_view keyword) const;

 private:
  unsigned count_ = 0;
  union {
    Field fields_[kFieldsMax];
  };
};

}  // namespace netstor::http
