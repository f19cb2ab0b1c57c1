// SPDX-License-Identifier: Apache-2.0
// See volume_record.h.

#include "server/store/volume_record.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <random>

namespace netstor::store {

namespace {

using nlohmann::json;

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::uint64_t kSizeMin = std::uint64_t{1} << 20;
constexpr std::uint64_t kSizeMax = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kNqnMax = 223;  // NVMe Base 2.0 §4.5

Error damaged(std::string text) { return {ErrorKind::data_corrupt, std::move(text)}; }

std::string hex(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

/// 32 lower-case hexadecimal digits; not all zeroes.
bool parse_hex16(std::string_view text, std::array<std::uint8_t, 16>& into) {
  if (text.size() != 32) return false;
  std::uint8_t any = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    const auto high = kHex.find(text[2 * i]);
    const auto low = kHex.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    into[i] = static_cast<std::uint8_t>(high << 4 | low);
    any |= into[i];
  }
  return any != 0;
}

bool good_serial(std::string_view serial) {
  return !serial.empty() && serial.size() <= 20 &&
         std::all_of(serial.begin(), serial.end(), [](char c) { return c > ' ' && c < 127; });
}

/// The object that both files are, of a version that is understood.
Result<json> parse_object(std::string_view text, std::string_view format, int version_max) {
  if (text.size() > kMetadataBytesMax) return damaged("longer than any netstord writes it");
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return damaged("not a JSON object");
  const auto form = object.find("format");
  if (form == object.end() || *form != format) {
    return damaged("\"format\" should be \"" + std::string(format) + '"');
  }
  const auto version = object.find("version");
  if (version == object.end() || !version->is_number_unsigned() || *version == 0) {
    return damaged("\"version\" should be a positive number");
  }
  if (version->get<std::uint64_t>() > static_cast<std::uint64_t>(version_max)) {
    return Error(ErrorKind::unsupported, "written by a newer netstord (version " + version->dump() +
                                             "; this one understands up to " + std::to_string(version_max) +
                                             "): use that one");
  }
  return object;
}

Result<std::string> string_of(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string())
    return damaged('"' + std::string(key) + "\" should be a string");
  return at->get<std::string>();
}

Result<std::uint64_t> number_of(const json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number_unsigned()) {
    return damaged('"' + std::string(key) + "\" should be a number");
  }
  return at->get<std::uint64_t>();
}

Result<void> decode_identity(const json& object, VolumeIdentity& into) {
  NETSTOR_TRY_RETURN(into.nqn, string_of(object, "nqn"));
  if (!check_nqn(into.nqn)) return damaged("\"nqn\" is not an NQN");
  NETSTOR_TRY_RETURN(const std::string uuid, string_of(object, "uuid"));
  if (!parse_uuid(uuid, into.uuid)) return damaged("\"uuid\" is not a UUID");
  NETSTOR_TRY_RETURN(const std::string nguid, string_of(object, "nguid"));
  if (!parse_hex16(nguid, into.nguid)) return damaged("\"nguid\" is not 32 hexadecimal digits");
  NETSTOR_TRY_RETURN(into.serial, string_of(object, "serial"));
  if (!good_serial(into.serial)) return damaged("\"serial\" is not 1 to 20 printable characters");
  return {};
}

}  // namespace

std::string uuid_text(const std::array<std::uint8_t, 16>& uuid) {
  std::string text = hex(uuid.data(), uuid.size());
  for (const std::size_t at : {20, 16, 12, 8}) text.insert(at, 1, '-');
  return text;
}

bool parse_uuid(std::string_view text, std::array<std::uint8_t, 16>& into) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return false;
    if (!dash) digits += text[i];
  }
  return text.size() == 36 && parse_hex16(digits, into);
}

Result<void> check_volume_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (name.empty() || name.size() > 64 || name.front() == '.' || name.front() == '-' ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    std::string shown;
    for (const char c : name.substr(0, 64)) shown += c >= ' ' && c < 127 ? c : '?';
    return Error(ErrorKind::invalid_argument,
                 "'" + shown +
                     "' cannot be a volume's name: 1 to 64 of a-z 0-9 . _ -, not "
                     "beginning with a dot or a dash");
  }
  return {};
}

Result<void> check_nqn(std::string_view nqn) {
  const bool printable = std::all_of(nqn.begin(), nqn.end(), [](char c) { return c > ' ' && c < 127; });
  if (nqn.size() > kNqnMax || !nqn.starts_with("nqn.") || nqn.size() < 12 || !printable ||
      nqn.find('/') != std::string_view::npos) {
    return Error(ErrorKind::invalid_argument,
                 "an NQN is 'nqn.YYYY-MM.REVERSED.DOMAIN:WHAT', at most 223 printable characters");
  }
  return {};
}

Result<void> check_spec(const VolumeSpec& spec) {
  NETSTOR_CHECK_RETURN(check_volume_name(spec.name));
  if (!spec.nqn.empty()) NETSTOR_CHECK_RETURN(check_nqn(spec.nqn));
  const std::string of = "volume '" + spec.name + "': ";
  if (spec.block_bytes != 512 && spec.block_bytes != 4096) {
    return Error(ErrorKind::invalid_argument, of + "block= must be 512 or 4096");
  }
  if (spec.size_bytes < kSizeMin || spec.size_bytes > kSizeMax) {
    return Error(ErrorKind::invalid_argument, of + "the size must be 1MiB to 8EiB");
  }
  if (spec.size_bytes % spec.block_bytes != 0) {
    return Error(ErrorKind::invalid_argument,
                 of + "the size must be a multiple of " + std::to_string(spec.block_bytes) + " bytes");
  }
  return {};
}

std::string default_nqn(std::string_view volume_name) {
  return "nqn.2026-01.io.netstor:" + std::string(volume_name);
}

std::string_view to_string(StoreKind kind) noexcept {
  switch (kind) {
    case StoreKind::file:
      return "file";
    case StoreKind::memory:
      return "memory";
    case StoreKind::null:
      return "null";
  }
  return "?";
}

std::optional<StoreKind> store_kind(std::string_view name) noexcept {
  for (const StoreKind kind : {StoreKind::file, StoreKind::memory, StoreKind::null}) {
    if (to_string(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string encode_state(int version) {
  return json{{"format", "netstord-state"}, {"version", version}}.dump(2) + "\n";
}

Result<int> decode_state(std::string_view text) {
  NETSTOR_TRY_RETURN(const json object, parse_object(text, "netstord-state", kStateVersion));
  return object["version"].get<int>();
}

std::string encode_volume(const VolumeRecord& record, std::string_view was) {
  json object = {
      {"format", "netstord-volume"},
      {"version", kVolumeVersion},
      {"name", record.identity.name},
      {"nqn", record.identity.nqn},
      {"uuid", uuid_text(record.identity.uuid)},
      {"nguid", hex(record.identity.nguid.data(), record.identity.nguid.size())},
      {"serial", record.identity.serial},
      {"store", to_string(record.kind)},
      {"size_bytes", record.size_bytes},
      {"block_bytes", record.block_bytes},
  };
  if (!record.own_subsystem) object["own_subsystem"] = false;
  if (!was.empty()) object["was"] = was;
  return object.dump(2) + "\n";
}

Result<VolumeRecord> decode_volume(std::string_view text, std::string_view folder) {
  NETSTOR_TRY_RETURN(const json object, parse_object(text, "netstord-volume", kVolumeVersion));
  VolumeRecord record;
  NETSTOR_TRY_RETURN(record.identity.name, string_of(object, "name"));
  // Between a new name's two steps the folder still has the old one, which then counts.
  const auto was = object.find("was");
  if (record.identity.name != folder && (was == object.end() || *was != folder))
    return damaged("\"name\" is not the folder's name");
  record.identity.name = folder;
  const auto own = object.find("own_subsystem");
  if (own != object.end() && !own->is_boolean()) return damaged("\"own_subsystem\" should be true or false");
  record.own_subsystem = own == object.end() || own->get<bool>();
  NETSTOR_CHECK_RETURN(decode_identity(object, record.identity));
  NETSTOR_TRY_RETURN(const std::string kind, string_of(object, "store"));
  const auto known = store_kind(kind);
  if (!known) return damaged("\"store\" is none of file, memory, null");
  record.kind = *known;
  NETSTOR_TRY_RETURN(record.size_bytes, number_of(object, "size_bytes"));
  NETSTOR_TRY_RETURN(const std::uint64_t block, number_of(object, "block_bytes"));
  record.block_bytes = block > 4096 ? 0 : static_cast<std::uint32_t>(block);
  const VolumeSpec spec{record.identity.name, record.identity.nqn, record.kind,
                        record.size_bytes,    record.block_bytes,  record.own_subsystem};
  if (auto good = check_spec(spec); !good) return damaged(good.error().text());
  return record;
}

VolumeIdentity make_identity(std::string name, std::string nqn) {
  VolumeIdentity identity;
  identity.nqn = nqn.empty() ? default_nqn(name) : std::move(nqn);
  identity.name = std::move(name);
  renew_ids(identity);
  identity.serial = hex(identity.uuid.data(), 8);
  return identity;
}

void renew_ids(VolumeIdentity& identity) {
  std::random_device random;
  for (std::uint8_t& byte : identity.uuid) byte = static_cast<std::uint8_t>(random());
  identity.uuid[6] = static_cast<std::uint8_t>((identity.uuid[6] & 0x0f) | 0x40);  // RFC 4122 §4.4: version 4
  identity.uuid[8] = static_cast<std::uint8_t>((identity.uuid[8] & 0x3f) | 0x80);
  // An NGUID begins like an EUI-64 with a vendor's number, and we have none: the same random number serves.
  identity.nguid = identity.uuid;
}

}  // namespace netstor::store
