// SPDX-License-Identifier: Apache-2.0
#pragma once
// Receives that the links of a card share: each link promises its peer so many messages, and the sum of all
// promises lies in one queue.
//
// What a queue pair has taken from the queue when it is destroyed, a message that was half there for one,
// may never be told of ("Last WQE Reached", InfiniBand Architecture 1.4, §10.3.1). So one receive is taken
// for lost with each link that has ended, and made anew; and after some of them no link that is made from
// then on shares the queue, which goes with the last of its links.

#include <netstor/ext/driver.h>

#include "transports/rdma/verbs.h"

#include <memory>
#include <vector>

namespace netstor::rdma {

class Card;

class SharedReceives {
 public:
  /// `number` is in its work requests' numbers.
  static Result<std::unique_ptr<SharedReceives>> make(Card& card, std::uint32_t number,
                                                      std::uint32_t bytes_each);
  ~SharedReceives();
  SharedReceives(const SharedReceives&) = delete;
  SharedReceives& operator=(const SharedReceives&) = delete;

  ibv_srq* queue() const noexcept { return queue_; }
  std::uint32_t number() const noexcept { return number_; }
  std::uint32_t bytes_each() const noexcept { return bytes_each_; }

  /// Lays out as many more, for a link.
  Result<void> promise(unsigned receives);
  /// The link's queue pair is gone.
  void release(unsigned receives) noexcept;
  bool unused() const noexcept { return promised_ == 0 && lent_ == 0; }
  /// No link that is made from now on is to share it.
  bool worn() const noexcept { return lost_ >= kLostMax; }

  /// What came in it, for somebody to look at until take_back().
  std::byte* lend(std::uint32_t receive) noexcept;
  void take_back(std::uint32_t receive) noexcept;
  /// Nobody was lent it.
  void return_unseen(std::uint32_t receive) noexcept { to_post_.push_back(receive); }
  /// To the card what was given back.
  void flush() noexcept;

 private:
  static constexpr unsigned kChunk = 64;  // that are made together
  static constexpr unsigned kLostMax = 64;
  static constexpr unsigned kBatch = 32;

  SharedReceives(Card& card, std::uint32_t number, std::uint32_t bytes_each) noexcept
      : card_(card), number_(number), bytes_each_(bytes_each) {}
  Result<void> grow();
  std::byte* at(std::uint32_t receive) const noexcept;
  std::size_t chunk_bytes() const noexcept { return std::size_t{kChunk} * bytes_each_; }

  Card& card_;
  const std::uint32_t number_;
  const std::uint32_t bytes_each_;
  ibv_srq* queue_ = nullptr;
  unsigned promised_ = 0;
  unsigned lent_ = 0;
  unsigned lost_ = 0;  // as far as anybody knows
  unsigned max_ = 0;   // of the queue
  std::vector<std::byte*> chunks_;
  std::vector<std::uint32_t> to_post_;
};

}  // namespace netstor::rdma
