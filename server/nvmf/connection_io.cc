// SPDX-License-Identifier: Apache-2.0
//
// I/O commands to the store and back. Two ways: a store with its bytes in memory answers at once, from the
// receive buffer and to the network without a copy; any other gets an operation and memory that stays.

#include <algorithm>
#include <cstring>

#include "lib/base/assert.h"
#include "server/nvmf/connection.h"
#include "server/nvmf/op_status.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::GenericStatus;
using nvme::IoVerb;
using nvme::Status;
using nvme::TargetRequest;

namespace {

constexpr DeviceVerb verb_of(IoVerb verb) {
  switch (verb) {
    case IoVerb::read:
      return DeviceVerb::read;
    case IoVerb::write:
      return DeviceVerb::write;
    case IoVerb::flush:
      return DeviceVerb::flush;
    case IoVerb::write_zeroes:
      return DeviceVerb::write_zeroes;
    case IoVerb::deallocate:
      return DeviceVerb::deallocate;
    case IoVerb::compare:
      return DeviceVerb::compare;
    case IoVerb::verify:
      return DeviceVerb::verify;
  }
  return DeviceVerb::read;
}

}  // namespace

Status Connection::admit(TargetRequest& request) {
  begin_count(request);
  if (examiner_ != nullptr) [[unlikely]] {
    if (is_authentication(request.command)) return admit_authentication(request);
    if (!let_in()) return nvme::refused(nvme::FabricsStatus::authentication_required);
  }
  if (hosted_ != nullptr) [[unlikely]] {
    nvme::AdminPlan plan;
    const Status status = hosted_->controller.plan(request.command, plan);
    request.plan = {.to_controller = plan.to_controller, .to_host = plan.to_host};
    return status;
  }
  if (request.command.is_fabrics()) [[unlikely]]
    return nvme::refused(GenericStatus::command_sequence_error);
  ShardNamespace* const space = subsystem_->at(request.command.nsid());
  const Status status = nvme::plan_io(request.command, space != nullptr ? &space->view() : nullptr,
                                      subsystem_->limits().transfer_bytes_max, request.plan);
  if (space != nullptr) {
    space->use();
    io_[request.slot].space = space;
  }
  request.wants_in_place = true;
  return status;
}

// R2T data, and the in-capsule data of a fused pair, which has to wait for its other half.
bool Connection::buffer(TargetRequest& request) {
  IoRequest& io = io_[request.slot];
  if (request.in_capsule) {
    io.pieces[0] = {.iov_base = own_memory(request), .iov_len = request.plan.to_controller};
    request.piece_count = 1;
  } else {
    if (!take_chunks(io, request.plan.to_controller)) return false;
    request.piece_count = io.chunks;
  }
  request.pieces = io.pieces;
  return true;
}

bool Connection::take_chunks(IoRequest& io, std::uint64_t bytes) {
  return shard_.take_chunks(*this, bytes, io.pieces, io.chunks);
}

void Connection::release(TargetRequest& request) noexcept {
  IoRequest& io = io_[request.slot];
  end_count(request);
  if (io.chunks != 0) {
    shard_.pool().give_back(io.pieces, io.chunks);
    io.chunks = 0;
  }
  if (ShardNamespace* const space = std::exchange(io.space, nullptr); space != nullptr) space->unuse();
  io.admin_data.reset();
}

void Connection::execute(TargetRequest& request) {
  if (examiner_ != nullptr && is_authentication(request.command)) [[unlikely]]
    return authenticate(request);
  if (hosted_ != nullptr) [[unlikely]]
    return execute_admin(request);
  IoRequest& io = io_[request.slot];
  io.timing.executed = io.timing.stored = shard_.loop().now();
  if (request.partner != nullptr) [[unlikely]]
    return compare_and_write(request);
  switch (request.plan.verb) {
    case IoVerb::read:
      return read(request, io);
    case IoVerb::write:
      return write(request, io);
    case IoVerb::compare:
      payload_to_memory(request, io);
      io.op.pieces = request.pieces;
      io.op.piece_count = request.piece_count;
      return simple(DeviceVerb::compare, request, io);
    case IoVerb::deallocate:
      return start_deallocate(request, io);
    case IoVerb::flush:
      io.step = 0;
      return flush_step(io);
    case IoVerb::write_zeroes:
    case IoVerb::verify:
      io.op.piece_count = 0;
      return simple(verb_of(request.plan.verb), request, io);
  }
}

void Connection::read(TargetRequest& request, IoRequest& io) {
  ShardNamespace& space = *io.space;
  request.send_bytes = request.plan.to_host;
  request.pieces = io.pieces;
  if (space.immediate() && !stable_reads_) [[likely]] {
    unsigned count = kRequestPiecesMax;
    if (space.store().view(request.plan.offset, request.plan.length, io.pieces, count)) {
      request.piece_count = count;
      return queue_.complete(request, {});
    }
  }
  if (first_waiting_ != nullptr || !take_chunks(io, request.plan.to_host)) return wait_for_memory(io);
  request.piece_count = io.chunks;
  io.op.pieces = io.pieces;
  io.op.piece_count = io.chunks;
  simple(DeviceVerb::read, request, io);
}

void Connection::write(TargetRequest& request, IoRequest& io) {
  ShardNamespace& space = *io.space;
  if (space.immediate()) {
    const bool lies_there = !request.in_place.empty();
    const iovec here{.iov_base = const_cast<std::byte*>(request.in_place.data()),
                     .iov_len = request.in_place.size()};
    if (space.store().store_now(request.plan.offset, lies_there ? &here : request.pieces,
                                lies_there ? 1 : request.piece_count)) {
      return queue_.complete(request, {});
    }
  }
  payload_to_memory(request, io);
  io.op.pieces = request.pieces;
  io.op.piece_count = request.piece_count;
  simple(DeviceVerb::write, request, io);
}

// What lies in the receive buffer is gone after execute().
void Connection::payload_to_memory(TargetRequest& request, IoRequest& io) {
  if (request.in_place.empty()) return;
  std::byte* const memory = own_memory(request);
  std::memcpy(memory, request.in_place.data(), request.in_place.size());
  shard_.context().metrics().copied_bytes += request.in_place.size();
  io.pieces[0] = {.iov_base = memory, .iov_len = request.in_place.size()};
  request.pieces = io.pieces;
  request.piece_count = 1;
  request.in_place = {};
}

// A place for each node's in-capsule data: pages that nobody touches cost nothing.
std::byte* Connection::own_memory(const TargetRequest& request) {
  const std::size_t each = (queue_.terms().in_capsule_bytes + 4095u) & ~std::size_t{4095};
  if (own_memory_.data() == nullptr) {
    own_memory_ = net::Mapping(each * nvme::TargetCore::nodes(queue_.terms().entries));
    NETSTOR_ASSERT(own_memory_.data() != nullptr);
  }
  return own_memory_.data() + request.slot * each;
}

void Connection::simple(DeviceVerb verb, TargetRequest& request, IoRequest& io) {
  io.op.verb = verb;
  io.op.force_unit_access = request.plan.fua;
  io.op.offset = request.plan.offset;
  io.op.length = request.plan.length;
  submit(io);
}

void Connection::compare_and_write(TargetRequest& second) {
  TargetRequest& first = *second.partner;
  IoRequest& io = io_[second.slot];
  const Status status = nvme::check_fused(first.plan, second.plan, io.space->view());
  if (!status.ok()) {
    second.partner = nullptr;
    queue_.complete(first, status);
    return queue_.complete(second, nvme::refused(GenericStatus::aborted_failed_fused));
  }
  io.op.expected = first.pieces;
  io.op.expected_count = first.piece_count;
  io.op.pieces = second.pieces;
  io.op.piece_count = second.piece_count;
  simple(DeviceVerb::compare_and_write, second, io);
}

void Connection::start_deallocate(TargetRequest& request, IoRequest& io) {
  // The list has at most 4 KiB: one piece, wherever it came to.
  payload_to_memory(request, io);
  const nvme::NamespaceView& view = io.space->view();
  const std::span<const std::byte> list(static_cast<const std::byte*>(request.pieces[0].iov_base),
                                        request.plan.to_controller);
  for (unsigned i = 0; i < request.plan.ranges; ++i) {
    nvme::ByteRange range;
    if (const Status status = check_range(list, i, view, range); !status.ok())
      return queue_.complete(request, status);
  }
  io.step = 0;
  io.step_offset = 0;
  if (!request.plan.deallocate || !deallocate_step(request, io)) queue_.complete(request, {});
}

// Submits the next part of the list; false when there is none left.
bool Connection::deallocate_step(TargetRequest& request, IoRequest& io) {
  const std::span<const std::byte> list(static_cast<const std::byte*>(request.pieces[0].iov_base),
                                        request.plan.to_controller);
  for (; io.step < request.plan.ranges; ++io.step, io.step_offset = 0) {
    nvme::ByteRange range;
    // Checked before; but the namespace's size cannot have changed, since this one is in use.
    if (!check_range(list, io.step, io.space->view(), range).ok()) return false;
    if (io.step_offset >= range.length) continue;
    io.op.verb = DeviceVerb::deallocate;
    io.op.force_unit_access = false;
    io.op.offset = range.offset + io.step_offset;
    io.op.length =
        std::min<std::uint64_t>(range.length - io.step_offset, io.space->store().limits().zero_bytes_max);
    io.op.piece_count = 0;
    io.step_offset += io.op.length;
    submit(io);
    return true;
  }
  return false;
}

// One namespace, or all of them one after the other.
void Connection::flush_step(IoRequest& io) {
  TargetRequest& request = *io.request;
  if (request.command.nsid() == nvme::kNsidAll) {
    if (ShardNamespace* const done = std::exchange(io.space, nullptr); done != nullptr) done->unuse();
    do {
      io.step = subsystem_->next_nsid(io.step);
    } while (io.step != 0 && !subsystem_->at(io.step)->view().volatile_cache);
    if (io.step == 0) return queue_.complete(request, {});
    io.space = subsystem_->at(io.step);
    io.space->use();
  } else if (!io.space->view().volatile_cache) {
    return queue_.complete(request, {});
  }
  io.op.verb = DeviceVerb::flush;
  io.op.force_unit_access = false;
  io.op.offset = io.op.length = 0;
  io.op.piece_count = 0;
  submit(io);
}

void Connection::submit(IoRequest& io) {
  if (io.space->has_waiting() || io.space->store().submit(io.op) == Submit::full) io.space->wait(io);
}

void Connection::submit_waiting(ShardNamespace& space) {
  while (IoRequest* const io = space.next_waiting()) {
    if (space.store().submit(io->op) == Submit::accepted) continue;
    return space.wait_first(*io);
  }
}

void Connection::stored(IoRequest& io) {
  ShardNamespace& space = *io.space;
  TargetRequest& request = *io.request;
  space.use();  // next_step() and the request's end may let go of it
  io.timing.stored = shard_.loop().now();
  const OpResult result = io.op.result;
  if (!result.ok) [[unlikely]]
    warn_of_store(result, io.op.verb, io.op.offset, io.op.length);
  if (!result.ok || !next_step(io)) {
    Status status = status_of(result, request.plan.verb);
    if (TargetRequest* const first = std::exchange(request.partner, nullptr); first != nullptr) {
      queue_.complete(*first, result.ok ? Status{} : status);
      if (!result.ok) status = nvme::refused(GenericStatus::aborted_failed_fused);
    }
    queue_.complete(request, status);
  }
  submit_waiting(space);
  space.unuse();
  if (closing_) return finish_if_idle();
  schedule_flush();
}

// What a host asked wrongly is its own affair, and a comparison may fail.
void Connection::warn_of_store(const OpResult& result, DeviceVerb verb, std::uint64_t offset,
                               std::uint64_t length) {
  switch (result.kind) {
    case ErrorKind::compare_failed:
    case ErrorKind::out_of_range:
    case ErrorKind::invalid_argument:
    case ErrorKind::unsupported:
    case ErrorKind::cancelled:
      return;
    default:
      break;
  }
  shard_.warn(net::Warnings::Kind::store, [&] {
    std::string what(to_string(verb));
    if (length != 0) what += " of " + std::to_string(length) + " bytes at " + std::to_string(offset);
    what += " in " + (subsystem_ != nullptr ? std::string(subsystem_->nqn()) : std::string("a volume")) +
            " for " + std::string(peer());
    return result.error(what).text();
  });
}

bool Connection::next_step(IoRequest& io) {
  if (io.request->plan.verb == IoVerb::deallocate) return deallocate_step(*io.request, io);
  if (io.request->plan.verb == IoVerb::flush && io.request->command.nsid() == nvme::kNsidAll) {
    flush_step(io);
    return true;
  }
  return false;
}

// ---- Memory.

void Connection::wait_for_memory(IoRequest& io) {
  io.next = nullptr;
  (first_waiting_ == nullptr ? first_waiting_ : last_waiting_->next) = &io;
  last_waiting_ = &io;
}

bool Connection::memory_freed() {
  while (first_waiting_ != nullptr) {
    IoRequest& io = *first_waiting_;
    TargetRequest& request = *io.request;
    if (!take_chunks(io, request.plan.to_host)) return false;
    first_waiting_ = io.next;
    request.piece_count = io.chunks;
    io.op.pieces = io.pieces;
    io.op.piece_count = io.chunks;
    simple(DeviceVerb::read, request, io);
  }
  queue_.buffers_freed();
  if (queue_.has_answers()) schedule_flush();
  return !queue_.waits_for_buffers();
}

}  // namespace netstor::nvmf
