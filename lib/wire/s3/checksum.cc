// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/checksum.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"
#include "lib/base/encoding.h"
#include "lib/wire/http/text.h"

namespace netstor::s3 {

namespace {

struct Row {
  std::string_view name, header, element;
  std::size_t bytes;
};

// In the order of ChecksumKind.
constexpr Row kRows[] = {
    {"", "", "", 0},
    {"CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 4},
    {"CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 4},
    {"CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8},
    {"SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 20},
    {"SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", 32},
    {"MD5", "content-md5", "", 16},
};

const Row& row(ChecksumKind kind) { return kRows[static_cast<std::size_t>(kind)]; }

constexpr unsigned kPartsMax = 10'000;

}  // namespace

std::size_t checksum_bytes(ChecksumKind kind) { return row(kind).bytes; }
std::string_view checksum_name(ChecksumKind kind) { return row(kind).name; }
std::string_view checksum_header(ChecksumKind kind) { return row(kind).header; }
std::string_view checksum_element(ChecksumKind kind) { return row(kind).element; }

std::optional<ChecksumKind> checksum_of_name(std::string_view name) {
  for (const ChecksumKind kind : kChecksumKinds) {
    if (http::equal_without_case(name, row(kind).name)) return kind;
  }
  return std::nullopt;
}

std::optional<ChecksumKind> checksum_of_header(std::string_view header) {
  for (const ChecksumKind kind : kChecksumKinds) {
    if (http::equal_without_case(header, row(kind).header)) return kind;
  }
  return std::nullopt;
}

std::string_view to_string(ChecksumType type) {
  return type == ChecksumType::composite ? "COMPOSITE" : "FULL_OBJECT";
}

std::optional<ChecksumType> checksum_type_of(std::string_view text) {
  for (const ChecksumType type : {ChecksumType::composite, ChecksumType::full_object}) {
    if (http::equal_without_case(text, to_string(type))) return type;
  }
  return std::nullopt;
}

bool allowed(ChecksumKind kind, ChecksumType type) {
  switch (kind) {
    case ChecksumKind::none:
    case ChecksumKind::md5:
      return false;
    case ChecksumKind::crc32:
    case ChecksumKind::crc32c:
      return true;
    case ChecksumKind::crc64nvme:
      return type == ChecksumType::full_object;
    case ChecksumKind::sha1:
    case ChecksumKind::sha256:
      return type == ChecksumType::composite;
  }
  return false;
}

ChecksumType default_type(ChecksumKind kind) {
  return kind == ChecksumKind::crc64nvme ? ChecksumType::full_object : ChecksumType::composite;
}

void Checksum::append_text(std::string& out) const { append_base64(out, view()); }
std::string Checksum::text() const { return to_base64(view()); }

std::optional<Checksum> decode_checksum(ChecksumKind kind, std::string_view text) {
  Checksum checksum;
  checksum.kind = kind;
  const auto room = std::span(checksum.bytes).first(checksum_bytes(kind));
  if (room.empty() || !decode_base64(text, room)) return std::nullopt;
  return checksum;
}

std::string ObjectChecksum::text() const {
  std::string out = checksum.text();
  if (parts != 0) out.append("-").append(std::to_string(parts));
  return out;
}

std::optional<ObjectChecksum> decode_object_checksum(ChecksumKind kind, std::string_view text) {
  ObjectChecksum object;
  // "-" is no digit of base64.
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto parts = http::decode_number(text.substr(dash + 1), kPartsMax);
    if (!parts || *parts == 0) return std::nullopt;
    object.parts = static_cast<unsigned>(*parts);
    text = text.substr(0, dash);
  }
  const auto checksum = decode_checksum(kind, text);
  if (!checksum) return std::nullopt;
  object.checksum = *checksum;
  return object;
}

std::optional<Md5::Digest> decode_content_md5(std::string_view text) {
  Md5::Digest digest;
  if (!decode_base64(text, digest)) return std::nullopt;
  return digest;
}

std::string content_md5(const Md5::Digest& digest) { return to_base64(digest); }

Checksummer::Checksummer(ChecksumKind kind) : kind_(kind) {
  switch (kind) {
    case ChecksumKind::none:
      break;
    case ChecksumKind::crc32:
      state_.emplace<Crc32>();
      break;
    case ChecksumKind::crc32c:
      state_.emplace<Crc32c>();
      break;
    case ChecksumKind::crc64nvme:
      state_.emplace<Crc64Nvme>();
      break;
    case ChecksumKind::sha1:
      state_.emplace<Sha1>();
      break;
    case ChecksumKind::sha256:
      state_.emplace<Sha256>();
      break;
    case ChecksumKind::md5:
      state_.emplace<Md5>();
      break;
  }
}

Checksummer& Checksummer::update(std::span<const std::byte> bytes) {
  std::visit(
      [&](auto& state) {
        if constexpr (!std::is_same_v<std::remove_reference_t<decltype(state)>, std::monostate>) {
          state.update(bytes);
        }
      },
      state_);
  return *this;
}

Checksum Checksummer::finish() {
  Checksum checksum;
  checksum.kind = kind_;
  if (auto* crc = std::get_if<Crc32>(&state_)) {
    store_be<std::uint32_t>(checksum.bytes.data(), std::exchange(*crc, Crc32()).value());
  } else if (auto* crc_c = std::get_if<Crc32c>(&state_)) {
    store_be<std::uint32_t>(checksum.bytes.data(), std::exchange(*crc_c, Crc32c()).value());
  } else if (auto* crc_64 = std::get_if<Crc64Nvme>(&state_)) {
    store_be<std::uint64_t>(checksum.bytes.data(), std::exchange(*crc_64, Crc64Nvme()).value());
  } else if (auto* sha1 = std::get_if<Sha1>(&state_)) {
    std::ranges::copy(sha1->finish(), checksum.bytes.begin());
  } else if (auto* sha256 = std::get_if<Sha256>(&state_)) {
    std::ranges::copy(sha256->finish(), checksum.bytes.begin());
  } else if (auto* md5 = std::get_if<Md5>(&state_)) {
    std::ranges::copy(md5->finish(), checksum.bytes.begin());
  }
  return checksum;
}

Checksum checksum_of(ChecksumKind kind, std::span<const std::byte> bytes) {
  return Checksummer(kind).update(bytes).finish();
}

Checksum combined(const Checksum& a, const Checksum& b, std::uint64_t b_bytes) {
  NETSTOR_ASSERT(a.kind == b.kind);
  Checksum whole;
  whole.kind = a.kind;
  const std::byte* first = a.bytes.data();
  const std::byte* second = b.bytes.data();
  if (a.kind == ChecksumKind::crc64nvme) {
    const std::uint64_t crc =
        combine_crc64nvme(load_be<std::uint64_t>(first), load_be<std::uint64_t>(second), b_bytes);
    store_be<std::uint64_t>(whole.bytes.data(), crc);
    return whole;
  }
  NETSTOR_ASSERT(a.kind == ChecksumKind::crc32 || a.kind == ChecksumKind::crc32c);
  const auto combine = a.kind == ChecksumKind::crc32 ? combine_crc32 : combine_crc32c;
  const std::uint32_t crc = combine(load_be<std::uint32_t>(first), load_be<std::uint32_t>(second), b_bytes);
  store_be<std::uint32_t>(whole.bytes.data(), crc);
  return whole;
}

MultipartChecksum::MultipartChecksum(ChecksumKind kind, ChecksumType type)
    : of_checksums_(type == ChecksumType::composite ? kind : ChecksumKind::none), type_(type) {
  NETSTOR_ASSERT(allowed(kind, type));
  whole_.kind = kind;
}

void MultipartChecksum::add(const Checksum& part, std::uint64_t part_bytes) {
  NETSTOR_ASSERT(part.kind == whole_.kind);
  ++parts_;
  if (type_ == ChecksumType::composite) {
    of_checksums_.update(part.view());
  } else {
    whole_ = parts_ == 1 ? part : combined(whole_, part, part_bytes);
  }
}

ObjectChecksum MultipartChecksum::finish() {
  NETSTOR_ASSERT(parts_ != 0);
  const unsigned parts = std::exchange(parts_, 0);
  if (type_ == ChecksumType::composite) return {of_checksums_.finish(), parts};
  return {whole_, 0};
}

void MultipartEtag::add(const Md5::Digest& part) {
  md5_.update(part);
  ++parts_;
}

std::string MultipartEtag::finish() {
  std::string etag = to_hex(md5_.finish());
  return etag.append("-").append(std::to_string(std::exchange(parts_, 0)));
}

}  // namespace netstor::s3
