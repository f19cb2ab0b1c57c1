// SPDX-License-Identifier: Apache-2.0
// The endpoint's half of S3 over RDMA, over a card of the test's own: HTTP is over real sockets, and payload
// moves when the test says so. What real cards do is in tests/interop/s3_rdma.py.

#include "lib/engine/shard_loop.h"
#include "lib/wire/s3/rdma.h"
#include "server/net/shards.h"
#include "server/s3/endpoint_shard.h"
#include "tests/integration/s3_support.h"
#include "transports/finished_ops.h"
#include "transports/message_link.h"

namespace netstor {
namespace {

constexpr std::size_t kSize = 3 << 20;

/// What moves is counted, and where nothing moves it waits for the end of its link.
class Card final : public MessagePort {
 public:
  explicit Card(detail::Loop& loop) : loop_(loop) {
    step_.card = this;
    step_.run = [](detail::Runnable& self) noexcept { static_cast<Step&>(self).card->finish(); };
  }
  bool moves = true;
  std::size_t waiting = 0;
  std::size_t links = 0;

  Result<bool> acknowledges_writes(const Address&) override { return true; }
  void connect_messages(MessageConnectOp&) override {}
  void cancel_messages(MessageConnectOp&) override {}
  const MessageGreeting& asked(const Ticket&) const noexcept override { return greeting_; }
  Result<std::unique_ptr<MessageLink>> adopt_messages(const Ticket&, const MessageShape&,
                                                      std::span<const std::byte>,
                                                      std::span<const std::byte>) override {
    ++links;
    return std::unique_ptr<MessageLink>(std::make_unique<Wire>(*this));
  }
  void refuse_messages(const Ticket&, std::span<const std::byte>) noexcept override {}
  unsigned poll(unsigned) override { return 0; }
  void flush() override {}
  bool waits() const noexcept override { return false; }
  int fd() const noexcept override { return -1; }
  void sleep_until(Time) override {}
  void wake() noexcept override {}
  MessagePort* messages() noexcept override { return this; }

 private:
  class Wire final : public MessageLink {
   public:
    explicit Wire(Card& card) : card_(card) {}
    void observe(MessageObserver&) noexcept override {}
    bool broken() const noexcept override { return false; }
    Submit submit(MessageOp& op) override {
      if (card_.moves) {
        card_.answer(op, OpResult::success());
      } else {
        ++card_.waiting;
        stuck_.push_back(&op);
      }
      return Submit::accepted;
    }
    void close(Op& closed) override {
      for (MessageOp* const each : stuck_) card_.answer(*each, OpResult::failure(ErrorKind::cancelled));
      card_.waiting -= stuck_.size();
      --card_.links;
      card_.answer(closed, OpResult::success());
    }
    std::optional<RemoteMemory> open_window(std::uint16_t, iovec, bool, MessageOp*) override { return {}; }
    void window_ended(std::uint16_t) noexcept override {}
    bool has_windows() const noexcept override { return false; }
    bool reaches(const iovec*, unsigned) const noexcept override { return true; }
    MutableBytes registered_around(iovec) const noexcept override { return {}; }
    MutableBytes scratch() noexcept override { return {}; }
    void give_back(std::uint32_t) noexcept override {}
    std::uint32_t inline_bytes() const noexcept override { return 0; }
    unsigned room() const noexcept override { return 16; }
    unsigned transfer_works() const noexcept override { return 1; }
    const MessageGreeting& greeting() const noexcept override { return card_.greeting_; }
    std::string_view peer() const noexcept override { return "peer"; }
    std::string describe() const override { return "a card of the test"; }

   private:
    Card& card_;
    std::vector<MessageOp*> stuck_;
  };
  struct Step : detail::Runnable {
    Card* card = nullptr;
  };

  void answer(Op& op, OpResult result) {
    if (finished_.empty()) loop_.push(step_);
    finished_.add(op, result);
  }
  void finish() noexcept {
    finished_.run(1);
    if (!finished_.empty()) loop_.push(step_);
  }

  detail::Loop& loop_;
  Step step_;
  FinishedOps finished_;
  MessageGreeting greeting_;
};

/// A shard with the card.
class Site final : public PortContext {
 public:
  explicit Site(detail::ShardLoop& loop) : card(loop), loop_(loop) {}
  detail::Loop& loop() noexcept override { return loop_; }
  std::uint64_t random() noexcept override { return loop_.random(); }
  Metrics& metrics() noexcept override { return loop_.metrics(); }
  Result<Port*> port(std::string_view scheme) override {
    if (scheme == "rdma") return &card;
    return loop_.port(scheme);
  }
  void run_blocking(detail::Runnable& work, detail::Runnable& done) noexcept override {
    loop_.run_blocking(work, done);
  }

  Task<std::uint16_t> start(s3server::EndpointConfig config, store::ObjectStore& store) {
    NETSTOR_TRY(Port* const tcp, port("tcp"));
    endpoint = std::make_unique<s3server::EndpointShard>(
        0, *this, *tcp, config, store,
        std::make_shared<const s3server::Keys>(s3server::Keys::parse(kS3Keys, "keys").value()));
    auto creating = endpoint->store().create_bucket("photos");
    NETSTOR_CHECK(co_await std::move(creating));
    NETSTOR_CHECK(endpoint->use_messages());
    endpoint->offer_rdma({.host = "", .port = 9001});
    NETSTOR_TRY(std::unique_ptr<Listener> listener, tcp->listen({.host = "127.0.0.1", .port = 0}));
    auto acceptor = std::make_unique<net::Acceptor>(
        loop_, std::move(listener),
        [this](const Ticket& ticket, const std::string& peer) { endpoint->adopt(ticket, peer); }, nullptr);
    acceptor->start();
    acceptors_.push_back(std::move(acceptor));
    co_return acceptors_[0]->address().port;
  }
  /// Answers how much of the memory is lent then.
  Task<std::size_t> stop(Duration grace) {
    auto closing = net::close_all(acceptors_);
    NETSTOR_CHECK(co_await std::move(closing));
    auto draining = endpoint->drain(loop_.now() + grace);
    NETSTOR_CHECK(co_await std::move(draining));
    const std::size_t lent = endpoint->memory().in_use();
    endpoint.reset();
    co_return lent;
  }

  Card card;
  std::unique_ptr<s3server::EndpointShard> endpoint;

 private:
  detail::ShardLoop& loop_;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
};

class S3EndpointRdma : public testing::Test {
 protected:
  auto on_shard(auto function) { return runtime_->shard(0).run_on(std::move(function)).get().value(); }
  void SetUp() override { start({}); }
  void TearDown() override {
    if (site_) {
      EXPECT_EQ(stop(std::chrono::seconds(5)), 0u);
    }
    store_.reset();
    runtime_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void start(s3server::EndpointConfig config) {
    std::string pattern = (std::filesystem::temp_directory_path() / "s3-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    runtime_.emplace(Runtime::start({.shards = 1}).value());
    store_ = store::ObjectStore::open(folder_ + "/objects", {}).value();
    const auto port = on_shard([this, config] {
      site_ = std::make_unique<Site>(detail::this_shard_loop());
      return site_->start(config, *store_);
    });
    client_.emplace(port);
  }
  std::size_t stop(Duration grace) {
    const std::size_t lent = on_shard([this, grace] { return site_->stop(grace); });
    on_shard([this] {
      site_.reset();
      return 0;
    });
    return lent;
  }

  bool soon(auto condition) {
    for (int i = 0; i < 5000; ++i) {
      if (on_shard(condition)) return true;
      ::usleep(2000);
    }
    return false;
  }

  /// A session that is taken up.
  void connect() {
    const S3Reply reply = client_->ask({.method = "POST", .path = "/", .query = {{"netstor-rdma", ""}}});
    const auto offer = s3::decode_rdma_offer(reply.fields.at("x-netstor-rdma-session"));
    ASSERT_TRUE(offer) << reply.body;
    session_ = offer->session;
    on_shard([this, &offer] {
      site_->endpoint->adopt_messages({}, {.session = offer->session, .ticket = offer->ticket}, "peer");
      return 0;
    });
  }
  S3Request by_rdma(const std::string& method, std::uint64_t length = kSize) {
    const s3::RdmaToken token{.session = session_,
                              .sequence = ++sequence_,
                              .expires_ms = 3'600'000,
                              .address = 4096,
                              .length = length,
                              .key = 1};
    return {.method = method,
            .path = "/photos/a",
            .fields = {{"x-amz-rdma-token", encode(token)}},
            .payload_hash = "UNSIGNED-PAYLOAD"};
  }
  void put() {
    const S3Reply reply = client_->ask({.method = "PUT",
                                        .path = "/photos/a",
                                        .fields = {{"content-type", "image/x"},
                                                   {"content-encoding", "x"},
                                                   {"cache-control", "max-age=60"},
                                                   {"x-amz-meta-who", "me"}},
                                        .body = std::string(kSize, 'x')});
    ASSERT_EQ(reply.status, 200) << reply.body;
  }
  /// An error in S3's words, and none of the object's.
  static void expect_error(const S3Reply& reply, int status) {
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(reply.fields.at("content-type"), "application/xml");
    EXPECT_NE(reply.code(), "");
    for (const char* name : {"etag", "content-encoding", "cache-control", "last-modified", "x-amz-meta-who",
                             "content-range", "accept-ranges"})
      EXPECT_FALSE(reply.fields.contains(name)) << name;
  }

  std::string folder_;
  std::optional<Runtime> runtime_;
  std::unique_ptr<store::ObjectStore> store_;
  std::unique_ptr<Site> site_;
  std::optional<S3Client> client_;
  s3::RdmaId session_{};
  std::uint64_t sequence_ = 0;
};

TEST_F(S3EndpointRdma, MovesObjectsWithoutABody) {
  put();
  connect();
  const S3Reply got = client_->ask(by_rdma("GET"));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, "");
  EXPECT_EQ(got.fields.at("x-amz-rdma-reply"), "200");
  EXPECT_EQ(got.fields.at("x-amz-rdma-bytes-transferred"), std::to_string(kSize));
  EXPECT_EQ(got.fields.at("content-type"), "image/x");
  // Whoever kept it would give an empty object to others.
  EXPECT_EQ(got.fields.at("cache-control"), "no-store");
  EXPECT_EQ(client_->ask({.method = "HEAD", .path = "/photos/a"}).fields.at("cache-control"), "max-age=60");
  EXPECT_EQ(client_->ask(by_rdma("PUT")).status, 200);
}

TEST_F(S3EndpointRdma, RefusalsSayNothingOfTheObject) {
  put();
  connect();
  S3Request request = by_rdma("GET", kSize - 1);
  S3Reply reply = client_->ask(request);
  expect_error(reply, 400);
  EXPECT_EQ(reply.fields.at("x-amz-rdma-reply"), "400");
  request = by_rdma("GET", 10);
  request.fields.emplace_back("range", "bytes=5-20");
  reply = client_->ask(request);
  expect_error(reply, 400);
  EXPECT_EQ(reply.fields.at("x-amz-rdma-reply"), "400");
}

// Over HTTP, too: what cannot be read is found out when all of the head is known.
TEST_F(S3EndpointRdma, ErrorsOfTheStoreSayNothingOfTheObject) {
  put();
  for (const auto& each : std::filesystem::recursive_directory_iterator(folder_)) {
    if (each.is_regular_file() && each.file_size() >= kSize) std::filesystem::resize_file(each.path(), 0);
  }
  expect_error(client_->ask({.path = "/photos/a"}), 500);
}

TEST_F(S3EndpointRdma, StopEndsATransferThatDoesNotMove) {
  put();
  connect();
  on_shard([this] { return site_->card.moves = false; });
  ASSERT_TRUE(client_->send(client_->text(by_rdma("GET"))));
  ASSERT_TRUE(soon([this] { return site_->card.waiting != 0; }));
  EXPECT_EQ(stop(std::chrono::milliseconds(100)), 0u);
  EXPECT_TRUE(client_->ended());
}

TEST_F(S3EndpointRdma, ClosedConnectionEndsItsSession) {
  connect();
  client_->hang_up();
  EXPECT_TRUE(soon([this] { return site_->card.links == 0; }));
}

// The time of either direction is HTTP's.
TEST_F(S3EndpointRdma, TransfersThatTakeTooLongEndTheSession) {
  TearDown();
  s3server::EndpointConfig config;
  config.http.body_timeout = std::chrono::seconds(1);
  start(config);
  connect();
  on_shard([this] { return site_->card.moves = false; });
  S3Reply reply = client_->ask(by_rdma("PUT"));
  expect_error(reply, 500);
  EXPECT_EQ(reply.fields.at("x-amz-rdma-reply"), "500");
  EXPECT_EQ(client_->ask(by_rdma("PUT")).fields.at("x-amz-rdma-reply"), "501");
  EXPECT_EQ(client_->ask({.path = "/photos/a"}).status, 404);

  TearDown();
  config = {};
  config.http.send_timeout = std::chrono::seconds(1);
  start(config);
  put();
  connect();
  on_shard([this] { return site_->card.moves = false; });
  reply = client_->ask(by_rdma("GET"));
  expect_error(reply, 500);
  EXPECT_EQ(reply.fields.at("x-amz-rdma-reply"), "500");
  EXPECT_EQ(client_->ask(by_rdma("GET")).fields.at("x-amz-rdma-reply"), "501");
  EXPECT_EQ(client_->ask({.path = "/photos/a"}).body.size(), kSize);
}

}  // namespace
}  // namespace netstor
