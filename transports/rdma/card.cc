// SPDX-License-Identifier: Apache-2.0
#include "transports/rdma/card.h"

#include "lib/base/assert.h"
#include "transports/rdma/link.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

namespace netstor::rdma {

namespace {

constexpr int kCompletionsFirst = 1024;
constexpr int kCompletionsFixed = 65536;       // of soft-iWARP, which enlarges no queue
constexpr std::uint32_t kSoftRoce = 0xFFFFFF;  // as vendor

}  // namespace

Error Card::refused(int error, const char* what) {
  if (error == ENOMEM || error == EAGAIN) {
    return {ErrorKind::exhausted,
            std::string(what) +
                ": refused by the system, perhaps by the limit of locked memory "
                "(ulimit -l; see netstor info --capabilities)",
            Effect::none, Origin::system, error};
  }
  return Error::system(error, what);
}

Result<std::unique_ptr<Card>> Card::make(ibv_context* context) {
  std::unique_ptr<Card> card(new Card);
  card->context_ = context;
  if (const int error = ::ibv_query_device(context, &card->attributes_); error != 0)
    return Error::system(error, "ask an RDMA device for its abilities");
  card->domain_ = ::ibv_alloc_pd(context);
  if (card->domain_ == nullptr) return refused(errno, "make a protection domain");
  card->channel_ = ::ibv_create_comp_channel(context);
  if (card->channel_ == nullptr) return refused(errno, "make a completion channel");
  const int fd = card->channel_->fd;
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
    return Error::system(errno, "make a completion channel");
  const int wanted = card->soft_iwarp() ? kCompletionsFixed : kCompletionsFirst;
  const int first = std::min(wanted, card->attributes_.max_cqe);
  card->queue_ = ::ibv_create_cq(context, first, nullptr, card->channel_, 0);
  if (card->queue_ == nullptr) return refused(errno, "make a completion queue");
  // Soft-RoCE (6.1 and 6.12) hands the kernel's flag to its users, to whom it means a checksum of IP's. A
  // window that has ended must not be ended once more: there, the kernel falls over it.
  if (card->attributes_.vendor_id == kSoftRoce) card->ends_window_flags_ |= IBV_WC_IP_CSUM_OK;
  // What a card says of windows and what it does with them differ; one that makes them is believed.
  constexpr unsigned kWindows = IBV_DEVICE_MEM_WINDOW_TYPE_2A | IBV_DEVICE_MEM_WINDOW_TYPE_2B;
  if ((card->attributes_.device_cap_flags & kWindows) != 0) {
    ibv_mw* const window = ::ibv_alloc_mw(card->domain_, IBV_MW_TYPE_2);
    card->has_windows_ = window != nullptr;
    if (window != nullptr) ::ibv_dealloc_mw(window);
  }
  return card;
}

Card::~Card() {
  NETSTOR_ASSERT(links_.empty());
  shared_.clear();
  while (!registrations_.empty()) remove_memory({registrations_.back().begin, registrations_.back().size});
  for (ibv_mr* const each : lingering_) ::ibv_dereg_mr(each);
  if (queue_ != nullptr) ::ibv_destroy_cq(queue_);
  if (channel_ != nullptr) ::ibv_destroy_comp_channel(channel_);
  if (domain_ != nullptr) ::ibv_dealloc_pd(domain_);
}

std::string Card::describe() const {
  return std::string(::ibv_get_device_name(context_->device)) + (iwarp() ? ", iWARP" : "") +
         (has_windows_ ? ", memory windows" : ", no memory windows: each transfer is registered");
}

// ---- Memory.

Result<void> Card::add_memory(MutableBytes memory) {
  if (registrations_.size() >= kRegistrationsMax)
    return Error(ErrorKind::exhausted, "too many registrations of memory");
  int access = IBV_ACCESS_LOCAL_WRITE;
  if (has_windows_) access |= IBV_ACCESS_MW_BIND;
  ibv_mr* const region = ::ibv_reg_mr(domain_, memory.data(), memory.size(), access);
  if (region == nullptr) return refused(errno, "register memory");
  const auto at = std::upper_bound(
      registrations_.begin(), registrations_.end(), memory, [](MutableBytes key, const Registration& each) {
        return std::pair(key.data(), key.size()) < std::pair(each.begin, each.size);
      });
  registrations_.insert(at, {.begin = memory.data(), .size = memory.size(), .region = region});
  note_reaches();
  return {};
}

void Card::note_reaches() noexcept {
  const std::byte* reach = nullptr;
  for (Registration& each : registrations_) {
    reach = std::max(reach, static_cast<const std::byte*>(each.begin + each.size));
    each.reach = reach;
  }
}

bool Card::has_memory(MutableBytes memory) const noexcept {
  return std::ranges::any_of(registrations_, [=](const Registration& each) {
    return each.begin == memory.data() && each.size == memory.size();
  });
}

void Card::remove_memory(MutableBytes memory) noexcept {
  const auto found = std::ranges::find_if(registrations_, [=](const Registration& each) {
    return each.begin == memory.data() && each.size == memory.size();
  });
  if (found == registrations_.end()) return;
  static_cast<void>(deregister(found->region));
  registrations_.erase(found);
  note_reaches();
}

// A device refuses while a window is on it (EBUSY); each time something else goes it is asked again.
bool Card::deregister(ibv_mr* region) noexcept {
  std::erase_if(lingering_, [](ibv_mr* each) { return ::ibv_dereg_mr(each) == 0; });
  if (::ibv_dereg_mr(region) == 0) return true;
  lingering_.push_back(region);
  return false;
}

// The nearest that holds all of it: one that begins later may lie inside of one that begins before.
const Card::Registration* Card::find_registration(const void* begin, std::size_t size) const noexcept {
  const auto* const from = static_cast<const std::byte*>(begin);
  auto at = std::upper_bound(registrations_.begin(), registrations_.end(), from,
                             [](const std::byte* key, const Registration& each) { return key < each.begin; });
  while (at != registrations_.begin()) {
    --at;
    if (at->reach < from || static_cast<std::size_t>(at->reach - from) < size) return nullptr;
    const auto offset = static_cast<std::size_t>(from - at->begin);
    if (offset <= at->size && size <= at->size - offset) return &*at;
  }
  return nullptr;
}

MutableBytes Card::registered_around(const void* begin, std::size_t size) const noexcept {
  const Registration* const found = find_registration(begin, size);
  return found == nullptr ? MutableBytes{} : MutableBytes{found->begin, found->size};
}

ibv_mr* Card::find(const void* begin, std::size_t size) const noexcept {
  const Registration* const found = find_registration(begin, size);
  return found == nullptr ? nullptr : found->region;
}

ibv_mr* Card::open(void* begin, std::size_t size, bool writable) noexcept {
  return ::ibv_reg_mr(domain_, begin, size,
                      writable ? IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE : IBV_ACCESS_REMOTE_READ);
}

// ---- Completions.

Result<void> Card::reserve(unsigned entries) {
  if (static_cast<int>(reserved_ + entries) > queue_->cqe) {
    const int wanted = std::max(queue_->cqe * 2, static_cast<int>(reserved_ + entries));
    const int size = std::min(wanted, attributes_.max_cqe);
    if (size < static_cast<int>(reserved_ + entries))
      return Error(ErrorKind::exhausted, "the RDMA device's completion queue is full: too many connections");
    if (const int error = ::ibv_resize_cq(queue_, size); error != 0)
      return refused(error, "enlarge a completion queue");
  }
  reserved_ += entries;
  return {};
}

void Card::remove(std::uint32_t qp_number) noexcept { links_.erase(qp_number); }

void Card::deliver(const ibv_wc& completion) noexcept {
  const auto found = links_.find(completion.qp_num);
  RdmaLink* const link = found == links_.end() ? nullptr : found->second;
  if ((completion.wr_id & kReceive) == 0) {
    if (link != nullptr) link->work_done(completion);
    return;
  }
  const auto receive = static_cast<std::uint32_t>(completion.wr_id);
  if (link != nullptr) return link->received(completion, receive);
  // A message to a link that is gone.
  const auto number = static_cast<std::uint32_t>((completion.wr_id & ~kReceive) >> 32);
  for (const auto& each : shared_) {
    if (each->number() == number) return each->return_unseen(receive);
  }
}

unsigned Card::poll(unsigned max) {
  unsigned done = 0;
  do {
    int found = static_cast<int>(std::exchange(waiting_, 0));
    if (found == 0) found = ::ibv_poll_cq(queue_, kBatch, batch_.data());
    if (found <= 0) break;
    for (int i = 0; i < found; ++i) deliver(batch_[static_cast<std::size_t>(i)]);
    done += static_cast<unsigned>(found);
  } while (done < max);
  return done;
}

bool Card::arm() noexcept {
  if (waiting_ != 0) return false;
  if (!armed_) {
    if (::ibv_req_notify_cq(queue_, 0) != 0) return false;
    armed_ = true;
  }
  const int found = ::ibv_poll_cq(queue_, kBatch, batch_.data());
  waiting_ = found > 0 ? static_cast<unsigned>(found) : 0;
  return waiting_ == 0;
}

void Card::clear_event() noexcept {
  if (!armed_) return;
  ibv_cq* queue = nullptr;
  void* unused = nullptr;
  while (::ibv_get_cq_event(channel_, &queue, &unused) == 0) {
    ::ibv_ack_cq_events(queue, 1);
    armed_ = false;
  }
}

// ---- Shared receives.

Result<SharedReceives*> Card::share(unsigned receives, std::uint32_t bytes_each) {
  if (shared_.empty() || shared_.back()->worn()) {
    NETSTOR_TRY_RETURN(auto made, SharedReceives::make(*this, ++shared_made_, bytes_each));
    shared_.push_back(std::move(made));
  }
  SharedReceives& shared = *shared_.back();
  Result<void> promised =
      bytes_each > shared.bytes_each()
          ? Error(ErrorKind::invalid_argument, "shared receives are shorter than this link's messages")
          : shared.promise(receives);
  if (promised) return &shared;
  if (shared.unused()) drop_unused();
  return std::move(promised).error();
}

void Card::unshare(SharedReceives& shared, unsigned receives) noexcept {
  shared.release(receives);
  if (shared.unused()) drop_unused();
}

void Card::take_back(SharedReceives& shared, std::uint32_t receive) noexcept {
  shared.take_back(receive);
  if (shared.unused()) drop_unused();
}

}  // namespace netstor::rdma
