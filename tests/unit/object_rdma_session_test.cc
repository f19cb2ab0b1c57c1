// SPDX-License-Identifier: Apache-2.0
// The client's end of a session of S3 over RDMA: how long what it registers stays, and links that are gone
// before they are used. Over a card that only keeps books.

#include "lib/object/rdma_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace netstor::object {
namespace {

class Books;

class PaperLink final : public MessageLink {
 public:
  explicit PaperLink(Books& books) : books_(books) {}
  void observe(MessageObserver& who) noexcept override { observer = &who; }
  bool broken() const noexcept override { return is_broken; }
  Submit submit(MessageOp& op) override;
  std::optional<RemoteMemory> open_window(std::uint16_t, iovec memory, bool, MessageOp* opened) override;
  void window_ended(std::uint16_t) noexcept override {}
  bool has_windows() const noexcept override { return true; }
  bool reaches(const iovec* pieces, unsigned) const noexcept override {
    return !registered_around(*pieces).empty();
  }
  MutableBytes registered_around(iovec memory) const noexcept override;
  MutableBytes scratch() noexcept override { return {}; }
  void give_back(std::uint32_t) noexcept override {}
  std::uint32_t inline_bytes() const noexcept override { return 0; }
  unsigned room() const noexcept override { return 1; }
  unsigned transfer_works() const noexcept override { return 1; }
  const MessageGreeting& greeting() const noexcept override { return greeting_; }
  void close(Op& closed) override;
  std::string_view peer() const noexcept override { return "paper"; }
  std::string describe() const override { return "paper"; }

  bool is_broken = false;
  MessageObserver* observer = nullptr;

 private:
  Books& books_;
  MessageGreeting greeting_;
};

class Books final : public MessagePort {
 public:
  unsigned poll(unsigned) override {
    std::vector<Op*> now;
    now.swap(done);
    for (Op* const op : now) op->complete(*op);
    return static_cast<unsigned>(now.size());
  }
  void flush() override {}
  int fd() const noexcept override { return -1; }
  void sleep_until(Time) override {}
  void wake() noexcept override {}
  Result<void> register_memory(MutableBytes memory) override {
    if (refuses) return Error(ErrorKind::exhausted, "no more");
    registered.push_back(memory);
    return {};
  }
  void forget_memory(MutableBytes memory) noexcept override {
    const auto one = std::ranges::find_if(registered, [&](MutableBytes each) {
      return each.data() == memory.data() && each.size() == memory.size();
    });
    if (one != registered.end()) registered.erase(one);
  }
  Result<bool> hides_memory(const Address&) override { return true; }
  void connect_messages(MessageConnectOp& op) override {
    auto made = std::make_unique<PaperLink>(*this);
    made->is_broken = breaks;
    link = made.get();
    op.link = std::move(made);
    const auto welcome = encode(s3::RdmaStatus::accepted);
    std::ranges::copy(welcome, op.greeting.bytes);
    op.greeting.length = welcome.size();
    done.push_back(&op);
  }
  const MessageGreeting& asked(const Ticket&) const noexcept override { return greeting_; }
  Result<std::unique_ptr<MessageLink>> adopt_messages(const Ticket&, const MessageShape&,
                                                      std::span<const std::byte>,
                                                      std::span<const std::byte>) override {
    return Error(ErrorKind::unsupported, "no listener");
  }
  void refuse_messages(const Ticket&, std::span<const std::byte>) noexcept override {}

  std::vector<MutableBytes> registered;
  std::vector<Op*> done;
  PaperLink* link = nullptr;
  bool breaks = false;
  bool refuses = false;

 private:
  MessageGreeting greeting_;
};

Submit PaperLink::submit(MessageOp& op) {
  books_.done.push_back(&op);
  return Submit::accepted;
}

std::optional<RemoteMemory> PaperLink::open_window(std::uint16_t, iovec memory, bool, MessageOp* opened) {
  if (is_broken || registered_around(memory).empty()) return std::nullopt;
  books_.done.push_back(opened);
  return RemoteMemory{.address = 1, .key = 1};
}

MutableBytes PaperLink::registered_around(iovec memory) const noexcept {
  const auto* const begin = static_cast<const std::byte*>(memory.iov_base);
  const auto found = std::ranges::find_if(books_.registered, [&](MutableBytes each) {
    return begin >= each.data() && begin + memory.iov_len <= each.data() + each.size();
  });
  return found == books_.registered.end() ? MutableBytes{} : *found;
}

void PaperLink::close(Op& closed) { books_.done.push_back(&closed); }

struct Owner final : RdmaSession::Owner {
  void rdma_connected() override { ++connected; }
  void rdma_opened() override { ++opened; }
  void rdma_released() override { ++released; }
  void rdma_lost() override { ++lost; }
  void rdma_closed() override { ++closed; }
  int connected = 0, opened = 0, released = 0, lost = 0, closed = 0;
};

class ObjectRdmaSession : public testing::Test {
 protected:
  struct End {
    explicit End(ObjectRdmaSession& test)
        : session(test.books, test.loop, owner, {.port = 1, .host = "10.0.0.1"}, "", Time::max()) {
      test.books.poll(1);
    }
    Owner owner;
    RdmaSession session;
  };
  iovec bytes(std::size_t from, std::size_t count) {
    return {.iov_base = memory.data() + from, .iov_len = count};
  }
  void close(End& end) {
    end.session.close();
    books.poll(1);
    ASSERT_TRUE(end.session.closed());
  }

  std::vector<std::byte> memory = std::vector<std::byte>(4096);
  Books books;
  detail::ShardLoop loop{{.seed = 1, .io_driver = drivers()[0], .clock = &SteadyClock::instance()}};
};

TEST_F(ObjectRdmaSession, WhatTwoRequestsLieInStaysForTheSecond) {
  End first(*this), second(*this);
  ASSERT_TRUE(first.session.open(bytes(0, 4096), true, std::chrono::seconds(1)));
  ASSERT_TRUE(second.session.open(bytes(1024, 1024), false, std::chrono::seconds(1)));
  books.poll(1);
  first.session.release();
  books.poll(1);
  EXPECT_EQ(first.owner.released, 1);
  EXPECT_FALSE(books.link->registered_around(bytes(1024, 1024)).empty());
  second.session.release();
  books.poll(1);
  EXPECT_TRUE(books.registered.empty());
  close(first);
  close(second);
}

TEST_F(ObjectRdmaSession, WhatTheUserHasRegisteredOutlastsAForgettingInTheMiddle) {
  ASSERT_TRUE(books.register_memory(memory));
  End end(*this);
  ASSERT_TRUE(end.session.open(bytes(10, 10), true, std::chrono::seconds(1)));
  books.forget_memory(memory);
  EXPECT_EQ(books.registered.size(), 1U);
  close(end);
  EXPECT_TRUE(books.registered.empty());
}

TEST_F(ObjectRdmaSession, MemoryThatIsRefusedLeavesTheSession) {
  End end(*this);
  books.refuses = true;
  EXPECT_FALSE(end.session.open(bytes(0, 10), true, std::chrono::seconds(1)));
  EXPECT_FALSE(end.session.holds_memory());
  EXPECT_TRUE(end.session.connected());
  close(end);
}

TEST_F(ObjectRdmaSession, ALinkThatIsBrokenAlreadyIsNoSession) {
  books.breaks = true;
  End end(*this);
  EXPECT_EQ(end.owner.connected, 0);  // it is closed first
  books.poll(1);
  EXPECT_EQ(end.owner.connected, 1);
  EXPECT_FALSE(end.session.connected());
  EXPECT_TRUE(end.session.closed());
}

TEST_F(ObjectRdmaSession, ALinkThatBreaksIsNotConnected) {
  End end(*this);
  EXPECT_TRUE(end.session.connected());
  books.link->is_broken = true;
  EXPECT_FALSE(end.session.connected());
  books.link->observer->link_lost(OpResult::failure(ErrorKind::disconnected));
  EXPECT_EQ(end.owner.lost, 1);
  close(end);
  EXPECT_EQ(end.owner.closed, 1);
}

}  // namespace
}  // namespace netstor::object
