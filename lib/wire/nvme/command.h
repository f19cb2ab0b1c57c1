// SPDX-License-Identifier: Apache-2.0
//
// The 64-byte submission queue entry: a value that is its own wire form, read and written in place by
// loads and stores, and one builder and one parser for each command that netstor sends or serves (NVMe
// Base 2.0 "Submission Queue Entry", NVM Command Set 1.0). Fabrics commands proper (Connect, Property,
// Disconnect) are in lib/wire/fabrics/fabrics_command.h.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"
#include "lib/wire/nvme/opcode.h"
#include "lib/wire/nvme/sgl.h"

namespace netstor::nvme {

inline constexpr std::size_t kCommandBytes = 64;

enum class Fuse : std::uint8_t { none = 0, first = 1, second = 2 };

// PRP or SGL for Data Transfer. Over fabrics every command, with data or without, says sgl.
enum class Psdt : std::uint8_t { prp = 0, sgl = 1, sgl_metadata_segment = 2 };

struct Command {
  alignas(8) std::array<std::byte, kCommandBytes> bytes{};

  template <std::unsigned_integral T>
  [[nodiscard]] T get(std::size_t offset) const {
    return load_le<T>(bytes.data() + offset);
  }
  template <std::unsigned_integral T>
  void set(std::size_t offset, std::type_identity_t<T> value) {
    store_le<T>(bytes.data() + offset, value);
  }

  [[nodiscard]] std::uint8_t opcode() const { return get<std::uint8_t>(0); }
  [[nodiscard]] AdminOpcode admin_opcode() const { return static_cast<AdminOpcode>(opcode()); }
  [[nodiscard]] IoOpcode io_opcode() const { return static_cast<IoOpcode>(opcode()); }
  [[nodiscard]] bool is_fabrics() const { return opcode() == kFabricsOpcode; }
  // Byte 4, where all other commands have their namespace.
  [[nodiscard]] FabricsType fabrics_type() const { return static_cast<FabricsType>(get<std::uint8_t>(4)); }

  [[nodiscard]] Fuse fuse() const { return static_cast<Fuse>(get<std::uint8_t>(1) & 3u); }
  void set_fuse(Fuse fuse) {
    set<std::uint8_t>(1,
                      static_cast<std::uint8_t>((get<std::uint8_t>(1) & ~3u) | static_cast<unsigned>(fuse)));
  }
  [[nodiscard]] Psdt psdt() const { return static_cast<Psdt>(get<std::uint8_t>(1) >> 6); }

  [[nodiscard]] std::uint16_t cid() const { return get<std::uint16_t>(2); }
  void set_cid(std::uint16_t cid) { set<std::uint16_t>(2, cid); }
  [[nodiscard]] std::uint32_t nsid() const { return get<std::uint32_t>(4); }
  void set_nsid(std::uint32_t nsid) { set<std::uint32_t>(4, nsid); }
  [[nodiscard]] std::uint64_t metadata_pointer() const { return get<std::uint64_t>(16); }

  [[nodiscard]] SglDescriptor sgl() const {
    return decode_sgl(std::span<const std::byte, kCommandBytes>(bytes).subspan<24, kSglBytes>());
  }
  void set_sgl(const SglDescriptor& sgl) {
    encode(sgl, std::span<std::byte, kCommandBytes>(bytes).subspan<24, kSglBytes>());
  }

  // n is 2, 3 or 10 to 15.
  [[nodiscard]] std::uint32_t cdw(unsigned n) const { return get<std::uint32_t>(std::size_t{n} * 4); }
  void set_cdw(unsigned n, std::uint32_t value) { set<std::uint32_t>(std::size_t{n} * 4, value); }

  friend bool operator==(const Command&, const Command&) = default;
};

static_assert(sizeof(Command) == kCommandBytes);
static_assert(std::is_trivially_copyable_v<Command>);

[[nodiscard]] inline Command decode_command(std::span<const std::byte, kCommandBytes> in) {
  Command command;
  std::memcpy(command.bytes.data(), in.data(), kCommandBytes);
  return command;
}

// What every builder starts from: the opcode, SGLs, and the data descriptor.
[[nodiscard]] inline Command make_command(std::uint8_t opcode, std::uint16_t cid, std::uint32_t nsid,
                                          const SglDescriptor& sgl = {}) {
  Command command;
  command.set<std::uint64_t>(0, std::uint64_t{opcode} |
                                    (std::uint64_t{static_cast<std::uint8_t>(Psdt::sgl)} << 14) |
                                    (std::uint64_t{cid} << 16) | (std::uint64_t{nsid} << 32));
  command.set_sgl(sgl);
  return command;
}
[[nodiscard]] inline Command make_command(AdminOpcode opcode, std::uint16_t cid, std::uint32_t nsid = 0,
                                          const SglDescriptor& sgl = {}) {
  return make_command(static_cast<std::uint8_t>(opcode), cid, nsid, sgl);
}
[[nodiscard]] inline Command make_command(IoOpcode opcode, std::uint16_t cid, std::uint32_t nsid,
                                          const SglDescriptor& sgl = {}) {
  return make_command(static_cast<std::uint8_t>(opcode), cid, nsid, sgl);
}

// ---- I/O commands on a range of blocks: read, write, compare, write zeroes, verify.

inline constexpr std::uint32_t kBlocksMax = 65536;

struct BlockIo {
  std::uint64_t slba = 0;
  std::uint32_t blocks = 1;  // 1 to kBlocksMax; sent as zero's based
  bool fua = false;
  bool limited_retry = false;
  bool deallocate = false;   // write zeroes: DEAC
  std::uint8_t prinfo = 0;   // 4 bits: PRACT, then check guard, application tag, reference tag
  std::uint8_t dataset = 0;  // the access hints in bits 7:0 of dword 13
  std::uint32_t reference_tag = 0;
  std::uint16_t application_tag = 0;
  std::uint16_t application_tag_mask = 0;

  friend constexpr bool operator==(const BlockIo&, const BlockIo&) = default;
};

[[nodiscard]] inline Command make_block_io(IoOpcode opcode, std::uint16_t cid, std::uint32_t nsid,
                                           const BlockIo& io, const SglDescriptor& sgl = {}) {
  NETSTOR_ASSERT(io.blocks - 1 < kBlocksMax);  // zero would be sent as 65536
  Command command = make_command(opcode, cid, nsid, sgl);
  command.set<std::uint64_t>(40, io.slba);
  command.set_cdw(12, ((io.blocks - 1) & 0xFFFFu) | (std::uint32_t{io.deallocate} << 25) |
                          (std::uint32_t{io.prinfo & 0xFu} << 26) | (std::uint32_t{io.fua} << 30) |
                          (std::uint32_t{io.limited_retry} << 31));
  command.set_cdw(13, io.dataset);
  command.set_cdw(14, io.reference_tag);
  command.set_cdw(15, io.application_tag | (std::uint32_t{io.application_tag_mask} << 16));
  return command;
}

[[nodiscard]] inline BlockIo decode_block_io(const Command& command) {
  const std::uint32_t dw12 = command.cdw(12);
  return {.slba = command.get<std::uint64_t>(40),
          .blocks = (dw12 & 0xFFFFu) + 1,
          .fua = ((dw12 >> 30) & 1u) != 0,
          .limited_retry = ((dw12 >> 31) & 1u) != 0,
          .deallocate = ((dw12 >> 25) & 1u) != 0,
          .prinfo = static_cast<std::uint8_t>((dw12 >> 26) & 0xFu),
          .dataset = static_cast<std::uint8_t>(command.cdw(13) & 0xFFu),
          .reference_tag = command.cdw(14),
          .application_tag = command.get<std::uint16_t>(60),
          .application_tag_mask = command.get<std::uint16_t>(62)};
}

[[nodiscard]] inline Command make_read(std::uint16_t cid, std::uint32_t nsid, const BlockIo& io,
                                       const SglDescriptor& sgl = {}) {
  return make_block_io(IoOpcode::read, cid, nsid, io, sgl);
}
[[nodiscard]] inline Command make_write(std::uint16_t cid, std::uint32_t nsid, const BlockIo& io,
                                        const SglDescriptor& sgl = {}) {
  return make_block_io(IoOpcode::write, cid, nsid, io, sgl);
}
// Compare and write: give the compare Fuse::first and the write, at the next place, Fuse::second.
[[nodiscard]] inline Command make_compare(std::uint16_t cid, std::uint32_t nsid, const BlockIo& io,
                                          const SglDescriptor& sgl = {}) {
  return make_block_io(IoOpcode::compare, cid, nsid, io, sgl);
}
[[nodiscard]] inline Command make_write_zeroes(std::uint16_t cid, std::uint32_t nsid, const BlockIo& io) {
  return make_block_io(IoOpcode::write_zeroes, cid, nsid, io);
}
[[nodiscard]] inline Command make_verify(std::uint16_t cid, std::uint32_t nsid, const BlockIo& io) {
  return make_block_io(IoOpcode::verify, cid, nsid, io);
}
[[nodiscard]] inline Command make_flush(std::uint16_t cid, std::uint32_t nsid) {
  return make_command(IoOpcode::flush, cid, nsid);
}

struct DatasetManagement {
  std::uint16_t ranges = 1;  // 1 to 256; sent as zero's based
  bool deallocate = false;
  bool integral_read = false;
  bool integral_write = false;

  friend constexpr bool operator==(const DatasetManagement&, const DatasetManagement&) = default;
};

[[nodiscard]] inline Command make_dataset_management(std::uint16_t cid, std::uint32_t nsid,
                                                     const DatasetManagement& dsm,
                                                     const SglDescriptor& sgl = {}) {
  NETSTOR_ASSERT(dsm.ranges >= 1 && dsm.ranges <= 256);
  Command command = make_command(IoOpcode::dataset_management, cid, nsid, sgl);
  command.set_cdw(10, (dsm.ranges - 1u) & 0xFFu);
  command.set_cdw(11, std::uint32_t{dsm.integral_read} | (std::uint32_t{dsm.integral_write} << 1) |
                          (std::uint32_t{dsm.deallocate} << 2));
  return command;
}

[[nodiscard]] inline DatasetManagement decode_dataset_management(const Command& command) {
  const std::uint32_t dw11 = command.cdw(11);
  return {.ranges = static_cast<std::uint16_t>((command.cdw(10) & 0xFFu) + 1),
          .deallocate = (dw11 & 4u) != 0,
          .integral_read = (dw11 & 1u) != 0,
          .integral_write = (dw11 & 2u) != 0};
}

// ---- Admin commands.

struct Abort {
  std::uint16_t sqid = 0;
  std::uint16_t cid = 0;  // of the command that is to be aborted

  friend constexpr bool operator==(const Abort&, const Abort&) = default;
};

[[nodiscard]] inline Command make_abort(std::uint16_t cid, const Abort& abort) {
  Command command = make_command(AdminOpcode::abort, cid);
  command.set_cdw(10, abort.sqid | (std::uint32_t{abort.cid} << 16));
  return command;
}

[[nodiscard]] inline Abort decode_abort(const Command& command) {
  return {.sqid = command.get<std::uint16_t>(40), .cid = command.get<std::uint16_t>(42)};
}

// Dword 0 of an Abort's completion: bit 0 set says that the command was not aborted.
[[nodiscard]] constexpr bool was_aborted(std::uint32_t dw0) { return (dw0 & 1u) == 0; }

struct Identify {
  Cns cns = Cns::identify_controller;
  std::uint16_t cntid = 0;
  std::uint16_t cns_specific = 0;
  Csi csi = Csi::nvm;
  std::uint8_t uuid_index = 0;

  friend constexpr bool operator==(const Identify&, const Identify&) = default;
};

[[nodiscard]] inline Command make_identify(std::uint16_t cid, std::uint32_t nsid, const Identify& identify,
                                           const SglDescriptor& sgl = {}) {
  Command command = make_command(AdminOpcode::identify, cid, nsid, sgl);
  command.set_cdw(10, static_cast<std::uint32_t>(identify.cns) | (std::uint32_t{identify.cntid} << 16));
  command.set_cdw(11, identify.cns_specific | (static_cast<std::uint32_t>(identify.csi) << 24));
  command.set_cdw(14, identify.uuid_index & 0x7Fu);
  return command;
}

[[nodiscard]] inline Identify decode_identify(const Command& command) {
  return {.cns = static_cast<Cns>(command.get<std::uint8_t>(40)),
          .cntid = command.get<std::uint16_t>(42),
          .cns_specific = command.get<std::uint16_t>(44),
          .csi = static_cast<Csi>(command.get<std::uint8_t>(47)),
          .uuid_index = static_cast<std::uint8_t>(command.get<std::uint8_t>(56) & 0x7Fu)};
}

struct SetFeatures {
  FeatureId id{};
  std::uint32_t value = 0;  // dword 11; encoders in features.h
  bool save = false;

  friend constexpr bool operator==(const SetFeatures&, const SetFeatures&) = default;
};

[[nodiscard]] inline Command make_set_features(std::uint16_t cid, std::uint32_t nsid,
                                               const SetFeatures& features, const SglDescriptor& sgl = {}) {
  Command command = make_command(AdminOpcode::set_features, cid, nsid, sgl);
  command.set_cdw(10, static_cast<std::uint32_t>(features.id) | (std::uint32_t{features.save} << 31));
  command.set_cdw(11, features.value);
  return command;
}

[[nodiscard]] inline SetFeatures decode_set_features(const Command& command) {
  return {.id = static_cast<FeatureId>(command.get<std::uint8_t>(40)),
          .value = command.cdw(11),
          .save = (command.cdw(10) >> 31) != 0};
}

enum class FeatureSelect : std::uint8_t {
  current = 0,
  default_value = 1,
  saved = 2,
  supported_capabilities = 3
};

struct GetFeatures {
  FeatureId id{};
  FeatureSelect select = FeatureSelect::current;
  std::uint32_t value = 0;  // dword 11, for the features that ask for one

  friend constexpr bool operator==(const GetFeatures&, const GetFeatures&) = default;
};

[[nodiscard]] inline Command make_get_features(std::uint16_t cid, std::uint32_t nsid,
                                               const GetFeatures& features, const SglDescriptor& sgl = {}) {
  Command command = make_command(AdminOpcode::get_features, cid, nsid, sgl);
  command.set_cdw(
      10, static_cast<std::uint32_t>(features.id) | (static_cast<std::uint32_t>(features.select) << 8));
  command.set_cdw(11, features.value);
  return command;
}

[[nodiscard]] inline GetFeatures decode_get_features(const Command& command) {
  return {.id = static_cast<FeatureId>(command.get<std::uint8_t>(40)),
          .select = static_cast<FeatureSelect>(command.get<std::uint8_t>(41) & 7u),
          .value = command.cdw(11)};
}

struct GetLogPage {
  LogId id{};
  std::uint64_t bytes = 4;  // a multiple of 4, from 4 to 2^34; sent as zero's based dwords
  std::uint64_t offset = 0;
  std::uint8_t specific = 0;              // LSP, 7 bits
  bool retain_async_event = false;        // RAE
  std::uint16_t specific_identifier = 0;  // LSI
  bool offset_is_index = false;           // OT
  std::uint8_t uuid_index = 0;
  Csi csi = Csi::nvm;

  friend constexpr bool operator==(const GetLogPage&, const GetLogPage&) = default;
};

[[nodiscard]] inline Command make_get_log_page(std::uint16_t cid, std::uint32_t nsid, const GetLogPage& log,
                                               const SglDescriptor& sgl = {}) {
  NETSTOR_ASSERT(log.bytes % 4 == 0 && log.bytes / 4 - 1 <= 0xFFFFFFFFu);
  Command command = make_command(AdminOpcode::get_log_page, cid, nsid, sgl);
  const auto numd = static_cast<std::uint32_t>(log.bytes / 4 - 1);
  command.set_cdw(10, static_cast<std::uint32_t>(log.id) | (std::uint32_t{log.specific & 0x7Fu} << 8) |
                          (std::uint32_t{log.retain_async_event} << 15) | (numd << 16));
  command.set_cdw(11, (numd >> 16) | (std::uint32_t{log.specific_identifier} << 16));
  command.set<std::uint64_t>(48, log.offset);
  command.set_cdw(14, (log.uuid_index & 0x7Fu) | (std::uint32_t{log.offset_is_index} << 23) |
                          (static_cast<std::uint32_t>(log.csi) << 24));
  return command;
}

[[nodiscard]] inline GetLogPage decode_get_log_page(const Command& command) {
  const std::uint32_t dw10 = command.cdw(10);
  const std::uint32_t dw14 = command.cdw(14);
  const std::uint32_t numd = (dw10 >> 16) | (command.cdw(11) << 16);
  return {.id = static_cast<LogId>(dw10 & 0xFFu),
          .bytes = (std::uint64_t{numd} + 1) * 4,
          .offset = command.get<std::uint64_t>(48),
          .specific = static_cast<std::uint8_t>((dw10 >> 8) & 0x7Fu),
          .retain_async_event = ((dw10 >> 15) & 1u) != 0,
          .specific_identifier = command.get<std::uint16_t>(46),
          .offset_is_index = ((dw14 >> 23) & 1u) != 0,
          .uuid_index = static_cast<std::uint8_t>(dw14 & 0x7Fu),
          .csi = static_cast<Csi>(dw14 >> 24)};
}

[[nodiscard]] inline Command make_async_event_request(std::uint16_t cid) {
  return make_command(AdminOpcode::async_event_request, cid);
}

[[nodiscard]] inline Command make_keep_alive(std::uint16_t cid) {
  return make_command(AdminOpcode::keep_alive, cid);
}

}  // namespace netstor::nvme
