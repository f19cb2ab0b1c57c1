// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ends of a copy: volumes, plain files and streams, and nothing at all.
//
// A volume's ends lie on its blocks; a file's anywhere. The difference is made up here: a volume's source
// reads the whole last block and gives a part of it, its sink fills the last block up.

#include <netstor/volume.h>

#include "tools/netstor/copy.h"

#include <optional>
#include <string>

namespace netstor::tool {

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t to) { return value / to * to; }
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) { return (value + to - 1) / to * to; }

/// `length` bytes of a volume from `offset`, which lies on a block.
class VolumeSource final : public Source {
 public:
  VolumeSource(const Volume& volume, std::uint64_t offset, std::uint64_t length)
      : volume_(volume), offset_(offset), length_(length) {}
  Result<std::size_t> read(std::uint64_t position, MutableBytes into, Future<void>& done) override;

 private:
  const Volume& volume_;
  std::uint64_t offset_;
  std::uint64_t length_;
};

/// What becomes of the rest of a last block that is written in part.
enum class Tail { zeroes, keep };

struct VolumeSinkOptions {
  std::uint64_t offset = 0;  ///< on a block
  Tail tail = Tail::zeroes;
  bool sparse = false;  ///< zeroes are not sent
  bool force_unit_access = false;
};

class VolumeSink final : public Sink {
 public:
  VolumeSink(const Volume& volume, VolumeSinkOptions options);
  Future<void> write(std::uint64_t position, MutableBytes room, std::size_t length) override;
  bool other_way() override;
  Result<void> finish() override;

  std::uint64_t padded_bytes() const noexcept { return padded_; }
  std::uint64_t zero_bytes() const noexcept { return zeroes_; }

 private:
  Result<void> fill_tail(std::uint64_t offset, MutableBytes block, std::size_t used);

  const Volume& volume_;
  VolumeSinkOptions options_;
  bool zeroing_ = false;  ///< by write_zeroes
  std::uint64_t padded_ = 0;
  std::uint64_t zeroes_ = 0;
};

/// A descriptor that is closed in the end.
class OpenFile {
 public:
  OpenFile() noexcept = default;
  OpenFile(int fd, bool owned) noexcept : fd_(fd), owned_(owned) {}
  OpenFile(OpenFile&& other) noexcept { *this = std::move(other); }
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(owned_, other.owned_);
    return *this;
  }
  ~OpenFile();
  int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
  bool owned_ = false;
};

/// A file to read; "-" is standard input. The size is known for regular files.
struct InputFile {
  OpenFile file;
  std::string name;
  std::optional<std::uint64_t> size_bytes;
};
Result<InputFile> open_input(const std::string& path);

/// Up to `length` bytes of a file or stream, after `lead` bytes that come from elsewhere.
class FileSource final : public Source {
 public:
  explicit FileSource(const InputFile& input, std::uint64_t length = ~std::uint64_t{0}, Bytes lead = {})
      : input_(input), left_(length), lead_(lead) {}
  Result<std::size_t> read(std::uint64_t position, MutableBytes into, Future<void>& done) override;

 private:
  const InputFile& input_;
  std::uint64_t left_;
  Bytes lead_;
};

/// A file to write; "-" is standard output. A file that is there is refused without `overwrite`.
struct OutputFile {
  OpenFile file;
  std::string name;
  bool regular = false;
  bool created = false;  ///< remove it again when the copy fails
};
Result<OutputFile> open_output(const std::string& path, bool overwrite);

class FileSink final : public Sink {
 public:
  /// The first `skip` bytes of the source are not wanted. `sparse`: zeroes become holes.
  FileSink(const OutputFile& output, std::uint64_t skip, bool sparse)
      : output_(output), skip_(skip), sparse_(sparse && output.regular) {}
  Future<void> write(std::uint64_t position, MutableBytes room, std::size_t length) override;
  Result<void> finish() override;

 private:
  Result<void> put(Bytes bytes);

  const OutputFile& output_;
  std::uint64_t skip_;
  std::uint64_t end_ = 0;
  bool sparse_;
};

/// Takes everything and keeps nothing: what a verification reads into.
class NullSink final : public Sink {
 public:
  Future<void> write(std::uint64_t, MutableBytes, std::size_t) override { return make_ready<void>(ok()); }
};

}  // namespace netstor::tool
