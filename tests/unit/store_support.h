// SPDX-License-Identifier: Apache-2.0
#pragma once
// For the tests of the stores: a shard that the test turns by hand, whose "file" port does blocking I/O and
// can be told to fail, to be full, or to hold its answers back.

#include "lib/engine/shard_loop.h"
#include "server/store/stored_volume.h"

#include <netstor/uri.h>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

namespace netstor::store {

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "netstor-store-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const noexcept { return path_; }
  std::string sparse_file(const std::string& name, std::uint64_t size_bytes) const {
    std::string path = path_ + "/" + name;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
    EXPECT_EQ(::ftruncate(fd, static_cast<off_t>(size_bytes)), 0);
    ::close(fd);
    return path;
  }

 private:
  std::string path_;
};

/// What the test wants from the device; all shards' ports look at one.
struct Faults {
  std::atomic<int> fail_errno{0};       ///< every read and write answers this
  std::atomic<unsigned> full_times{0};  ///< so many submits are answered `full`
  std::atomic<bool> hold{false};        ///< nothing completes
  std::atomic<std::uint32_t> block_bytes{512};
  std::atomic<unsigned> flushes{0};
};

class TestPort;

class TestDevice final : public Device {
 public:
  TestDevice(TestPort& port, int fd, std::uint64_t size_bytes);
  ~TestDevice() override { ::close(fd_); }
  const DeviceLimits& limits() const noexcept override { return limits_; }
  Submit submit(DeviceOp& op) override;
  void cancel(DeviceOp&) override {}
  void close(Op& closed) override;
  void observe(DeviceObserver* observer) noexcept override { observer_ = observer; }
  DeviceObserver* observer() const noexcept { return observer_; }
  OpResult perform(const DeviceOp& op) const;

 private:
  OpResult compare(const DeviceOp& op) const;
  TestPort& port_;
  int fd_;
  DeviceLimits limits_;
  DeviceObserver* observer_ = nullptr;
};

class TestPort final : public Port {
 public:
  explicit TestPort(Faults& shared) : faults(shared) {}
  unsigned poll(unsigned) override;
  void flush() override {}
  bool waits() const noexcept override { return false; }
  int fd() const noexcept override { return -1; }
  void sleep_until(Time) override {}
  void wake() noexcept override {}
  void open(OpenOp& op) override;

  struct Pending {
    Op* op;
    const TestDevice* device;  // null: decided already
  };
  Faults& faults;
  std::deque<Pending> pending;
  TestDevice* last_device = nullptr;
};

inline TestDevice::TestDevice(TestPort& port, int fd, std::uint64_t size_bytes) : port_(port), fd_(fd) {
  limits_.size_bytes = size_bytes;
  limits_.block_bytes = port.faults.block_bytes;
  limits_.volatile_cache = limits_.can_write_zeroes = limits_.can_deallocate = true;
  limits_.can_compare = limits_.can_verify = true;
}

inline Submit TestDevice::submit(DeviceOp& op) {
  if (port_.faults.full_times > 0) {
    --port_.faults.full_times;
    return Submit::full;
  }
  port_.pending.push_back({&op, this});
  return Submit::accepted;
}

inline void TestDevice::close(Op& closed) {
  for (auto& [op, device] : port_.pending) {
    if (device != this) continue;
    op->result = OpResult::failure(ErrorKind::cancelled);
    device = nullptr;
  }
  closed.result = OpResult::success();
  port_.pending.push_back({&closed, nullptr});
  port_.faults.hold = false;
}

inline OpResult TestDevice::compare(const DeviceOp& op) const {
  std::vector<std::byte> stored(op.length);
  if (::pread(fd_, stored.data(), stored.size(), static_cast<off_t>(op.offset)) < 0)
    return OpResult::system(errno);
  const std::byte* at = stored.data();
  for (unsigned i = 0; i < op.piece_count; at += op.pieces[i++].iov_len) {
    const auto* const wanted = static_cast<const std::byte*>(op.pieces[i].iov_base);
    if (!std::equal(wanted, wanted + op.pieces[i].iov_len, at))
      return OpResult::failure(ErrorKind::compare_failed);
  }
  return OpResult::success(op.length);
}

inline OpResult TestDevice::perform(const DeviceOp& op) const {
  if (const int error = port_.faults.fail_errno; error != 0 && op.verb != DeviceVerb::flush) {
    return OpResult::system(error);
  }
  const auto at = static_cast<off_t>(op.offset);
  const auto length = static_cast<off_t>(op.length);
  ssize_t done = 0;
  switch (op.verb) {
    case DeviceVerb::read:
      done = ::preadv(fd_, op.pieces, static_cast<int>(op.piece_count), at);
      break;
    case DeviceVerb::write:
      done = ::pwritev(fd_, op.pieces, static_cast<int>(op.piece_count), at);
      // Why it is short the next attempt says.
      if (done >= 0 && done < length && ::pwrite(fd_, "", 1, at + done) < 0) done = -1;
      break;
    case DeviceVerb::flush:
      ++port_.faults.flushes;
      done = ::fdatasync(fd_);
      break;
    case DeviceVerb::write_zeroes:
    case DeviceVerb::deallocate:
      done = ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
      break;
    case DeviceVerb::compare:
      return compare(op);
    case DeviceVerb::verify:
      return OpResult::success(op.length);
    case DeviceVerb::compare_and_write:
      return OpResult::failure(ErrorKind::unsupported);
  }
  return done < 0 ? OpResult::system(errno) : OpResult::success(static_cast<std::uint64_t>(done));
}

inline unsigned TestPort::poll(unsigned) {
  unsigned done = 0;
  while (!pending.empty() && !faults.hold) {
    const Pending next = pending.front();
    pending.pop_front();
    if (next.device != nullptr)
      next.op->result = next.device->perform(static_cast<const DeviceOp&>(*next.op));
    next.op->complete(*next.op);
    ++done;
  }
  return done;
}

inline void TestPort::open(OpenOp& op) {
  const std::string path = Uri::parse(op.uri)->path;
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat facts {};
  if (fd >= 0 && ::fstat(fd, &facts) == 0) {
    auto device = std::make_unique<TestDevice>(*this, fd, static_cast<std::uint64_t>(facts.st_size));
    last_device = device.get();
    op.device = std::move(device);
    op.result = OpResult::success();
  } else {
    op.result = OpResult::system(errno);
  }
  pending.push_back({&op, nullptr});
}

class TestDriver final : public Driver {
 public:
  explicit TestDriver(Faults& faults) : faults_(faults) {}
  std::string_view name() const noexcept override { return "test"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  Abilities abilities() const noexcept override { return {.links = true, .devices = true}; }
  std::optional<std::string> probe() const override { return std::nullopt; }
  Result<std::unique_ptr<Port>> make_port(PortContext&) override {
    auto port = std::make_unique<TestPort>(faults_);
    last_port = port.get();
    return std::unique_ptr<Port>(std::move(port));
  }
  TestPort* last_port = nullptr;

 private:
  static constexpr std::string_view kSchemes[] = {"file"};
  Faults& faults_;
};

/// One shard, of this thread.
class TestShard {
 public:
  explicit TestShard(Faults& faults, unsigned index = 0)
      : driver(faults),
        loop({.index = index,
              .embedded = true,
              .io_driver = &driver,
              .clock = &SteadyClock::instance(),
              .unstopped = &unstopped}) {
    detail::current_loop = &loop;
  }
  ~TestShard() {
    loop.stop();
    loop.drop_ports();
    detail::current_loop = nullptr;
  }
  TestShard(const TestShard&) = delete;
  TestShard& operator=(const TestShard&) = delete;

  Result<std::unique_ptr<BlockStore>> open(StoredVolume& volume) {
    auto future = volume.open(loop);
    while (!future.ready()) loop.turn();
    return future.get();
  }

  TestDriver driver;
  std::atomic<unsigned> unstopped{1};
  detail::ShardLoop loop;
};

/// An operation that remembers whether it was answered.
struct TestOp : StoreOp {
  bool done = false;
  std::vector<iovec> payload;
  std::vector<iovec> wanted;

  explicit TestOp(DeviceVerb what, std::uint64_t at = 0, std::uint64_t bytes = 0) {
    verb = what;
    offset = at;
    length = bytes;
    complete = [](Op& op) noexcept { static_cast<TestOp&>(op).done = true; };
  }
  TestOp(DeviceVerb what, std::uint64_t at, std::vector<std::byte>& bytes) : TestOp(what, at, bytes.size()) {
    // Two pieces where there is enough for two, so that the walk through a list is always tried.
    const std::size_t half = bytes.size() > 512 ? bytes.size() / 2 / 512 * 512 : 0;
    if (half > 0) payload.push_back({bytes.data(), half});
    payload.push_back({bytes.data() + half, bytes.size() - half});
    pieces = payload.data();
    piece_count = static_cast<unsigned>(payload.size());
  }
  TestOp(std::uint64_t at, std::vector<std::byte>& expect, std::vector<std::byte>& bytes)
      : TestOp(DeviceVerb::compare_and_write, at, bytes) {
    wanted.push_back({expect.data(), expect.size()});
    expected = wanted.data();
    expected_count = 1;
  }
  TestOp(const TestOp&) = delete;
  TestOp& operator=(const TestOp&) = delete;
};

inline std::vector<std::byte> filled(std::size_t size, int value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

/// A store that is closed at the end of the test.
class OpenStore {
 public:
  OpenStore(TestShard& shard, StoredVolume& volume) : shard_(shard), store_(*shard.open(volume)) {}
  ~OpenStore() { close(); }
  OpenStore(const OpenStore&) = delete;
  OpenStore& operator=(const OpenStore&) = delete;
  BlockStore* operator->() noexcept { return store_.get(); }

  OpResult run(TestOp& op) {
    while (store_->submit(op) == Submit::full) shard_.loop.turn();
    EXPECT_FALSE(op.done) << "completed inside submit";
    while (!op.done) shard_.loop.turn();
    return op.result;
  }
  OpResult run(TestOp&& op) { return run(op); }
  OpResult write(std::uint64_t at, std::vector<std::byte> bytes) {
    return run(TestOp(DeviceVerb::write, at, bytes));
  }
  std::vector<std::byte> read(std::uint64_t at, std::size_t length) {
    auto bytes = filled(length, 0xee);
    EXPECT_TRUE(run(TestOp(DeviceVerb::read, at, bytes)).ok);
    return bytes;
  }
  void close() {
    if (store_ == nullptr) return;
    TestOp closed(DeviceVerb::flush);
    store_->close(closed);
    EXPECT_FALSE(closed.done) << "completed inside close";
    while (!closed.done) shard_.loop.turn();
    store_.reset();
  }

 private:
  TestShard& shard_;
  std::unique_ptr<BlockStore> store_;
};

}  // namespace netstor::store
