// SPDX-License-Identifier: Apache-2.0
//
// Discovery services that are wrong or silent.

#include "lib/wire/fabrics/discovery.h"
#include "tests/faults/host_fault_support.h"

namespace netstor::faults {
namespace {

class HostDiscoveryFault : public HostFault {
 protected:
  /// `log`: the header of the nth answer.
  void serve(std::function<DiscoveryHeader(unsigned)> log) {
    target.on_command([log = std::move(log), asked = 0u](Peer& peer, const Command& command) mutable {
      if (command.is_fabrics() || command.admin_opcode() != AdminOpcode::get_log_page) return false;
      ByteVector page(std::max<std::size_t>(decode_get_log_page(command).bytes, kDiscoveryHeaderBytes));
      encode(log(asked++), std::span(page).first<kDiscoveryHeaderBytes>());
      page.resize(decode_get_log_page(command).bytes);
      peer.send(peer.answers().data(command.cid(), 0, page, true, true));
      return true;
    });
  }
  void expect_no_list(ErrorKind kind, const std::string& why, const VolumeOptions& with = options()) {
    const auto found = discover(*runtime, target.service(), with).get();
    ASSERT_FALSE(found.ok());
    expect_error(found.error(), kind, Effect::none, {"discover " + target.service(), why});
  }
};

TEST_F(HostDiscoveryFault, MoreRecordsThanThereCanBe) {
  serve([](unsigned) { return DiscoveryHeader{.numrec = ~std::uint64_t{0} / 1024}; });
  expect_no_list(ErrorKind::protocol, "records");
}
TEST_F(HostDiscoveryFault, UnknownRecordFormat) {
  serve([](unsigned) { return DiscoveryHeader{.recfmt = 7}; });
  expect_no_list(ErrorKind::unsupported, "record format");
}
TEST_F(HostDiscoveryFault, LogThatNeverStopsChanging) {
  serve([](unsigned nth) { return DiscoveryHeader{.genctr = nth}; });
  expect_no_list(ErrorKind::exhausted, "try again");
}
TEST_F(HostDiscoveryFault, EntriesOfNonsense) {
  target.on_command([](Peer& peer, const Command& command) {
    if (command.is_fabrics() || command.admin_opcode() != AdminOpcode::get_log_page) return false;
    const GetLogPage asked = decode_get_log_page(command);
    ByteVector log(kDiscoveryHeaderBytes + 2 * kDiscoveryEntryBytes, std::byte{0xFF});
    encode(DiscoveryHeader{.numrec = 2}, std::span(log).first<kDiscoveryHeaderBytes>());
    peer.send(
        peer.answers().data(command.cid(), 0, std::span(log).subspan(asked.offset, asked.bytes), true, true));
    return true;
  });
  const auto found = discover(*runtime, target.service(), options()).get();
  ASSERT_TRUE(found) << found.error();
  EXPECT_TRUE(found->empty());
}
TEST_F(HostDiscoveryFault, Silence) {
  target.on_command([](Peer&, const Command& command) {
    return !command.is_fabrics() && command.admin_opcode() == AdminOpcode::get_log_page;
  });
  VolumeOptions hasty = options();
  hasty.connect_timeout = std::chrono::milliseconds(100);
  expect_no_list(ErrorKind::timed_out, "timed out", hasty);
}
TEST_F(HostDiscoveryFault, ConnectionThatCloses) {
  target.on_command([](Peer& peer, const Command& command) {
    if (command.is_fabrics() || command.admin_opcode() != AdminOpcode::get_log_page) return false;
    peer.close();
    return true;
  });
  expect_no_list(ErrorKind::disconnected, "Get Log Page of 127.0.0.1");
}

}  // namespace
}  // namespace netstor::faults
