// SPDX-License-Identifier: Apache-2.0
#pragma once
// The driver for volumes behind NVMe over Fabrics. It lives on the shard's own links ("tcp") and waits for
// nothing by itself.

#include <netstor/ext/driver.h>

namespace netstor {

Driver& nvmeof_driver() noexcept;     ///< NVMe/TCP
Driver& nvme_rdma_driver() noexcept;  ///< NVMe/RDMA

}  // namespace netstor
