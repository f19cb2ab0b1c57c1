// SPDX-License-Identifier: Apache-2.0

#include "lib/wire/s3/rdma.h"

#include <arpa/inet.h>

#include <algorithm>

#include "lib/base/bytes.h"
#include "lib/base/encoding.h"
#include "lib/wire/http/text.h"

namespace netstor::s3 {

namespace {

constexpr std::string_view kVersionName = "netstor-rc-1";
constexpr std::uint32_t kMagic = 0x4E535333;  // "NSS3"
constexpr std::uint16_t kVersion = 1;
constexpr std::uint32_t kSecondsMax = 3600;

/// The numeric form alone, and no text of the system's older forms.
bool is_address(const std::string& host) {
  in6_addr any{};
  return ::inet_pton(AF_INET, host.c_str(), &any) == 1 || ::inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

template <class T>
void append_number(std::string& out, T value) {
  std::array<std::byte, sizeof(T)> bytes;
  store_be<T>(bytes.data(), value);
  append_hex(out, bytes);
}

/// Reads what has one text only: digits of fixed number, in lower case.
class FieldReader {
 public:
  explicit FieldReader(std::string_view text) : text_(text) {}

  void literal(std::string_view wanted) {
    good_ = good_ && text_.starts_with(wanted);
    if (good_) text_.remove_prefix(wanted.size());
  }
  void bytes(std::span<std::byte> out) {
    const std::string_view digits = text_.substr(0, out.size() * 2);
    good_ = good_ && std::ranges::none_of(digits, [](char each) { return each >= 'A' && each <= 'F'; }) &&
            decode_hex(digits, out);
    if (good_) text_.remove_prefix(digits.size());
  }
  template <class T>
  T number() {
    std::array<std::byte, sizeof(T)> out{};
    bytes(out);
    return good_ ? load_be<T>(out.data()) : T{};
  }
  /// Up to `end`, or all of the rest.
  std::string_view until(char end) {
    const std::string_view found = text_.substr(0, text_.find(end));
    text_.remove_prefix(found.size());
    return found;
  }
  std::uint64_t decimal(std::uint64_t most) {
    const std::string_view digits = until(';');
    const auto value = http::decode_number(digits, most);
    good_ = good_ && value && (digits.size() == 1 || digits.front() != '0');
    return value.value_or(0);
  }
  [[nodiscard]] bool ended() const { return text_.empty(); }
  void fail() { good_ = false; }
  [[nodiscard]] bool good() const { return good_ && text_.empty(); }

 private:
  std::string_view text_;
  bool good_ = true;
};

/// What all private data begins with.
void write_form(std::span<std::byte> out) {
  store_be<std::uint32_t>(&out[0], kMagic);
  store_be<std::uint16_t>(&out[4], kVersion);
}

/// Nothing for what is shorter than `least`, or of another protocol.
std::optional<std::uint16_t> version_of(std::span<const std::byte> bytes, std::size_t least) {
  if (bytes.size() < least || load_be<std::uint32_t>(&bytes[0]) != kMagic) return std::nullopt;
  return load_be<std::uint16_t>(&bytes[4]);
}

}  // namespace

std::string encode(const RdmaToken& token) {
  std::string text(kVersionName);
  text.reserve(kRdmaTokenSize);
  text += ':';
  append_hex(text, token.session);
  for (const std::uint64_t each : {token.sequence, token.expires_ms, token.address, token.length}) {
    text += ':';
    append_number(text, each);
  }
  text += ':';
  append_number(text, token.key);
  return text;
}

std::optional<RdmaToken> decode_rdma_token(std::string_view text) {
  RdmaToken token;
  FieldReader reader(text);
  reader.literal(kVersionName);
  reader.literal(":");
  reader.bytes(token.session);
  for (std::uint64_t* const each : {&token.sequence, &token.expires_ms, &token.address, &token.length}) {
    reader.literal(":");
    *each = reader.number<std::uint64_t>();
  }
  reader.literal(":");
  token.key = reader.number<std::uint32_t>();
  return reader.good() ? std::optional(token) : std::nullopt;
}

std::string encode(const RdmaOffer& offer) {
  std::string text(kVersionName);
  text += ";port=" + std::to_string(offer.port) + ";session=";
  append_hex(text, offer.session);
  text += ";ticket=";
  append_hex(text, offer.ticket);
  text += ";seconds=" + std::to_string(offer.seconds) + ";bytes=" + std::to_string(offer.bytes_max);
  if (!offer.host.empty()) text += ";host=" + offer.host;
  return text;
}

std::optional<RdmaOffer> decode_rdma_offer(std::string_view text) {
  RdmaOffer offer;
  FieldReader reader(text);
  reader.literal(kVersionName);
  reader.literal(";port=");
  offer.port = static_cast<std::uint16_t>(reader.decimal(UINT16_MAX));
  reader.literal(";session=");
  reader.bytes(offer.session);
  reader.literal(";ticket=");
  reader.bytes(offer.ticket);
  reader.literal(";seconds=");
  offer.seconds = static_cast<std::uint32_t>(reader.decimal(kSecondsMax));
  reader.literal(";bytes=");
  offer.bytes_max = reader.decimal(UINT64_MAX);
  if (!reader.ended()) {
    reader.literal(";host=");
    offer.host = reader.until(';');
    const bool spelt = std::ranges::all_of(offer.host, [](char each) {
      return http::is_digit(each) || (each >= 'a' && each <= 'f') || each == '.' || each == ':';
    });
    if (!spelt || !is_address(offer.host)) reader.fail();
  }
  if (offer.port == 0 || offer.seconds == 0 || offer.bytes_max == 0) reader.fail();
  return reader.good() ? std::optional(std::move(offer)) : std::nullopt;
}

std::array<std::byte, kRdmaGreetingBytes> encode(const RdmaGreeting& greeting) {
  std::array<std::byte, kRdmaGreetingBytes> out{};
  write_form(out);
  std::ranges::copy(greeting.session, &out[8]);
  std::ranges::copy(greeting.ticket, &out[24]);
  return out;
}

std::optional<RdmaGreeting> decode_rdma_greeting(std::span<const std::byte> bytes, RdmaStatus& refusal) {
  refusal = RdmaStatus::version;
  if (version_of(bytes, kRdmaGreetingBytes) != kVersion) return std::nullopt;
  RdmaGreeting greeting;
  std::ranges::copy(bytes.subspan(8, greeting.session.size()), greeting.session.begin());
  std::ranges::copy(bytes.subspan(24, greeting.ticket.size()), greeting.ticket.begin());
  return greeting;
}

std::array<std::byte, kRdmaWelcomeBytes> encode(RdmaStatus status) {
  std::array<std::byte, kRdmaWelcomeBytes> out{};
  write_form(out);
  store_be<std::uint16_t>(&out[6], static_cast<std::uint16_t>(status));
  return out;
}

std::optional<RdmaStatus> decode_rdma_welcome(std::span<const std::byte> bytes) {
  const auto version = version_of(bytes, kRdmaWelcomeBytes);
  if (!version) return std::nullopt;
  if (*version != kVersion) return RdmaStatus::version;
  const auto status = load_be<std::uint16_t>(&bytes[6]);
  if (status > static_cast<std::uint16_t>(RdmaStatus::resources)) return std::nullopt;
  return static_cast<RdmaStatus>(status);
}

std::string_view to_string(RdmaStatus status) {
  switch (status) {
    case RdmaStatus::accepted:
      return "accepted";
    case RdmaStatus::version:
      return "another version of the protocol";
    case RdmaStatus::ticket:
      return "the ticket is not good (any more)";
    case RdmaStatus::resources:
      return "no resources";
  }
  return "unknown";
}

}  // namespace netstor::s3
