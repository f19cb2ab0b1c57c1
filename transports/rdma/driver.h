// SPDX-License-Identifier: Apache-2.0
#pragma once
// Message links on any verbs device, by libibverbs and librdmacm.

namespace netstor {

class Driver;
Driver& rdma_driver() noexcept;

}  // namespace netstor
