// SPDX-License-Identifier: Apache-2.0
// See immediate_store.h.

#include "server/store/immediate_store.h"

#include "lib/base/assert.h"
#include "server/store/pieces.h"

namespace netstor::store {

bool BlockStore::view(std::uint64_t, std::uint64_t, iovec*, unsigned&) noexcept { return false; }
bool BlockStore::store_now(std::uint64_t, const iovec*, unsigned) noexcept { return false; }

ImmediateStore::~ImmediateStore() { NETSTOR_ASSERT(in_flight_ == 0); }

Submit ImmediateStore::submit(StoreOp& op) {
  NETSTOR_ASSERT(closed_ == nullptr);
  if (in_flight_ == limits_.depth) return Submit::full;
  ++in_flight_;
  const auto refused = refusal(op, limits_);
  op.result = refused ? *refused : perform(op);
  op.side.store = this;
  op.side.later.op = &op;
  op.side.later.run = [](detail::Runnable& step) noexcept {
    StoreOp& done = *static_cast<StoreSide::Later&>(step).op;
    static_cast<ImmediateStore*>(done.side.store)->finish(done);
  };
  loop_.push(op.side.later);
  return Submit::accepted;
}

void ImmediateStore::finish(StoreOp& op) noexcept {
  --in_flight_;
  // Closing began after these were queued, so that the close step stands behind them: `this` outlives the
  // call.
  op.complete(op);
}

void ImmediateStore::close(Op& closed) {
  NETSTOR_ASSERT(closed_ == nullptr);
  closed_ = &closed;
  close_step_.store = this;
  close_step_.run = [](detail::Runnable& step) noexcept {
    Op& done = *static_cast<CloseStep&>(step).store->closed_;
    done.result = OpResult::success();
    done.complete(done);
  };
  loop_.push(close_step_);
}

}  // namespace netstor::store
