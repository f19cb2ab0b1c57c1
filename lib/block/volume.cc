// SPDX-License-Identifier: Apache-2.0
// The calls of volume.h: checks what the user said, finds the shard, starts the request.

#include <netstor/volume.h>

#include "lib/block/replay.h"
#include "lib/block/volume_core.h"

#include <limits>

namespace netstor {

using detail::VolumeCore;
using detail::VolumeOp;
using detail::VolumeRequest;

namespace {

Error refused(ErrorKind kind, const VolumeCore& core, std::string text) {
  return {kind, core.uri() + ": " + std::move(text)};
}

iovec as_iovec(Bytes bytes) noexcept { return {const_cast<std::byte*>(bytes.data()), bytes.size()}; }

/// What every request is checked for; `supported` is the device's word on this verb.
Result<void> check(const VolumeCore& core, const VolumeRequest& request, bool supported) {
  const DeviceLimits& limits = core.limits();
  if (!supported) return refused(ErrorKind::unsupported, core, "the volume does not offer this command");
  if (changes(request.verb) && (!limits.writable || core.options().read_only)) {
    return refused(ErrorKind::permission_denied, core, "opened for reading only");
  }
  if (request.offset % limits.block_bytes != 0 || request.length % limits.block_bytes != 0) {
    return refused(ErrorKind::invalid_argument, core,
                   "offset " + std::to_string(request.offset) + " and length " +
                       std::to_string(request.length) + " must be multiples of the block size, " +
                       std::to_string(limits.block_bytes));
  }
  const std::uint64_t size = core.size_bytes();
  if (request.offset > size || request.length > size - request.offset) {
    return refused(ErrorKind::out_of_range, core,
                   std::to_string(request.length) + " bytes at " + std::to_string(request.offset) +
                       " end beyond the volume's " + std::to_string(size) + " bytes");
  }
  return {};
}

/// Starts the request on this thread's part of the volume, or brings it to the home shard.
Future<void> start(const std::shared_ptr<VolumeCore>& core, const VolumeRequest& request, bool supported) {
  if (Result<void> sound = check(*core, request, supported); !sound)
    return make_ready<void>(std::move(sound));
  if (request.length == 0 && request.verb != DeviceVerb::flush) return make_ready<void>({});
  if (detail::VolumeShard* part = core->here()) return VolumeOp::start(*part, request);
  return core->home().shard().run_on(
      [core, request = request,
       pieces = std::vector<iovec>(request.pieces.begin(), request.pieces.end())]() mutable {
        request.pieces = pieces;
        return VolumeOp::start(*core->here(), request);
      });
}

VolumeRequest make_request(DeviceVerb verb, std::uint64_t offset, const iovec& piece, IoOptions options) {
  return {.verb = verb, .options = options, .offset = offset, .length = piece.iov_len, .pieces = {&piece, 1}};
}

template <class Piece>
Future<void> start_list(const std::shared_ptr<VolumeCore>& core, DeviceVerb verb, std::uint64_t offset,
                        std::span<const Piece> list, IoOptions options) {
  if (list.size() > kScatterPiecesMax) {
    return make_ready<void>(refused(ErrorKind::invalid_argument, *core,
                                    "a scatter list of " + std::to_string(list.size()) + " pieces; at most " +
                                        std::to_string(kScatterPiecesMax)));
  }
  std::array<iovec, kScatterPiecesMax> pieces;
  std::size_t count = 0;
  std::uint64_t length = 0;
  for (const Piece& piece : list) {
    if (piece.empty()) continue;
    length += piece.size();
    pieces[count++] = as_iovec(piece);
  }
  const std::span<const iovec> used(pieces.data(), count);
  return start(core, {.verb = verb, .options = options, .offset = offset, .length = length, .pieces = used},
               true);
}

}  // namespace

Future<Volume> Volume::open(Runtime& runtime, std::string_view uri, VolumeOptions options) {
  detail::Engine& engine = detail::Engine::of(runtime);
  Shard* const here = Shard::current();
  const bool inside =
      here != nullptr && here->index() < engine.shards() && &engine.loop(here->index()).shard() == here;
  if (inside) return spawn(VolumeCore::open(engine, std::string(uri), std::move(options)));
  return engine.loop(engine.next_home())
      .shard()
      .run_on([&engine, uri = std::string(uri), options = std::move(options)]() mutable {
        return VolumeCore::open(engine, std::move(uri), std::move(options));
      });
}

const std::string& Volume::uri() const noexcept { return core_->uri(); }
std::uint64_t Volume::size_bytes() const noexcept { return core_->size_bytes(); }
std::uint32_t Volume::block_bytes() const noexcept { return core_->limits().block_bytes; }

VolumeInfo Volume::info() const {
  VolumeInfo info = core_->info();
  info.size_bytes = core_->size_bytes();
  return info;
}

Future<void> Volume::read(std::uint64_t offset, MutableBytes into, IoOptions options) const {
  return start(core_, make_request(DeviceVerb::read, offset, as_iovec(into), options), true);
}
Future<void> Volume::read(std::uint64_t offset, ScatterList into, IoOptions options) const {
  return start_list(core_, DeviceVerb::read, offset, into, options);
}
Future<void> Volume::write(std::uint64_t offset, Bytes from, IoOptions options) const {
  return start(core_, make_request(DeviceVerb::write, offset, as_iovec(from), options), true);
}
Future<void> Volume::write(std::uint64_t offset, ConstScatterList from, IoOptions options) const {
  return start_list(core_, DeviceVerb::write, offset, from, options);
}

Future<void> Volume::flush() const { return start(core_, {.verb = DeviceVerb::flush}, true); }

Future<void> Volume::write_zeroes(std::uint64_t offset, std::uint64_t length, IoOptions options) const {
  return start(core_,
               {.verb = DeviceVerb::write_zeroes, .options = options, .offset = offset, .length = length},
               core_->limits().can_write_zeroes);
}
Future<void> Volume::deallocate(std::uint64_t offset, std::uint64_t length) const {
  // Saying twice that bytes are not needed does no harm.
  return start(
      core_,
      {.verb = DeviceVerb::deallocate, .options = {.idempotent = true}, .offset = offset, .length = length},
      core_->limits().can_deallocate);
}
Future<void> Volume::verify(std::uint64_t offset, std::uint64_t length) const {
  return start(core_, {.verb = DeviceVerb::verify, .offset = offset, .length = length},
               core_->limits().can_verify);
}
Future<void> Volume::compare(std::uint64_t offset, Bytes expected) const {
  return start(core_, make_request(DeviceVerb::compare, offset, as_iovec(expected), {}),
               core_->limits().can_compare);
}

Future<void> Volume::compare_and_write(std::uint64_t offset, Bytes expected, Bytes from) const {
  const DeviceLimits& limits = core_->limits();
  if (expected.size() != from.size() || from.size() > limits.atomic_bytes) {
    return make_ready<void>(refused(ErrorKind::invalid_argument, *core_,
                                    "compare and write takes two runs of the same length, at most " +
                                        std::to_string(limits.atomic_bytes) + " bytes"));
  }
  const iovec piece = as_iovec(from);
  VolumeRequest request = make_request(DeviceVerb::compare_and_write, offset, piece, {});
  request.expected = as_iovec(expected);
  return start(core_, request, limits.can_compare_and_write);
}

Future<void> Volume::close() const {
  return core_->home().shard().run_on([core = core_]() -> Task<void> { return core->close(); });
}

}  // namespace netstor
