// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/local_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>

namespace netstor::tool {
namespace {

Result<void> make_folders(const std::string& path, std::size_t from) {
  for (std::size_t slash = path.find('/', from); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string folder = path.substr(0, slash);
    if (folder.empty() || ::mkdir(folder.c_str(), 0777) == 0 || errno == EEXIST) continue;
    return Error::system(errno, folder);
  }
  return ok();
}

}  // namespace

Result<NewFile> NewFile::make(const std::string& folder, const std::string& name) {
  const std::string path = folder + name;
  // Beside the file itself, so that it can be renamed; its own name may be as long as names can be.
  std::string temporary = path.substr(0, path.rfind('/') + 1) + ".netstor-XXXXXX";
  int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    NETSTOR_CHECK_RETURN(make_folders(path, 0));
    temporary.replace(temporary.size() - 6, 6, "XXXXXX");
    fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  }
  if (fd < 0) return Error::system(errno, path);
  NewFile file(path, temporary, OutputFile{OpenFile(fd, true), path, true, true});
  // As any other new file; mkostemp() makes them private.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(fd, 0666 & ~mask) != 0) return Error::system(errno, path);
  return file;
}

NewFile::~NewFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> NewFile::commit(WallTime modified) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(modified.time_since_epoch());
  const timespec time{
      .tv_sec = seconds.count(),
      .tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(modified.time_since_epoch() - seconds)
                     .count()};
  const timespec times[2] = {time, time};
  if (::futimens(output_.file.fd(), times) != 0) return Error::system(errno, path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return Error::system(errno, path_);
  temporary_.clear();
  return ok();
}

}  // namespace netstor::tool
