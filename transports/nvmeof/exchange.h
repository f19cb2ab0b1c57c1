// SPDX-License-Identifier: Apache-2.0
#pragma once
// One command and its answer, awaited: what bringing a controller up is made of. Not for I/O.

#include <netstor/task.h>

#include "transports/nvme_status.h"
#include "transports/nvmeof/connection.h"
#include "transports/nvmeof/port.h"

namespace netstor::nvmeof {

struct Answer {
  std::uint64_t result = 0;
  std::uint16_t sqhd = 0;
};

/// `co_await` submits it and goes on from the run queue when it is done.
class Exchange : public nvme::HostRequest, detail::Runnable {
 public:
  Exchange(Connection& connection, const nvme::Command& command) : connection_(connection) {
    sqe = command;
    pieces = &piece_;
    done = [](nvme::HostRequest& self) noexcept {
      auto& exchange = static_cast<Exchange&>(self);
      exchange.connection_.port().loop().push(exchange);
    };
    run = [](Runnable& self) noexcept { static_cast<Exchange&>(self).waiting_.resume(); };
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void carry(MutableBytes data, nvme::Transfer direction) {
    piece_ = {.iov_base = data.data(), .iov_len = data.size()};
    piece_count = 1;
    length = static_cast<std::uint32_t>(data.size());
    transfer = direction;
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> handle) noexcept {
    waiting_ = handle;
    return connection_.open() && connection_.queue().submit(*this);
  }
  void await_resume() const noexcept {}

 private:
  Connection& connection_;
  iovec piece_{};
  std::coroutine_handle<> waiting_;
};

/// The answer, or why there is none; `what` is for people. A status that is not success is an error. Not
/// `whole`: `data` is room for what may be less.
inline Task<Answer> execute(Connection& connection, const char* what, nvme::Command command, Duration limit,
                            MutableBytes data = {}, nvme::Transfer direction = nvme::Transfer::none,
                            bool whole = true) {
  Exchange exchange(connection, command);
  if (!data.empty()) exchange.carry(data, direction);
  exchange.whole = whole;
  exchange.deadline = connection.port().loop().now() + limit;
  co_await exchange;
  if (exchange.outcome == nvme::HostOutcome::corrupt) {
    co_return Error(ErrorKind::data_corrupt, std::string(what) + ": data digest error");
  }
  if (exchange.outcome != nvme::HostOutcome::answered) {
    co_return connection.error(what);
  }
  if (!exchange.status.ok()) {
    const auto dialect = command.is_fabrics() ? nvme::StatusDialect::fabrics : nvme::StatusDialect::nvm;
    co_return error_of(exchange.status, dialect, what, exchange.result);
  }
  co_return Answer{.result = exchange.result, .sqhd = exchange.sqhd};
}

}  // namespace netstor::nvmeof
