// SPDX-License-Identifier: Apache-2.0
// Volumes that are changed in the state directory, and the records of the control plane: what a crash between
// two steps leaves, and that reading changes nothing.

#include "server/control/control_state.h"
#include "server/store/record_store.h"
#include "server/store/safe_file.h"
#include "server/store/state_directory.h"
#include "server/store/volume_record.h"
#include "tests/unit/store_support.h"

#include <fstream>
#include <map>

namespace netstor {
namespace {

namespace fs = std::filesystem;
using store::RecordStore;
using store::StateDirectory;

class StateChange : public ::testing::Test {
 protected:
  static store::VolumeSpec spec(std::string name) {
    return {.name = std::move(name), .nqn = {}, .size_bytes = 1 << 20, .block_bytes = 512};
  }
  std::map<std::string, std::string> everything(const std::string& below) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(path + below)) {
      if (entry.is_regular_file()) all[entry.path()] = *store::read_small_file(entry.path(), 4 << 20);
    }
    return all;
  }

  store::TemporaryFolder folder;
  std::string path = folder.path() + "/state";
};

TEST_F(StateChange, RenamesAndKeepsWhoTheVolumeIs) {
  store::VolumeRecord made;
  {
    auto state = *StateDirectory::open(path);
    made = *state.create(spec("old"));
    ASSERT_TRUE(state.create(spec("other")).ok());
    EXPECT_EQ(state.rename("old", "other").error().kind(), ErrorKind::already_exists);
    EXPECT_EQ(state.rename("none", "x").error().kind(), ErrorKind::not_found);
    const auto renamed = state.rename("old", "zz");
    ASSERT_TRUE(renamed.ok()) << renamed.error();
    EXPECT_EQ(state.volumes().back().identity.name, "zz");
    EXPECT_TRUE(fs::exists(renamed->data_path));
  }
  const auto state = *StateDirectory::open(path);
  EXPECT_EQ(state.find("old"), nullptr);
  ASSERT_NE(state.find("zz"), nullptr);
  EXPECT_EQ(state.find("zz")->identity.uuid, made.identity.uuid);
  EXPECT_EQ(state.find("zz")->identity.nqn, made.identity.nqn);
}

TEST_F(StateChange, ARenameThatWasCutOffHasNotHappened) {
  {
    auto state = *StateDirectory::open(path);
    store::VolumeRecord record = *state.create(spec("old"));
    record.identity.name = "new";
    ASSERT_TRUE(store::replace_file(path + "/volumes/old/volume.json", encode_volume(record, "old")).ok());
  }
  auto state = StateDirectory::open(path);
  ASSERT_TRUE(state.ok()) << state.error();
  EXPECT_NE(state->find("old"), nullptr);
  EXPECT_EQ(state->find("new"), nullptr);
  EXPECT_TRUE(state->rename("old", "new").ok());
}

TEST_F(StateChange, ARemovedVolumeWaitsUntilNobodyRefersToIt) {
  std::array<std::uint8_t, 16> uuid{};
  {
    auto state = *StateDirectory::open(path);
    uuid = state.create(spec("v"))->identity.uuid;
    ASSERT_TRUE(state.remove("v").ok());
    EXPECT_EQ(state.find("v"), nullptr);
    EXPECT_TRUE(state.create(spec("v")).ok());
  }
  auto state = *StateDirectory::open(path);
  ASSERT_EQ(state.removed().size(), 1U);
  EXPECT_EQ(state.removed()[0], uuid);
  EXPECT_NE(state.find("v")->identity.uuid, uuid);
  const std::string gone = state.take_removed(uuid);
  EXPECT_TRUE(state.removed().empty());
  EXPECT_TRUE(fs::exists(gone));  // whoever took it discards it, while others go on
  ASSERT_TRUE(StateDirectory::discard(gone).ok());
  EXPECT_TRUE(StateDirectory::discard(gone).ok());
  EXPECT_EQ(StateDirectory::open(path).error().kind(), ErrorKind::already_exists);  // held by `state`
  EXPECT_FALSE(fs::exists(path + "/volumes/.gone-" + store::uuid_text(uuid)));
}

TEST_F(StateChange, OneThatIsTakenLeavesTheOthersToThoseWhoStillReferToThem) {
  auto state = *StateDirectory::open(path);
  const auto a = state.create(spec("a"))->identity.uuid;
  const auto b = state.create(spec("b"))->identity.uuid;
  ASSERT_TRUE(state.remove("a").ok());
  ASSERT_TRUE(state.remove("b").ok());
  ASSERT_TRUE(StateDirectory::discard(state.take_removed(b)).ok());
  ASSERT_EQ(state.removed().size(), 1U);
  EXPECT_EQ(state.removed()[0], a);
  EXPECT_TRUE(fs::exists(path + "/volumes/.gone-" + store::uuid_text(a)));
}

TEST_F(StateChange, WhatIsDiscardedInStepsCanBeStoppedAndTriedAgain) {
  const std::string gone = path + "/gone";
  fs::create_directories(gone);
  ASSERT_TRUE(store::make_sparse_file(gone + "/data", std::uint64_t{200} << 30).ok());
  std::stop_source stop;
  stop.request_stop();
  ASSERT_TRUE(StateDirectory::discard(gone, stop.get_token()).ok());
  EXPECT_EQ(fs::file_size(gone + "/data"), std::uint64_t{200} << 30);
  ASSERT_TRUE(StateDirectory::discard(gone).ok());
  EXPECT_FALSE(fs::exists(gone));
}

TEST_F(StateChange, ResizesAndRemembersAVolumeWithoutItsOwnSubsystem) {
  {
    auto state = *StateDirectory::open(path);
    ASSERT_TRUE(state.create(spec("v")).ok());
    ASSERT_TRUE(store::grow_sparse_file(path + "/volumes/v/data", 4 << 20).ok());
    EXPECT_EQ(state.resize("v", 4 << 20)->size_bytes, 4U << 20);
    EXPECT_FALSE(state.requires_control());
    EXPECT_FALSE(state.set_own_subsystem("v", false)->own_subsystem);
    EXPECT_TRUE(state.requires_control());
  }
  const auto state = *StateDirectory::open(path);
  EXPECT_EQ(state.find("v")->size_bytes, 4U << 20);
  EXPECT_FALSE(state.find("v")->own_subsystem);
  EXPECT_TRUE(state.requires_control());
}

TEST_F(StateChange, RecordsAreThereWhollyAndReadingTouchesNothing) {
  ASSERT_TRUE(StateDirectory::open(path).ok());
  const std::string records = path + "/control";
  {
    auto store = *RecordStore::open(records);
    EXPECT_FALSE(fs::exists(records));
    ASSERT_TRUE(store->commit({{"a", "1"}, {"b", "2"}}).ok());
    ASSERT_TRUE(store->commit({{"a", std::nullopt}, {"c", std::string(1, '\0')}}).ok());
  }
  const auto before = everything("/control");
  {
    const auto store = RecordStore::open(records);
    ASSERT_TRUE(store.ok()) << store.error();
    EXPECT_EQ((*store)->records(), (RecordStore::Records{{"b", "2"}, {"c", std::string(1, '\0')}}));
  }
  EXPECT_EQ(everything("/control"), before);
}

TEST_F(StateChange, RecordsOfANewerVersionAndDamagedOnesAreRefused) {
  ASSERT_TRUE(StateDirectory::open(path).ok());
  const std::string records = path + "/control";
  {
    auto store = *RecordStore::open(records);
    ASSERT_TRUE(store->commit({{"format", R"({"format": "netstord-control", "version": 3})"}}).ok());
  }
  EXPECT_EQ(RecordStore::open(records).error().kind(), ErrorKind::unsupported);
  fs::remove_all(records);
  fs::create_directory(records);
  EXPECT_EQ(RecordStore::open(records).error().kind(), ErrorKind::data_corrupt);
}

// A netstord that knows version 1 alone would take a key that ends for one that holds for good.
TEST_F(StateChange, AKeyThatEndsRaisesTheVersionForGood) {
  const auto version = [this] { return (*RecordStore::open(path + "/control"))->version(); };
  const std::string nqn = "nqn.2026-01.com.example:h";
  const control::HostRecord host{.secret = {}, .controller_secret = {}};
  const auto change = [&](std::int64_t until_ms) {
    auto directory = *StateDirectory::open(path);
    auto state = *control::ControlState::open(directory);
    auto ends = host;
    ends.until_ms = until_ms;
    ASSERT_TRUE(state->set_host(nqn, ends).ok());
  };
  change(0);
  EXPECT_EQ(version(), 1U);
  change(1);
  EXPECT_EQ(version(), 2U);
  {
    auto directory = *StateDirectory::open(path);
    EXPECT_EQ((*control::ControlState::open(directory))->hosts().at(nqn).until_ms, 1);
  }
  change(0);
  EXPECT_EQ(version(), 2U);
}

TEST_F(StateChange, TheControlStateReadsWhatItWroteAndNamesADamagedRecord) {
  const std::string nqn = "nqn.2026-01.com.example:s";
  const control::SubsystemRecord record{
      .serial = "S", .any_host = false, .hosts = {"nqn.2026-01.com.example:h"}, .volumes = {}};
  {
    auto directory = *StateDirectory::open(path);
    auto state = *control::ControlState::open(directory);
    ASSERT_TRUE(state->set_subsystem(nqn, record).ok());
    ASSERT_TRUE(state->set_key("ID", control::KeyRecord{"me", std::string(16, 's'), "rwl:*", false}).ok());
    ASSERT_TRUE(state->set_listener({.host = "::1", .port = 4420, .advertise = {}}, true).ok());
    EXPECT_TRUE(directory.requires_control());
  }
  {
    auto directory = *StateDirectory::open(path);
    const auto state = control::ControlState::open(directory);
    ASSERT_TRUE(state.ok()) << state.error();
    EXPECT_EQ((*state)->subsystems().at(nqn), record);
    EXPECT_FALSE((*state)->keys().at("ID").enabled);
    EXPECT_EQ((*state)->listeners().count("[::1]:4420"), 1U);
  }
  {
    auto store = *RecordStore::open(path + "/control");
    ASSERT_TRUE(store->commit({{"host/nqn.2026-01.com.example:h", R"({"secret": "no"})"}}).ok());
  }
  auto directory = *StateDirectory::open(path);
  const auto state = control::ControlState::open(directory);
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().kind(), ErrorKind::data_corrupt);
  EXPECT_NE(state.error().text().find("host/nqn.2026-01.com.example:h"), std::string::npos) << state.error();
}

}  // namespace
}  // namespace netstor
