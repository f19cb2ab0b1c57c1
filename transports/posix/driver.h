// SPDX-License-Identifier: Apache-2.0
#pragma once
// The driver on epoll and a few threads: TCP links, local files and block devices, everywhere.

#include <netstor/ext/driver.h>

namespace netstor {

Driver& posix_driver() noexcept;

}  // namespace netstor
