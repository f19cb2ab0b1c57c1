// SPDX-License-Identifier: Apache-2.0
#include "transports/file.h"

#include <netstor/uri.h>

#include "transports/descriptor.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace netstor {
namespace {

constexpr std::uint32_t kSectorBytes = 512;
constexpr std::uint32_t kZeroBytesMax = 16 << 20;

struct Alignment {
  std::uint32_t memory = 0;
  std::uint32_t offset = 0;  ///< 0: no direct I/O here
};

/// The kernel says it itself since 6.1. Before that only a block device is asked; a file then goes through
/// the page cache, which is always right.
Alignment direct_alignment(int fd, bool block_device) {
#ifdef STATX_DIOALIGN
  struct statx facts {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &facts) == 0 && (facts.stx_mask & STATX_DIOALIGN) != 0) {
    return {facts.stx_dio_mem_align, facts.stx_dio_offset_align};
  }
#endif
  int sector = 0;
  if (block_device && ::ioctl(fd, BLKSSZGET, &sector) == 0) {
    return {static_cast<std::uint32_t>(sector), static_cast<std::uint32_t>(sector)};
  }
  return {};
}

/// Past the end and without changing the size, so that nothing is touched.
bool can_punch(int fd, std::uint64_t size) {
  return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(size), 4096) == 0;
}

Result<std::uint64_t> size_of(int fd, const struct stat& facts, std::string_view path) {
  if (S_ISREG(facts.st_mode)) return static_cast<std::uint64_t>(facts.st_size);
  std::uint64_t size = 0;
  if (::ioctl(fd, BLKGETSIZE64, &size) != 0) return Error::system(errno, "size of " + std::string(path));
  return size;
}

Result<std::string> path_of(std::string_view uri) {
  NETSTOR_TRY_RETURN(Uri parsed, Uri::parse(uri));
  if (parsed.scheme != "file" || !parsed.host.empty() || parsed.path.empty()) {
    return Error(ErrorKind::invalid_argument, std::string(uri) + ": expected file:///PATH");
  }
  return std::move(parsed.path);
}

DeviceLimits limits_of(std::uint64_t size, Alignment direct, const FileRequest& request) {
  const bool writable = request.writable;
  DeviceLimits limits;
  limits.block_bytes = direct.offset != 0 ? direct.offset : request.cached ? 1 : kSectorBytes;
  limits.memory_alignment = direct.offset != 0 ? std::max(direct.memory, 1U) : 1;
  limits.size_bytes = size / limits.block_bytes * limits.block_bytes;
  limits.zero_bytes_max = kZeroBytesMax;
  limits.atomic_bytes = limits.block_bytes;
  limits.writable = writable;
  limits.volatile_cache = writable;
  limits.can_write_zeroes = writable;
  limits.can_compare = true;
  limits.can_verify = true;
  return limits;
}

}  // namespace

Result<OpenedFile> open_file(std::string_view uri, const FileRequest& request) {
  NETSTOR_TRY_RETURN(std::string path, path_of(uri));
  const int access = request.writable ? O_RDWR : O_RDONLY;
  Descriptor fd(::open(path.c_str(), access | O_CLOEXEC | (request.create ? O_CREAT | O_EXCL : 0), 0644));
  if (fd.get() < 0) return Error::system(errno, (request.create ? "create " : "open ") + path);
  if (request.create && ::ftruncate(fd.get(), static_cast<off_t>(request.size_bytes)) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return Error::system(error, "make " + path + " " + format_size(request.size_bytes) + " long");
  }
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0) return Error::system(errno, "stat " + path);
  if (!S_ISREG(facts.st_mode) && !S_ISBLK(facts.st_mode)) {
    return Error(ErrorKind::invalid_argument, path + ": neither a file nor a block device");
  }
  const bool block_device = S_ISBLK(facts.st_mode);
  NETSTOR_TRY_RETURN(const std::uint64_t size, size_of(fd.get(), facts, path));

  Alignment alignment = request.cached ? Alignment{} : direct_alignment(fd.get(), block_device);
  if (alignment.offset != 0 && std::has_single_bit(alignment.offset)) {
    if (::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_DIRECT) != 0) alignment = {};
  } else {
    alignment = {};
  }
  OpenedFile opened{.direct = alignment.offset != 0,
                    .block_device = block_device,
                    .limits = limits_of(size, alignment, request),
                    .path = path};
  if (opened.limits.size_bytes == 0) {
    if (request.create) ::unlink(path.c_str());
    return Error(ErrorKind::invalid_argument, path + ": smaller than one block of " +
                                                  std::to_string(opened.limits.block_bytes) + " bytes");
  }
  opened.limits.can_deallocate = request.writable && (block_device || can_punch(fd.get(), size));
  opened.fd = fd.take();
  return opened;
}

}  // namespace netstor
