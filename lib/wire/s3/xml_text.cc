// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/xml_text.h"

#include <algorithm>
#include <charconv>

#include "lib/wire/http/text.h"
#include "lib/wire/http/uri.h"
#include "lib/wire/s3/xml.h"

namespace netstor::s3::xml {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0u) == 0x80u; }

// The bytes of the UTF-8 character of at least two bytes at the front of `text`; 0 when it is none, or one
// that XML does not have.
std::size_t utf8_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  std::uint32_t point = first & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (!continues(text[i])) return 0;
    point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
  }
  const bool too_long = (size == 3 && point < 0x800) || (size == 4 && point < 0x10000);
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  return too_long || surrogate || point > 0x10FFFF || point == 0xFFFE || point == 0xFFFF ? 0 : size;
}

// The five of XML and numbers of characters; with `text` behind the "&". 0 when it is none of these.
std::size_t reference_size(std::string_view text) {
  const std::string_view name = text.substr(0, std::min<std::size_t>(text.find(';'), 12));
  if (name.size() == text.size() || text[name.size()] != ';') return 0;
  for (const std::string_view known : {"amp", "lt", "gt", "quot", "apos"}) {
    if (name == known) return name.size() + 1;
  }
  if (!name.starts_with('#')) return 0;
  const bool hex = name.starts_with("#x");
  const std::string_view digits = name.substr(hex ? 2 : 1);
  std::uint32_t point = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), point, hex ? 16 : 10);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return 0;
  const bool bearable = point != 0 && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
  return bearable ? name.size() + 1 : 0;
}

constexpr std::string_view kBadReference = "an entity that is not one of XML's own";

// Walks over a body before anything is built of it.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  std::string_view run() {
    while (!rest_.empty()) {
      std::string_view wrong;
      if (rest_[0] == '&') {
        wrong = reference();
      } else if (rest_[0] == '<') {
        wrong = markup();
      } else {
        rest_.remove_prefix(std::min(rest_.find_first_of("<&"), rest_.size()));
      }
      if (!wrong.empty()) return wrong;
    }
    return depth_ == 0 ? "" : "it ends inside of an element";
  }

 private:
  std::string_view reference() {
    const std::size_t size = reference_size(rest_.substr(1));
    rest_.remove_prefix(size + 1);
    return size == 0 ? kBadReference : "";
  }

  std::string_view skip_behind(std::string_view end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) return "markup without an end";
    rest_.remove_prefix(at + end.size());
    return "";
  }

  std::string_view markup() {
    if (rest_.starts_with("<!--")) {
      rest_.remove_prefix(4);
      return skip_behind("-->");
    }
    if (rest_.starts_with("<![CDATA[")) return skip_behind("]]>");
    if (rest_.starts_with("<!")) return "a document type, which is not taken";
    if (rest_.starts_with("<?")) return skip_behind("?>");
    if (rest_.starts_with("</")) {
      if (depth_ == 0) return "an end without a beginning";
      --depth_;
      return skip_behind(">");
    }
    return element();
  }

  // A start tag with its attributes, each of which costs as much memory as an element.
  std::string_view element() {
    rest_.remove_prefix(1);
    if (++elements_ > kXmlElementsMax) return "too many elements";
    char last = '<';
    while (!rest_.empty() && rest_[0] != '>') {
      last = rest_[0];
      rest_.remove_prefix(1);
      if (last == '<') return "a < inside of a tag";
      if (last == '"' || last == '\'') {
        if (std::string_view wrong = attribute_value(last); !wrong.empty()) return wrong;
      }
    }
    if (rest_.empty()) return "markup without an end";
    rest_.remove_prefix(1);
    if (last != '/' && ++depth_ > kXmlDepthMax) return "too many elements inside of each other";
    return "";
  }

  std::string_view attribute_value(char quote) {
    if (++elements_ > kXmlElementsMax) return "too many attributes";
    while (!rest_.empty() && rest_[0] != quote) {
      if (rest_[0] == '&') {
        if (std::string_view wrong = reference(); !wrong.empty()) return wrong;
      } else {
        rest_.remove_prefix(1);
      }
    }
    if (rest_.empty()) return "markup without an end";
    rest_.remove_prefix(1);
    return "";
  }

  std::string_view rest_;
  std::size_t elements_ = 0;
  std::size_t depth_ = 0;
};

std::string_view without_quotes(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

std::string_view why_unbearable(std::string_view text) {
  if (text.size() > kXmlBytesMax) return "it is too large";
  if (text.find('\0') != std::string_view::npos) return "a NUL character";
  return Scanner(text).run();
}

// ---- Writer

Writer::Writer(std::string& out, std::string_view root, bool with_namespace) : out_(out), root_(root) {
  out_.append("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<").append(root);
  if (with_namespace) out_.append(" xmlns=\"").append(kNamespace).append("\"");
  out_.append(">");
}

void Writer::escaped(std::string_view value) {
  while (!value.empty()) {
    const auto first = static_cast<unsigned char>(value[0]);
    std::size_t size = 1;
    if (first >= 0x80) {
      size = utf8_size(value);
      out_.append(size == 0 ? kReplacement : value.substr(0, size));
      size = std::max<std::size_t>(size, 1);
    } else if (first == 0) {
      out_.append(kReplacement);
    } else if (first < 0x20 || first == 0x7F) {
      char digits[2];
      const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), first, 16);
      out_.append("&#x").append(std::begin(digits), end).append(";");
    } else if (first == '&' || first == '<' || first == '>' || first == '"') {
      out_.append(first == '&' ? "&amp;" : first == '<' ? "&lt;" : first == '>' ? "&gt;" : "&quot;");
    } else {
      out_.push_back(value[0]);
    }
    value.remove_prefix(size);
  }
}

void Writer::text(std::string_view name, std::string_view value) {
  open(name);
  escaped(value);
  close(name);
}

void Writer::optional_text(std::string_view name, std::string_view value) {
  if (!value.empty()) text(name, value);
}

void Writer::key(std::string_view name, std::string_view value, bool url_encoded) {
  open(name);
  if (url_encoded) {
    http::percent_encode(value, http::Slash::keep, out_);
  } else {
    escaped(value);
  }
  close(name);
}

void Writer::optional_key(std::string_view name, std::string_view value, bool url_encoded) {
  if (!value.empty()) key(name, value, url_encoded);
}

void Writer::number(std::string_view name, std::uint64_t value) { text(name, std::to_string(value)); }
void Writer::time(std::string_view name, http::WallTime value) { text(name, http::encode_iso_date(value)); }

void Writer::etag(std::string_view value) {
  open("ETag");
  out_.append("&quot;");
  escaped(value);
  out_.append("&quot;");
  close("ETag");
}

void Writer::checksum(const std::optional<Checksum>& value) {
  if (value && value->kind != ChecksumKind::none) text(checksum_element(value->kind), value->text());
}

void Writer::checksum(const std::optional<ObjectChecksum>& value) {
  if (value && value->checksum.kind != ChecksumKind::none) {
    text(checksum_element(value->checksum.kind), value->text());
  }
}

void Writer::checksum_facts(ChecksumKind kind, const std::optional<ChecksumType>& type) {
  optional_text("ChecksumAlgorithm", checksum_name(kind));
  if (type) text("ChecksumType", to_string(*type));
}

// ---- Element

std::string_view Element::name() const {
  std::string_view whole = node_.name();
  if (const std::size_t colon = whole.rfind(':'); colon != std::string_view::npos)
    whole.remove_prefix(colon + 1);
  return whole;
}

Element Element::child(std::string_view name) const {
  for (pugi::xml_node child = node_.first_child(); child; child = child.next_sibling()) {
    if (child.type() == pugi::node_element && Element(child).name() == name) return Element(child);
  }
  return {};
}

std::string Element::text() const {
  std::string out;
  for (pugi::xml_node child = node_.first_child(); child; child = child.next_sibling()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) out.append(child.value());
  }
  return out;
}

bool Element::flag(std::string_view child_name) const {
  return http::equal_without_case(trimmed(text(child_name)), "true");
}

std::string Element::etag() const {
  const std::string whole = text("ETag");
  return std::string(without_quotes(trimmed(whole)));
}

// ---- Reader

void Reader::fail(std::string_view why) {
  if (error_) return;
  error_.emplace(ErrorKind::protocol, std::string(what_).append(": ").append(why));
}

std::uint64_t Reader::number(const Element& parent, std::string_view name, std::uint64_t max,
                             std::uint64_t missing) {
  const std::string text = parent.text(name);
  const std::string_view digits = trimmed(text);
  if (digits.empty()) return missing;
  const auto value = http::decode_number(digits, max);
  if (!value) fail(std::string(name) + " is no number in range");
  return value.value_or(missing);
}

http::WallTime Reader::time(const Element& parent, std::string_view name) {
  const std::string text = parent.text(name);
  const std::string_view digits = trimmed(text);
  if (digits.empty()) return {};
  const auto value = http::decode_iso_date(digits);
  if (!value) fail(std::string(name) + " is no time");
  return value.value_or(http::WallTime());
}

std::string Reader::key(const Element& element, bool url_encoded) {
  std::string text = element.text();
  if (!url_encoded) return text;
  std::string decoded;
  if (!http::percent_decode(text, http::Plus::space, decoded)) {
    fail(std::string(element.name()) + " is not percent-encoded, though the listing is");
  }
  return decoded;
}

std::optional<Checksum> Reader::checksum(const Element& parent) {
  const auto object = object_checksum(parent);
  if (!object) return std::nullopt;
  if (object->parts != 0) fail("the checksum of a part is one of an object");
  return object->checksum;
}

std::optional<ObjectChecksum> Reader::object_checksum(const Element& parent) {
  for (const ChecksumKind kind : kChecksumKinds) {
    const Element element = parent.child(checksum_element(kind));
    if (!element.found()) continue;
    const std::string text = element.text();
    const auto value = decode_object_checksum(kind, trimmed(text));
    if (!value) fail(std::string(checksum_element(kind)) + " is not well formed");
    return value;
  }
  return std::nullopt;
}

void Reader::checksum_facts(const Element& parent, ChecksumKind& kind, std::optional<ChecksumType>& type) {
  // What is new is no error: it is merely not known.
  const std::string name = parent.text("ChecksumAlgorithm");
  kind = checksum_of_name(trimmed(name)).value_or(ChecksumKind::none);
  const std::string type_name = parent.text("ChecksumType");
  type = checksum_type_of(trimmed(type_name));
}

// ---- Document

Result<void> Document::parse(std::string_view text, std::string_view what) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::string_view why = why_unbearable(text);
  if (why.empty()) {
    // White space alone is kept: a key may be a space.
    constexpr unsigned kOptions = pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol |
                                  pugi::parse_wconv_attribute | pugi::parse_ws_pcdata_single;
    const auto parsed = document_.load_buffer(text.data(), text.size(), kOptions, pugi::encoding_utf8);
    if (parsed) return ok();
    why = parsed.description();
  }
  return Error(ErrorKind::protocol, std::string(what).append(": bad XML: ").append(why));
}

}  // namespace netstor::s3::xml
