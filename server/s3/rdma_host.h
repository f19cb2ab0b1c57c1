// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where a client of S3 over RDMA is told to connect to. Pure.

#include <netstor/ext/driver.h>

#include <string>

namespace netstor::s3server {

/// Of an endpoint that listens there, as the system writes the address: an operator's text may be one that
/// the offer's grammar does not have (docs/formats/s3-rdma.md). Empty, which is the host of the HTTP
/// connection, where it listens everywhere.
[[nodiscard]] std::string rdma_host_to_offer(const Address& listening);

}  // namespace netstor::s3server
