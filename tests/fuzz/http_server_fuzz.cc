// SPDX-License-Identifier: Apache-2.0
//
// Any client against a Server. Each request is told once and ends once; nothing is written outside of the
// memory given; every answer that leaves is well-formed; the machine neither hangs nor goes in circles.
//
// Input: byte 0: cut (bits 0 to 2), the owner answers before the body (3), late (4), in chunks (5); byte 1:
// the size of the body's memory. Then what the client sends; FFh is a second that passes, FEh the owner's
// answer.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/assert.h"
#include "lib/proto/http/server.h"

namespace {

using namespace netstor;
using namespace netstor::http;
using std::chrono::seconds;

class Site {
 public:
  Site(std::uint8_t mode, std::size_t room)
      : server_({.limits = {.line_bytes_max = 500, .head_bytes_max = 4096},
                 .head_timeout = seconds(5),
                 .body_timeout = seconds(5),
                 .body_progress_bytes = 100,
                 .body_bytes_max = 5000,
                 .read_over_max = 200},
                now_),
        mode_(mode),
        room_(room) {}

  void feed(std::string_view bytes) {
    while (!bytes.empty() && !ended_) {
      settle();
      iovec pieces[4];
      const unsigned count = server_.want(pieces, 4);
      if (count == 0) {
        if (!answer_held()) return;
        continue;
      }
      const std::size_t step = std::size_t{1} << ((mode_ & 7) * 2);
      std::size_t at = 0;
      for (unsigned i = 0; i < count; ++i) {
        NETSTOR_ASSERT(pieces[i].iov_len != 0);
        const std::size_t take = std::min({pieces[i].iov_len, bytes.size() - at, step - at});
        std::memcpy(pieces[i].iov_base, bytes.data() + at, take);
        at += take;
      }
      bytes.remove_prefix(at);
      server_.received(at, now_);
    }
    settle();
  }
  void second() {
    now_ += seconds(1);
    if (now_ >= server_.deadline()) server_.tick(now_);
    settle();
  }
  bool answer_held() {
    if (!open_ || replying_ || ended_) return false;
    answer();
    settle();
    return true;
  }
  void finish() {
    while (answer_held()) continue;
    server_.peer_closed();
    settle();
    while (answer_held()) continue;
    if (!ended_) second();
    for (int i = 0; i < 100 && !ended_; ++i) second();
    NETSTOR_ASSERT(ended_);
  }

 private:
  void settle() {
    for (int turns = 0; !ended_; ++turns) {
      NETSTOR_ASSERT(turns < 100'000);
      const Server::Event event = server_.next();
      on(event);
      if (event != Server::Event::more) continue;
      SendBatch batch;
      if (!server_.gather(batch, now_)) return;
      const iovec& first = batch.pieces()[0];
      if (!replying_ || at_head_)
        NETSTOR_ASSERT(first.iov_len > 9 && std::memcmp(first.iov_base, "HTTP/1.1 ", 9) == 0);
      at_head_ = false;
      server_.batch_sent(now_);
    }
  }
  void on(Server::Event event) {
    switch (event) {
      case Server::Event::request:
        NETSTOR_ASSERT(!open_ && !server_.request().target.empty());
        open_ = true;
        whole_ = replying_ = false;
        if ((mode_ & 8) != 0) answer();
        break;
      case Server::Event::body_full:
        NETSTOR_ASSERT(open_ && !whole_ && !replying_);
        memory_.assign(room_, 0);
        piece_ = {.iov_base = memory_.data(), .iov_len = room_};
        server_.take_body(&piece_, 1, now_);
        break;
      case Server::Event::body_done:
        NETSTOR_ASSERT(open_ && !whole_ && !replying_);
        whole_ = true;
        if ((mode_ & 16) == 0) answer();
        break;
      case Server::Event::sent:
        NETSTOR_ASSERT(open_ && replying_);
        if (server_.replied())
          open_ = replying_ = false;
        else
          server_.add_reply(nullptr, 0, true);
        break;
      case Server::Event::dropped:
        NETSTOR_ASSERT(open_ && !replying_);
        open_ = false;
        break;
      case Server::Event::ended:
        ended_ = true;
        break;
      case Server::Event::more:
        break;
    }
  }
  void answer() {
    replying_ = at_head_ = true;
    head_ = server_.will_close() ? "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\n";
    reply_ = {.iov_base = text_.data(), .iov_len = text_.size()};
    server_.respond({.head = std::as_bytes(std::span(head_)),
                     .body = &reply_,
                     .body_pieces = 1,
                     .body_follows = (mode_ & 64) != 0,
                     .chunked = (mode_ & 32) != 0},
                    now_);
  }

  Time now_{};
  Server server_;
  std::uint8_t mode_;
  std::size_t room_;
  bool open_ = false;   // a request is with the owner
  bool whole_ = false;  // its body is here
  bool replying_ = false;
  bool at_head_ = false;
  bool ended_ = false;
  std::vector<char> memory_;
  iovec piece_{};
  iovec reply_{};
  std::string head_;
  std::string text_ = "reply";
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 16'384) return 0;
  Site site(data[0], data[1] + 1u);
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\xff\xfe"), text.size());
    site.feed(text.substr(0, end));
    text.remove_prefix(end);
    if (text.empty()) break;
    if (text.front() == '\xff')
      site.second();
    else
      (void)site.answer_held();
    text.remove_prefix(1);
  }
  site.finish();
  return 0;
}
