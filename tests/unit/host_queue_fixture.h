// SPDX-License-Identifier: Apache-2.0
#pragma once
// A HostQueue whose connection is up, and requests that remember how they ended.

#include <gtest/gtest.h>

#include "lib/proto/nvme/host_queue.h"
#include "tests/unit/nvme_tcp_peer.h"

namespace netstor::nvme::tcp::test {

// A request with its own memory that remembers how it ended.
struct Request : HostRequest {
  Request() {
    done = [](HostRequest& self) noexcept { ++static_cast<Request&>(self).times_done; };
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  static std::unique_ptr<Request> read(std::uint32_t size) { return make(IoOpcode::read, size); }
  static std::unique_ptr<Request> write(std::uint32_t size) { return make(IoOpcode::write, size); }
  static std::unique_ptr<Request> flush() { return make(IoOpcode::flush, 0); }
  static std::unique_ptr<Request> make(IoOpcode opcode, std::uint32_t size) {
    auto request = std::make_unique<Request>();
    request->sqe = make_command(opcode, 0, 1);
    request->memory = opcode == IoOpcode::write ? pattern(size) : ByteVector(size);
    request->list = {{.iov_base = request->memory.data(), .iov_len = size}};
    request->pieces = request->list.data();
    request->piece_count = 1;
    request->length = size;
    request->transfer = opcode == IoOpcode::write  ? Transfer::to_controller
                        : opcode == IoOpcode::read ? Transfer::from_controller
                                                   : Transfer::none;
    return request;
  }
  bool succeeded() const { return times_done == 1 && outcome == HostOutcome::answered && status.ok(); }
  bool cancelled() const { return times_done == 1 && outcome == HostOutcome::cancelled; }

  ByteVector memory;
  std::vector<iovec> list;
  int times_done = 0;
};

struct Session {
  explicit Session(HostQueueOptions options = {.depth = 8, .in_capsule_max = 4096},
                   IcResp response = {.maxh2cdata = 8192})
      : queue(options), format{.header_digest = response.header_digest, .data_digest = response.data_digest} {
    const auto hello = send();
    EXPECT_EQ(hello.size(), 1u);
    EXPECT_EQ(hello[0].header.type, PduType::ic_req);
    EXPECT_TRUE(feed(Answers().ic_resp(response)));
    EXPECT_TRUE(queue.ready());
  }
  std::vector<SentPdu> gather() {
    batch.clear();
    queue.gather(batch);
    append(sent, flatten(batch));
    return take_pdus(sent);
  }
  std::vector<SentPdu> send() {
    auto pdus = gather();
    queue.batch_sent();
    return pdus;
  }
  // Submits, sends, and answers the command id.
  std::uint16_t start(Request& request) {
    EXPECT_TRUE(queue.submit(request));
    const auto pdus = send();
    EXPECT_EQ(pdus.size(), 1u);
    return pdus.at(0).command().cid();
  }
  Answers answers() const { return Answers(format); }
  bool feed(const Answers& answers, std::size_t step = ~std::size_t{0}) {
    return test::feed(queue, answers.bytes, step);
  }
  // The connection must be over for this reason, and say so.
  void expect_broken(const Answers& answers, Fes fes, std::uint32_t fei) {
    EXPECT_FALSE(feed(answers));
    ASSERT_TRUE(queue.fault().has_value());
    EXPECT_EQ(queue.fault()->kind, HostFault::Kind::protocol);
    EXPECT_EQ(queue.fault()->error, (PduError{.fes = fes, .fei = fei}));
    const auto pdus = send();
    ASSERT_EQ(pdus.size(), 1u);
    EXPECT_EQ(pdus[0].header.type, PduType::h2c_term_req);
    const TermReq request = decode_term_req(std::span(pdus[0].bytes).first<kTermReqBytes>());
    EXPECT_EQ(request.error.fes, fes);
  }

  HostQueue queue;
  PduFormat format;
  SendBatch batch;
  ByteVector sent;
};

}  // namespace netstor::nvme::tcp::test
