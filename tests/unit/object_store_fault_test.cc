// SPDX-License-Identifier: Apache-2.0
// The object store when the disk is full, fails, or holds something damaged; and what a start cleans up.

#include "tests/unit/object_support.h"

#include <sys/mount.h>

#include <fstream>
#include <map>

namespace netstor::store {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLarge = 300000;

class Faulty : public ObjectStoreTest {
 protected:
  Faulty() {
    options.fail_commit = [this] { return commit_error.load(); };
  }
  void SetUp() override {
    open();
    ASSERT_TRUE(wait(objects->create_bucket("b")));
  }
  /// Every file of the store, by name, with its bytes; no lock, which every start touches.
  std::map<std::string, std::string> everything() {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(path())) {
      if (!entry.is_regular_file() || entry.file_size() > (1 << 24)) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      files[entry.path()] = std::string(std::istreambuf_iterator<char>(in), {});
    }
    return files;
  }
  std::string segment_path() {
    for (const auto& entry : fs::directory_iterator(path() + "/segments")) return entry.path();
    return {};
  }
  Error open_error() {
    auto opened = ObjectStore::open(path(), options);
    EXPECT_FALSE(opened);
    return opened ? Error(ErrorKind::internal, "it opened") : std::move(opened).error();
  }
  std::atomic<int> commit_error{0};
};

TEST_F(Faulty, AnswersAWriteThatFailed) {
  ASSERT_TRUE(put("b", "k", "old"));
  faults.fail_errno = ENOSPC;
  const auto stored = put("b", "k", some_bytes(kLarge));
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().kind(), ErrorKind::no_space);
  EXPECT_EQ(stored.error().effect(), Effect::none);
  faults.fail_errno = 0;
  EXPECT_EQ(get("b", "k"), "old");
  EXPECT_EQ(space_after(0), 0U);
}

TEST_F(Faulty, RefusesToCommitWhatWasNotWritten) {
  ObjectPut put = objects->begin_put("b", 2 * kLarge);
  faults.fail_errno = EIO;
  EXPECT_FALSE(write(put, some_bytes(kLarge)));
  faults.fail_errno = 0;
  EXPECT_FALSE(write(put, some_bytes(kLarge))) << "nothing may follow a hole";
  EXPECT_FALSE(wait(put.commit("k", {})));
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::no_such_key));
}

TEST_F(Faulty, AnswersAReadThatFailed) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  auto reader = wait(objects->open("b", "k"));
  faults.fail_errno = EIO;
  EXPECT_EQ(read(*reader, 0, 100).error().kind(), ErrorKind::device_error);
  faults.fail_errno = 0;
  EXPECT_EQ(*read(*reader, 0, 100), some_bytes(kLarge).substr(0, 100));
}

TEST_F(Faulty, WaitsForADeviceThatIsFull) {
  faults.full_times = 5;
  ASSERT_TRUE(put("b", "k", some_bytes(3 << 20)));
  EXPECT_EQ(get("b", "k"), some_bytes(3 << 20));
}

TEST_F(Faulty, FlushesBeforeTheIndexKnows) {
  const unsigned before = faults.flushes;
  ASSERT_TRUE(put("b", "small", "abc"));
  EXPECT_EQ(faults.flushes, before);
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  EXPECT_EQ(faults.flushes, before + 1);
}

TEST_F(Faulty, SharesFlushesAmongCommits) {
  constexpr unsigned kMany = 40;
  std::vector<ObjectPut> puts;
  for (unsigned i = 0; i < kMany; ++i) {
    puts.push_back(objects->begin_put("b", 20000));
    ASSERT_TRUE(write(puts.back(), some_bytes(20000, i)));
  }
  const unsigned before = faults.flushes;
  std::vector<Future<ObjectVersion>> commits;
  for (unsigned i = 0; i < kMany; ++i) commits.push_back(puts[i].commit("k" + std::to_string(i), {}));
  for (auto& commit : commits) ASSERT_TRUE(wait(std::move(commit)));
  EXPECT_LE(faults.flushes - before, 2U);
  EXPECT_EQ(get("b", "k7"), some_bytes(20000, 7));
}

TEST_F(Faulty, KeepsNothingOfACommitThatFailed) {
  ASSERT_TRUE(put("b", "k", "old"));
  const auto before = store->usage();
  commit_error = ENOSPC;
  const auto stored = put("b", "k", some_bytes(kLarge));
  EXPECT_EQ(stored.error().kind(), ErrorKind::no_space);
  EXPECT_EQ(stored.error().effect(), Effect::unknown);
  EXPECT_FALSE(wait(objects->create_bucket("c")));
  EXPECT_FALSE(wait(objects->remove_bucket("b")));
  commit_error = 0;
  EXPECT_EQ(get("b", "k"), "old");
  EXPECT_EQ(objects->buckets().size(), 1U);
  EXPECT_EQ(store->usage().bytes, before.bytes);
  EXPECT_EQ(store->usage().buckets, 1U);
  ASSERT_TRUE(wait(objects->create_bucket("c"))) << "and goes on when the reason is gone";
  ASSERT_TRUE(put("c", "k", "new"));
  EXPECT_EQ(space_taken(path() + "/segments") >= kLarge, true) << "it might have happened: its bytes stay";
  reopen();
  EXPECT_EQ(get("b", "k"), "old");
  EXPECT_EQ(get("c", "k"), "new");
  EXPECT_EQ(space_after(0), 0U);
}

TEST_F(Faulty, RefusesWhatComesAfterTheClose) {
  auto closing = objects->close();
  EXPECT_EQ(wait(objects->create_bucket("c")).error().kind(), ErrorKind::cancelled);
  EXPECT_EQ(wait(objects->open("b", "k")).error().kind(), ErrorKind::cancelled);
  EXPECT_TRUE(wait(std::move(closing)));
  objects.reset();
}

TEST_F(Faulty, ClosesWhenTheLastReaderIsGone) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  auto reader = std::make_unique<ObjectReader>(*wait(objects->open("b", "k")));
  auto closing = objects->close();
  for (int i = 0; i < 100; ++i) shard.loop.turn();
  EXPECT_FALSE(closing.ready());
  reader.reset();
  EXPECT_TRUE(wait(std::move(closing)));
  objects.reset();
}

// --- what a start finds -------------------------------------------------------------------------------

TEST_F(Faulty, GivesBackLeftoversAtTheStartAndNothingElse) {
  const std::string one = some_bytes(kLarge, 1);
  ASSERT_TRUE(put("b", "one", one));
  ASSERT_TRUE(put("b", "two", one));
  ASSERT_TRUE(put("b", "three", some_bytes(kLarge, 3)));
  ASSERT_TRUE(wait(objects->remove("b", "two")));
  const auto clean = space_after(2 * 303104);
  const std::string segment = segment_path();
  close();
  {
    // As a killed server leaves them: between the objects and behind them.
    const int fd = ::open(segment.c_str(), O_RDWR);
    const std::string waste = some_bytes(200000);
    EXPECT_EQ(::pwrite(fd, waste.data(), waste.size(), 303104 + 4096), 200000);
    EXPECT_EQ(::pwrite(fd, waste.data(), waste.size(), 64 << 20), 200000);
    ::close(fd);
  }
  EXPECT_GT(space_taken(path() + "/segments"), clean + 300000);
  open();
  EXPECT_EQ(space_taken(path() + "/segments"), clean);
  EXPECT_EQ(get("b", "one"), one);
  EXPECT_EQ(get("b", "three"), some_bytes(kLarge, 3));
}

TEST_F(Faulty, RemovesDataFilesThatNobodyNeeds) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  ASSERT_TRUE(wait(objects->remove("b", "k")));
  reopen();
  EXPECT_EQ(segment_path(), "");
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  EXPECT_EQ(get("b", "k"), some_bytes(kLarge));
}

TEST_F(Faulty, RefusesANewerVersionAndTouchesNothing) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  close();
  std::ofstream(path() + "/objects.json") << R"({"format": "netstor-objects", "version": 2})";
  const auto before = everything();
  const Error error = open_error();
  EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  EXPECT_NE(error.text().find("objects.json"), std::string::npos);
  EXPECT_EQ(everything(), before);
}

TEST_F(Faulty, RefusesADirectoryThatIsSomethingElse) {
  close();
  std::ofstream(path() + "/objects.json") << "{}";
  EXPECT_EQ(open_error().kind(), ErrorKind::data_corrupt);
  fs::remove(path() + "/objects.json");
  EXPECT_EQ(open_error().kind(), ErrorKind::data_corrupt);
}

TEST_F(Faulty, RefusesADamagedIndexAndTouchesNothing) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  close();
  std::string manifest;
  for (const auto& entry : fs::directory_iterator(path() + "/index")) {
    if (entry.path().filename().string().starts_with("MANIFEST")) manifest = entry.path();
  }
  ASSERT_FALSE(manifest.empty());
  std::ofstream(manifest, std::ios::in | std::ios::out | std::ios::binary).seekp(20) << "damaged damaged";
  const auto before = everything();
  const Error error = open_error();
  EXPECT_EQ(error.kind(), ErrorKind::data_corrupt) << error;
  EXPECT_EQ(everything(), before);
}

TEST_F(Faulty, RefusesAMissingIndex) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  const std::string segment = segment_path();
  close();
  fs::remove_all(path() + "/index");
  const Error error = open_error();
  EXPECT_EQ(error.kind(), ErrorKind::data_corrupt) << error;
  EXPECT_TRUE(fs::exists(segment));
}

TEST_F(Faulty, RefusesAMissingOrShortDataFile) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  const std::string segment = segment_path();
  close();
  fs::resize_file(segment, 1000);
  EXPECT_EQ(open_error().kind(), ErrorKind::data_corrupt);
  fs::remove(segment);
  const Error error = open_error();
  EXPECT_EQ(error.kind(), ErrorKind::data_corrupt);
  EXPECT_NE(error.text().find(segment), std::string::npos) << error;
}

TEST_F(Faulty, RefusesASecondServer) {
  const auto again = ObjectStore::open(path(), options);
  EXPECT_FALSE(again);
}

TEST_F(Faulty, RunsOutOfARealDisk) {
  close();
  const std::string disk = folder.path() + "/disk";
  fs::create_directory(disk);
  if (::mount("none", disk.c_str(), "tmpfs", 0, "size=24m") != 0) GTEST_SKIP() << "cannot mount a small disk";
  options.buffer_bytes = 1 << 20;
  store = *ObjectStore::open(disk + "/objects", options);
  objects = store->attach(shard.loop);
  ASSERT_TRUE(wait(objects->create_bucket("b")));
  ASSERT_TRUE(put("b", "first", some_bytes(kLarge)));
  const auto large = put("b", "large", some_bytes(64 << 20));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind(), ErrorKind::no_space);
  EXPECT_EQ(get("b", "first"), some_bytes(kLarge));
  // Its space comes back, by a helper: soon there is room for a smaller one.
  bool fitted = false;
  for (int i = 0; i < 200 && !fitted; ++i) {
    fitted = static_cast<bool>(put("b", "large", some_bytes(8 << 20)));
    if (!fitted) ::usleep(10000);
  }
  EXPECT_TRUE(fitted);
  close();
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace netstor::store
