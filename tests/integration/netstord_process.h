// SPDX-License-Identifier: Apache-2.0
#pragma once
// netstord as a process of its own, for tests.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace netstor {

/// A folder that goes away with the test.
class ServerFolder {
 public:
  ServerFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "netstord-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ServerFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ServerFolder(const ServerFolder&) = delete;
  ServerFolder& operator=(const ServerFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string file_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class ServerProcess {
 public:
  /// Started at once. Its state is in `folder`, its port is free, unless the arguments say otherwise.
  ServerProcess(const ServerFolder& folder, std::vector<std::string> arguments, bool with_defaults = true)
      : out_(folder / "stdout"), err_(folder / "stderr") {
    if (with_defaults) {
      arguments.insert(arguments.begin(), {"--state", folder / "state", "--listen", "127.0.0.1:0"});
    }
    int ready[2] = {-1, -1};
    EXPECT_EQ(::pipe(ready), 0);
    ::fcntl(ready[0], F_SETFD, FD_CLOEXEC);
    if (with_defaults) arguments.insert(arguments.end(), {"--ready-fd", std::to_string(ready[1])});
    arguments.insert(arguments.begin(), NETSTOR_NETSTORD_PATH);
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
      ::dup2(::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      ::execv(words[0], words.data());
      ::_exit(127);
    }
    ::close(ready[1]);
    ready_ = ready[0];
  }
  ~ServerProcess() {
    if (pid_ > 0) kill(SIGKILL);
    ::close(ready_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  /// Waits until it serves; false when it ended instead.
  bool wait_ready() {
    std::string text;
    char bytes[256];
    // The other end is closed by a server that is ready, and by one that has ended.
    for (pollfd wait{.fd = ready_, .events = POLLIN, .revents = 0}; ::poll(&wait, 1, kPatienceMs) > 0;) {
      const ssize_t got = ::read(ready_, bytes, sizeof bytes);
      if (got <= 0) break;
      text.append(bytes, static_cast<std::size_t>(got));
    }
    std::istringstream lines(text);
    for (int port = 0; lines >> port;) ports_.push_back(port);
    if (ports_.empty()) ADD_FAILURE() << "netstord did not become ready: " << error_text();
    return !ports_.empty();
  }

  int port(std::size_t i = 0) const { return ports_.at(i); }
  std::string uri(const std::string& volume = "default") const {
    return "nvme+tcp://127.0.0.1:" + std::to_string(port()) + "/nqn.2026-01.io.netstor:" + volume;
  }
  pid_t pid() const { return pid_; }
  std::string out_text() const { return file_text(out_); }
  std::string error_text() const { return file_text(err_); }

  /// Waits for the line: what it tells of may be seen before.
  bool logs(const std::string& words) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (error_text().find(words) == std::string::npos) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  /// Exit status, 128 + N for signal N, or -1 when it does not end.
  int wait() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (std::chrono::steady_clock::now() < deadline) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return -1;
  }
  int kill(int signal) {
    ::kill(pid_, signal);
    return wait();
  }

 private:
  static constexpr int kPatienceMs = 30'000;
  std::string out_;
  std::string err_;
  pid_t pid_ = -1;
  int ready_ = -1;
  std::vector<int> ports_;
};

}  // namespace netstor
