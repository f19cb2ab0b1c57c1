// SPDX-License-Identifier: Apache-2.0
#pragma once
// A bucket whose payload may go by RDMA: a service of the test's, and a card on which connections go as it
// wants. Payload is the service's word alone: no byte moves by such a card.

#include <netstor/netstor.h>

#include "lib/object/bucket_core.h"
#include "tests/faults/scripted_service.h"
#include "tests/unit/paper_card.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <string>

namespace netstor {

class BucketRdma : public testing::Test {
 protected:
  static constexpr std::size_t kBytes = 100;

  BucketRdma() {
    options_.endpoint = service_.url();
    options_.credentials = Credentials{
        .access_key_id = "id", .secret_access_key = "the-secret", .session_token = "", .expires = {}};
    options_.retries = 3;
    options_.retry_delay = std::chrono::milliseconds(1);
    options_.retry_delay_max = std::chrono::milliseconds(2);
    options_.rdma_from_bytes = 1;
    options_.connect_timeout = options_.first_byte_timeout = std::chrono::minutes(10);
    step_.test = this;
    step_.run = [](detail::Runnable& self) noexcept { static_cast<Step&>(self).test->card_.poll(~0U); };
    card_.wants_poll = [this] { detail::current_loop->push(step_); };
  }
  ~BucketRdma() override {
    if (bucket_.valid()) {
      EXPECT_TRUE(bucket_.close().get());
    }
  }

  void open(RdmaUse use) {
    options_.rdma = use;
    bucket_ = Bucket::open(runtime_, "s3://samples", options_).get().value();
    Future<void> taken = runtime_.shard(0).run_on(
        [this] { detail::BucketCore::of(bucket_)->here()->pool().use_messages(card_); });
    ASSERT_TRUE(taken.get());
  }
  Future<ObjectRead> get() { return bucket_.get("key", into_.bytes().first(kBytes)); }
  void refuse(s3::RdmaStatus status, unsigned times = 1) {
    for (unsigned i = 0; i < times; ++i)
      card_.answers.push_back({OpResult::system(ECONNREFUSED), words(status)});
  }
  /// To the next one who asks for a session.
  void answer_asker(std::string text) {
    service_.answer(std::move(text));
    ++scripted_;
  }
  /// To the next one who shows a token.
  void answer_token(std::string text) {
    service_.answer(std::move(text));
    ++scripted_tokens_;
  }
  static void expect_text(const Error& error, std::initializer_list<const char*> words) {
    for (const char* const each : words) EXPECT_NE(error.text().find(each), std::string::npos) << error;
  }

  void lose() {
    Future<void> lost = runtime_.shard(0).run_on([this] { card_.link->lose(); });
    EXPECT_TRUE(lost.get());
  }

  // Of the service, on its own thread.
  std::string reply(const std::string& request) {
    if (request.starts_with("POST ") && request.find("netstor-rdma=") != std::string::npos) {
      ++sessions_asked_;
      if (const unsigned scripted = scripted_.load(); scripted != 0) {
        scripted_ = scripted - 1;
        return "";
      }
      if (const unsigned busy = busy_.load(); busy != 0) {
        busy_ = busy - 1;
        return answer("503 Slow Down", "");
      }
      if (!offers_) return answer("501 Not Implemented", "");
      const s3::RdmaOffer offer{.port = 9001, .seconds = 10, .bytes_max = 1 << 20, .host = "10.0.0.1"};
      return answer("200 OK", "x-netstor-rdma-session: " + encode(offer) + "\r\n");
    }
    if (const unsigned scripted = scripted_tokens_.load();
        scripted != 0 && request.find("\r\nx-amz-rdma-token: ") != std::string::npos) {
      scripted_tokens_ = scripted - 1;
      return "";
    }
    if (request.starts_with("PUT ")) return reply_to_put(request);
    const std::string range = "content-range: bytes 0-99/100\r\netag: \"e\"\r\n";
    if (request.find("\r\nx-amz-rdma-token: ") == std::string::npos)
      return answer("206 Partial Content", range, std::string(kBytes, 'h'));
    if (const unsigned loses = loses_.load(); loses != 0) {
      loses_ = loses - 1;
      lose();
      return answer("501 Not Implemented", "x-amz-rdma-reply: 501\r\n");
    }
    if (const unsigned declines = declines_.load(); declines != 0) {
      declines_ = declines - 1;
      return answer("501 Not Implemented", "x-amz-rdma-reply: 501\r\n");
    }
    return answer("206 Partial Content",
                  range + "x-amz-rdma-reply: 206\r\nx-amz-rdma-bytes-transferred: 100\r\n");
  }

  std::string reply_to_put(const std::string& request) {
    if (request.find("\r\nx-amz-rdma-token: ") == std::string::npos)
      return answer("412 Precondition Failed", "", "<Error><Code>PreconditionFailed</Code></Error>");
    if (const unsigned breaks = breaks_.load(); breaks != 0) {
      breaks_ = breaks - 1;
      return answer("500 Internal Server Error", "x-amz-rdma-reply: 500\r\n",
                    "<Error><Code>InternalError</Code></Error>");
    }
    return answer("200 OK", "etag: \"e\"\r\nx-amz-rdma-reply: 200\r\n");
  }

  struct Step : detail::Runnable {
    BucketRdma* test = nullptr;
  };
  std::atomic<unsigned> sessions_asked_{0};
  std::atomic<unsigned> busy_{0};
  std::atomic<unsigned> scripted_{0};
  std::atomic<unsigned> scripted_tokens_{0};
  std::atomic<unsigned> loses_{0};
  std::atomic<unsigned> declines_{0};
  std::atomic<unsigned> breaks_{0};  // transfers of a PUT
  std::atomic<bool> offers_{true};
  ScriptedService service_{[this](const std::string& request) { return reply(request); }};
  BucketOptions options_;
  PaperCard card_;
  Step step_;
  Runtime runtime_ = *Runtime::start();
  Buffer into_ = *Buffer::allocate(4096);
  Bucket bucket_;
};

}  // namespace netstor
