// SPDX-License-Identifier: Apache-2.0
#pragma once
// A namespace on one shard: how hosts see it, the store behind it, and who uses it at the moment. When it is
// taken away, or another size puts a new one into its place, it lives until its last request is done.

#include <memory>

#include "lib/proto/nvme/controller_view.h"
#include "server/net/latency.h"
#include "server/store/stored_volume.h"

namespace netstor::nvmf {

struct IoRequest;

class ShardNamespace {
 public:
  ShardNamespace(std::uint32_t nsid, const store::VolumeIdentity& identity,
                 std::unique_ptr<store::BlockStore> store);

  const nvme::NamespaceView& view() const noexcept { return view_; }
  store::BlockStore& store() noexcept { return *store_; }
  /// view() and store_now() are worth a try.
  bool immediate() const noexcept { return immediate_; }

  void use() noexcept { ++users_; }
  void unuse() noexcept {
    if (--users_ == 0 && retired_) [[unlikely]]
      close();
  }
  /// No new users come. `gone` runs when the last is done and the store is closed; then this may be freed.
  void retire(detail::Runnable& gone) noexcept;

  /// The store's queue is full: `io` is submitted when another operation has come back, in order.
  void wait(IoRequest& io) noexcept;
  /// Takes the first that waits; null when none does.
  IoRequest* next_waiting() noexcept;
  /// Back to the front, where it was.
  void wait_first(IoRequest& io) noexcept;
  bool has_waiting() const noexcept { return waiting_ != nullptr; }

  net::Traffic traffic;  ///< on this shard

 private:
  void close() noexcept;

  nvme::NamespaceView view_;
  std::unique_ptr<store::BlockStore> store_;
  unsigned users_ = 0;
  bool immediate_;
  bool retired_ = false;
  IoRequest* waiting_ = nullptr;
  IoRequest* last_waiting_ = nullptr;
  detail::Runnable* gone_ = nullptr;
  Op closed_;
};

}  // namespace netstor::nvmf
