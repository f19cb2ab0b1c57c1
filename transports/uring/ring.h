// SPDX-License-Identifier: Apache-2.0
#pragma once
// One io_uring and what makes it fast: system calls only when there is something to hand over or the kernel
// says that it has work, registered descriptors and memory. Knows requests, not links or devices.
//
// liburing 2.3 is enough. Kernels from 5.11 on; each newer ability is tried and done without.

#include <netstor/buffer.h>
#include <netstor/metrics.h>
#include <netstor/options.h>

#include <liburing.h>

#include <sys/types.h>

#include <array>
#include <optional>
#include <vector>

namespace netstor::uring {

/// What a completion finds: every submission's user_data points to one, or is null when nobody cares.
struct Request {
  void (*completed)(Request&, std::int32_t result, std::uint32_t flags) noexcept = nullptr;
};

class Ring {
 public:
  enum class Kind : std::uint8_t {
    ordinary,
    passthrough,         ///< entries of 128 and 32 bytes, which carry a device's own commands (5.19)
    polled_passthrough,  ///< the same; completions are looked for in the device, nothing interrupts (6.1)
  };

  explicit Ring(Metrics& metrics) noexcept : metrics_(metrics) {}
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// 0 or a negative errno value. The ring belongs to the thread that first uses it otherwise.
  int open(Kind kind = Kind::ordinary) noexcept;
  /// A descriptor that is readable from the next completion, or work for enter(), until it is drained. The
  /// ring's own is not: kernels since 6.3 do not wake its pollers for deferred work. -1: none left.
  int event_fd() noexcept;
  void drain_event_fd() noexcept;

  /// An empty submission with `request` to be told; handed over by the next enter().
  io_uring_sqe& prepare(Request* request) noexcept {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) [[unlikely]]
      sqe = make_room();
    io_uring_sqe_set_data(sqe, request);
    sqe->flags = 0;
    return *sqe;
  }
  /// The same for a descriptor that may be registered: fills opcode, descriptor, memory.
  io_uring_sqe& prepare(Request* request, unsigned opcode, int fd, int fixed, const void* address,
                        unsigned length, std::uint64_t offset = 0) noexcept {
    io_uring_sqe& sqe = prepare(request);
    io_uring_prep_rw(static_cast<int>(opcode), &sqe, fixed >= 0 ? fixed : fd, address, length, offset);
    sqe.user_data = reinterpret_cast<std::uintptr_t>(request);
    if (fixed >= 0) sqe.flags = IOSQE_FIXED_FILE;
    return sqe;
  }
  void cancel(Request& request) noexcept;

  bool has_prepared() const noexcept { return io_uring_sq_ready(&ring_) != 0; }
  bool has_completions() const noexcept { return io_uring_cq_ready(&ring_) != 0; }
  /// The kernel has work that it does only inside of a system call.
  bool wants_enter() const noexcept {
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }
  /// One system call: hands over what is prepared, and lets the kernel finish what it can.
  void enter() noexcept;
  /// The same, and waits for a completion or until `timeout` has passed (nothing: for ever).
  void enter_and_wait(std::optional<Duration> timeout) noexcept;
  /// Gives at most `max` completions to their requests.
  unsigned reap(unsigned max) noexcept;

  /// The index of `fd` in the ring's table, or -1 when it is full or missing: then `fd` itself serves.
  int add_file(int fd) noexcept;
  void remove_file(int fixed) noexcept;

  /// False: the kernel may not lock so much memory.
  bool add_memory(MutableBytes memory) noexcept;
  void remove_memory(MutableBytes memory) noexcept;
  /// The index of the registered memory that holds all of it, or -1.
  int find_memory(const void* address, std::size_t length) const noexcept {
    const auto from = reinterpret_cast<std::uintptr_t>(address);
    for (unsigned i = 0; i < memory_end_; ++i) {
      if (from >= memory_[i].begin && from + length <= memory_[i].end) return static_cast<int>(i);
    }
    return -1;
  }

  /// Kernel 6.0 and later: what came with single-issuer rings, POLL_FIRST among it.
  bool is_modern() const noexcept { return modern_; }
  unsigned setup_flags() const noexcept { return ring_.flags; }
  bool has_memory_table() const noexcept { return has_memory_table_; }

 private:
  static constexpr unsigned kEntries = 512;
  static constexpr unsigned kCompletions = 4096;
  static constexpr unsigned kFiles = 4096;
  static constexpr unsigned kMemories = 64;
  struct Range {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
  };

  io_uring_sqe* make_room() noexcept;
  void enable() noexcept;
  void register_tables() noexcept;

  io_uring ring_{};
  Metrics& metrics_;
  bool open_ = false;
  bool enabled_ = false;
  bool modern_ = false;
  unsigned completion_shift_ = 0;  // large completions take two places each
  pid_t thread_ = 0;
  int event_fd_ = -1;
  std::vector<int> free_files_;
  bool has_memory_table_ = false;
  unsigned memory_end_ = 0;  // one past the last range in use
  std::array<Range, kMemories> memory_{};
};

}  // namespace netstor::uring
