// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/endpoints.h"

#include "tools/netstor/failure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace netstor::tool {
namespace {

bool all_zero(Bytes bytes) {
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

/// As many bytes as there are, up to all; fewer only at the end.
Result<std::size_t> read_fully(int fd, MutableBytes into, const std::string& name) {
  std::size_t had = 0;
  while (had < into.size()) {
    const ssize_t got = ::read(fd, into.data() + had, into.size() - had);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::system(errno, "reading " + name);
    if (got == 0) break;
    had += static_cast<std::size_t>(got);
  }
  return had;
}

}  // namespace

// --- volumes
// ------------------------------------------------------------------------------------------------

Result<std::size_t> VolumeSource::read(std::uint64_t position, MutableBytes into, Future<void>& done) {
  if (position >= length_) return 0;
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), length_ - position));
  const std::size_t whole = static_cast<std::size_t>(round_up(wanted, volume_.block_bytes()));
  done = volume_.read(offset_ + position, into.first(whole));
  return wanted;
}

VolumeSink::VolumeSink(const Volume& volume, VolumeSinkOptions options) : volume_(volume), options_(options) {
  // Of length 0, so that it says whether the volume can, and does nothing.
  zeroing_ = options_.sparse && volume.write_zeroes(0, 0).get().ok();
}

Result<void> VolumeSink::fill_tail(std::uint64_t offset, MutableBytes block, std::size_t used) {
  const MutableBytes rest = block.subspan(used);
  if (options_.tail == Tail::zeroes) {
    std::fill(rest.begin(), rest.end(), std::byte{0});
    padded_ = rest.size();  // the last block's, however often it is written
    return ok();
  }
  NETSTOR_TRY_RETURN(Buffer before, Buffer::allocate(block.size()));
  NETSTOR_CHECK_RETURN(volume_.read(offset, before.bytes()).get());
  std::copy_n(before.data() + used, rest.size(), rest.begin());
  return ok();
}

Future<void> VolumeSink::write(std::uint64_t position, MutableBytes room, std::size_t length) {
  const std::uint64_t offset = options_.offset + position;
  const std::size_t block = volume_.block_bytes();
  const std::size_t whole = static_cast<std::size_t>(round_up(length, block));
  if (whole != length) {
    const std::size_t last = whole - block;
    Result<void> filled = fill_tail(offset + last, room.subspan(last, block), length - last);
    if (!filled) return make_ready<void>(std::move(filled));
  }
  // Each block is written once by this program: sending it again after a lost path does no harm.
  const IoOptions io{.force_unit_access = options_.force_unit_access, .idempotent = true};
  const MutableBytes bytes = room.first(whole);
  if (zeroing_ && all_zero(bytes)) {
    zeroes_ += whole;
    return volume_.write_zeroes(offset, whole, io);
  }
  return volume_.write(offset, Bytes(bytes), io);
}

// Some targets offer to zero, and then cannot where the bytes lie.
bool VolumeSink::other_way() {
  zeroing_ = false;
  zeroes_ = 0;
  return options_.sparse;
}

Result<void> VolumeSink::finish() { return volume_.flush().get(); }

// --- files
// --------------------------------------------------------------------------------------------------

OpenFile::~OpenFile() {
  if (owned_) ::close(fd_);
}

Result<InputFile> open_input(const std::string& path) {
  if (path == "-") return InputFile{OpenFile(STDIN_FILENO, false), "standard input", std::nullopt};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    Error error = Error::system(errno, path);
    return error.kind() == ErrorKind::not_found ? with_hint(std::move(error), "is the path right?") : error;
  }
  InputFile input{OpenFile(fd, true), path, std::nullopt};
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return Error::system(errno, path);
  if (S_ISDIR(facts.st_mode)) return Error::system(EISDIR, path);
  if (S_ISREG(facts.st_mode)) input.size_bytes = static_cast<std::uint64_t>(facts.st_size);
  return input;
}

Result<std::size_t> FileSource::read(std::uint64_t, MutableBytes into, Future<void>& done) {
  const std::size_t led = std::min(lead_.size(), into.size());
  std::copy_n(lead_.begin(), led, into.begin());
  lead_ = lead_.subspan(led);
  const MutableBytes rest = into.subspan(led);
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), left_));
  NETSTOR_TRY_RETURN(const std::size_t had, read_fully(input_.file.fd(), rest.first(wanted), input_.name));
  left_ -= had;
  if (led + had != 0) done = make_ready<void>(ok());
  return led + had;
}

Result<OutputFile> open_output(const std::string& path, bool overwrite) {
  if (path == "-") return OutputFile{OpenFile(STDOUT_FILENO, false), "standard output"};
  struct stat facts {};
  const bool there = ::stat(path.c_str(), &facts) == 0;
  const bool regular = !there || S_ISREG(facts.st_mode);
  if (there && S_ISBLK(facts.st_mode)) {
    return with_hint(Error(ErrorKind::invalid_argument, path + " is a block device"),
                     "name it as a volume: file://" + path);
  }
  if (there && regular && !overwrite) {
    return with_hint(Error(ErrorKind::already_exists, path + " is there already"), "--force overwrites it");
  }
  const int flags = O_WRONLY | O_CLOEXEC | (regular ? O_CREAT | (there ? O_TRUNC : O_EXCL) : 0);
  const int fd = ::open(path.c_str(), flags, 0666);
  if (fd < 0) {
    Error error = Error::system(errno, path);
    return error.kind() == ErrorKind::not_found ? with_hint(std::move(error), "does the folder exist?")
                                                : error;
  }
  return OutputFile{OpenFile(fd, true), path, regular, regular && !there};
}

Result<void> FileSink::put(Bytes bytes) {
  if (sparse_ && all_zero(bytes)) {
    // A hole; finish() sees to the length.
    if (::lseek(output_.file.fd(), static_cast<off_t>(bytes.size()), SEEK_CUR) < 0) {
      return Error::system(errno, "seeking in " + output_.name);
    }
    return ok();
  }
  while (!bytes.empty()) {
    const ssize_t put = ::write(output_.file.fd(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error::system(errno, "writing " + output_.name);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return ok();
}

Future<void> FileSink::write(std::uint64_t, MutableBytes room, std::size_t length) {
  const std::size_t skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, length));
  skip_ -= skipped;
  end_ += length - skipped;
  return make_ready<void>(put(room.subspan(skipped, length - skipped)));
}

Result<void> FileSink::finish() {
  if (!output_.regular) return ok();
  if (sparse_ && ::ftruncate(output_.file.fd(), static_cast<off_t>(end_)) != 0) {
    return Error::system(errno, "setting the length of " + output_.name);
  }
  if (::fdatasync(output_.file.fd()) != 0) return Error::system(errno, "flushing " + output_.name);
  return ok();
}

}  // namespace netstor::tool
