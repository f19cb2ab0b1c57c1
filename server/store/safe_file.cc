// SPDX-License-Identifier: Apache-2.0
// See safe_file.h.

#include "server/store/safe_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace netstor::store {

namespace {

std::string parent_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Result<Descriptor> create(const std::string& path) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.get() < 0) return Error::system(errno, "create " + path);
  return fd;
}

Result<void> sync(const Descriptor& fd, const std::string& path) {
  if (::fsync(fd.get()) != 0) return Error::system(errno, "sync " + path);
  return {};
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

namespace {

Result<std::string> read_all(const Descriptor& fd, const std::string& path, std::size_t bytes_max) {
  std::string text(bytes_max + 1, '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::system(errno, "read " + path);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  if (have > bytes_max) {
    return Error(ErrorKind::invalid_argument, path + ": longer than " + std::to_string(bytes_max) + " bytes");
  }
  text.resize(have);
  return text;
}

}  // namespace

Result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return Error::system(errno, "read " + path);
  return read_all(fd, path, bytes_max);
}

namespace {

/// It is in there under its name, and not by a link that leads out.
bool lies_in(const std::string& folder, const std::string& path, const struct stat& file) {
  if (folder.empty()) return false;
  const std::string there = folder + "/" + std::filesystem::path(path).filename().string();
  struct stat facts {};
  return ::lstat(there.c_str(), &facts) == 0 && facts.st_dev == file.st_dev && facts.st_ino == file.st_ino;
}

}  // namespace

Result<std::string> read_secret_file(const std::string& path, std::size_t bytes_max,
                                     const std::string& credentials) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat facts {};
  if (fd.get() < 0 || ::fstat(fd.get(), &facts) != 0) return Error::system(errno, "read " + path);
  if (!S_ISREG(facts.st_mode)) return Error(ErrorKind::invalid_argument, path + ": not a file");
  const mode_t others = facts.st_mode & 077;
  if (others != 0 && !(others == S_IRGRP && lies_in(credentials, path, facts))) {
    return Error(ErrorKind::permission_denied,
                 path + ": holds secrets, and others than its owner have rights to it: chmod 600 it");
  }
  return read_all(fd, path, bytes_max);
}

Result<void> write_new_file(const std::string& path, std::string_view bytes) {
  NETSTOR_TRY_RETURN(const Descriptor fd, create(path));
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error::system(errno, "write " + path);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return sync(fd, path);
}

Result<void> make_sparse_file(const std::string& path, std::uint64_t size_bytes) {
  NETSTOR_TRY_RETURN(const Descriptor fd, create(path));
  if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) {
    return Error::system(errno, "make " + path + " " + std::to_string(size_bytes) + " bytes long");
  }
  return sync(fd, path);
}

Result<void> grow_sparse_file(const std::string& path, std::uint64_t size_bytes) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  struct stat facts {};
  if (fd.get() < 0 || ::fstat(fd.get(), &facts) != 0) return Error::system(errno, "open " + path);
  if (static_cast<std::uint64_t>(facts.st_size) >= size_bytes) return {};
  if (::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) {
    return Error::system(errno, "make " + path + " " + std::to_string(size_bytes) + " bytes long");
  }
  return sync(fd, path);
}

Result<void> sync_directory(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return Error::system(errno, "open " + path);
  return sync(fd, path);
}

Result<void> make_directories(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == ENOENT && parent_of(path) != path) {
      NETSTOR_CHECK_RETURN(make_directories(parent_of(path)));
      if (::mkdir(path.c_str(), 0700) != 0) return Error::system(errno, "make directory " + path);
    } else if (errno == EEXIST) {
      struct stat facts {};
      if (::stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode)) return {};
      return Error(ErrorKind::invalid_argument, path + ": not a directory");
    } else {
      return Error::system(errno, "make directory " + path);
    }
  }
  return sync_directory(parent_of(path));
}

Result<void> replace_file(const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".new";
  ::unlink(beside.c_str());
  NETSTOR_CHECK_RETURN(write_new_file(beside, bytes));
  if (::rename(beside.c_str(), path.c_str()) != 0) return Error::system(errno, "rename " + beside);
  return sync_directory(parent_of(path));
}

}  // namespace netstor::store
