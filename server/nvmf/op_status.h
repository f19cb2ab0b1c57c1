// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a host is told of a store's answer.

#include <netstor/ext/driver.h>

#include "lib/proto/nvme/controller_io.h"

namespace netstor::nvmf {

nvme::Status status_of(const OpResult& result, nvme::IoVerb verb) noexcept;

}  // namespace netstor::nvmf
