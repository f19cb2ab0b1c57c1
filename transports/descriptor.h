// SPDX-License-Identifier: Apache-2.0
#pragma once
// A file descriptor that is closed unless it is taken.

#include <unistd.h>

#include <utility>

namespace netstor {

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return fd_; }
  int take() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace netstor
