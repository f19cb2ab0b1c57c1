// SPDX-License-Identifier: Apache-2.0
//
// What NVMe statuses mean to the caller.

#include "transports/nvme_status.h"

#include <gtest/gtest.h>

namespace netstor::nvme {
namespace {

// Linux's target answers with 183h where its store cannot do Write Zeroes or deallocate, although it offers
// them.
TEST(NvmeStatus, TakesTheSizeLimitForNotSupported) {
  const OpResult result = result_of(NvmStatus::command_size_limit_exceeded, StatusDialect::nvm, true);
  EXPECT_EQ(result.kind, ErrorKind::unsupported);
  EXPECT_EQ(result.effect, Effect::none);
  EXPECT_EQ(result.native, 0x183);
}

}  // namespace
}  // namespace netstor::nvme
