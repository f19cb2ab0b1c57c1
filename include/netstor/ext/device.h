// SPDX-License-Identifier: Apache-2.0
#pragma once
// Devices: block storage behind one queue of one shard (a file, a namespace of a remote controller, a
// simulated disk). Contract rules: ext/driver.h.

#include <netstor/ext/driver.h>

#include <sys/uio.h>

namespace netstor {

enum class DeviceVerb : std::uint8_t {
  read,
  write,
  flush,              ///< everything written before is on stable storage
  write_zeroes,       ///< no payload
  deallocate,         ///< a hint; reads answer zeroes or the old bytes, as the device says
  compare,            ///< payload against the stored bytes: compare_failed when they differ
  compare_and_write,  ///< `expected` against the stored bytes, then payload; atomic up to atomic_bytes
  verify,             ///< reads within the device, moves nothing
};

/// May what is stored be another after this?
constexpr bool changes(DeviceVerb verb) noexcept {
  return verb == DeviceVerb::write || verb == DeviceVerb::write_zeroes || verb == DeviceVerb::deallocate ||
         verb == DeviceVerb::compare_and_write;
}
/// Do bytes of the caller's go with it, or come?
constexpr bool has_payload(DeviceVerb verb) noexcept {
  return verb == DeviceVerb::read || verb == DeviceVerb::write || verb == DeviceVerb::compare ||
         verb == DeviceVerb::compare_and_write;
}
constexpr std::string_view to_string(DeviceVerb verb) noexcept {
  switch (verb) {
    case DeviceVerb::read:
      return "read";
    case DeviceVerb::write:
      return "write";
    case DeviceVerb::flush:
      return "flush";
    case DeviceVerb::write_zeroes:
      return "write zeroes";
    case DeviceVerb::deallocate:
      return "deallocate";
    case DeviceVerb::compare:
      return "compare";
    case DeviceVerb::compare_and_write:
      return "compare and write";
    case DeviceVerb::verify:
      return "verify";
  }
  return "?";
}

/// What a device can do; sizes in bytes.
struct DeviceLimits {
  std::uint64_t size_bytes = 0;
  std::uint32_t block_bytes = 512;             ///< offset and length are multiples of it
  std::uint32_t transfer_bytes_max = 1 << 20;  ///< of one operation; a multiple of block_bytes
  std::uint32_t zero_bytes_max = 1 << 20;      ///< of one write_zeroes / deallocate / verify
  std::uint32_t atomic_bytes = 512;            ///< writes up to this are all or nothing
  std::uint32_t memory_alignment = 1;          ///< of payload pieces, for direct I/O
  std::uint32_t depth = 128;                   ///< operations in flight
  bool writable = true;
  bool volatile_cache = false;  ///< flush has something to do
  bool can_write_zeroes = false;
  bool can_deallocate = false;
  bool can_compare = false;
  bool can_compare_and_write = false;
  bool can_verify = false;
};

/// Do these limits (DeviceLimits, or what has the same abilities) allow such an operation?
template <class Limits>
constexpr bool can(DeviceVerb verb, const Limits& limits) noexcept {
  switch (verb) {
    case DeviceVerb::read:
    case DeviceVerb::write:
    case DeviceVerb::flush:
      return true;
    case DeviceVerb::write_zeroes:
      return limits.can_write_zeroes;
    case DeviceVerb::deallocate:
      return limits.can_deallocate;
    case DeviceVerb::compare:
      return limits.can_compare;
    case DeviceVerb::compare_and_write:
      return limits.can_compare_and_write;
    case DeviceVerb::verify:
      return limits.can_verify;
  }
  return false;
}

/// One operation on `[offset, offset + length)`. A device may count on its caller for alignment and limits,
/// and answers invalid_argument or out_of_range all the same.
struct DeviceOp : Op {
  DeviceVerb verb = DeviceVerb::read;
  bool force_unit_access = false;
  std::uint64_t offset = 0;       ///< bytes
  std::uint64_t length = 0;       ///< bytes; the sum of the pieces where there is a payload
  const iovec* pieces = nullptr;  ///< payload, borrowed until complete, list included
  unsigned piece_count = 0;
  const iovec* expected = nullptr;  ///< compare_and_write only
  unsigned expected_count = 0;
};

/// Told of what happens to a device outside any operation. Called from Port::poll().
class DeviceObserver {
 public:
  virtual ~DeviceObserver() = default;
  /// The path is gone: every operation was or will be answered `disconnected`. Close, and open anew.
  virtual void device_lost(OpResult why) noexcept = 0;
  /// Size or abilities changed: read limits() again.
  virtual void device_changed() noexcept = 0;
  /// After `full`: there is room, and perhaps no completion told of it (a cancelled operation may keep its
  /// place for a while after it was given back). Submit again. Never called by devices that give an
  /// operation back together with its place.
  virtual void device_has_room() noexcept {}
};

class Device {
 public:
  virtual ~Device() = default;  ///< closed devices only

  virtual const DeviceLimits& limits() const noexcept = 0;
  virtual Submit submit(DeviceOp& op) = 0;

  /// Asks to stop `op`, which is accepted: it completes soon, as cancelled (effect unknown when the device
  /// may have begun a write) or as what it became.
  virtual void cancel(DeviceOp& op) = 0;

  /// Ends the device: everything in flight completes (cancelled); then `closed`. Called once.
  virtual void close(Op& closed) = 0;

  /// One observer; null for none.
  virtual void observe(DeviceObserver* observer) noexcept = 0;

  /// A ticket by which another shard's port of the same driver opens a queue of the same session
  /// (OpenOp::share); nothing where each open stands alone.
  virtual std::optional<Ticket> share() const { return std::nullopt; }

  /// What names the medium in all the world, whichever path leads to it ("uuid …"): after a lost path the
  /// next device must answer the same. Empty: nothing does.
  virtual std::string identity() const { return {}; }

  /// What people want to know, as "key: value" lines: model, serial, digests, driver.
  virtual std::string describe() const { return {}; }
};

}  // namespace netstor
