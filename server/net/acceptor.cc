// SPDX-License-Identifier: Apache-2.0

#include "server/net/acceptor.h"

#include "lib/base/assert.h"

namespace netstor::net {

namespace {

// Out of descriptors or memory: others will end some day, and asking at once does not help.
constexpr Duration kPauseAfterFailure = std::chrono::milliseconds(100);

}  // namespace

Acceptor::Acceptor(detail::Loop& loop, std::unique_ptr<Listener> listener, Deal deal, Warnings* warnings)
    : loop_(loop), listener_(std::move(listener)), deal_(std::move(deal)), warnings_(warnings) {
  op_.user = this;
  op_.complete = [](Op& op) noexcept { static_cast<Acceptor*>(op.user)->accepted(); };
  pause_.acceptor = this;
  pause_.fire = [](detail::Timer& timer) noexcept { static_cast<Pause&>(timer).acceptor->accept(); };
}

Acceptor::~Acceptor() { NETSTOR_ASSERT(!waiting_ && !pause_.armed()); }

void Acceptor::start() { accept(); }

void Acceptor::accept() {
  waiting_ = true;
  const Submit submitted = listener_->submit(op_);
  NETSTOR_ASSERT(submitted == Submit::accepted);
}

void Acceptor::accepted() {
  waiting_ = false;
  if (op_.result.ok) deal_(op_.ticket, op_.peer);
  if (closing_) return;
  if (op_.result.ok) return accept();
  if (warnings_ != nullptr) {
    warnings_->say(Warnings::Kind::accept, loop_.now(), [this] {
      return op_.result.error("accept on " + address().host + ":" + std::to_string(address().port)).text();
    });
  }
  loop_.arm(pause_, loop_.now() + kPauseAfterFailure);
}

void Acceptor::close() {
  closing_ = true;
  if (pause_.armed()) loop_.disarm(pause_);
  listener_->close();
}

}  // namespace netstor::net
