// SPDX-License-Identifier: Apache-2.0
//
// Controller properties that fabrics reach with Property Get and Property Set (NVMe Base 2.0,
// "Controller Properties"): offsets, and the fields of CAP, VS, CC and CSTS. The state that they
// describe is in lib/proto.

#pragma once

#include <cstdint>

namespace netstor::nvme {

enum class Property : std::uint32_t {
  cap = 0x00,   // Controller Capabilities, 8 bytes
  vs = 0x08,    // Version
  cc = 0x14,    // Controller Configuration
  csts = 0x1C,  // Controller Status
  nssr = 0x20,  // NVM Subsystem Reset
  crto = 0x68,  // Controller Ready Timeouts
};

// 8-byte properties are read with size 8, all others with 4.
[[nodiscard]] constexpr bool is_wide(Property property) { return property == Property::cap; }

inline constexpr std::uint32_t kSubsystemResetValue = 0x4E564D65u;  // "NVMe"

namespace detail {

[[nodiscard]] constexpr std::uint64_t field(std::uint64_t value, unsigned shift, unsigned bits) {
  return (value >> shift) & ((std::uint64_t{1} << bits) - 1);
}
[[nodiscard]] constexpr std::uint64_t placed(std::uint64_t value, unsigned shift, unsigned bits) {
  return (value & ((std::uint64_t{1} << bits) - 1)) << shift;
}

}  // namespace detail

struct Capabilities {
  std::uint16_t mqes = 0;  // maximum queue entries, zero's based
  bool cqr = false;        // contiguous queues required (always 1 in fabrics)
  std::uint8_t ams = 0;    // arbitration mechanisms
  std::uint8_t to = 0;     // ready timeout, units of 500 ms
  std::uint8_t dstrd = 0;  // doorbell stride (0 in fabrics)
  bool nssrs = false;      // subsystem reset supported
  std::uint8_t css = 0;    // command sets: bit 0 NVM, bit 6 the I/O command sets of Identify 1Ch, bit 7 none
  bool bps = false;
  std::uint8_t cps = 0;
  std::uint8_t mpsmin = 0;  // 2 ^ (12 + n) bytes
  std::uint8_t mpsmax = 0;
  bool pmrs = false;
  bool cmbs = false;
  bool nsss = false;
  std::uint8_t crms = 0;  // bit 0 ready with media, bit 1 ready independent of media

  friend constexpr bool operator==(const Capabilities&, const Capabilities&) = default;
};

[[nodiscard]] constexpr std::uint64_t encode(const Capabilities& cap) {
  using detail::placed;
  return placed(cap.mqes, 0, 16) | placed(cap.cqr, 16, 1) | placed(cap.ams, 17, 2) | placed(cap.to, 24, 8) |
         placed(cap.dstrd, 32, 4) | placed(cap.nssrs, 36, 1) | placed(cap.css, 37, 8) |
         placed(cap.bps, 45, 1) | placed(cap.cps, 46, 2) | placed(cap.mpsmin, 48, 4) |
         placed(cap.mpsmax, 52, 4) | placed(cap.pmrs, 56, 1) | placed(cap.cmbs, 57, 1) |
         placed(cap.nsss, 58, 1) | placed(cap.crms, 59, 2);
}

[[nodiscard]] constexpr Capabilities decode_capabilities(std::uint64_t raw) {
  const auto byte = [raw](unsigned shift, unsigned bits) {
    return static_cast<std::uint8_t>(detail::field(raw, shift, bits));
  };
  const auto bit = [raw](unsigned shift) { return detail::field(raw, shift, 1) != 0; };
  return {.mqes = static_cast<std::uint16_t>(detail::field(raw, 0, 16)),
          .cqr = bit(16),
          .ams = byte(17, 2),
          .to = byte(24, 8),
          .dstrd = byte(32, 4),
          .nssrs = bit(36),
          .css = byte(37, 8),
          .bps = bit(45),
          .cps = byte(46, 2),
          .mpsmin = byte(48, 4),
          .mpsmax = byte(52, 4),
          .pmrs = bit(56),
          .cmbs = bit(57),
          .nsss = bit(58),
          .crms = byte(59, 2)};
}

struct Version {
  std::uint16_t major = 0;
  std::uint8_t minor = 0;
  std::uint8_t tertiary = 0;

  friend constexpr bool operator==(const Version&, const Version&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const Version& version) {
  return (std::uint32_t{version.major} << 16) | (std::uint32_t{version.minor} << 8) | version.tertiary;
}

[[nodiscard]] constexpr Version decode_version(std::uint32_t raw) {
  return {.major = static_cast<std::uint16_t>(raw >> 16),
          .minor = static_cast<std::uint8_t>((raw >> 8) & 0xFFu),
          .tertiary = static_cast<std::uint8_t>(raw & 0xFFu)};
}

enum class ShutdownNotification : std::uint8_t { none = 0, normal = 1, abrupt = 2 };
enum class ShutdownStatus : std::uint8_t { normal_operation = 0, occurring = 1, complete = 2 };

struct ControllerConfiguration {
  bool en = false;
  std::uint8_t css = 0;
  std::uint8_t mps = 0;  // 2 ^ (12 + n) bytes
  std::uint8_t ams = 0;
  ShutdownNotification shn = ShutdownNotification::none;
  std::uint8_t iosqes = 0;  // 2 ^ n bytes: 6 for NVM
  std::uint8_t iocqes = 0;  // 2 ^ n bytes: 4 for NVM
  bool crime = false;

  friend constexpr bool operator==(const ControllerConfiguration&, const ControllerConfiguration&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const ControllerConfiguration& cc) {
  using detail::placed;
  return static_cast<std::uint32_t>(placed(cc.en, 0, 1) | placed(cc.css, 4, 3) | placed(cc.mps, 7, 4) |
                                    placed(cc.ams, 11, 3) | placed(static_cast<std::uint8_t>(cc.shn), 14, 2) |
                                    placed(cc.iosqes, 16, 4) | placed(cc.iocqes, 20, 4) |
                                    placed(cc.crime, 24, 1));
}

[[nodiscard]] constexpr ControllerConfiguration decode_configuration(std::uint32_t raw) {
  const auto byte = [raw](unsigned shift, unsigned bits) {
    return static_cast<std::uint8_t>(detail::field(raw, shift, bits));
  };
  return {.en = byte(0, 1) != 0,
          .css = byte(4, 3),
          .mps = byte(7, 4),
          .ams = byte(11, 3),
          .shn = static_cast<ShutdownNotification>(byte(14, 2)),
          .iosqes = byte(16, 4),
          .iocqes = byte(20, 4),
          .crime = byte(24, 1) != 0};
}

struct ControllerStatus {
  bool rdy = false;
  bool cfs = false;  // controller fatal status
  ShutdownStatus shst = ShutdownStatus::normal_operation;
  bool nssro = false;
  bool pp = false;

  friend constexpr bool operator==(const ControllerStatus&, const ControllerStatus&) = default;
};

[[nodiscard]] constexpr std::uint32_t encode(const ControllerStatus& csts) {
  using detail::placed;
  return static_cast<std::uint32_t>(placed(csts.rdy, 0, 1) | placed(csts.cfs, 1, 1) |
                                    placed(static_cast<std::uint8_t>(csts.shst), 2, 2) |
                                    placed(csts.nssro, 4, 1) | placed(csts.pp, 5, 1));
}

[[nodiscard]] constexpr ControllerStatus decode_controller_status(std::uint32_t raw) {
  return {.rdy = detail::field(raw, 0, 1) != 0,
          .cfs = detail::field(raw, 1, 1) != 0,
          .shst = static_cast<ShutdownStatus>(detail::field(raw, 2, 2)),
          .nssro = detail::field(raw, 4, 1) != 0,
          .pp = detail::field(raw, 5, 1) != 0};
}

}  // namespace netstor::nvme
