// SPDX-License-Identifier: Apache-2.0
// The manager of a running server, without its admin service: what is refused for volumes whose removal is
// not at its end.

#include "server/control/manager.h"

#include "tests/unit/store_support.h"

namespace netstor {
namespace {

constexpr const char* kNqn = "nqn.2026-01.com.example:shared";

class ManagerOfVolumes : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<control::ServedVolume> volumes;
    for (const char* const name : {"good", "removed", "unmade"}) {
      const auto record = state.create({.name = name, .nqn = {}, .size_bytes = 1 << 20}).value();
      volumes.push_back({.record = record, .stored = *store::open_volume(record)});
    }
    volumes.back().unmade = true;
    manager = control::Manager::open(state, std::move(volumes)).value();
    manager->serve({.target = target.get(), .hosts = {}, .keys = {}}).value();
    manager->create_subsystem(kNqn, {.serial = "1", .owner = {}, .hosts = {}, .volumes = {}}).value();
    // As a deletion that could not go on leaves it.
    state.remove("removed").value();
  }
  void TearDown() override { target->stop(std::chrono::milliseconds(100)).get().value(); }

  template <class T>
  static void expect_told_to_delete(const Result<T>& answer) {
    ASSERT_FALSE(answer.ok());
    EXPECT_NE(answer.error().text().find("delete it again"), std::string::npos) << answer.error();
  }

  store::TemporaryFolder folder;
  store::StateDirectory state = *store::StateDirectory::open(folder.path() + "/state");
  Runtime runtime = *Runtime::start({.io_driver = IoDriver::posix});
  std::unique_ptr<control::Manager> manager;
  std::unique_ptr<nvmf::Target> target = *nvmf::Target::start(runtime, {});
};

TEST_F(ManagerOfVolumes, OnesThatAreBeingRemovedAreNotAttached) {
  for (const char* const name : {"removed", "unmade"}) expect_told_to_delete(manager->attach(kNqn, name, 0));
  EXPECT_EQ(manager->attach(kNqn, "none", 0).error().kind(), ErrorKind::not_found);
  const auto attached = manager->attach(kNqn, "good", 0).value().namespaces;
  EXPECT_EQ(attached, (decltype(attached){{1, "good"}}));
}

TEST_F(ManagerOfVolumes, OnesThatAreBeingRemovedAreNotChanged) {
  for (const char* const name : {"removed", "unmade"}) {
    const std::string nqn = manager->volume(name).value().record.identity.nqn;
    expect_told_to_delete(manager->resize_volume(name, 2 << 20, false));
    expect_told_to_delete(manager->rename_volume(name, "another"));
    expect_told_to_delete(manager->delete_subsystem(nqn, true));
    EXPECT_EQ(manager->volume(name).value().record.size_bytes, 1U << 20);
    EXPECT_TRUE(manager->delete_volume(name, false).ok());
  }
}

}  // namespace
}  // namespace netstor
