// SPDX-License-Identifier: Apache-2.0
#include "transports/uring/ring.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netstor::uring {
namespace {

constexpr std::size_t kRegisteredBytesMax = std::size_t{1} << 30;  // the kernel's limit for one entry

// From the best to what every supported kernel has. DEFER_TASKRUN keeps the kernel from interrupting the
// shard: completions are made only when the shard asks (6.1). R_DISABLED: a single-issuer ring belongs to
// the thread that enables it, and that is the one that polls, not the one that made the port (6.0).
constexpr unsigned kSetups[] = {
    IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,  // 5.19
    0,
};

}  // namespace

Ring::~Ring() {
  if (!open_) return;
  // A registered ring descriptor is its thread's; on another one it must not be given back.
  if ((ring_.int_flags & 1) != 0 && thread_ != ::gettid()) {
    ring_.int_flags = 0;
    ring_.enter_ring_fd = ring_.ring_fd;
  }
  io_uring_queue_exit(&ring_);
  if (event_fd_ >= 0) ::close(event_fd_);
}

int Ring::open(Kind kind) noexcept {
  int result = -ENOSYS;
  const unsigned extra = (kind == Kind::ordinary ? 0U : IORING_SETUP_SQE128 | IORING_SETUP_CQE32) |
                         (kind == Kind::polled_passthrough ? IORING_SETUP_IOPOLL : 0U);
  for (const unsigned flags : kSetups) {
    io_uring_params params{};
    params.flags = flags | extra | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = kCompletions;
    result = io_uring_queue_init_params(kEntries, &ring_, &params);
    // Locked memory: kernels before 5.12 count the rings against it.
    if (result == -ENOMEM) return result;
    if (result != 0) continue;
    open_ = true;
    modern_ = (flags & IORING_SETUP_SINGLE_ISSUER) != 0;
    enabled_ = (flags & IORING_SETUP_R_DISABLED) == 0;
    completion_shift_ = kind == Kind::ordinary ? 0 : 1;
    const unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL;
    if ((ring_.features & needed) != needed) return -EOPNOTSUPP;
    register_tables();
    return 0;
  }
  return result;
}

void Ring::register_tables() noexcept {
  if (io_uring_register_files_sparse(&ring_, kFiles) == 0) {
    free_files_.resize(kFiles);
    for (unsigned i = 0; i < kFiles; ++i) free_files_[i] = static_cast<int>(kFiles - 1 - i);
  }
  has_memory_table_ = io_uring_register_buffers_sparse(&ring_, kMemories) == 0;
}

void Ring::enable() noexcept {
  enabled_ = true;
  // Not io_uring_enable_rings(): liburing 2.3 declares it and does not export it.
  io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (io_uring_register_ring_fd(&ring_) == 1) thread_ = ::gettid();
}

int Ring::event_fd() noexcept {
  if (event_fd_ >= 0) return event_fd_;
  event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd_ >= 0) io_uring_register_eventfd(&ring_, event_fd_);
  return event_fd_;
}

void Ring::drain_event_fd() noexcept {
  ++metrics_.system_calls;
  std::uint64_t count = 0;
  static_cast<void>(::read(event_fd_, &count, sizeof count));
}

io_uring_sqe* Ring::make_room() noexcept {
  io_uring_sqe* sqe = nullptr;
  do {
    enter();
    sqe = io_uring_get_sqe(&ring_);
  } while (sqe == nullptr);
  return sqe;
}

void Ring::enter() noexcept {
  if (!enabled_) [[unlikely]]
    enable();
  ++metrics_.system_calls;
  // What is refused (EBUSY: completions have to be reaped first) stays prepared for the next time.
  static_cast<void>(io_uring_submit_and_get_events(&ring_));
}

void Ring::enter_and_wait(std::optional<Duration> timeout) noexcept {
  if (!enabled_) [[unlikely]]
    enable();
  ++metrics_.system_calls;
  io_uring_cqe* first = nullptr;
  if (!timeout) {
    static_cast<void>(io_uring_submit_and_wait(&ring_, 1));
    return;
  }
  __kernel_timespec until{.tv_sec = timeout->count() / 1'000'000'000,
                          .tv_nsec = timeout->count() % 1'000'000'000};
  static_cast<void>(io_uring_submit_and_wait_timeout(&ring_, &first, 1, &until, nullptr));
}

unsigned Ring::reap(unsigned max) noexcept {
  unsigned done = 0;
  while (done < max) {
    const unsigned head = *ring_.cq.khead;
    if (head == io_uring_smp_load_acquire(ring_.cq.ktail)) break;
    const io_uring_cqe cqe = ring_.cq.cqes[(head & ring_.cq.ring_mask) << completion_shift_];
    // Before the callback: it may poll again, and it may need the room.
    io_uring_cq_advance(&ring_, 1);
    if (cqe.user_data == 0) continue;
    ++done;
    auto& request = *reinterpret_cast<Request*>(cqe.user_data);
    request.completed(request, cqe.res, cqe.flags);
  }
  return done;
}

void Ring::cancel(Request& request) noexcept {
  io_uring_sqe& sqe = prepare(nullptr);
  io_uring_prep_cancel(&sqe, &request, 0);
  sqe.user_data = 0;
}

int Ring::add_file(int fd) noexcept {
  if (free_files_.empty()) return -1;
  const int fixed = free_files_.back();
  if (io_uring_register_files_update(&ring_, static_cast<unsigned>(fixed), &fd, 1) != 1) return -1;
  free_files_.pop_back();
  return fixed;
}

void Ring::remove_file(int fixed) noexcept {
  if (fixed < 0) return;
  const int none = -1;
  io_uring_register_files_update(&ring_, static_cast<unsigned>(fixed), &none, 1);
  free_files_.push_back(fixed);
}

bool Ring::add_memory(MutableBytes memory) noexcept {
  if (!has_memory_table_) return false;
  while (!memory.empty()) {
    const MutableBytes part = memory.first(std::min(memory.size(), kRegisteredBytesMax));
    const auto slot =
        std::find_if(memory_.begin(), memory_.end(), [](const Range& range) { return range.end == 0; });
    if (slot == memory_.end()) return false;
    const auto index = static_cast<unsigned>(slot - memory_.begin());
    const iovec piece{part.data(), part.size()};
    const __u64 tag = 0;
    if (io_uring_register_buffers_update_tag(&ring_, index, &piece, &tag, 1) != 1) return false;
    slot->begin = reinterpret_cast<std::uintptr_t>(part.data());
    slot->end = slot->begin + part.size();
    memory_end_ = std::max(memory_end_, index + 1);
    memory = memory.subspan(part.size());
  }
  return true;
}

void Ring::remove_memory(MutableBytes memory) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
  for (unsigned i = 0; i < memory_end_; ++i) {
    if (memory_[i].begin < begin || memory_[i].end > begin + memory.size() || memory_[i].end == 0) continue;
    const iovec none{};
    const __u64 tag = 0;
    io_uring_register_buffers_update_tag(&ring_, i, &none, &tag, 1);
    memory_[i] = {};
  }
  while (memory_end_ > 0 && memory_[memory_end_ - 1].end == 0) --memory_end_;
}

}  // namespace netstor::uring
