// SPDX-License-Identifier: Apache-2.0
//
// The checksums that S3 carries with an object ("Checking object integrity" in the S3 User Guide): names and
// headers, values, sums over a stream, and what the parts of a multipart upload add up to. A value is text
// (base64, most significant byte first) on the wire and bytes here.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "lib/base/crc.h"
#include "lib/base/crc32c.h"
#include "lib/base/hash.h"

namespace netstor::s3 {

// In the order of the public netstor::ChecksumAlgorithm.
enum class ChecksumKind : std::uint8_t { none, crc32, crc32c, crc64nvme, sha1, sha256, md5 };
// Those that S3 keeps with an object. MD5 is not among them: it goes with a payload as Content-MD5.
inline constexpr ChecksumKind kChecksumKinds[] = {ChecksumKind::crc32, ChecksumKind::crc32c,
                                                  ChecksumKind::crc64nvme, ChecksumKind::sha1,
                                                  ChecksumKind::sha256};

// Of a multipart object: the checksum of the parts' checksums, or that of all bytes.
enum class ChecksumType : std::uint8_t { composite, full_object };

inline constexpr std::size_t kChecksumBytesMax = 32;
// A decoded value as text, "-10000" of a composite one included.
inline constexpr std::size_t kChecksumTextMax = 64;

// 0 for none.
[[nodiscard]] std::size_t checksum_bytes(ChecksumKind kind);
// "CRC32C", the value of x-amz-checksum-algorithm; empty for none.
[[nodiscard]] std::string_view checksum_name(ChecksumKind kind);
// "x-amz-checksum-crc32c", "content-md5"; empty for none.
[[nodiscard]] std::string_view checksum_header(ChecksumKind kind);
// The element of XML bodies, "ChecksumCRC32C"; empty for none and MD5.
[[nodiscard]] std::string_view checksum_element(ChecksumKind kind);
// Names and headers of any case. Nothing for what is none of these.
[[nodiscard]] std::optional<ChecksumKind> checksum_of_name(std::string_view name);
[[nodiscard]] std::optional<ChecksumKind> checksum_of_header(std::string_view header);

// "COMPOSITE", "FULL_OBJECT".
[[nodiscard]] std::string_view to_string(ChecksumType type);
[[nodiscard]] std::optional<ChecksumType> checksum_type_of(std::string_view text);
// S3 has no full-object SHA and no composite CRC64NVME.
[[nodiscard]] bool allowed(ChecksumKind kind, ChecksumType type);
// What an upload gets that names no type.
[[nodiscard]] ChecksumType default_type(ChecksumKind kind);

// A checksum of bytes. The unused ones of `bytes` are zero, so that values compare.
struct Checksum {
  ChecksumKind kind = ChecksumKind::none;
  std::array<std::byte, kChecksumBytesMax> bytes{};

  [[nodiscard]] std::span<const std::byte> view() const {
    return std::span(bytes).first(checksum_bytes(kind));
  }
  // base64; empty for none.
  [[nodiscard]] std::string text() const;
  void append_text(std::string& out) const;

  friend bool operator==(const Checksum&, const Checksum&) = default;
};

// Exactly checksum_bytes(kind) bytes in base64, and no "-N".
[[nodiscard]] std::optional<Checksum> decode_checksum(ChecksumKind kind, std::string_view text);

// What an object's checksum header says: of a composite one, how many parts (1 … 10,000); 0 for all bytes.
struct ObjectChecksum {
  Checksum checksum;
  unsigned parts = 0;

  [[nodiscard]] std::string text() const;
  friend bool operator==(const ObjectChecksum&, const ObjectChecksum&) = default;
};
[[nodiscard]] std::optional<ObjectChecksum> decode_object_checksum(ChecksumKind kind, std::string_view text);

// Content-MD5: 16 bytes in base64.
[[nodiscard]] std::optional<Md5::Digest> decode_content_md5(std::string_view text);
[[nodiscard]] std::string content_md5(const Md5::Digest& digest);

// The checksum of a stream, of the kind that was chosen when it began. Feed pieces in order. A plain value
// that allocates nothing; `none` takes bytes and costs nothing.
class Checksummer {
 public:
  explicit Checksummer(ChecksumKind kind = ChecksumKind::none);

  [[nodiscard]] ChecksumKind kind() const { return kind_; }
  Checksummer& update(std::span<const std::byte> bytes);
  // Of all bytes since the last finish(); a new stream begins.
  [[nodiscard]] Checksum finish();

 private:
  std::variant<std::monostate, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256, Md5> state_;
  ChecksumKind kind_;
};

[[nodiscard]] Checksum checksum_of(ChecksumKind kind, std::span<const std::byte> bytes);

// The checksum of a multipart object from those of its parts, in the order of their numbers.
class MultipartChecksum {
 public:
  // allowed(kind, type), and not `none`.
  MultipartChecksum(ChecksumKind kind, ChecksumType type);

  // `part.kind` is the kind of this.
  void add(const Checksum& part, std::uint64_t part_bytes);
  // Of at least one part.
  [[nodiscard]] ObjectChecksum finish();

 private:
  Checksummer of_checksums_;
  Checksum whole_;
  ChecksumType type_;
  unsigned parts_ = 0;
};

// The same for a sequence of pieces of one stream whose checksums were taken apart; CRCs only.
[[nodiscard]] Checksum combined(const Checksum& a, const Checksum& b, std::uint64_t b_bytes);

// The ETag of a multipart object: the MD5 of the parts' MD5s, "-", their number; without quotes.
class MultipartEtag {
 public:
  void add(const Md5::Digest& part);
  [[nodiscard]] std::string finish();

 private:
  Md5 md5_;
  unsigned parts_ = 0;
};

}  // namespace netstor::s3
