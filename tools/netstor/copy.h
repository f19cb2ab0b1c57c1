// SPDX-License-Identifier: Apache-2.0
#pragma once
// The pipeline under cp, read and write: a window of chunks, each read from a source and then written to a
// sink, several of both in flight at a time. It runs on the calling (foreign) thread; volumes work on their
// shards meanwhile. What the two ends are is in endpoints.h.

#include <netstor/bucket.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace netstor::tool {

class Sha256;

class Source {
 public:
  virtual ~Source() = default;
  /// Starts to bring the bytes at `position` to the front of `into`; answers how many will come when `done`
  /// is ready: less than fit only at the end, 0 beyond it. Asked in order of position.
  virtual Result<std::size_t> read(std::uint64_t position, MutableBytes into, Future<void>& done) = 0;
};

class Sink {
 public:
  virtual ~Sink() = default;
  /// Starts to take the first `length` bytes of `room`; what follows them in `room` is free for padding.
  /// `room` is borrowed until the future is ready. Asked in order of position.
  virtual Future<void> write(std::uint64_t position, MutableBytes room, std::size_t length) = 0;
  /// A write was answered *unsupported*: true when there is another way, and the chunk is wanted again.
  virtual bool other_way() { return false; }
  /// All is written: make it stay.
  virtual Result<void> finish() { return ok(); }
};

/// The chunks' memory, aligned and registered with the drivers once, for as many copies as wanted.
class Workspace {
 public:
  static Result<Workspace> make(Runtime& runtime, std::size_t chunk_bytes, unsigned depth);
  std::size_t chunk_bytes() const noexcept { return chunk_bytes_; }
  unsigned depth() const noexcept { return depth_; }
  MutableBytes chunk(std::uint64_t number) noexcept {
    return memory_.bytes().subspan(static_cast<std::size_t>(number % depth_) * chunk_bytes_, chunk_bytes_);
  }

 private:
  Workspace(Buffer memory, Runtime::Registration registration, std::size_t chunk_bytes, unsigned depth)
      : memory_(std::move(memory)),
        registration_(std::move(registration)),
        chunk_bytes_(chunk_bytes),
        depth_(depth) {}
  Buffer memory_;
  Runtime::Registration registration_;
  std::size_t chunk_bytes_;
  unsigned depth_;
};

struct CopyOptions {
  Sha256* hash = nullptr;                             ///< told every byte, in order
  ObjectCheck* check = nullptr;                       ///< the same; what it does not accept is not finished
  std::function<void(std::uint64_t bytes)> progress;  ///< told how many bytes are written so far
};

/// Copies until the source ends, and finishes the sink; answers how many bytes. On an error all that was in
/// flight has ended, and the memory is free, before it answers.
Result<std::uint64_t> copy(Source& source, Sink& sink, Workspace& workspace, const CopyOptions& options = {});

}  // namespace netstor::tool
