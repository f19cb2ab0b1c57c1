// SPDX-License-Identifier: Apache-2.0
#pragma once
// One command and its answer, awaited: what bringing a controller up is made of. Not for I/O.

#include <netstor/task.h>

#include "lib/engine/arrival.h"
#include "transports/nvme_status.h"
#include "transports/nvmeof/connection.h"
#include "transports/nvmeof/port.h"

namespace netstor::nvmeof {

struct Answer {
  std::uint64_t result = 0;
  std::uint16_t sqhd = 0;
};

/// Of a controller that comes up or goes nothing is wanted but its answers: who does not want this one any
/// more does not want the connection. One that serves must not lose it to a cancel: there, await it detached.
struct GiveUp {
  Connection& connection;
  void operator()() const noexcept { connection.give_up(OpResult::failure(ErrorKind::cancelled)); }
};

class Exchange : public nvme::HostRequest {
 public:
  Exchange(Connection& connection, const nvme::Command& command)
      : connection_(connection), answer_(GiveUp{connection}) {
    sqe = command;
    pieces = &piece_;
    done = [](nvme::HostRequest& self) noexcept { static_cast<Exchange&>(self).answer_.arrived(); };
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void carry(MutableBytes data, nvme::Transfer direction) {
    piece_ = {.iov_base = data.data(), .iov_len = data.size()};
    piece_count = 1;
    length = static_cast<std::uint32_t>(data.size());
    transfer = direction;
  }

  /// False: it is lost already.
  bool submit() { return connection_.open() && connection_.queue().submit(*this); }
  /// To be awaited when it was submitted.
  Arrival<GiveUp>& answer() noexcept { return answer_; }

 private:
  Connection& connection_;
  iovec piece_{};
  Arrival<GiveUp> answer_;
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
  Arrival<GiveUp>& answered = exchange.answer();
  if (exchange.submit()) co_await answered;
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
