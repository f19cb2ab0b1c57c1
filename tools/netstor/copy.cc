// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/copy.h"

#include "tools/netstor/hash.h"

#include <algorithm>
#include <utility>

namespace netstor::tool {
namespace {

struct Chunk {
  Future<void> pending;  // its read, then its write
  std::size_t length = 0;
};

/// The window: chunks [done, written) are being written, [written, read) are being read.
class Window {
 public:
  Window(Source& source, Sink& sink, Workspace& workspace, const CopyOptions& options)
      : source_(source), sink_(sink), workspace_(workspace), options_(options), chunks_(workspace.depth()) {}

  ~Window() {
    // The workspace may be used again at once: whatever is under way has to give its bytes back first.
    for (Chunk& chunk : chunks_) {
      if (chunk.pending.valid()) chunk.pending.cancel();
    }
    for (Chunk& chunk : chunks_) {
      if (chunk.pending.valid()) static_cast<void>(chunk.pending.get().ok());
    }
  }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  Result<std::uint64_t> run() {
    // Half of the window for each side keeps both ends busy.
    const std::uint64_t writes_max = std::max(1U, workspace_.depth() / 2);
    for (;;) {
      NETSTOR_CHECK_RETURN(read_ahead());
      if (written_ < read_) {
        NETSTOR_CHECK_RETURN(begin_write());
        if (written_ - done_ < writes_max) continue;
      }
      if (done_ == written_) break;
      NETSTOR_CHECK_RETURN(end_write());
    }
    NETSTOR_CHECK_RETURN(check());
    NETSTOR_CHECK_RETURN(sink_.finish());
    return bytes_;
  }

 private:
  Chunk& chunk(std::uint64_t number) { return chunks_[static_cast<std::size_t>(number % chunks_.size())]; }
  std::uint64_t position(std::uint64_t number) const { return number * workspace_.chunk_bytes(); }

  Result<void> read_ahead() {
    while (!ended_ && read_ - done_ < chunks_.size()) {
      Chunk& next = chunk(read_);
      NETSTOR_TRY_RETURN(next.length, source_.read(position(read_), workspace_.chunk(read_), next.pending));
      ended_ = next.length < workspace_.chunk_bytes();
      if (next.length == 0) break;
      ++read_;
      // Both ends get their turn: a source that blocks must not fill the window before a write begins.
      if (written_ < read_ && chunk(written_).pending.ready()) break;
    }
    return ok();
  }

  Result<void> begin_write() {
    Chunk& next = chunk(written_);
    NETSTOR_CHECK_RETURN(next.pending.get());
    const MutableBytes room = workspace_.chunk(written_);
    if (options_.hash != nullptr) options_.hash->update(room.first(next.length));
    if (options_.check != nullptr) options_.check->update(room.first(next.length));
    // A sink may keep for good what comes in one chunk.
    if (ended_ && written_ + 1 == read_) NETSTOR_CHECK_RETURN(check());
    next.pending = sink_.write(position(written_), room, next.length);
    ++written_;
    return ok();
  }

  Result<void> check() {
    if (options_.check == nullptr || std::exchange(checked_, true)) return ok();
    return options_.check->finish();
  }

  Result<void> end_write() {
    Chunk& first = chunk(done_);
    Result<void> written = first.pending.get();
    if (!written && written.error().kind() == ErrorKind::unsupported && sink_.other_way())
      written = sink_.write(position(done_), workspace_.chunk(done_), first.length).get();
    NETSTOR_CHECK_RETURN(std::move(written));
    bytes_ += first.length;
    ++done_;
    if (options_.progress) options_.progress(bytes_);
    return ok();
  }

  Source& source_;
  Sink& sink_;
  Workspace& workspace_;
  const CopyOptions& options_;
  std::vector<Chunk> chunks_;
  std::uint64_t done_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t bytes_ = 0;
  bool ended_ = false;
  bool checked_ = false;
};

}  // namespace

Result<Workspace> Workspace::make(Runtime& runtime, std::size_t chunk_bytes, unsigned depth) {
  NETSTOR_TRY_RETURN(Buffer memory, Buffer::allocate(chunk_bytes * depth));
  NETSTOR_TRY_RETURN(Runtime::Registration registration, runtime.register_memory(memory.bytes()));
  return Workspace(std::move(memory), std::move(registration), chunk_bytes, depth);
}

Result<std::uint64_t> copy(Source& source, Sink& sink, Workspace& workspace, const CopyOptions& options) {
  return Window(source, sink, workspace, options).run();
}

}  // namespace netstor::tool
