// SPDX-License-Identifier: Apache-2.0
// The state directory: what is remembered, and what is refused without being touched.

#include "server/store/safe_file.h"
#include "server/store/state_directory.h"
#include "server/store/volume_record.h"
#include "tests/unit/store_support.h"

#include <fstream>
#include <map>

namespace netstor::store {
namespace {

namespace fs = std::filesystem;

class State : public ::testing::Test {
 protected:
  VolumeSpec spec(std::string name, StoreKind kind = StoreKind::file) const {
    return {.name = std::move(name), .nqn = {}, .kind = kind, .size_bytes = 1 << 20, .block_bytes = 512};
  }
  void overwrite(const std::string& what, std::string_view text) const {
    std::ofstream(path + "/" + what, std::ios::trunc) << text;
  }
  std::string content(const std::string& what) const { return *read_small_file(path + "/" + what, 1 << 20); }
  /// Every file with its bytes, but for the lock, whose only word is the process's number.
  std::map<std::string, std::string> everything() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.path().filename() == "lock") continue;
      all[entry.path()] = entry.is_regular_file() ? *read_small_file(entry.path(), 4 << 20) : "";
    }
    return all;
  }
  /// Opening is refused so, and leaves everything as it was.
  void expect_refusal(ErrorKind kind, const std::string& words) {
    const auto before = everything();
    const auto state = StateDirectory::open(path);
    ASSERT_FALSE(state.ok());
    EXPECT_EQ(state.error().kind(), kind) << state.error();
    EXPECT_NE(state.error().text().find(words), std::string::npos) << state.error();
    EXPECT_EQ(everything(), before);
  }

  TemporaryFolder folder;
  std::string path = folder.path() + "/deep/er/state";
};

TEST_F(State, RemembersVolumesAndWhoTheyAre) {
  std::vector<VolumeRecord> made;
  {
    auto state = *StateDirectory::open(path);
    EXPECT_TRUE(state.volumes().empty());
    made.push_back(*state.create(spec("b.file")));
    made.push_back(*state.create(spec("c_memory", StoreKind::memory)));
    auto with_nqn = spec("a-null", StoreKind::null);
    with_nqn.nqn = "nqn.2020-01.org.example:mine";
    made.insert(made.begin(), *state.create(with_nqn));
    EXPECT_EQ(state.volumes().size(), 3U);
  }
  const auto state = *StateDirectory::open(path);
  ASSERT_EQ(state.volumes().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const VolumeRecord& now = state.volumes()[i];
    EXPECT_EQ(now.identity.name, made[i].identity.name);
    EXPECT_EQ(now.identity.nqn, made[i].identity.nqn);
    EXPECT_EQ(now.identity.uuid, made[i].identity.uuid);
    EXPECT_EQ(now.identity.nguid, made[i].identity.nguid);
    EXPECT_EQ(now.identity.serial, made[i].identity.serial);
    EXPECT_EQ(now.kind, made[i].kind);
    EXPECT_EQ(now.size_bytes, made[i].size_bytes);
    EXPECT_EQ(now.block_bytes, made[i].block_bytes);
    EXPECT_EQ(now.data_path, made[i].data_path);
  }
  EXPECT_EQ(state.find("b.file")->identity.nqn, "nqn.2026-01.io.netstor:b.file");
  EXPECT_EQ(state.find("a-null")->identity.nqn, "nqn.2020-01.org.example:mine");
  EXPECT_EQ(state.find("x"), nullptr);
  EXPECT_NE(made[0].identity.uuid, made[1].identity.uuid);
}

TEST_F(State, KeepsBytesOverARestart) {
  Faults faults;
  TestShard shard(faults);
  {
    auto state = *StateDirectory::open(path);
    const auto volume = *open_volume(*state.create(spec("v")));
    OpenStore store(shard, *volume);
    EXPECT_TRUE(store.write(512, filled(1024, 7)).ok);
    EXPECT_TRUE(store.run(TestOp(DeviceVerb::flush)).ok);
  }
  const auto state = *StateDirectory::open(path);
  const auto volume = *open_volume(*state.find("v"));
  OpenStore store(shard, *volume);
  EXPECT_EQ(store.read(512, 1024), filled(1024, 7));
}

TEST_F(State, RefusesASecondServerAndSaysWhich) {
  {
    const auto first = *StateDirectory::open(path);
    const auto second = StateDirectory::open(path);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind(), ErrorKind::already_exists);
    EXPECT_NE(second.error().text().find("process " + std::to_string(::getpid())), std::string::npos)
        << second.error();
  }
  EXPECT_TRUE(StateDirectory::open(path).ok());
}

TEST_F(State, RefusesNamesThatAreNone) {
  auto state = *StateDirectory::open(path);
  for (const char* name :
       {"", ".", "..", ".hidden", "-dash", "a/b", "../up", "Upper", "sp ace", "new\nline", "\xc3\xa9"}) {
    EXPECT_EQ(state.create(spec(name)).error().kind(), ErrorKind::invalid_argument) << name;
  }
  EXPECT_FALSE(state.create(spec(std::string(65, 'a'))).ok());
  EXPECT_TRUE(state.create(spec(std::string(64, 'a'))).ok());
  EXPECT_TRUE(state.create(spec("0._-")).ok());
  EXPECT_FALSE(state.create(spec(std::string("a\0b", 3))).ok());
}

TEST_F(State, RefusesSizesThatAreNone) {
  auto state = *StateDirectory::open(path);
  auto volume = spec("v");
  for (const std::uint64_t size : {0ULL, 512ULL, (1ULL << 20) + 1, ~0ULL, 1ULL << 63}) {
    volume.size_bytes = size;
    EXPECT_EQ(state.create(volume).error().kind(), ErrorKind::invalid_argument) << size;
  }
  volume.size_bytes = 1 << 20;
  volume.block_bytes = 1024;
  EXPECT_EQ(state.create(volume).error().kind(), ErrorKind::invalid_argument);
}

TEST_F(State, RefusesAnNqnThatIsNoneOrTaken) {
  auto state = *StateDirectory::open(path);
  auto volume = spec("v");
  for (const std::string& nqn :
       {std::string("iqn.2020-01.org.example:x"), std::string("nqn.x"), std::string("nqn.2020-01.a/b:c"),
        std::string("nqn.2020-01.org.example: x"), "nqn.2020-01.org.example:" + std::string(200, 'x')}) {
    volume.nqn = nqn;
    EXPECT_EQ(state.create(volume).error().kind(), ErrorKind::invalid_argument) << nqn;
  }
  ASSERT_TRUE(state.create(spec("w")).ok());
  volume.nqn = default_nqn("w");
  EXPECT_EQ(state.create(volume).error().kind(), ErrorKind::already_exists);
  EXPECT_EQ(state.create(spec("w")).error().kind(), ErrorKind::already_exists);
}

TEST_F(State, RefusesANewerVersion) {
  { ASSERT_TRUE(StateDirectory::open(path)->create(spec("v")).ok()); }
  const std::string volume = content("volumes/v/volume.json");
  std::string newer = volume;
  newer.replace(newer.find("\"version\": 1"), 12, "\"version\": 2");
  overwrite("volumes/v/volume.json", newer);
  expect_refusal(ErrorKind::unsupported, "volumes/v/volume.json");
  overwrite("volumes/v/volume.json", volume);
  overwrite("state.json", R"({"format": "netstord-state", "version": 999})");
  expect_refusal(ErrorKind::unsupported, "newer netstord");
}

TEST_F(State, RefusesDamagedMetadataAndNamesIt) {
  { ASSERT_TRUE(StateDirectory::open(path)->create(spec("v")).ok()); }
  const std::string good = content("volumes/v/volume.json");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::string bad[] = {
      "",
      "{",
      "null",
      "[1, 2]",
      std::string(1000, '['),
      good.substr(0, good.size() / 2),
      changed("netstord-volume", "something-else"),
      changed("\"version\": 1", "\"version\": 0"),
      changed("\"version\": 1", "\"version\": -1"),
      changed("\"version\": 1", "\"version\": \"1\""),
      changed("\"name\": \"v\"", "\"name\": \"w\""),
      changed("\"store\": \"file\"", "\"store\": \"tape\""),
      changed("\"store\"", "\"shop\""),
      changed("\"size_bytes\": 1048576", "\"size_bytes\": 1048577"),
      changed("\"size_bytes\": 1048576", "\"size_bytes\": 18446744073709551615"),
      changed("\"size_bytes\": 1048576", "\"size_bytes\": 1e6"),
      changed("\"block_bytes\": 512", "\"block_bytes\": 4294967808"),
      changed("\"uuid\": \"", "\"uuid\": \"g"),
      changed("\"nguid\": \"", "\"nguid\": \"0"),
      changed("\"serial\": \"", "\"serial\": \"far too long to be one"),
      changed("\"nqn\": \"nqn.", "\"nqn\": \"iqn."),
  };
  for (const std::string& text : bad) {
    SCOPED_TRACE(text);
    overwrite("volumes/v/volume.json", text);
    expect_refusal(ErrorKind::data_corrupt, "volumes/v/volume.json");
  }
  overwrite("volumes/v/volume.json", std::string(100'000, ' ') + good);
  EXPECT_FALSE(StateDirectory::open(path).ok());
  overwrite("volumes/v/volume.json", changed("{", "{\"later\": [1, {\"x\": null}],"));
  EXPECT_TRUE(StateDirectory::open(path).ok()) << "unknown keys are passed over";
}

TEST_F(State, RefusesAVolumeWithoutItsFiles) {
  { ASSERT_TRUE(StateDirectory::open(path)->create(spec("v")).ok()); }
  const std::string data = path + "/volumes/v/data";
  fs::resize_file(data, (1 << 20) - 512);
  expect_refusal(ErrorKind::data_corrupt, "volumes/v/data");
  fs::remove(data);
  expect_refusal(ErrorKind::not_found, "volumes/v/data");
  fs::remove(path + "/volumes/v/volume.json");
  expect_refusal(ErrorKind::data_corrupt, "no volume.json");
}

TEST_F(State, RefusesEntriesThatAreNoVolumes) {
  { ASSERT_TRUE(StateDirectory::open(path).ok()); }
  fs::create_directory(path + "/volumes/Not A Volume");
  expect_refusal(ErrorKind::invalid_argument, "move this entry away");
}

TEST_F(State, RefusesTwoVolumesWithOneNqn) {
  {
    auto state = *StateDirectory::open(path);
    ASSERT_TRUE(state.create(spec("v", StoreKind::null)).ok());
  }
  std::string copy = content("volumes/v/volume.json");
  copy.replace(copy.find("\"name\": \"v\""), 11, "\"name\": \"w\"");
  fs::create_directory(path + "/volumes/w");
  overwrite("volumes/w/volume.json", copy);
  expect_refusal(ErrorKind::data_corrupt, "same NQN");
}

TEST_F(State, RefusesVolumesWithoutAState) {
  { ASSERT_TRUE(StateDirectory::open(path)->create(spec("v")).ok()); }
  fs::remove(path + "/state.json");
  expect_refusal(ErrorKind::data_corrupt, "state.json");
}

TEST_F(State, RemovesWhatWasNotFinished) {
  { ASSERT_TRUE(StateDirectory::open(path).ok()); }
  fs::create_directory(path + "/volumes/.new-v");
  overwrite("volumes/.new-v/data", "half");
  fs::create_directory(path + "/volumes/.mine");
  auto state = *StateDirectory::open(path);
  EXPECT_FALSE(fs::exists(path + "/volumes/.new-v"));
  EXPECT_TRUE(fs::exists(path + "/volumes/.mine"));
  EXPECT_TRUE(state.create(spec("v")).ok());
}

TEST_F(State, RefusesAPathThatIsNoDirectory) {
  std::ofstream(folder.path() + "/file") << "x";
  const auto state = StateDirectory::open(folder.path() + "/file");
  ASSERT_FALSE(state.ok());
  EXPECT_FALSE(StateDirectory::open(folder.path() + "/file/below").ok());
}

TEST_F(State, KeepsOthersOut) {
  auto state = *StateDirectory::open(path);
  ASSERT_TRUE(state.create(spec("v")).ok());
  const auto open_to_others = fs::perms::group_all | fs::perms::others_all;
  for (const char* what :
       {"", "/lock", "/state.json", "/volumes", "/volumes/v", "/volumes/v/data", "/volumes/v/volume.json"}) {
    EXPECT_EQ(fs::status(path + what).permissions() & open_to_others, fs::perms::none) << what;
  }
}

}  // namespace
}  // namespace netstor::store
