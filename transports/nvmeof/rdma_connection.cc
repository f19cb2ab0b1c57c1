// SPDX-License-Identifier: Apache-2.0
#include "transports/nvmeof/rdma_connection.h"

#include <cstring>
#include <utility>

#include "lib/base/assert.h"
#include "transports/cause.h"

namespace netstor::nvmeof {

namespace {

using nvme::Transfer;

constexpr std::size_t page_rounded(std::size_t size) {
  return (size + Arena::kPage - 1) / Arena::kPage * Arena::kPage;
}
constexpr std::size_t capsules_bytes(std::uint16_t depth) {
  return page_rounded(std::size_t{depth} * nvme::kCommandBytes);
}
/// So that one request of the greatest length does not hold up all the others.
constexpr std::size_t arena_bytes(std::uint32_t transfer_max) { return 2 * page_rounded(transfer_max); }

/// An opening, a message and a closing for each command.
constexpr unsigned kWorksEach = 3;

void copy_from(const nvme::HostRequest& request, std::byte* to) {
  for (unsigned i = 0; i < request.piece_count; ++i) {
    std::memcpy(to, request.pieces[i].iov_base, request.pieces[i].iov_len);
    to += request.pieces[i].iov_len;
  }
}

void copy_to(const nvme::HostRequest& request, const std::byte* from) {
  for (unsigned i = 0; i < request.piece_count; ++i) {
    std::memcpy(request.pieces[i].iov_base, from, request.pieces[i].iov_len);
    from += request.pieces[i].iov_len;
  }
}

}  // namespace

MessageShape RdmaConnection::shape_of(const Plan& plan) noexcept {
  return {.receive_bytes = nvme::kCompletionBytes,
          .receives = static_cast<std::uint16_t>(plan.depth + 1),
          .operations = static_cast<std::uint16_t>(plan.depth * kWorksEach),
          .windows = plan.depth,
          .scratch_bytes = capsules_bytes(plan.depth) + arena_bytes(plan.transfer_max)};
}

RdmaConnection::RdmaConnection(NvmeofPort& port, Owner& owner, std::unique_ptr<MessageLink> link,
                               const Plan& plan)
    : Connection(port, owner, plan.kind, queue_),
      link_(std::move(link)),
      queue_(*this,
             {.depth = plan.depth, .in_capsule_max = plan.in_capsule_max, .transfer_max = plan.transfer_max}),
      places_(std::make_unique<Place[]>(plan.depth)),
      arena_(link_->scratch().subspan(capsules_bytes(plan.depth), arena_bytes(plan.transfer_max))) {
  link_closed_.user = this;
  link_closed_.complete = [](Op& op) noexcept { static_cast<RdmaConnection*>(op.user)->link_ended(); };
  for (std::uint16_t i = 0; i < plan.depth; ++i) {
    Place& place = places_[i];
    place.connection = this;
    place.slot = i;
    place.message[0] = {.iov_base = link_->scratch().data() + std::size_t{i} * nvme::kCommandBytes,
                        .iov_len = nvme::kCommandBytes};
    place.send.verb = MessageOp::Verb::send;
    place.send.prompt = false;
    place.send.pieces = place.message;
    place.closing.verb = MessageOp::Verb::close_window;
    place.closing.window = i;
    place.send.user = place.closing.user = &place;
    place.send.complete = [](Op& op) noexcept {
      Place& mine = *static_cast<Place*>(op.user);
      mine.connection->sent(mine);
    };
    place.closing.complete = [](Op& op) noexcept {
      Place& mine = *static_cast<Place*>(op.user);
      mine.connection->closed(mine);
    };
  }
  link_->observe(*this);
}

void RdmaConnection::flush() {
  if (state() != State::open) return;
  // One that opens two windows before its message: the first of a fused pair.
  nvme::rdma::HostMessage out;
  while (link_->room() > kWorksEach && queue_.next(out)) {
    Place& place = places_[out.slot];
    std::memcpy(place.message[0].iov_base, out.request->sqe.bytes.data(), nvme::kCommandBytes);
    place.send.piece_count = out.in_capsule ? place.message_count : 1;
    const Submit submitted = link_->submit(place.send);
    NETSTOR_ASSERT(submitted == Submit::accepted);
  }
  watch();
}

// What fails comes back once more when the link is closed, with everything else.
void RdmaConnection::sent(Place& place) noexcept {
  if (place.send.result.ok && state() == State::open) queue_.sent(place.slot);
}

void RdmaConnection::closed(Place& place) noexcept {
  if (place.closing.result.ok && state() == State::open) queue_.closed(place.slot);
}

void RdmaConnection::message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                                  std::uint32_t ended_key) noexcept {
  // It is laid out again in flush(), before the next command goes.
  link_->give_back(receive);
  if (state() != State::open) return;
  const bool alive = queue_.received(bytes, ended_key);
  count_copies(copied_);
  if (!alive) {
    give_up(OpResult::failure(ErrorKind::protocol, Origin::library,
                              cause::nvme_rdma(static_cast<std::int32_t>(queue_.fault()))));
  }
}

// ---- Where payload lies.

bool RdmaConnection::place_in_arena(Place& place, nvme::HostRequest& request) {
  place.run = arena_.take(request.length);
  if (place.run.empty()) return false;
  place.request = &request;
  if (request.transfer == Transfer::to_controller) {
    copy_from(request, place.run.data());
    copied_ += request.length;
  }
  return true;
}

bool RdmaConnection::open(Place& place, iovec memory, const nvme::HostRequest& request,
                          nvme::SglDescriptor& where) {
  const bool writable = request.transfer == Transfer::from_controller;
  const auto opened = link_->open_window(place.slot, memory, writable, nullptr);
  if (!opened) return false;
  where = nvme::keyed_data_block(opened->address, request.length, opened->key, link_->has_windows());
  return true;
}

bool RdmaConnection::place(std::uint16_t slot, nvme::HostRequest& request, bool in_capsule,
                           nvme::SglDescriptor& where) {
  Place& place = places_[slot];
  const bool within_reach = link_->reaches(request.pieces, request.piece_count);
  if (in_capsule) {
    where = nvme::in_capsule_data(0, request.length);
    if (within_reach && request.piece_count < kMessagePiecesMax) {
      std::copy_n(request.pieces, request.piece_count, place.message + 1);
      place.message_count = request.piece_count + 1;
      return true;
    }
    if (!place_in_arena(place, request)) return false;
    place.message[1] = {.iov_base = place.run.data(), .iov_len = place.run.size()};
    place.message_count = 2;
    return true;
  }
  if (within_reach && request.piece_count == 1) return open(place, request.pieces[0], request, where);
  if (!place_in_arena(place, request)) return false;
  if (open(place, {.iov_base = place.run.data(), .iov_len = place.run.size()}, request, where)) return true;
  arena_.give_back(std::exchange(place.run, {}));
  return false;
}

void RdmaConnection::close_window(std::uint16_t slot) {
  const Submit submitted = link_->submit(places_[slot].closing);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void RdmaConnection::settle(std::uint16_t slot, bool deliver) {
  Place& place = places_[slot];
  if (place.run.empty()) return;
  if (deliver && place.request->transfer == Transfer::from_controller) {
    copy_to(*place.request, place.run.data());
    copied_ += place.run.size();
  }
  arena_.give_back(std::exchange(place.run, {}));
  place.request = nullptr;
}

}  // namespace netstor::nvmeof
