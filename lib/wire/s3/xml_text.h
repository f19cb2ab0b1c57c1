// SPDX-License-Identifier: Apache-2.0
//
// What xml.cc and xml_list.cc are written with: a writer that appends elements to a string, and a document
// that was looked at before pugixml was let near it. Not for others.

#pragma once

#include <netstor/result.h>

#include <cstdint>
#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "lib/wire/http/date.h"
#include "lib/wire/s3/checksum.h"

namespace netstor::s3::xml {

inline constexpr std::string_view kNamespace = "http://s3.amazonaws.com/doc/2006-03-01/";

class Writer {
 public:
  // The XML declaration and the root.
  Writer(std::string& out, std::string_view root, bool with_namespace = true);
  // Ends the root.
  void finish() { close(root_); }

  void open(std::string_view name) { out_.append("<").append(name).append(">"); }
  void close(std::string_view name) { out_.append("</").append(name).append(">"); }

  void text(std::string_view name, std::string_view value);
  void raw_text(std::string_view value) { escaped(value); }  // of the element that is open
  // Left out when empty.
  void optional_text(std::string_view name, std::string_view value);
  // Percent-encoded when the listing is.
  void key(std::string_view name, std::string_view value, bool url_encoded);
  void optional_key(std::string_view name, std::string_view value, bool url_encoded);
  void number(std::string_view name, std::uint64_t value);
  void flag(std::string_view name, bool value) { text(name, value ? "true" : "false"); }
  void time(std::string_view name, http::WallTime value);
  // With its quotes.
  void etag(std::string_view value);
  void checksum(const std::optional<Checksum>& value);
  void checksum(const std::optional<ObjectChecksum>& value);
  void checksum_facts(ChecksumKind kind, const std::optional<ChecksumType>& type);

 private:
  void escaped(std::string_view value);

  std::string& out_;
  std::string_view root_;
};

// An element that may be missing; then it is empty everywhere.
class Element {
 public:
  Element() = default;
  explicit Element(pugi::xml_node node) : node_(node) {}

  [[nodiscard]] bool found() const { return static_cast<bool>(node_); }
  // Without its prefix.
  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] Element child(std::string_view name) const;
  // All its own text and CDATA.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string text(std::string_view child_name) const { return child(child_name).text(); }
  // Trimmed: services put ids and tokens on lines of their own.
  [[nodiscard]] bool flag(std::string_view child_name) const;
  [[nodiscard]] std::string etag() const;

  template <class Take>
  void each(Take&& take) const {
    for (pugi::xml_node child = node_.first_child(); child; child = child.next_sibling()) {
      if (child.type() == pugi::node_element) take(Element(child));
    }
  }

 private:
  pugi::xml_node node_;
};

// The values of an element that may be wrong: the first fault is kept, reading goes on.
class Reader {
 public:
  explicit Reader(std::string_view what) : what_(what) {}

  [[nodiscard]] std::uint64_t number(const Element& parent, std::string_view name, std::uint64_t max,
                                     std::uint64_t missing = 0);
  [[nodiscard]] http::WallTime time(const Element& parent, std::string_view name);
  // Decoded when the listing is.
  [[nodiscard]] std::string key(const Element& element, bool url_encoded);
  [[nodiscard]] std::string key(const Element& parent, std::string_view name, bool url_encoded) {
    return key(parent.child(name), url_encoded);
  }
  [[nodiscard]] std::optional<Checksum> checksum(const Element& parent);
  [[nodiscard]] std::optional<ObjectChecksum> object_checksum(const Element& parent);
  void checksum_facts(const Element& parent, ChecksumKind& kind, std::optional<ChecksumType>& type);

  void fail(std::string_view why);
  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  [[nodiscard]] Error take_error() { return *std::move(error_); }

 private:
  std::string_view what_;
  std::optional<Error> error_;
};

class Document {
 public:
  // Bounded and well formed, or what is wrong with `what`. The text is copied.
  [[nodiscard]] Result<void> parse(std::string_view text, std::string_view what);
  [[nodiscard]] Element root() const { return Element(document_.document_element()); }

 private:
  pugi::xml_document document_;
};

// The value that `fill(root, reader, value)` makes of a body whose root is `what`.
template <class T, class Fill>
[[nodiscard]] Result<T> decode_as(std::string_view what, std::string_view text, Fill&& fill) {
  Document document;
  NETSTOR_CHECK_RETURN(document.parse(text, what));
  Reader reader(what);
  T value{};
  if (document.root().name() == what) {
    fill(document.root(), reader, value);
  } else {
    reader.fail("the root element has another name");
  }
  if (!reader.ok()) return reader.take_error();
  return value;
}

// Bounds, depth, references and constructs, without building anything: why not, or empty.
[[nodiscard]] std::string_view why_unbearable(std::string_view text);

}  // namespace netstor::s3::xml
