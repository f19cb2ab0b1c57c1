// SPDX-License-Identifier: Apache-2.0
//
// Any host against a TargetQueue and a Controller with an immediate store. Whatever it sends, each request is
// executed at most once and released exactly once, nothing outside its own memory is touched, and what the
// queue says is well-formed.
//
// Input: byte 0 chooses digests (bits 0, 1), the cut of receives (bits 2 to 4), admin or I/O queue (bit 5),
// whether the owner answers late (bit 6) and SQ flow control (bit 7). Then records: a byte that chooses one
// of
//   0 raw bytes (length byte, bytes)              2 H2CData (cid, ttag, offset, blocks, last: a byte each)
//   1 a capsule (24 bytes into the command,       3 the batch is sent
//     a byte: blocks of in-capsule data)          4 the owner answers all that it holds

#include <array>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "lib/proto/nvme/controller.h"
#include "lib/proto/nvme/target_queue.h"
#include "lib/wire/fabrics/nqn.h"

namespace {

using namespace netstor;
using namespace netstor::nvme;
using namespace netstor::nvme::tcp;

constexpr std::string_view kNqn = "nqn.2026-01.io.netstor:fuzz";
constexpr std::uint32_t kTransferMax = 32768;
constexpr std::uint32_t kBlock = 512;

void check(bool right) {
  if (!right) std::abort();
}

class OneNamespace final : public SubsystemView {
 public:
  OneNamespace() { limits_.transfer_bytes_max = kTransferMax; }
  std::string_view nqn() const override { return kNqn; }
  std::string_view serial() const override { return "F"; }
  std::string_view model() const override { return "fuzz"; }
  std::string_view firmware() const override { return "1"; }
  bool discovery() const override { return false; }
  const ControllerLimits& limits() const override { return limits_; }
  std::uint32_t nsid_max() const override { return 4; }
  const NamespaceView* find(std::uint32_t nsid) const override { return nsid == 1 ? &view_ : nullptr; }
  std::uint32_t next_nsid(std::uint32_t nsid) const override { return nsid == 0 ? 1 : 0; }
  bool host_allowed(std::string_view) const override { return true; }
  std::uint64_t paths(std::string_view, std::vector<PathView>&) const override { return 1; }

 private:
  ControllerLimits limits_;
  NamespaceView view_{.nsid = 1,
                      .can_write_zeroes = true,
                      .can_deallocate = true,
                      .can_compare = true,
                      .can_verify = true,
                      .blocks = 256,
                      .fused_blocks_max = 8,
                      .zero_blocks_max = 128};
};

struct Owner final : TargetOwner {
  struct Slot {
    std::vector<std::byte> memory;
    iovec piece{};
    bool executed = false;
    bool admitted = false;
  };

  void connect(TargetRequest& request, const Connect&, const ConnectData&) override {
    slots.resize(TargetQueue::nodes(8));
    queue->accept(request, {.cntlid = 1,
                            .entries = 8,
                            .admin = admin,
                            .sq_flow_control = flow_control,
                            .in_capsule_bytes = 8192});
  }
  Status admit(TargetRequest& request) override {
    Slot& slot = slots.at(request.slot);
    check(!slot.admitted);
    slot = {.memory = {}, .admitted = true};
    request.wants_in_place = (request.slot & 1) != 0;
    if (!admin)
      return plan_io(request.command, subsystem.find(request.command.nsid()), kTransferMax, request.plan);
    AdminPlan plan;
    const Status status = controller.plan(request.command, plan);
    request.plan = {.to_controller = plan.to_controller, .to_host = plan.to_host};
    return status;
  }
  bool buffer(TargetRequest& request) override {
    if (!request.in_capsule && ++asked % 5 == 0) return false;
    check(request.plan.to_controller <= kTransferMax);
    place(request, request.plan.to_controller);
    return true;
  }
  void execute(TargetRequest& request) override {
    Slot& slot = slots.at(request.slot);
    check(slot.admitted && !slot.executed);
    slot.executed = true;
    check(request.in_place.empty() || request.in_place.size() == request.plan.to_controller);
    for (const std::byte each : request.in_place)
      sum = static_cast<std::uint8_t>(sum + static_cast<unsigned>(each));
    if (late) return held.push_back(&request);
    answer(request);
  }
  void release(TargetRequest& request) noexcept override {
    Slot& slot = slots[request.slot];
    check(!slot.executed || request.state == RequestState::free);
    slot.admitted = false;
  }

  void place(TargetRequest& request, std::uint32_t bytes) {
    Slot& slot = slots.at(request.slot);
    slot.memory.assign(bytes, std::byte{0x77});
    slot.piece = {.iov_base = slot.memory.data(), .iov_len = bytes};
    request.pieces = &slot.piece;
    request.piece_count = 1;
  }
  void answer(TargetRequest& request) {
    if (request.partner != nullptr) queue->complete(*request.partner, {});
    if (request.plan.to_host != 0) place(request, request.plan.to_host);
    AdminAnswer answered{.bytes = request.plan.to_host};
    if (admin)
      answered = controller.execute(request.command, {}, slots.at(request.slot).memory, now += Duration(1));
    check(answered.bytes <= request.plan.to_host);
    if (answered.held) return events.push_back(&request);
    request.send_bytes = answered.status.ok() ? answered.bytes : 0;
    queue->complete(request, answered.status, answered.result);
  }
  void answer_held() {
    const auto all = std::exchange(held, {});
    for (TargetRequest* const each : all) answer(*each);
  }

  TargetQueue* queue = nullptr;
  OneNamespace subsystem;
  Time now{};
  Controller controller{subsystem, {.host_nqn = {}, .keep_alive_ms = 1000}, now};
  std::vector<Slot> slots;
  std::vector<TargetRequest*> held;
  std::vector<TargetRequest*> events;
  unsigned asked = 0;
  std::uint8_t sum = 0;
  bool admin = false;
  bool late = false;
  bool flow_control = true;
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(std::as_bytes(std::span(data, size))) {}
  bool empty() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_[0]);
    left_ = left_.subspan(1);
    return value;
  }
  std::span<const std::byte> take(std::size_t count) {
    const auto part = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(part.size());
    return part;
  }

 private:
  std::span<const std::byte> left_;
};

class Host {
 public:
  Host(TargetQueue& queue, std::size_t step) : queue_(queue), step_(step) {}

  void feed(std::span<const std::byte> bytes) {
    while (!bytes.empty() && !over()) {
      std::array<iovec, 16> pieces;
      const unsigned count = queue_.want(pieces.data(), pieces.size());
      std::size_t moved = 0;
      for (unsigned i = 0; i < count; ++i) {
        const std::size_t take = std::min({pieces[i].iov_len, step_ - moved, bytes.size() - moved});
        std::memcpy(pieces[i].iov_base, bytes.data() + moved, take);
        moved += take;
      }
      check(moved != 0);
      bytes = bytes.subspan(moved);
      queue_.received(moved);
    }
  }
  void capsule(const Command& command, std::span<const std::byte> data) {
    std::array<std::byte, kPduPrefixMax> prefix;
    send(prefix, encode_capsule_cmd(command, static_cast<std::uint32_t>(data.size()), format, prefix), data);
  }
  void h2c(const DataPdu& pdu, bool last, std::span<const std::byte> data) {
    std::array<std::byte, kPduPrefixMax> prefix;
    send(prefix, encode_h2c_data(pdu, last, format, prefix), data);
  }
  void flush() {
    if (!queue_.gather(*batch_)) return;
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < batch_->piece_count(); ++i) {
      const iovec& piece = batch_->pieces()[i];
      for (std::size_t at = 0; at < piece.iov_len; ++at)
        sum_ += static_cast<const std::uint8_t*>(piece.iov_base)[at];
      bytes += piece.iov_len;
    }
    check(bytes == batch_->bytes());
    queue_.sent();
  }
  bool over() const { return queue_.ended() || queue_.error().has_value(); }

  PduFormat format;

 private:
  void send(std::span<const std::byte> prefix, const PduLayout& layout, std::span<const std::byte> data) {
    std::vector<std::byte> out(prefix.begin(), prefix.begin() + layout.prefix_bytes);
    out.insert(out.end(), data.begin(), data.end());
    if (layout.data_digest) {
      out.resize(out.size() + kDigestBytes);
      encode_digest(crc32c(data), out.data() + out.size() - kDigestBytes);
    }
    feed(out);
  }
  TargetQueue& queue_;
  std::size_t step_;
  unsigned sum_ = 0;
  std::unique_ptr<SendBatch> batch_ = std::make_unique<SendBatch>();
};

void bring_up(Host& host, unsigned mode) {
  const IcReq hello{.header_digest = (mode & 1) != 0, .data_digest = (mode & 2) != 0};
  std::array<std::byte, kIcBytes> bytes;
  encode(hello, std::span(bytes));
  host.feed(bytes);
  host.format = {.header_digest = hello.header_digest, .data_digest = hello.data_digest};
  std::array<std::byte, kConnectDataBytes> names;
  encode(ConnectData{.subnqn = NqnField(kNqn), .hostnqn = NqnField(kNqn)}, std::span(names));
  host.capsule(make_connect(0x100, {.sqsize = 7}, in_capsule_data(0, names.size())), names);
  host.flush();
}

void one_record(Input& input, Host& host, Owner& owner) {
  static const std::vector<std::byte> kData(8192 + kBlock, std::byte{0x11});
  switch (input.byte() % 5) {
    case 0:
      host.feed(input.take(input.byte()));
      break;
    case 1: {
      Command command;
      const auto words = input.take(24);
      // Opcode, flags, identifier and namespace; then dwords 10 to 13.
      for (std::size_t i = 0; i < words.size(); ++i) command.bytes[i < 8 ? i : i + 32] = words[i];
      command.set_cid(command.cid() & 0x0F);
      const std::uint8_t blocks = input.byte();
      const std::uint32_t in_capsule = (blocks & 0x1Fu) * kBlock;
      const std::uint32_t wanted = ((command.cdw(12) & 0xFFFFu) + 1) * kBlock;
      if ((blocks & 0x80) != 0) command.set_sgl(in_capsule_data(0, in_capsule));
      if ((blocks & 0xC0) == 0) command.set_sgl(transport_data_block(owner.admin ? 65536 : wanted));
      host.capsule(command, std::span(kData).first(in_capsule));
      break;
    }
    case 2: {
      const DataPdu pdu{.cccid = static_cast<std::uint16_t>(input.byte() & 0x0F),
                        .ttag = input.byte(),
                        .datao = input.byte() * kBlock,
                        .datal = (input.byte() % 16 + 1) * kBlock};
      host.h2c(pdu, (input.byte() & 1) != 0, std::span(kData).first(pdu.datal));
      break;
    }
    case 3:
      host.flush();
      break;
    default:
      owner.answer_held();
      owner.queue->buffers_freed();
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const unsigned mode = data[0];
  Owner owner;
  TargetQueue queue(owner, {.maxh2cdata = 8192});
  owner.queue = &queue;
  owner.admin = (mode & 0x20) != 0;
  owner.late = (mode & 0x40) != 0;
  owner.flow_control = (mode & 0x80) == 0;
  Host host(queue, std::size_t{1} << (((mode >> 2) & 7) * 2));
  bring_up(host, mode);
  check(queue.connected());
  for (Input input(data + 1, size - 1); !input.empty() && !host.over();) one_record(input, host, owner);
  host.flush();
  queue.abandon();
  for (TargetRequest* const each : owner.held) {
    if (each->partner != nullptr) queue.complete(*each->partner, {});
    queue.complete(*each, {});
  }
  for (TargetRequest* const each : owner.events) queue.complete(*each, {});
  check(queue.in_use() == 0);
  return 0;
}
