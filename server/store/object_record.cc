// SPDX-License-Identifier: Apache-2.0
// See object_record.h. Numbers in values are LEB128, strings have their length before them.

#include "server/store/object_record.h"

#include "lib/base/bytes.h"

#include <limits>

namespace netstor::store {

namespace {

constexpr std::uint8_t kFormat = 1;
constexpr char kEscape = '\xff';

class Writer {
 public:
  Writer() { text_.push_back(static_cast<char>(kFormat)); }
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_.push_back(static_cast<char>(value | 0x80));
    text_.push_back(static_cast<char>(value));
  }
  void time(std::int64_t value) { number(static_cast<std::uint64_t>(value)); }
  void text(std::string_view value) {
    number(value.size());
    text_.append(value);
  }
  template <class List, class F>
  void list(const List& values, F each) {
    number(values.size());
    for (const auto& value : values) each(value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) { good_ = number() == kFormat; }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return fail();
      const auto next = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
      if (next < 0x80) return value;
    }
    return fail();
  }
  std::int64_t time() { return static_cast<std::int64_t>(number()); }
  void text(std::string& into) {
    const std::uint64_t length = number();
    if (length > rest_.size()) {
      fail();
      return;
    }
    into.assign(rest_.substr(0, length));
    rest_.remove_prefix(length);
  }
  template <class List, class F>
  void list(List& values, F each) {
    const std::uint64_t count = number();
    // Each takes a byte at least.
    if (count > rest_.size()) fail();
    values.clear();
    if (good_) values.reserve(count);
    for (std::uint64_t i = 0; good_ && i < count; ++i) each(values.emplace_back());
  }
  bool done() const { return good_ && rest_.empty(); }

 private:
  std::uint64_t fail() {
    good_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool good_ = true;
};

// One description of each value for both ways.
struct Put {
  Writer& to;
  void number(const auto& value) { to.number(static_cast<std::uint64_t>(value)); }
  void text(const std::string& value) { to.text(value); }
  void list(const auto& values, auto each) { to.list(values, each); }
};
struct Take {
  Reader& from;
  template <class T>
  void number(T& value) {
    value = static_cast<T>(from.number());
  }
  void text(std::string& value) { from.text(value); }
  void list(auto& values, auto each) { from.list(values, each); }
};

void describe(auto& way, auto& values) requires requires { values.begin()->first; }
{
  way.list(values, [&way](auto& pair) {
    way.text(pair.first);
    way.text(pair.second);
  });
}

void describe_checksums(auto& way, auto& checksums) {
  way.list(checksums, [&way](auto& checksum) {
    way.number(checksum.algorithm);
    way.number(checksum.composite);
    way.text(checksum.value);
  });
}

void describe_facts(auto& way, auto& facts) {
  way.text(facts.etag);
  describe(way, facts.headers);
  describe(way, facts.user);
  describe(way, facts.tags);
  describe_checksums(way, facts.checksums);
}

void describe_part(auto& way, auto& part) {
  way.number(part.number);
  way.number(part.size);
  way.text(part.etag);
  way.number(part.modified_ms);
  describe_checksums(way, part.checksums);
}

void describe_extents(auto& way, auto& extents) {
  way.list(extents, [&way](auto& extent) {
    way.number(extent.segment);
    way.number(extent.base);
    way.number(extent.offset);
    way.number(extent.length);
  });
}

void describe_layout(auto& way, auto& layout) {
  describe_extents(way, layout.extents);
  way.list(layout.parts, [&way](auto& part) { describe_part(way, part); });
}

void describe_bucket(auto& way, auto& record) {
  way.number(record.id);
  way.text(record.name);
  way.number(record.created_ms);
  way.number(record.versioning);
  way.number(record.anonymous.read);
  way.number(record.anonymous.write);
  way.number(record.anonymous.list);
}

void describe_version(auto& way, auto& record) {
  way.number(record.sequence);
  way.number(record.null);
  way.number(record.older);
  way.number(record.null_sequence);
  way.number(record.version.delete_marker);
  way.number(record.version.versioned);
  way.number(record.version.size);
  way.number(record.version.modified_ms);
  describe_facts(way, record.version);
  way.number(record.layout_id);
  if (record.layout_id == 0) describe_layout(way, record.layout);
}

template <class F>
std::string encoded(F describe_with) {
  Writer writer;
  Put way{writer};
  describe_with(way);
  return writer.take();
}

template <class F>
bool decoded(std::string_view bytes, F describe_with) {
  Reader reader(bytes);
  Take way{reader};
  describe_with(way);
  return reader.done();
}

void append_number(std::string& key, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0;) key.push_back(static_cast<char>(number >> (8 * i)));
}

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t count) noexcept {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < count; ++i) number = number << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  return number;
}

std::string bucket_prefix(char kind, std::uint64_t bucket) {
  std::string key(1, kind);
  append_number(key, bucket, 8);
  return key;
}

/// Ends a key so that it comes before each longer one, whatever bytes these go on with.
std::string ended(char kind, std::uint64_t bucket, std::string_view key) {
  return bucket_prefix(kind, bucket) + escaped(key) + std::string(2, '\0');
}

}  // namespace

std::string encode(const BucketRecord& record) {
  return encoded([&](auto& way) { describe_bucket(way, record); });
}
bool decode(std::string_view bytes, BucketRecord& record) {
  return decoded(bytes, [&](auto& way) { describe_bucket(way, record); });
}
std::string encode(const VersionRecord& record) {
  return encoded([&](auto& way) { describe_version(way, record); });
}
bool decode(std::string_view bytes, VersionRecord& record) {
  if (!decoded(bytes, [&](auto& way) { describe_version(way, record); })) return false;
  record.version.version_id = version_id_of(record.sequence, record.null);
  return true;
}
std::string encode(const Layout& layout) {
  return encoded([&](auto& way) { describe_layout(way, layout); });
}
bool decode(std::string_view bytes, Layout& layout) {
  return decoded(bytes, [&](auto& way) { describe_layout(way, layout); });
}
std::string encode(const UploadRecord& record) {
  return encoded([&](auto& way) {
    way.number(record.created_ms);
    describe_facts(way, record.facts);
  });
}
bool decode(std::string_view bytes, UploadRecord& record) {
  return decoded(bytes, [&](auto& way) {
    way.number(record.created_ms);
    describe_facts(way, record.facts);
  });
}
std::string encode(const PartRecord& record) {
  return encoded([&](auto& way) {
    describe_part(way, record.part);
    describe_extents(way, record.extents);
  });
}
bool decode(std::string_view bytes, PartRecord& record) {
  return decoded(bytes, [&](auto& way) {
    describe_part(way, record.part);
    describe_extents(way, record.extents);
  });
}
std::string encode(const ExtentRecord& record) {
  return encoded([&](auto& way) {
    way.number(record.length);
    way.number(record.references);
  });
}
bool decode(std::string_view bytes, ExtentRecord& record) {
  return decoded(bytes, [&](auto& way) {
    way.number(record.length);
    way.number(record.references);
  });
}
std::string encode_usage(const ObjectUsage& usage) {
  return encoded([&](auto& way) {
    way.number(usage.buckets);
    way.number(usage.versions);
    way.number(usage.bytes);
    way.number(usage.stored_bytes);
  });
}
bool decode_usage(std::string_view bytes, ObjectUsage& usage) {
  return decoded(bytes, [&](auto& way) {
    way.number(usage.buckets);
    way.number(usage.versions);
    way.number(usage.bytes);
    way.number(usage.stored_bytes);
  });
}

std::string version_id_of(std::uint64_t sequence, bool null) {
  if (null) return "null";
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string id(16, '0');
  for (std::size_t i = 0; i < 16; ++i) id[i] = kHex[sequence >> (60 - 4 * i) & 15];
  return id;
}

std::uint64_t sequence_of(std::string_view version_id) noexcept {
  if (version_id.size() != 16) return 0;
  std::uint64_t sequence = 0;
  for (const char digit : version_id) {
    const bool decimal = digit >= '0' && digit <= '9';
    if (!decimal && (digit < 'a' || digit > 'f')) return 0;
    sequence = sequence << 4 | static_cast<std::uint64_t>(decimal ? digit - '0' : digit - 'a' + 10);
  }
  return sequence;
}

std::string number_key(std::uint64_t number) {
  std::string key;
  append_number(key, number, 8);
  return key;
}
std::uint64_t decode_number(std::string_view bytes) noexcept {
  return bytes.size() == 8 ? number_at(bytes, 0, 8) : 0;
}

std::string bucket_key(std::string_view name) { return "B" + std::string(name); }
std::string object_key(std::uint64_t bucket, std::string_view key) {
  return bucket_prefix('O', bucket).append(key);
}
std::string versions_key(std::uint64_t bucket, std::string_view key) { return ended('V', bucket, key); }
std::string version_key(std::uint64_t bucket, std::string_view key, std::uint64_t sequence) {
  return versions_key(bucket, key) + number_key(~sequence);
}
std::string uploads_key(std::uint64_t bucket, std::string_view key) { return ended('U', bucket, key); }
std::string upload_key(std::uint64_t bucket, std::string_view key, std::uint64_t upload) {
  return uploads_key(bucket, key) + number_key(upload);
}
std::string part_key(std::uint64_t upload, std::uint32_t number) {
  std::string key = bucket_prefix('P', upload);
  append_number(key, number, 4);
  return key;
}
std::string extent_key(std::uint32_t segment, std::uint64_t offset) {
  std::string key(1, 'X');
  append_number(key, segment, 4);
  append_number(key, offset, 8);
  return key;
}

Extent extent_at(std::string_view index_key) noexcept {
  if (index_key.size() != 13 || index_key[0] != 'X') return {};
  return {.segment = static_cast<std::uint32_t>(number_at(index_key, 1, 4)),
          .base = number_at(index_key, 5, 8),
          .offset = number_at(index_key, 5, 8)};
}

std::string escaped(std::string_view prefix) {
  std::string key;
  for (const char letter : prefix) {
    key.push_back(letter);
    if (letter == '\0') key.push_back(kEscape);
  }
  return key;
}

bool split_key(std::string_view rest, std::string& key, std::uint64_t& number) {
  key.clear();
  for (std::size_t at = 0; at + 1 < rest.size(); ++at) {
    if (rest[at] != '\0') {
      key.push_back(rest[at]);
    } else if (rest[at + 1] == kEscape) {
      key.push_back('\0');
      ++at;
    } else if (rest.size() == at + 10) {
      number = number_at(rest, at + 2, 8);
      return true;
    } else {
      return false;
    }
  }
  return false;
}

std::string behind_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

}  // namespace netstor::store
