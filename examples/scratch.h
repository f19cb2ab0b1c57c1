// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where an example works: the volume that was named on its command line, or a scratch file that goes away
// with it. Nothing of netstor is explained here.

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

class Scratch {
 public:
  Scratch(int argc, char** argv) {
    if (argc > 1) {
      uri_ = argv[1];
      return;
    }
    std::string name = (std::filesystem::temp_directory_path() / "netstor-example-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd < 0 || ::ftruncate(fd, 16 << 20) != 0) {
      std::cerr << "no scratch file: " << name << '\n';
      std::exit(1);
    }
    ::close(fd);
    path_ = name;
    uri_ = "file://" + name;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& uri() const { return uri_; }

 private:
  std::string uri_;
  std::string path_;
};
