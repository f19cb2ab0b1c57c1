// SPDX-License-Identifier: Apache-2.0
#include "transports/rdma/shared_receives.h"

#include "transports/rdma/card.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace netstor::rdma {

Result<std::unique_ptr<SharedReceives>> SharedReceives::make(Card& card, std::uint32_t number,
                                                             std::uint32_t bytes_each) {
  std::unique_ptr<SharedReceives> receives(new SharedReceives(card, number, (bytes_each + 63u) & ~63u));
  ibv_srq_init_attr wanted{};
  wanted.attr = {.max_wr = static_cast<std::uint32_t>(std::min(card.abilities().max_srq_wr, 16384)),
                 .max_sge = 1,
                 .srq_limit = 0};
  receives->queue_ = ::ibv_create_srq(card.domain(), &wanted);
  if (receives->queue_ == nullptr) return Card::refused(errno, "make a shared receive queue");
  receives->max_ = wanted.attr.max_wr;
  receives->to_post_.reserve(receives->max_);
  return receives;
}

SharedReceives::~SharedReceives() {
  if (queue_ != nullptr) ::ibv_destroy_srq(queue_);
  for (std::byte* const chunk : chunks_) {
    card_.remove_memory({chunk, chunk_bytes()});
    ::munmap(chunk, chunk_bytes());
    card_.release(kChunk);
  }
}

Result<void> SharedReceives::promise(unsigned receives) {
  // What was lent may be of links that have ended, of which nothing is promised any more.
  while (chunks_.size() * kChunk < promised_ + lent_ + lost_ + receives) NETSTOR_CHECK_RETURN(grow());
  flush();
  if (!to_post_.empty()) return Error(ErrorKind::exhausted, "the RDMA device takes no more receives");
  promised_ += receives;
  return {};
}

void SharedReceives::release(unsigned receives) noexcept {
  promised_ -= receives;
  ++lost_;
}

Result<void> SharedReceives::grow() {
  if ((chunks_.size() + 1) * kChunk > max_)
    return Error(ErrorKind::exhausted, "the RDMA device's shared receive queue is full");
  NETSTOR_CHECK_RETURN(card_.reserve(kChunk));
  void* const at = ::mmap(nullptr, chunk_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int error = errno;
  Result<void> added = at == MAP_FAILED ? Result<void>(Error::system(error, "map receive buffers"))
                                        : card_.add_memory({static_cast<std::byte*>(at), chunk_bytes()});
  if (!added) {
    if (at != MAP_FAILED) ::munmap(at, chunk_bytes());
    card_.release(kChunk);
    return added;
  }
  const auto first = static_cast<std::uint32_t>(chunks_.size()) * kChunk;
  chunks_.push_back(static_cast<std::byte*>(at));
  for (std::uint32_t i = 0; i < kChunk; ++i) to_post_.push_back(first + i);
  return {};
}

std::byte* SharedReceives::lend(std::uint32_t receive) noexcept {
  ++lent_;
  return at(receive);
}

void SharedReceives::take_back(std::uint32_t receive) noexcept {
  --lent_;
  return_unseen(receive);
}

std::byte* SharedReceives::at(std::uint32_t receive) const noexcept {
  return chunks_[receive / kChunk] + std::size_t{receive % kChunk} * bytes_each_;
}

void SharedReceives::flush() noexcept {
  while (!to_post_.empty()) {
    std::array<ibv_recv_wr, kBatch> requests{};
    std::array<ibv_sge, kBatch> places{};
    const std::size_t count = std::min<std::size_t>(to_post_.size(), kBatch);
    const std::uint32_t* const receives = &to_post_[to_post_.size() - count];
    for (std::size_t i = 0; i < count; ++i) {
      std::byte* const where = at(receives[i]);
      places[i] = {.addr = reinterpret_cast<std::uintptr_t>(where),
                   .length = bytes_each_,
                   .lkey = card_.find(where, bytes_each_)->lkey};
      requests[i].wr_id = Card::receive_number(number_, receives[i]);
      requests[i].sg_list = &places[i];
      requests[i].num_sge = 1;
      requests[i].next = i + 1 < count ? &requests[i + 1] : nullptr;
    }
    ibv_recv_wr* bad = nullptr;
    const int error = ::ibv_post_srq_recv(queue_, requests.data(), &bad);
    std::size_t posted = error == 0 ? count : 0;
    if (error != 0 && bad != nullptr) posted = static_cast<std::size_t>(bad - requests.data());
    to_post_.erase(to_post_.end() - static_cast<std::ptrdiff_t>(count),
                   to_post_.end() - static_cast<std::ptrdiff_t>(count - posted));
    if (error != 0) return;  // until the next time
  }
}

}  // namespace netstor::rdma
