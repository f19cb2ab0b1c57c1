// SPDX-License-Identifier: Apache-2.0
// The volume behind file_store.h: what its shards share, and opening one's own device.

#include "lib/base/assert.h"
#include "server/store/file_parts.h"
#include "server/store/safe_file.h"

#include <netstor/uri.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netstor::store {

FileShared::~FileShared() {
  if (fd >= 0) ::close(fd);
}

bool FileShared::still_there() noexcept {
  struct stat facts {};
  if (::fstat(fd, &facts) == 0 && facts.st_nlink > 0) return true;
  lost.store(true, std::memory_order_relaxed);
  return false;
}

OpResult FileShared::gone() noexcept {
  return OpResult::failure(ErrorKind::device_error, Origin::system, ENOENT);
}

namespace {

/// What the volume wants and what the device gives.
Result<StoreLimits> limits_over(const DeviceLimits& device, const FileShared& shared) {
  StoreLimits limits = shared.limits;
  limits.size_bytes = shared.size_bytes.load(std::memory_order_relaxed);
  if (limits.block_bytes % device.block_bytes != 0) {
    return Error(ErrorKind::unsupported,
                 shared.path + ": this file system takes direct I/O in units of " +
                     std::to_string(device.block_bytes) + " bytes, but the volume's blocks have " +
                     std::to_string(limits.block_bytes) + "; make the volume anew with block=" +
                     std::to_string(device.block_bytes) + ", or keep its file on another file system");
  }
  if (device.size_bytes < limits.size_bytes) {
    return Error(ErrorKind::device_error, shared.path + ": shorter than the volume");
  }
  const auto whole_blocks = [&](std::uint32_t bytes) {
    return bytes / limits.block_bytes * limits.block_bytes;
  };
  limits.transfer_bytes_max = whole_blocks(device.transfer_bytes_max);
  limits.zero_bytes_max = whole_blocks(device.zero_bytes_max);
  limits.compare_and_write_bytes_max = device.can_compare ? limits.transfer_bytes_max : 0;
  limits.atomic_bytes = limits.block_bytes;
  limits.memory_alignment = device.memory_alignment;
  limits.depth = device.depth;
  limits.volatile_cache = true;
  limits.can_write_zeroes = device.can_write_zeroes;
  // A hole reads as zeroes.
  limits.can_deallocate = limits.deallocated_reads_zeroes = device.can_deallocate;
  limits.can_compare = limits.can_compare_and_write = device.can_compare;
  limits.can_verify = device.can_verify;
  limits.thin = true;
  return limits;
}

struct Opening : OpenOp {
  Promise<std::unique_ptr<BlockStore>> promise;
  PortContext* context = nullptr;
  FileShared* shared = nullptr;
  // A device that does not fit is closed before the answer.
  std::unique_ptr<Device> unfit;
  Op unfit_closed;
  std::optional<Error> why;

  void opened() noexcept;
};

void Opening::opened() noexcept {
  if (!result.ok) {
    promise.set(detail.empty()
                    ? result.error("open " + shared->path)
                    : Error(result.kind, std::move(detail), result.effect, result.origin, result.native));
    delete this;
    return;
  }
  auto limits = limits_over(device->limits(), *shared);
  if (limits) {
    promise.set(std::unique_ptr<BlockStore>(
        std::make_unique<FileStore>(context->loop(), *shared, std::move(device), *limits)));
    delete this;
    return;
  }
  why = std::move(limits).error();
  unfit = std::move(device);
  unfit_closed.user = this;
  unfit_closed.complete = [](Op& op) noexcept {
    auto* const self = static_cast<Opening*>(op.user);
    self->promise.set(std::move(*self->why));
    delete self;
  };
  unfit->close(unfit_closed);
}

class FileVolume final : public StoredVolume {
 public:
  FileVolume(VolumeIdentity identity, std::unique_ptr<FileShared> shared)
      : StoredVolume(std::move(identity)), shared_(std::move(shared)) {}

  std::string_view kind() const noexcept override { return "file"; }

  Future<std::unique_ptr<BlockStore>> open(PortContext& context) override {
    auto port = context.port("file");
    if (!port) return make_ready<std::unique_ptr<BlockStore>>(std::move(port).error());
    auto* const opening = new Opening;
    opening->context = &context;
    opening->shared = shared_.get();
    Uri uri;
    uri.scheme = "file";
    uri.path = shared_->path;
    opening->uri = uri.to_string();
    opening->complete = [](Op& op) noexcept { static_cast<Opening&>(op).opened(); };
    auto future = opening->promise.future();
    (*port)->open(*opening);
    return future;
  }

  Result<void> set_size(std::uint64_t size_bytes) override {
    NETSTOR_CHECK_RETURN(grow_sparse_file(shared_->path, size_bytes));
    shared_->size_bytes.store(size_bytes, std::memory_order_relaxed);
    return ok();
  }

  void moved(const std::string& path) override { shared_->path = path; }

  Result<void> sync() override {
    if (::fdatasync(shared_->fd) != 0) return Error::system(errno, "flush " + shared_->path, Effect::unknown);
    if (shared_->still_there()) return {};
    return Error::system(ENOENT, "flush " + shared_->path, Effect::unknown);
  }

 private:
  std::unique_ptr<FileShared> shared_;
};

}  // namespace

Result<std::unique_ptr<StoredVolume>> make_file_volume(VolumeIdentity identity, std::string path,
                                                       std::uint64_t size_bytes, std::uint32_t block_bytes) {
  auto shared = std::make_unique<FileShared>();
  // Readable is enough for asking whether the file still has a name, and for syncing it.
  shared->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (shared->fd < 0) return Error::system(errno, "open " + path);
  struct stat facts {};
  if (::fstat(shared->fd, &facts) != 0) return Error::system(errno, "stat " + path);
  if (!S_ISREG(facts.st_mode)) return Error(ErrorKind::invalid_argument, path + ": not a regular file");
  if (static_cast<std::uint64_t>(facts.st_size) < size_bytes) {
    return Error(ErrorKind::invalid_argument, path + ": has " + std::to_string(facts.st_size) +
                                                  " bytes, but the volume has " + std::to_string(size_bytes));
  }
  shared->path = std::move(path);
  shared->size_bytes = size_bytes;
  shared->limits.block_bytes = block_bytes;
  return std::unique_ptr<StoredVolume>(new FileVolume(std::move(identity), std::move(shared)));
}

}  // namespace netstor::store
