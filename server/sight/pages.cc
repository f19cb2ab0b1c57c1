// SPDX-License-Identifier: Apache-2.0

#include "server/sight/pages.h"

#include <thread>

#include "lib/base/assert.h"
#include "lib/engine/shard_loop.h"
#include "lib/wire/http/head_writer.h"
#include "server/net/shards.h"

namespace netstor::sight {

namespace {

http::ServerOptions options() {
  http::ServerOptions options;
  options.limits = {.line_bytes_max = 1024, .head_bytes_max = 8 * 1024, .fields_max = 64};
  options.idle_timeout = std::chrono::seconds(60);
  options.head_timeout = std::chrono::seconds(5);
  options.body_timeout = std::chrono::seconds(5);
  options.send_timeout = std::chrono::seconds(10);
  options.body_bytes_max = 64 * 1024;
  options.read_over_max = 64 * 1024;
  return options;
}

/// Freed from the run queue, so that nobody up the stack is inside it.
template <class T>
struct Burial : detail::Runnable {
  std::unique_ptr<T> gone;
};

}  // namespace

class Pages::Connection final : public net::HttpConnection {
 public:
  Connection(Pages& pages, std::unique_ptr<Link> link)
      : HttpConnection(*pages.context_, options(), std::move(link)), pages_(pages) {}

 private:
  Task<void> answer() override {
    const http::Method method = request().method;
    const std::string target(request().target);
    if (method != http::Method::get && method != http::Method::head) {
      page_ = {.status = 405, .content_type = "text/plain; charset=utf-8", .body = "GET and HEAD only\n"};
    } else {
      auto making = pages_.make_(std::string_view(target).substr(0, target.find('?')));
      Result<Page> made = co_await std::move(making);
      page_ = made ? *std::move(made)
                   : Page{.status = 500,
                          .content_type = "text/plain; charset=utf-8",
                          .body = made.error().text() + "\n"};
    }
    if (gone()) co_return ok();
    http::HeadWriter head(head_memory(512));
    head.status_line(page_.status);
    head.field("Server", "netstord");
    head.field("Content-Type", page_.content_type);
    head.field("Cache-Control", "no-store");
    if (page_.status == 405) head.field("Allow", "GET, HEAD");
    head.field("Content-Length", page_.body.size());
    if (will_close()) head.field("Connection", "close");
    if (!head.finish()) co_return ok();
    const iovec body{.iov_base = page_.body.data(), .iov_len = page_.body.size()};
    const bool has_body = method != http::Method::head && !page_.body.empty();
    respond({.head = head.written(), .body = &body, .body_pieces = has_body ? 1U : 0U});
    co_await sent();
    co_return ok();
  }
  void over() noexcept override { pages_.forget(*this); }

  Pages& pages_;
  Page page_;  // lent to the link while it is sent
};

Result<std::unique_ptr<Pages>> Pages::start(const Address& address, Make make) {
  // Which driver carries a few pages does not matter; this one is there in every container.
  auto runtime = Runtime::start({.shards = 1, .poll_budget = Duration::zero(), .io_driver = IoDriver::posix});
  if (!runtime) return std::move(runtime).error();
  std::unique_ptr<Pages> pages(new Pages(std::move(make)));
  pages->runtime_ = std::make_unique<Runtime>(*std::move(runtime));
  Pages* const made = pages.get();
  auto opened = pages->runtime_->shard(0).run_on([made, address] { return made->open(address); }).get();
  if (!opened) {
    pages->stopped_ = true;
    return std::move(opened).error();
  }
  pages->address_ = *opened;
  return pages;
}

Pages::Pages(Make make) : make_(std::move(make)) {}
Pages::~Pages() { NETSTOR_ASSERT(stopped_); }

Result<Address> Pages::open(const Address& address) {
  context_ = &detail::this_shard_loop();
  NETSTOR_TRY_RETURN(port_, context_->port("tcp"));
  NETSTOR_TRY_RETURN(std::unique_ptr<Listener> listener, port_->listen(address));
  acceptors_.push_back(std::make_unique<net::Acceptor>(
      context_->loop(), std::move(listener),
      [this](const Ticket& ticket, const std::string&) { adopt(ticket); }, nullptr));
  acceptors_.front()->start();
  return acceptors_.front()->address();
}

void Pages::adopt(const Ticket& ticket) {
  if (draining_ || connections_.size() >= kConnectionsMax) return port_->refuse(ticket);
  auto link = port_->adopt(ticket);
  if (!link) return;
  auto connection = std::make_unique<Connection>(*this, *std::move(link));
  Connection& started = *connection;
  connections_.emplace(&started, std::move(connection));
  started.start();
}

void Pages::forget(Connection& connection) {
  const auto found = connections_.find(&connection);
  if (found == connections_.end()) return;
  auto* const burial = new Burial<Connection>;
  burial->run = [](detail::Runnable& self) noexcept { delete static_cast<Burial<Connection>*>(&self); };
  burial->gone = std::move(found->second);
  connections_.erase(found);
  context_->loop().push(*burial);
}

Task<void> Pages::close(Duration grace) {
  draining_ = true;
  auto closing = net::close_all(acceptors_);
  auto closed = co_await std::move(closing);
  static_cast<void>(closed);
  std::vector<Connection*> all;
  for (const auto& [connection, owned] : connections_) all.push_back(connection);
  for (Connection* const each : all) each->drain(context_->loop().now() + grace);
  while (!connections_.empty()) {
    auto pause = sleep(std::chrono::milliseconds(1));
    auto paused = co_await std::move(pause);
    static_cast<void>(paused);
  }
  co_return ok();
}

bool Pages::stop(Duration grace) {
  auto closing = runtime_->shard(0).run_on([this, grace] { return close(grace); });
  const auto deadline = std::chrono::steady_clock::now() + grace + std::chrono::seconds(1);
  while (!closing.ready() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stopped_ = closing.ready();
  return stopped_;
}

}  // namespace netstor::sight
