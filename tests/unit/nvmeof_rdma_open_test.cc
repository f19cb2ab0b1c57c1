// SPDX-License-Identifier: Apache-2.0
// An NVMe/RDMA volume that is being opened when nobody wants it any more. Over a card that only keeps books.

#include "lib/engine/shard_loop.h"
#include "tests/unit/paper_card.h"
#include "transports/nvmeof/port.h"

#include <netstor/volume.h>

#include <gtest/gtest.h>

namespace netstor::nvmeof {
namespace {

class NvmeofRdmaOpen : public testing::Test {
 protected:
  NvmeofRdmaOpen() {
    detail::current_loop = &loop;
    card.is_silent = true;
    open.uri = "nvme+rdma://10.0.0.1:4420/nqn.2014-08.org.nvmexpress:disk";
    discover.uri = "nvme+rdma://10.0.0.1:4420";
    for (Op* const op : {static_cast<Op*>(&open), static_cast<Op*>(&discover)}) {
      op->user = this;
      op->complete = [](Op& done) noexcept { ++static_cast<NvmeofRdmaOpen*>(done.user)->completions; };
    }
  }
  ~NvmeofRdmaOpen() override { detail::current_loop = nullptr; }

  /// The card's answer, what it sets going, and what that ends with.
  void turn() {
    card.poll(1);
    loop.run_once();
    port.poll(1);
  }

  PaperCard card;
  detail::ShardLoop loop{{.seed = 1, .io_driver = drivers()[0], .clock = &SteadyClock::instance()}};
  NvmeofPort port{loop, nullptr, &card};
  OpenOp open;
  DiscoverOp discover;
  int completions = 0;
};

TEST_F(NvmeofRdmaOpen, StopsTheConnectThatItWaitsFor) {
  port.open(open);
  ASSERT_EQ(card.silent.size(), 1U);
  port.cancel_open(open);
  port.cancel_open(open);  // it is on its way home: there is nothing left to do
  EXPECT_TRUE(card.silent.empty());
  EXPECT_EQ(completions, 0) << "completed inside cancel_open()";
  turn();
  ASSERT_EQ(completions, 1);
  EXPECT_EQ(open.result.kind, ErrorKind::cancelled);
  EXPECT_NE(open.detail.find("connect to 10.0.0.1 port 4420"), std::string::npos) << open.detail;
  port.cancel_open(open);
}

TEST_F(NvmeofRdmaOpen, StopsTheConnectOfADiscovery) {
  std::vector<DiscoveredSubsystem> found;
  discover.found = &found;
  port.discover(discover);
  ASSERT_EQ(card.silent.size(), 1U);
  port.cancel_discover(discover);
  turn();
  ASSERT_EQ(completions, 1);
  EXPECT_EQ(discover.result.kind, ErrorKind::cancelled);
}

}  // namespace
}  // namespace netstor::nvmeof
