// SPDX-License-Identifier: Apache-2.0
#include "server/nvmf/rdma_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/base/assert.h"
#include "server/nvmf/target_shard.h"

namespace netstor::nvmf {

using nvme::RdmaRejectReason;
using nvme::TargetRequest;
using nvme::rdma::kConnects;
using nvme::rdma::TargetWork;

namespace {

/// In-capsule data: enough for small writes. Each entry of each queue has a receive with room for it.
constexpr std::uint32_t kInCapsuleMax = 4096;
constexpr std::uint16_t kEntriesMax = 1024;
constexpr std::uint16_t kAdminEntriesMax = 128;
constexpr std::size_t kResponseRoom = 64;

unsigned works_for(unsigned entries) { return kConnects + nvme::TargetCore::nodes(entries); }

// NVMe RDMA Transport 1.0, "RDMA_CM_REQUEST Private Data". Connection managers pad what they carry.
std::optional<RdmaRejectReason> check(const MessageGreeting& greeting, nvme::RdmaRequest& asked) {
  if (greeting.length < nvme::kRdmaRequestBytes) return RdmaRejectReason::invalid_private_data_length;
  asked = nvme::decode_rdma_request(greeting.view().first<nvme::kRdmaRequestBytes>());
  if (asked.recfmt > 1) return RdmaRejectReason::invalid_recfmt;
  // Each entry's receive is laid out before it is known who asks.
  const std::uint16_t entries_max = asked.qid == 0 ? kAdminEntriesMax : kEntriesMax;
  if (asked.hsqsize == 0 || asked.hsqsize >= entries_max) return RdmaRejectReason::invalid_hsqsize;
  if (asked.hrqsize == 0) return RdmaRejectReason::invalid_hrqsize;
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Connection> RdmaConnection::answer(TargetShard& shard, std::uint64_t id, MessagePort& port,
                                                   const Ticket& ticket, const std::string& peer) {
  const auto refuse = [](RdmaRejectReason reason) {
    std::array<std::byte, nvme::kRdmaRejectBytes> words{};
    nvme::encode(nvme::RdmaReject{.reason = reason}, std::span(words));
    return words;
  };
  nvme::RdmaRequest asked;
  if (const auto wrong = check(port.asked(ticket), asked)) {
    shard.warn(net::Warnings::Kind::protocol, [&] {
      return peer + ": asked for an NVMe/RDMA connection and was refused: " + std::string(to_string(*wrong));
    });
    port.refuse_messages(ticket, refuse(*wrong));
    return nullptr;
  }
  const auto entries = static_cast<std::uint16_t>(asked.hsqsize + 1);
  const MessageShape shape{
      .receive_bytes = static_cast<std::uint32_t>(nvme::kCommandBytes) + kInCapsuleMax,
      .receives = entries,
      .shared_receives = true,
      .operations = static_cast<std::uint16_t>(entries + nvme::kEarlyEntries),
      .transfers = entries,
      .scratch_bytes = works_for(entries) * kResponseRoom + kConnects * nvme::kConnectDataBytes};
  std::array<std::byte, nvme::kRdmaAcceptBytes> accepted{};
  nvme::encode(nvme::RdmaAccept{.crqsize = entries}, std::span(accepted));
  auto link = port.adopt_messages(ticket, shape, accepted, refuse(RdmaRejectReason::no_resources));
  if (!link) {
    shard.warn(net::Warnings::Kind::accept, [&] { return peer + ": " + link.error().text(); });
    return nullptr;
  }
  return std::unique_ptr<Connection>(new RdmaConnection(shard, id, port, std::move(*link), asked));
}

RdmaConnection::RdmaConnection(TargetShard& shard, std::uint64_t id, MessagePort& port,
                               std::unique_ptr<MessageLink> link, const nvme::RdmaRequest& asked)
    : Connection(shard, id, queue_),
      port_(port),
      queue_(*this, *this),
      link_(std::move(link)),
      asked_(asked),
      works_(std::make_unique<Work[]>(works_for(asked.hsqsize + 1u))) {
  closed_.user = this;
  closed_.complete = [](Op& op) noexcept { static_cast<RdmaConnection*>(op.user)->link_closed(); };
  for (unsigned i = 0; i < works_for(asked.hsqsize + 1u); ++i) {
    Work& work = works_[i];
    work.connection = this;
    work.response_piece = {.iov_base = link_->scratch().data() + i * kResponseRoom,
                           .iov_len = nvme::kCompletionBytes};
    work.response.verb = MessageOp::Verb::send;
    work.response.pieces = &work.response_piece;
    work.response.piece_count = 1;
    work.transfer.user = work.response.user = &work;
    work.transfer.complete = [](Op& op) noexcept {
      Work& mine = *static_cast<Work*>(op.user);
      mine.connection->transferred(mine);
    };
    work.response.complete = [](Op& op) noexcept {
      Work& mine = *static_cast<Work*>(op.user);
      mine.connection->responded(mine);
    };
  }
  link_->observe(*this);
}

RdmaConnection::~RdmaConnection() = default;

std::uint32_t RdmaConnection::in_capsule_bytes(bool admin, std::uint32_t offered) const noexcept {
  return admin ? 0 : std::min(offered, kInCapsuleMax);
}

// There is no TLS here: a host that has a key, and so has to use it, is refused.
std::optional<TlsRefusal> RdmaConnection::refusal_of_tls(const nvme::ConnectData& data) {
  if (shard().may_connect_plain(data.subnqn.view(), data.hostnqn.view())) return std::nullopt;
  return TlsRefusal::missing;
}

std::byte* RdmaConnection::connect_memory(unsigned number) noexcept {
  const std::size_t responses = works_for(asked_.hsqsize + 1u) * kResponseRoom;
  return link_->scratch().data() + responses + number * nvme::kConnectDataBytes;
}

RdmaConnection::Work& RdmaConnection::work_of(const TargetRequest& request) noexcept {
  const bool early = (request.slot & nvme::TargetCore::kEarlySlot) != 0;
  return works_[early ? request.slot & ~nvme::TargetCore::kEarlySlot : kConnects + request.slot];
}

// ---- What comes.

void RdmaConnection::message_came(std::uint32_t receive, std::span<const std::byte> bytes,
                                  std::uint32_t) noexcept {
  if (closing() || draining()) return link_->give_back(receive);
  if (!queue_.received(receive, bytes)) {
    shard().warn(net::Warnings::Kind::protocol, [this] {
      return std::string(peer()) +
             ": broke NVMe/RDMA and was disconnected: " + std::string(to_string(queue_.error())) +
             on_subsystem();
    });
    return end();
  }
  if (queue_.has_answers()) schedule_flush();
}

void RdmaConnection::link_lost(OpResult why) noexcept {
  if (why.kind == ErrorKind::exhausted) {
    shard().warn(net::Warnings::Kind::lost_host, [this] {
      return std::string(peer()) +
             ": was disconnected: memory for what it writes could not be registered, which is done for each "
             "transfer over iWARP (ulimit -l)" +
             on_subsystem();
    });
  }
  end();
}

// ---- What goes.

void RdmaConnection::flush() {
  // A command takes a transfer and a response; what finds no room goes on when some of them have left.
  TargetWork work;
  while (link_->room() > link_->transfer_works() && queue_.next(work)) {
    if (work.kind == TargetWork::Kind::pull) {
      pull(work);
    } else {
      answer(work);
    }
    if (closing()) return;
  }
}

void RdmaConnection::submit(MessageOp& op) {
  const Submit submitted = link_->submit(op);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void RdmaConnection::pull(const TargetWork& work) {
  Work& mine = work_of(*work.request);
  mine.request = work.request;
  mine.transfer.verb = MessageOp::Verb::read;
  mine.transfer.prompt = true;
  mine.transfer.pieces = work.request->pieces;
  mine.transfer.piece_count = work.request->piece_count;
  mine.transfer.remote = {.address = work.address, .key = work.key};
  submit(mine.transfer);
}

void RdmaConnection::answer(const TargetWork& work) {
  TargetRequest& request = *work.request;
  Work& mine = work_of(request);
  mine.request = &request;
  if (work.push_bytes != 0) {
    // What an admin command made lies anywhere.
    if (!link_->reaches(request.pieces, request.piece_count) && request.piece_count == 1) {
      mine.registered = {static_cast<std::byte*>(request.pieces[0].iov_base), request.pieces[0].iov_len};
      static_cast<void>(port_.register_memory(mine.registered));  // whether it did is asked next
    }
    if (!link_->reaches(request.pieces, request.piece_count)) {
      // Or who comes next would be refused, since not all that is registered could be.
      if (!mine.registered.empty()) port_.forget_memory(std::exchange(mine.registered, {}));
      return end();
    }
    mine.transfer.verb = MessageOp::Verb::write;
    mine.transfer.prompt = false;
    mine.transfer.pieces = request.pieces;
    mine.transfer.piece_count = request.piece_count;
    mine.transfer.remote = {.address = work.address, .key = work.key};
    submit(mine.transfer);
  }
  nvme::encode(work.response,
               std::span<std::byte, nvme::kCompletionBytes>(
                   static_cast<std::byte*>(mine.response_piece.iov_base), nvme::kCompletionBytes));
  mine.response.prompt = false;
  mine.response.end_key = work.end_key;
  submit(mine.response);
}

// The end of what was pushed is the response's, which comes after it.
void RdmaConnection::transferred(Work& work) noexcept {
  if (closing() || !work.transfer.result.ok || work.transfer.verb != MessageOp::Verb::read) return;
  queue_.pulled(*work.request);
  if (queue_.has_answers()) schedule_flush();
}

void RdmaConnection::responded(Work& work) noexcept {
  if (!work.registered.empty()) port_.forget_memory(std::exchange(work.registered, {}));
  if (closing() || !work.response.result.ok) return;
  queue_.sent(*work.request);
  answers_left();
}

}  // namespace netstor::nvmf
