// SPDX-License-Identifier: Apache-2.0
#pragma once
// A verbs device as one shard uses it: a protection domain, one completion queue, the memory that is
// registered in it, and the receives that the shard's accepted links share. Belongs to a port, and lives as
// long.

#include <netstor/ext/driver.h>

#include "transports/rdma/shared_receives.h"
#include "transports/rdma/verbs.h"

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

namespace netstor::rdma {

class RdmaLink;

class Card {
 public:
  static Result<std::unique_ptr<Card>> make(ibv_context* context);
  ~Card();
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  ibv_context* context() const noexcept { return context_; }
  ibv_pd* domain() const noexcept { return domain_; }
  ibv_cq* completions() const noexcept { return queue_; }
  const ibv_device_attr& abilities() const noexcept { return attributes_; }
  int fd() const noexcept { return channel_->fd; }
  bool has_windows() const noexcept { return has_windows_; }
  bool iwarp() const noexcept { return context_->device->transport_type == IBV_TRANSPORT_IWARP; }
  bool soft_iwarp() const noexcept { return attributes_.vendor_id == kSoftIwarp; }
  /// Of a received message: it has ended a window.
  bool ends_window(const ibv_wc& completion) const noexcept {
    return (completion.wc_flags & ends_window_flags_) != 0;
  }
  std::string describe() const;
  /// The system refused something: why, and what can be done.
  static Error refused(int error, const char* what);

  // ---- Memory. What is registered may be named in work requests; a peer reaches none of it.
  Result<void> add_memory(MutableBytes memory);
  void remove_memory(MutableBytes memory) noexcept;  // what a window is still on goes later
  bool has_memory(MutableBytes memory) const noexcept;
  /// The registration that the range is inside of, or nothing.
  MutableBytes registered_around(const void* begin, std::size_t size) const noexcept;
  /// Null where the range is not inside one registration.
  ibv_mr* find(const void* begin, std::size_t size) const noexcept;
  /// A registration of these bytes alone, for the peer to reach in this direction: what a card without
  /// windows has instead of one. Null where it is refused.
  ibv_mr* open(void* begin, std::size_t size, bool writable) noexcept;
  /// False: the device keeps it, and the peer may be in it.
  bool deregister(ibv_mr* region) noexcept;

  // ---- Completions.
  /// Room in the completion queue for a link that is being made.
  Result<void> reserve(unsigned entries);
  void release(unsigned entries) noexcept { reserved_ -= entries; }
  void add(RdmaLink& link, std::uint32_t qp_number) { links_[qp_number] = &link; }
  void remove(std::uint32_t qp_number) noexcept;
  /// Completes at most about `max` operations.
  unsigned poll(unsigned max);
  /// From now on fd() tells of completions; false when there is one already.
  bool arm() noexcept;
  void clear_event() noexcept;

  /// A receive's number in work requests; `shared` is 0 of a link's own.
  static constexpr std::uint64_t receive_number(std::uint32_t shared, std::uint32_t receive) noexcept {
    return kReceive | std::uint64_t{shared} << 32 | receive;
  }

  // ---- Receives that links share.
  /// With as many more for a new link, which says unshare() when its queue pair is gone.
  Result<SharedReceives*> share(unsigned receives, std::uint32_t bytes_each);
  void unshare(SharedReceives& shared, unsigned receives) noexcept;
  /// One that was lent came back.
  void take_back(SharedReceives& shared, std::uint32_t receive) noexcept;
  /// Hands those that were given back to the card.
  void flush() noexcept {
    for (const auto& each : shared_) each->flush();
  }

 private:
  struct Registration {
    std::byte* begin = nullptr;
    std::size_t size = 0;
    ibv_mr* region = nullptr;
    const std::byte* reach = nullptr;  // the farthest end of this one and all before it
  };
  static constexpr std::uint64_t kReceive = 1ull << 63;  // in a work request's number
  static constexpr std::uint32_t kSoftIwarp = 0x626d74;  // as vendor
  static constexpr std::size_t kRegistrationsMax = 4096;
  static constexpr unsigned kBatch = 32;

  Card() = default;
  const Registration* find_registration(const void* begin, std::size_t size) const noexcept;
  void note_reaches() noexcept;
  void drop_unused() noexcept {
    std::erase_if(shared_, [](const auto& each) { return each->unused(); });
  }
  void deliver(const ibv_wc& completion) noexcept;

  ibv_context* context_ = nullptr;
  ibv_pd* domain_ = nullptr;
  ibv_comp_channel* channel_ = nullptr;
  ibv_cq* queue_ = nullptr;
  ibv_device_attr attributes_{};
  bool has_windows_ = false;
  bool armed_ = false;
  unsigned ends_window_flags_ = IBV_WC_WITH_INV;
  unsigned reserved_ = 0;
  std::vector<Registration> registrations_;  // in order of begin, then size
  std::vector<ibv_mr*> lingering_;           // no registrations any more, but the device kept them
  std::unordered_map<std::uint32_t, RdmaLink*> links_;
  std::array<ibv_wc, kBatch> batch_{};
  unsigned waiting_ = 0;                                 // in batch_, found by arm()
  std::vector<std::unique_ptr<SharedReceives>> shared_;  // the last is that of new links
  std::uint32_t shared_made_ = 0;
};

}  // namespace netstor::rdma
