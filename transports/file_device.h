// SPDX-License-Identifier: Apache-2.0
#pragma once
// A local file or block device as a Device: what each verb becomes in steps that a kernel can carry out
// (read, write, sync, zero, punch), and what their answers mean. The driver carries out the steps.
//
// Where direct I/O wants aligned memory and the caller's is not, and for compare and verify, the bytes go
// through a few buffers made at open; an operation that needs one while all are out is answered `full`.
// compare_and_write is unsupported: nothing makes it atomic against other openers of the file.

#include <netstor/ext/device.h>

#include "transports/io_port.h"

#include <array>
#include <vector>

namespace netstor {

struct FileStep {
  enum class Verb : std::uint8_t { read, write, sync, zero, punch };
  Verb verb = Verb::read;
  bool durable = false;  ///< writes: on stable storage when answered
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  const iovec* pieces = nullptr;
  unsigned piece_count = 0;
};

/// One operation in flight. The driver derives from it and owns it.
struct FileTask {
  FileStep step;             ///< what to carry out now
  FileTask* next = nullptr;  ///< free list; the driver's while a step is carried out
  DeviceOp* op = nullptr;    ///< null: free
  std::uint64_t done = 0;    ///< bytes of the operation
  Buffer bounce;
  bool cancelled = false;
  std::array<iovec, 16> window{};  ///< the pieces of a step that is not simply the operation's own
};

class FileDevice : public Device {
 public:
  FileDevice(IoPort& port, const OpenedFile& file, std::unique_ptr<BufferPool> bounces)
      : port_(port), file_(file), bounces_(std::move(bounces)) {}
  ~FileDevice() override;

  /// What a file device copies and compares through.
  static Result<std::unique_ptr<BufferPool>> make_bounces() {
    return BufferPool::make(kBounceBytes, kBounces);
  }

  const DeviceLimits& limits() const noexcept final { return file_.limits; }
  Submit submit(DeviceOp& op) final;
  void cancel(DeviceOp& op) final;
  void close(Op& closed) final;
  void observe(DeviceObserver*) noexcept final {}  // a file is not lost
  std::string describe() const final;

  /// The driver's answer to execute(), from poll(): bytes or a negative errno value.
  void step_done(FileTask& task, std::int64_t answer) noexcept;

 protected:
  virtual void execute(FileTask& task) = 0;
  /// Best effort; the step is answered all the same.
  virtual void ask_cancel(FileTask& task) = 0;
  virtual std::string_view driver_name() const noexcept = 0;
  /// Before the descriptor is closed.
  virtual void before_close() noexcept {}

  /// limits().depth of them, while opening.
  void add_task(FileTask& task) {
    tasks_.push_back(&task);
    task.next = std::exchange(free_, &task);
  }
  IoPort& port() noexcept { return port_; }
  int fd() const noexcept { return file_.fd; }

 private:
  static constexpr std::size_t kBounceBytes = 128 << 10;
  static constexpr std::size_t kBounces = 8;

  std::optional<OpResult> refuse(const DeviceOp& op) const noexcept;
  bool needs_bounce(const DeviceOp& op) const noexcept;
  void next_step(FileTask& task) noexcept;
  void next_transfer(FileTask& task, FileStep::Verb verb) noexcept;
  void next_zeroing(FileTask& task) noexcept;
  std::optional<OpResult> take_answer(FileTask& task, std::int64_t answer) noexcept;
  std::optional<OpResult> take_bytes(FileTask& task, std::uint64_t bytes) noexcept;
  void end(FileTask& task, OpResult result) noexcept;
  void end_close() noexcept;

  IoPort& port_;
  OpenedFile file_;
  std::unique_ptr<BufferPool> bounces_;
  FileTask* free_ = nullptr;
  std::vector<FileTask*> tasks_;
  unsigned active_ = 0;
  bool zero_by_writing_ = false;
  Op* closed_ = nullptr;
  bool closing_ = false;
};

}  // namespace netstor
