// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the controller's answers to a HostQueue with requests of each kind outstanding. Whatever
// comes, each request is given back exactly once, its memory is its own afterwards, and nothing outside is
// touched.
//
// Input: byte 0 chooses digests (bits 0, 1), the cut of receives (bits 2 to 4), and whether requests are
// cancelled on the way (bit 5) and valid PDU headers are given the command ids in use (bit 6); the rest is
// what the controller says after a valid ICResp.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "lib/proto/nvme/host_queue.h"

namespace {

using namespace netstor;
using namespace netstor::nvme;
using namespace netstor::nvme::tcp;

struct Request : HostRequest {
  std::vector<std::byte> memory;
  iovec piece{};
  bool out = false;
};

void check(bool right) {
  if (!right) std::abort();
}

void prepare(Request& request, unsigned kind) {
  static constexpr IoOpcode kOpcodes[] = {IoOpcode::read, IoOpcode::write, IoOpcode::flush,
                                          IoOpcode::compare};
  static constexpr std::uint32_t kSizes[] = {512, 4096, 20000, 65536};
  const IoOpcode opcode = kOpcodes[kind & 3];
  request.length = opcode == IoOpcode::flush ? 0 : kSizes[(kind >> 2) & 3];
  request.memory.resize(request.length);
  request.piece = {.iov_base = request.memory.data(), .iov_len = request.memory.size()};
  request.sqe = make_command(opcode, 0, 1);
  request.pieces = &request.piece;
  request.piece_count = request.length != 0 ? 1 : 0;
  request.transfer = opcode == IoOpcode::read    ? Transfer::from_controller
                     : opcode == IoOpcode::flush ? Transfer::none
                                                 : Transfer::to_controller;
  request.done = [](HostRequest& self) noexcept {
    auto& done = static_cast<Request&>(self);
    check(done.out);
    done.out = false;
  };
}

// Puts a command id that is in use where a PDU has one, so that the fuzzer need not guess it.
void steer(std::vector<std::byte>& bytes, bool digest) {
  std::size_t at = 0;
  while (bytes.size() - at >= 24) {
    const CommonHeader header = decode_common_header(
        std::span<const std::byte, kCommonHeaderBytes>(bytes.data() + at, kCommonHeaderBytes));
    const std::size_t where = header.type == PduType::capsule_resp ? 20 : 8;
    bytes[at + where] = bytes[at + where] & std::byte{0x0F};
    bytes[at + where] |= std::byte{0x10};
    bytes[at + where + 1] = std::byte{0};
    if (digest && bytes.size() - at >= 28)
      encode_digest(crc32c({bytes.data() + at, 24}), bytes.data() + at + 24);
    if (header.plen < 24 || header.plen > bytes.size() - at) return;
    at += header.plen;
  }
}

bool feed(HostQueue& queue, std::span<const std::byte> bytes, std::size_t step) {
  while (!bytes.empty()) {
    std::array<iovec, 16> pieces;
    const unsigned count = queue.want(pieces.data(), pieces.size());
    std::size_t moved = 0;
    for (unsigned i = 0; i < count; ++i) {
      const std::size_t take = std::min({pieces[i].iov_len, step - moved, bytes.size() - moved});
      std::memcpy(pieces[i].iov_base, bytes.data() + moved, take);
      moved += take;
    }
    check(moved != 0);
    bytes = bytes.subspan(moved);
    if (!queue.received(moved)) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const unsigned mode = data[0];
  const bool header_digest = (mode & 1) != 0;
  const bool data_digest = (mode & 2) != 0;
  const std::size_t step = std::size_t{1} << (((mode >> 2) & 7) * 2);
  const auto raw = std::as_bytes(std::span(data + 1, size - 1));
  std::vector<std::byte> bytes(raw.begin(), raw.end());
  if ((mode & 0x40) != 0) steer(bytes, header_digest);

  HostQueue queue(
      {.depth = 16, .header_digest = header_digest, .data_digest = data_digest, .in_capsule_max = 4096});
  SendBatch batch;
  queue.gather(batch);
  queue.batch_sent();
  std::array<std::byte, kIcBytes> hello;
  encode(IcResp{.header_digest = header_digest, .data_digest = data_digest, .maxh2cdata = 8192}, hello);
  check(feed(queue, hello, hello.size()));

  std::array<Request, 16> requests;
  for (unsigned i = 0; i < requests.size(); ++i) {
    prepare(requests[i], i);
    requests[i].out = true;
    check(queue.submit(requests[i]));
  }
  bool alive = true;
  std::span<const std::byte> left(bytes);
  for (unsigned turn = 0; alive && !left.empty(); ++turn) {
    batch.clear();
    queue.gather(batch);
    const std::span<const std::byte> now = left.first(std::min<std::size_t>(left.size(), 64 + turn * 512));
    left = left.subspan(now.size());
    if ((mode & 0x20) != 0 && requests[turn & 15].out) queue.cancel(requests[turn & 15]);
    alive = feed(queue, now, step);
    queue.batch_sent();
  }
  batch.clear();
  queue.gather(batch);
  queue.fail_all(Time{});
  for (const Request& request : requests) check(!request.out);
  check(queue.outstanding() == 0);
  return 0;
}
