// SPDX-License-Identifier: Apache-2.0
#pragma once
// One request of the user, and the device operations (fragments) that it is split into.
//
// The state that the user's future waits on, the request and its first fragment are one block: a request
// that fits the device's limits allocates nothing else. A larger one keeps a window of fragments under way
// and gives each its next slice when it is done.

#include <netstor/detail/state.h>
#include <netstor/ext/device.h>
#include <netstor/future.h>
#include <netstor/options.h>

#include <array>

namespace netstor::detail {

class VolumeOp;
class VolumeShard;

/// A slice of a request on its way through the device's queue.
struct Fragment : DeviceOp {
  enum class Place : std::uint8_t { idle, waiting, device };
  VolumeOp* parent = nullptr;
  Fragment* sibling = nullptr;  // the next fragment of the same request
  Fragment* before = nullptr;   // in the waiting list
  Fragment* after = nullptr;
  Place place = Place::idle;
  bool may_have_happened = false;  // an earlier try of this slice, of which no answer came
  std::uint16_t capacity = 1;      // of slices()
  iovec slice{};                   // further ones follow the block of a fragment that was made by make()

  iovec* slices() noexcept { return &slice; }
};

struct VolumeRequest {
  DeviceVerb verb = DeviceVerb::read;
  IoOptions options{};
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::span<const iovec> pieces{};  // copied by start()
  iovec expected{};                 // compare_and_write
};

class VolumeOp final : public State<void> {
 public:
  static constexpr unsigned kWindow = 32;  // fragments of one request under way

  /// Begins the request on `shard`, whose thread this is.
  static Future<void> start(VolumeShard& shard, const VolumeRequest& request);

  /// A fragment came back. On success it takes the next slice.
  void fragment_done(Fragment& fragment) noexcept;
  const IoOptions& options() const noexcept { return options_; }
  DeviceVerb verb() const noexcept { return first_.verb; }
  bool cancelled() const noexcept { return cancelled_; }
  /// For those who follow requests (trace.h); of the whole request where there is no fragment.
  void trace(const char* room, const char* what, const Fragment* fragment) noexcept {
    if (trace_ != 0) [[unlikely]]
      tell(room, what, fragment);
  }

 private:
  friend class State<void>;
  template <class S, class... Args>
  friend S* detail::make_state(Args&&...);
  VolumeOp(VolumeShard& shard, const VolumeRequest& request);
  ~VolumeOp();

  void launch() noexcept;
  /// Gives `fragment` the next slice of the request; false when all are taken.
  bool take_slice(Fragment& fragment) noexcept;
  void cut_pieces(Fragment& fragment) noexcept;
  Fragment& make_fragment();
  void ask_to_stop() noexcept;
  void finish() noexcept;
  void tell(const char* room, const char* what, const Fragment* fragment) noexcept;

  VolumeShard& shard_;
  IoOptions options_;
  const std::uint64_t trace_;  // its number; 0: nobody follows it
  std::uint64_t offset_;
  std::uint64_t length_;
  std::uint64_t planned_ = 0;      // bytes given to fragments
  std::uint64_t slice_bytes_max_;  // one fragment
  std::uint32_t piece_count_;
  std::uint32_t piece_at_ = 0;       // the piece that planned_ stands in
  std::uint64_t piece_planned_ = 0;  // and how far
  std::uint32_t outstanding_ = 0;
  bool whole_ = false;  // one fragment carries all (flush has no bytes to count)
  bool cancelled_ = false;
  bool any_done_ = false;
  OpResult failure_;  // the first one
  iovec expected_;
  iovec* pieces_;  // &one_piece_, or a block of its own
  iovec one_piece_{};
  Fragment first_;
};

}  // namespace netstor::detail
