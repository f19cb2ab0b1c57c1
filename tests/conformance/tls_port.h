// SPDX-License-Identifier: Apache-2.0
#pragma once
// A port whose links speak TLS, so that TlsLink is held to the same contract as the link below it: the
// connecting end is the client, the adopting one the server.

#include "tests/unit/tls_certificates.h"
#include "transports/tls_link.h"

#include <list>

namespace netstor::conformance {

class TlsPort final : public Port {
 public:
  TlsPort(Port& below, detail::Loop& loop, Metrics& metrics, const tls::Certificates& certificates)
      : below_(below), loop_(loop), metrics_(metrics) {
    client_ = tls::Context::make({.ca_file = certificates.certificate("alone")}).value();
    server_ = tls::Context::make({.role = tls::Role::server,
                                  .certificate_file = certificates.certificate("alone"),
                                  .key_file = certificates.key("alone")})
                  .value();
  }

  unsigned poll(unsigned max) override { return below_.poll(max); }
  void flush() override { below_.flush(); }
  int fd() const noexcept override { return below_.fd(); }
  void sleep_until(Time deadline) override { below_.sleep_until(deadline); }
  void wake() noexcept override { below_.wake(); }
  Result<void> register_memory(MutableBytes memory) override { return below_.register_memory(memory); }
  void forget_memory(MutableBytes memory) noexcept override { below_.forget_memory(memory); }
  Result<std::unique_ptr<Listener>> listen(const Address& address) override { return below_.listen(address); }
  void refuse(const Ticket& ticket) noexcept override { below_.refuse(ticket); }

  void connect(ConnectOp& op) override {
    Dial& dial = dials_.emplace_back();
    dial.port = this;
    dial.asked = &op;
    dial.address = op.address;
    dial.deadline = op.deadline;
    dial.complete = [](Op& done) noexcept {
      auto& self = static_cast<Dial&>(done);
      if (self.link) self.asked->link = self.port->wrap(std::move(self.link), self.port->client_);
      self.asked->result = self.result;
      self.asked->complete(*self.asked);
    };
    below_.connect(dial);
  }
  void cancel_connect(ConnectOp& op) override {
    for (Dial& dial : dials_) {
      if (dial.asked == &op) below_.cancel_connect(dial);
    }
  }
  Result<std::unique_ptr<Link>> adopt(const Ticket& ticket) override {
    auto link = below_.adopt(ticket);
    if (!link) return std::move(link).error();
    return wrap(*std::move(link), server_);
  }

 private:
  struct Dial : ConnectOp {
    TlsPort* port = nullptr;
    ConnectOp* asked = nullptr;
  };
  std::unique_ptr<Link> wrap(std::unique_ptr<Link> link, const std::shared_ptr<const tls::Context>& context) {
    auto made = std::make_unique<TlsLink>(loop_, metrics_, std::move(link),
                                          std::make_unique<tls::Session>(context, "localhost"));
    made->start(nullptr);
    return made;
  }
  Port& below_;
  detail::Loop& loop_;
  Metrics& metrics_;
  std::shared_ptr<const tls::Context> client_;
  std::shared_ptr<const tls::Context> server_;
  std::list<Dial> dials_;
};

}  // namespace netstor::conformance
