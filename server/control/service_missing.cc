// SPDX-License-Identifier: Apache-2.0
// The service where this build lacks gRPC.

#include "server/control/service.h"

namespace netstor::control {

struct Service::Inside {
  std::optional<Address> listening;
};

bool Service::available(std::string* why_not) {
  *why_not = NETSTOR_WHY_NOT_ADMIN;
  return false;
}

Result<std::unique_ptr<Service>> Service::start(Manager&, ServiceOptions) {
  return Error(ErrorKind::unsupported,
               "this netstord was built without the admin service: " NETSTOR_WHY_NOT_ADMIN);
}

Service::Service(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Service::~Service() = default;
const std::optional<Address>& Service::listening() const noexcept { return inside_->listening; }

}  // namespace netstor::control
