// SPDX-License-Identifier: Apache-2.0
#pragma once
// Files that are either there, whole and on stable storage, or not there.

#include <netstor/result.h>

#include <string>
#include <string_view>
#include <utility>

namespace netstor::store {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const noexcept { return fd_; }
  int take() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// All of a small file; longer than `bytes_max`: invalid_argument.
Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max);
/// The same for a file of secrets: permission_denied where others than its owner have rights to it. Of a file
/// that lies in `credentials`, the folder that systemd made for this service ($CREDENTIALS_DIRECTORY), the
/// group may read: so its mode shows the access list by which systemd lets the service, not the owner, read.
Result<std::string> read_secret_file(const std::string& path, std::size_t bytes_max,
                                     const std::string& credentials = {});

/// A new file with these bytes, synced. Errors: already_exists, system errors.
Result<void> write_new_file(const std::string& path, std::string_view bytes);
/// A new sparse file, synced.
Result<void> make_sparse_file(const std::string& path, std::uint64_t size_bytes);

/// The file has at least this size afterwards, synced.
Result<void> grow_sparse_file(const std::string& path, std::uint64_t size_bytes);

/// Makes the names in a directory survive a power cut.
Result<void> sync_directory(const std::string& path);
/// `path` and what is missing above it, each as mkdir -p, with mode 0700; what was made is synced.
Result<void> make_directories(const std::string& path);

/// Writes beside `path`, syncs, renames over it, syncs the directory.
Result<void> replace_file(const std::string& path, std::string_view bytes);

}  // namespace netstor::store
