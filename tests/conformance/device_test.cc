// SPDX-License-Identifier: Apache-2.0
// The contract of devices, for every driver: one test a rule.

#include "lib/base/random.h"
#include "tests/conformance/counting_new.h"
#include "tests/conformance/drivers.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>

namespace netstor::conformance {
namespace {

constexpr std::uint64_t kDeviceBytes = 8 << 20;

struct Operation : Counted<DeviceOp> {
  Operation(DeviceVerb what, std::uint64_t at, std::uint64_t size) {
    verb = what;
    offset = at;
    length = size;
  }
  /// With a payload of its own, aligned unless `shift` says otherwise, in pieces of `each` bytes.
  Operation(DeviceVerb what, std::uint64_t at, std::uint64_t size, std::uint64_t seed, std::size_t shift = 0,
            std::size_t each = ~std::size_t{0})
      : Operation(what, at, size) {
    memory = Buffer::allocate(size + 4096).value();
    bytes = memory.bytes().subspan(shift, size);
    Random random(seed);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
    for (std::size_t done = 0; done < size; done += list.back().iov_len) {
      list.push_back({bytes.data() + done, std::min<std::size_t>(each, size - done)});
    }
    pieces = list.data();
    piece_count = static_cast<unsigned>(list.size());
  }
  Buffer memory;
  MutableBytes bytes;
  std::vector<iovec> list;
};

class Devices : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped()) return;
    uri_ = site().new_device_uri();
    device_ = open(true);
    ASSERT_NE(device_, nullptr);
    block_ = limits().block_bytes;
  }
  void TearDown() override {
    if (device_) close(device_);
    Conformance::TearDown();
  }
  std::unique_ptr<Device> open(bool create, bool writable = true) {
    auto& op = keep<Counted<OpenOp>>();
    op.uri = uri_;
    op.create = create && site().makes_devices();
    op.size_bytes = kDeviceBytes;
    op.writable = writable;
    opened_ = run(op);
    if (!opened_.ok && create) ADD_FAILURE() << opened_.error("open") << "; " << op.detail;
    return std::move(op.device);
  }
  OpResult run(Counted<OpenOp>& op) {
    port().open(op);
    EXPECT_EQ(op.completions, 0U) << "completed inside open()";
    EXPECT_TRUE(wait([&] { return op.done(); }));
    return op.result;
  }
  void close(std::unique_ptr<Device>& device) {
    auto& closed = keep<Counted<Op>>();
    device->close(closed);
    EXPECT_TRUE(wait([&] { return closed.done(); }));
    device.reset();
  }
  template <class... Arguments>
  Operation& make(Arguments... arguments) {
    return keep<Operation>(arguments...);
  }
  OpResult run(Operation& op) {
    if (device_->submit(op) != Submit::accepted) ADD_FAILURE() << "full, with nothing in flight";
    EXPECT_EQ(op.completions, 0U) << "completed inside submit()";
    EXPECT_TRUE(wait([&] { return op.done(); }));
    return op.result;
  }
  /// Runs it, and it must succeed.
  void must(Operation& op) {
    const OpResult result = run(op);
    EXPECT_TRUE(result.ok) << result.error("operation");
  }
  std::string read(std::uint64_t offset, std::uint64_t length) {
    Operation& op = make(DeviceVerb::read, offset, length, 99);
    must(op);
    EXPECT_EQ(op.result.bytes, length);
    return {reinterpret_cast<const char*>(op.bytes.data()), op.bytes.size()};
  }
  static std::string text(const Operation& op) {
    return {reinterpret_cast<const char*>(op.bytes.data()), op.bytes.size()};
  }
  const DeviceLimits& limits() const { return device_->limits(); }

  std::string uri_;
  std::unique_ptr<Device> device_;
  OpResult opened_;
  std::uint64_t block_ = 0;
};

TEST_P(Devices, SayWhatTheyCan) {
  EXPECT_EQ(limits().size_bytes, kDeviceBytes);
  EXPECT_TRUE(limits().writable);
  EXPECT_GE(block_, 512U);
  EXPECT_EQ(block_ & (block_ - 1), 0U);
  EXPECT_GE(limits().transfer_bytes_max, block_);
  EXPECT_EQ(limits().transfer_bytes_max % block_, 0U);
  EXPECT_GE(limits().depth, 1U);
  EXPECT_EQ(limits().memory_alignment & (limits().memory_alignment - 1), 0U);
}

TEST_P(Devices, ReadBackWhatWasWritten) {
  Operation& write = make(DeviceVerb::write, 3 * block_, 5 * block_, 1);
  const std::string written = text(write);
  must(write);
  EXPECT_EQ(write.result.bytes, 5 * block_);
  EXPECT_EQ(read(3 * block_, 5 * block_), written);
  EXPECT_EQ(read(0, 3 * block_), std::string(3 * block_, '\0'));
}

TEST_P(Devices, TakeTheLongestTransfer) {
  Operation& write = make(DeviceVerb::write, 0, limits().transfer_bytes_max, 2);
  const std::string written = text(write);
  must(write);
  EXPECT_EQ(read(0, limits().transfer_bytes_max), written);
}

TEST_P(Devices, TakeMemoryAsItIs) {
  // Neither aligned nor in whole blocks: within the limits that a device may count on, or copied by it.
  for (const std::size_t shift : {1, 3, 512, 4095}) {
    Operation& write = make(DeviceVerb::write, 0, 64 * block_, shift, shift, std::size_t{1000});
    const std::string written = text(write);
    must(write);
    Operation& back = make(DeviceVerb::read, 0, 64 * block_, 0, shift + 1, std::size_t{777});
    must(back);
    EXPECT_EQ(text(back), written) << shift;
  }
}

TEST_P(Devices, RefuseWhatIsNotInWholeBlocks) {
  EXPECT_EQ(run(make(DeviceVerb::read, 1, block_, 0)).kind, ErrorKind::invalid_argument);
  EXPECT_EQ(run(make(DeviceVerb::write, 0, block_ + 1, 0)).kind, ErrorKind::invalid_argument);
  EXPECT_EQ(run(make(DeviceVerb::read, 0, limits().transfer_bytes_max + block_, 0)).kind,
            ErrorKind::invalid_argument);
}

TEST_P(Devices, RefuseWhatIsBeyondTheEnd) {
  for (const DeviceVerb verb : {DeviceVerb::read, DeviceVerb::write}) {
    EXPECT_EQ(run(make(verb, kDeviceBytes, block_, 0)).kind, ErrorKind::out_of_range);
    EXPECT_EQ(run(make(verb, kDeviceBytes - block_, 2 * block_, 0)).kind, ErrorKind::out_of_range);
    EXPECT_EQ(run(make(verb, 0 - block_, 2 * block_, 0)).kind, ErrorKind::out_of_range);
    EXPECT_TRUE(run(make(verb, kDeviceBytes - block_, block_, 0)).ok);
  }
}

TEST_P(Devices, RefuseToWriteWhatWasOpenedForReading) {
  Operation& write = make(DeviceVerb::write, 0, block_, 5);
  must(write);
  close(device_);
  device_ = open(false, false);
  ASSERT_NE(device_, nullptr);
  EXPECT_FALSE(limits().writable);
  EXPECT_EQ(run(make(DeviceVerb::write, 0, block_, 6)).kind, ErrorKind::permission_denied);
  EXPECT_EQ(run(make(DeviceVerb::write_zeroes, 0, block_)).kind, ErrorKind::permission_denied);
  EXPECT_EQ(read(0, block_), text(write));
}

TEST_P(Devices, SayThatThereIsNone) {
  close(device_);
  uri_.insert(std::min(uri_.find('?'), uri_.size()), "-not-there");
  EXPECT_EQ(open(false), nullptr);
  EXPECT_EQ(opened_.kind, ErrorKind::not_found);
}

TEST_P(Devices, FlushAndForceUnitAccess) {
  Operation& write = make(DeviceVerb::write, 0, 4 * block_, 1);
  write.force_unit_access = true;
  must(write);
  must(make(DeviceVerb::write, 4 * block_, block_, 1));
  must(make(DeviceVerb::flush, 0, 0));
}

TEST_P(Devices, WriteZeroes) {
  if (!limits().can_write_zeroes) GTEST_SKIP() << "this device cannot";
  const std::uint64_t length = std::min<std::uint64_t>(limits().zero_bytes_max, kDeviceBytes / 2);
  Operation& write = make(DeviceVerb::write, 0, 8 * block_, 1);
  const std::string written = text(write);
  must(write);
  must(make(DeviceVerb::write_zeroes, block_, length));
  EXPECT_EQ(read(0, block_), written.substr(0, block_));
  EXPECT_EQ(read(block_, 7 * block_), std::string(7 * block_, '\0'));
  must(make(DeviceVerb::write, 0, 8 * block_, 1));
  Operation& durable = make(DeviceVerb::write_zeroes, 0, 2 * block_);
  durable.force_unit_access = true;
  must(durable);
  EXPECT_EQ(read(0, 2 * block_), std::string(2 * block_, '\0'));
  EXPECT_EQ(read(2 * block_, 6 * block_), written.substr(2 * block_));
}

TEST_P(Devices, DeallocateOnlyWhatWasNamed) {
  if (!limits().can_deallocate) GTEST_SKIP() << "this device cannot";
  const std::uint64_t unit = std::max<std::uint64_t>(block_, 4096);
  Operation& write = make(DeviceVerb::write, 0, 8 * unit, 1);
  const std::string written = text(write);
  must(write);
  must(make(DeviceVerb::deallocate, 2 * unit, 4 * unit));
  EXPECT_EQ(read(0, 2 * unit), written.substr(0, 2 * unit));
  EXPECT_EQ(read(6 * unit, 2 * unit), written.substr(6 * unit));
  const std::string hole = read(2 * unit, 4 * unit);
  EXPECT_TRUE(hole == std::string(4 * unit, '\0') || hole == written.substr(2 * unit, 4 * unit));
}

TEST_P(Devices, CompareEveryByte) {
  if (!limits().can_compare) GTEST_SKIP() << "this device cannot";
  const std::uint64_t length = std::min<std::uint64_t>(limits().transfer_bytes_max, 300 * block_);
  must(make(DeviceVerb::write, 0, length, 1));
  must(make(DeviceVerb::compare, 0, length, 1));
  must(make(DeviceVerb::compare, 0, length, 1, 3, std::size_t{1001}));
  for (const std::uint64_t wrong : {std::uint64_t{0}, length / 2, length - 1}) {
    Operation& compare = make(DeviceVerb::compare, 0, length, 1);
    compare.bytes[wrong] ^= std::byte{1};
    EXPECT_EQ(run(compare).kind, ErrorKind::compare_failed) << wrong;
  }
}

TEST_P(Devices, Verify) {
  if (!limits().can_verify) GTEST_SKIP() << "this device cannot";
  must(make(DeviceVerb::verify, 0, std::min<std::uint64_t>(limits().zero_bytes_max, kDeviceBytes)));
}

TEST_P(Devices, RefuseWhatTheyCannot) {
  if (limits().can_compare_and_write) GTEST_SKIP() << "this device can all";
  Operation& op = make(DeviceVerb::compare_and_write, 0, block_, 1);
  op.expected = op.pieces;
  op.expected_count = op.piece_count;
  EXPECT_EQ(run(op).kind, ErrorKind::unsupported);
}

TEST_P(Devices, AnswerFullAndLoseNothing) {
  std::vector<Operation*> accepted;
  for (std::uint64_t i = 0; i < 2 * limits().depth; ++i) {
    Operation& op = make(DeviceVerb::write, i % 64 * block_, block_, i);
    if (device_->submit(op) == Submit::full) break;
    accepted.push_back(&op);
  }
  EXPECT_EQ(accepted.size(), limits().depth);
  ASSERT_TRUE(wait(
      [&] { return std::all_of(accepted.begin(), accepted.end(), [](auto* op) { return op->done(); }); }));
  site().turns(20);
  for (Operation* op : accepted) {
    EXPECT_EQ(op->completions, 1U);
    EXPECT_TRUE(op->result.ok);
  }
  EXPECT_TRUE(run(make(DeviceVerb::read, 0, block_, 0)).ok);
}

TEST_P(Devices, CloseCompletesEverythingAndThenItself) {
  std::vector<Operation*> accepted;
  for (std::uint64_t i = 0; i < 50; ++i) {
    accepted.push_back(&make(i % 2 == 0 ? DeviceVerb::read : DeviceVerb::write, i * block_, block_, i));
    if (device_->submit(*accepted.back()) == Submit::full) accepted.pop_back();
  }
  auto& closed = keep<Counted<Op>>();
  device_->close(closed);
  EXPECT_FALSE(closed.done()) << "completed inside close()";
  ASSERT_TRUE(wait([&] { return closed.done(); }));
  for (Operation* op : accepted) {
    EXPECT_EQ(op->completions, 1U);
    EXPECT_LT(op->order, closed.order);
    EXPECT_TRUE(op->result.ok || op->result.kind == ErrorKind::cancelled) << op->result.error("operation");
  }
  device_.reset();
}

TEST_P(Devices, AnswerWhatWasCancelledOnce) {
  std::vector<Operation*> ops;
  for (std::uint64_t i = 0; i < 20; ++i) {
    ops.push_back(&make(DeviceVerb::write, i * block_, block_, i));
    ASSERT_EQ(device_->submit(*ops.back()), Submit::accepted);
    if (i % 2 == 0) device_->cancel(*ops.back());
  }
  ASSERT_TRUE(wait([&] { return std::all_of(ops.begin(), ops.end(), [](auto* op) { return op->done(); }); }));
  site().turns(20);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    EXPECT_EQ(ops[i]->completions, 1U);
    EXPECT_TRUE(ops[i]->result.ok || (i % 2 == 0 && ops[i]->result.kind == ErrorKind::cancelled));
  }
}

TEST_P(Devices, ReadIntoRegisteredMemory) {
  Operation& write = make(DeviceVerb::write, 0, 16 * block_, 1);
  must(write);
  Operation& back = make(DeviceVerb::read, 0, 16 * block_, 2);
  ASSERT_TRUE(port().register_memory(back.memory.bytes()).ok());
  must(back);
  EXPECT_EQ(text(back), text(write));
  port().forget_memory(back.memory.bytes());
  back.completions = 0;
  must(back);
}

/// What the device should hold.
class Model {
 public:
  explicit Model(std::uint64_t size) : bytes_(size, '\0') {}
  void write(std::uint64_t offset, std::string_view bytes) {
    bytes.copy(bytes_.data() + offset, bytes.size());
  }
  void zero(std::uint64_t offset, std::uint64_t length) { std::memset(bytes_.data() + offset, 0, length); }
  std::string_view at(std::uint64_t offset, std::uint64_t length) const {
    return std::string_view(bytes_).substr(offset, length);
  }

 private:
  std::string bytes_;
};

TEST_P(Devices, HoldAgainstAModel) {
  Random random(7);
  Model model(kDeviceBytes);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t length = block_ * (1 + random.next() % 64);
    const std::uint64_t offset = random.next() % ((kDeviceBytes - length) / block_) * block_;
    const std::size_t shift = random.next() % 3 == 0 ? random.next() % 4096 : 0;
    switch (random.next() % 5) {
      case 0:
      case 1: {
        Operation& op = make(DeviceVerb::write, offset, length, random.next(), shift);
        op.force_unit_access = random.next() % 8 == 0;
        model.write(offset, text(op));
        must(op);
        break;
      }
      case 2:
        if (!limits().can_write_zeroes) break;
        must(make(DeviceVerb::write_zeroes, offset, length));
        model.zero(offset, length);
        break;
      case 3:
        must(make(DeviceVerb::flush, 0, 0));
        break;
      default: {
        Operation& op = make(DeviceVerb::read, offset, length, random.next(), shift);
        must(op);
        ASSERT_EQ(text(op), model.at(offset, length)) << "operation " << i << " at " << offset;
      }
    }
    kept_.clear();
  }
  close(device_);
  device_ = open(false);
  ASSERT_NE(device_, nullptr);
  const std::uint64_t step = std::min<std::uint64_t>(limits().transfer_bytes_max, 1 << 20);
  for (std::uint64_t at = 0; at < kDeviceBytes; at += step) {
    const std::uint64_t length = std::min(step, kDeviceBytes - at);
    ASSERT_EQ(read(at, length), model.at(at, length)) << at;
  }
}

TEST_P(Devices, AllocateNothingOnceOpen) {
  if (!GetParam().kernel) GTEST_SKIP() << "a simulated disk allocates what it remembers";
  Operation& write = make(DeviceVerb::write, 0, 8 * block_, 1);
  Operation& odd = make(DeviceVerb::write, 8 * block_, 8 * block_, 1, 3, std::size_t{100});
  Operation& back = make(DeviceVerb::read, 0, 8 * block_, 1);
  const auto exchange = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      for (Operation* op : {&write, &odd, &back}) {
        op->completions = 0;
        ASSERT_EQ(device_->submit(*op), Submit::accepted);
      }
      while (!write.done() || !odd.done() || !back.done()) site().turn();
    }
  };
  exchange(20);
  const auto before = allocations.load();
  exchange(100);
  EXPECT_EQ(allocations.load(), before);
}

// What only a file of this system can show.

TEST_P(Devices, SayThatThereIsNoSpace) {
  if (site().path_of(uri_).empty()) GTEST_SKIP() << "not a file of this system";
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit little{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  const OpResult result = run(make(DeviceVerb::write, 4 << 20, block_, 1));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.kind, ErrorKind::no_space);
  EXPECT_EQ(result.origin, Origin::system);
  EXPECT_TRUE(run(make(DeviceVerb::write, 4 << 20, block_, 1)).ok);
}

TEST_P(Devices, TakeNoMissingBytesForData) {
  const std::string path = site().path_of(uri_);
  if (path.empty()) GTEST_SKIP() << "not a file of this system";
  ASSERT_EQ(::truncate(path.c_str(), 1 << 20), 0);
  EXPECT_EQ(run(make(DeviceVerb::read, 2 << 20, block_, 0)).kind, ErrorKind::data_corrupt);
  EXPECT_EQ(run(make(DeviceVerb::read, (1 << 20) - block_, 2 * block_, 0)).kind, ErrorKind::data_corrupt);
}

TEST_P(Devices, MakeNoFileTwice) {
  if (site().path_of(uri_).empty()) GTEST_SKIP() << "not a file of this system";
  auto& again = keep<Counted<OpenOp>>();
  again.uri = uri_;
  again.create = true;
  again.size_bytes = kDeviceBytes;
  EXPECT_EQ(run(again).kind, ErrorKind::already_exists);
  EXPECT_NE(again.detail, "");
}

TEST_P(Devices, MakeSparseFiles) {
  const std::string path = site().path_of(uri_);
  if (path.empty()) GTEST_SKIP() << "not a file of this system";
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(facts.st_size), kDeviceBytes);
  EXPECT_LT(facts.st_blocks * 512, 1 << 20);
}

TEST_P(Devices, RefuseWhatIsNoFile) {
  if (site().path_of(uri_).empty()) GTEST_SKIP() << "not a file of this system";
  for (const char* uri : {"file:///dev/null", "file:///", "file://host/path", "file:relative"}) {
    auto& op = keep<Counted<OpenOp>>();
    op.uri = uri;
    EXPECT_FALSE(run(op).ok) << uri;
  }
}

INSTANTIATE_TEST_SUITE_P(Drivers, Devices, testing::ValuesIn(devices()), name_of);

}  // namespace
}  // namespace netstor::conformance
