// SPDX-License-Identifier: Apache-2.0
// Buckets, objects, conditions, versions, copies: each rule of server/store/object_store.h.

#include "tests/unit/object_support.h"

namespace netstor::store {
namespace {

constexpr std::size_t kLarge = 300000;

class Objects : public ObjectStoreTest {
 protected:
  Objects() { open(); }
  void SetUp() override { ASSERT_TRUE(wait(objects->create_bucket("b"))); }
};

TEST_F(Objects, MakeABucketOnce) {
  EXPECT_EQ(fault_of(objects->create_bucket("b")), ObjectFault::bucket_exists);
  ASSERT_TRUE(objects->bucket("b"));
  EXPECT_GT(objects->bucket("b")->created_ms, 1000);
  EXPECT_EQ(fault(objects->bucket("c").error()), ObjectFault::no_such_bucket);
}

TEST_F(Objects, ListBucketsByName) {
  ASSERT_TRUE(wait(objects->create_bucket("c")));
  ASSERT_TRUE(wait(objects->create_bucket("a")));
  const auto buckets = objects->buckets();
  ASSERT_EQ(buckets.size(), 3U);
  EXPECT_EQ(buckets[0].name + buckets[1].name + buckets[2].name, "abc");
}

TEST_F(Objects, RemoveOnlyAnEmptyBucket) {
  ASSERT_TRUE(put("b", "k", "1"));
  EXPECT_EQ(fault_of(objects->remove_bucket("b")), ObjectFault::bucket_not_empty);
  ASSERT_TRUE(wait(objects->remove("b", "k")));
  EXPECT_TRUE(wait(objects->remove_bucket("b")));
  EXPECT_EQ(fault_of(objects->remove_bucket("b")), ObjectFault::no_such_bucket);
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::no_such_bucket));
}

TEST_F(Objects, KeepABucketWithAnUpload) {
  ASSERT_TRUE(wait(objects->create_upload("b", "k", {})));
  EXPECT_EQ(fault_of(objects->remove_bucket("b")), ObjectFault::bucket_not_empty);
}

TEST_F(Objects, DoNotComeBackWithABucketOfTheSameName) {
  ASSERT_TRUE(put("b", "k", "1"));
  ASSERT_TRUE(wait(objects->remove("b", "k")));
  ASSERT_TRUE(wait(objects->remove_bucket("b")));
  ASSERT_TRUE(wait(objects->create_bucket("b")));
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::no_such_key));
}

TEST_F(Objects, KeepABucketsFlags) {
  ASSERT_TRUE(wait(objects->set_anonymous("b", {.read = true, .list = true})));
  ASSERT_TRUE(wait(objects->set_versioning("b", Versioning::enabled)));
  reopen();
  EXPECT_EQ(objects->bucket("b")->anonymous, (AnonymousAccess{.read = true, .list = true}));
  EXPECT_EQ(objects->bucket("b")->versioning, Versioning::enabled);
  EXPECT_EQ(fault_of(objects->set_versioning("b", Versioning::off)), ObjectFault::invalid_argument);
}

TEST_F(Objects, AreReadBackOverAReopen) {
  // Around what rests in the index and around the limits of one transfer.
  for (const std::size_t size : {0UL, 1UL, 4096UL, 16384UL, 16385UL, kLarge, 1UL << 20, (3UL << 20) + 7}) {
    ASSERT_TRUE(put("b", "k" + std::to_string(size), some_bytes(size)));
  }
  for (int round = 0; round < 2; ++round) {
    for (const std::size_t size : {0UL, 1UL, 4096UL, 16384UL, 16385UL, kLarge, 1UL << 20, (3UL << 20) + 7}) {
      EXPECT_EQ(get("b", "k" + std::to_string(size)), some_bytes(size)) << size;
    }
    reopen();
  }
}

TEST_F(Objects, AreReadFromAnyRange) {
  const std::string bytes = some_bytes(kLarge);
  ASSERT_TRUE(put("b", "k", bytes));
  auto reader = wait(objects->open("b", "k"));
  ASSERT_TRUE(reader);
  EXPECT_EQ(*read(*reader, 12345, 100), bytes.substr(12345, 100));
  EXPECT_EQ(*read(*reader, kLarge - 1, 1), bytes.substr(kLarge - 1));
  EXPECT_EQ(read(*reader, kLarge, 1).error().kind(), ErrorKind::out_of_range);
  EXPECT_EQ(read(*reader, ~std::uint64_t{0}, 1).error().kind(), ErrorKind::out_of_range);
}

TEST_F(Objects, AreSentFromWhereSmallOnesRest) {
  ASSERT_TRUE(put("b", "small", "abc"));
  ASSERT_TRUE(put("b", "large", some_bytes(kLarge)));
  auto small = wait(objects->open("b", "small"));
  ASSERT_TRUE(small->view());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(small->view()->data()), small->view()->size()), "abc");
  auto large = wait(objects->open("b", "large"));
  EXPECT_FALSE(large->view());
}

TEST_F(Objects, OfUnknownSizeAreWrittenInPieces) {
  for (const std::size_t pieces : {1UL, 3UL, 40UL, 400UL}) {
    ObjectPut put = objects->begin_put("b");
    std::string all;
    for (std::size_t i = 0; i < pieces; ++i) {
      const std::string bytes = some_bytes(5001, static_cast<unsigned>(i));
      ASSERT_TRUE(write(put, bytes));
      all += bytes;
    }
    EXPECT_EQ(put.written(), all.size());
    ASSERT_TRUE(wait(put.commit("k", {})));
    EXPECT_EQ(get("b", "k"), all);
  }
}

TEST_F(Objects, AreWrittenInOrderWithSeveralWritesUnderWay) {
  ObjectPut put = objects->begin_put("b");
  std::vector<std::string> bytes;
  for (unsigned i = 0; i < 20; ++i) bytes.push_back(some_bytes(9000, i));
  std::vector<iovec> pieces;
  for (std::string& each : bytes) pieces.push_back({each.data(), each.size()});
  std::vector<Future<void>> writes;
  for (const iovec& piece : pieces) writes.push_back(put.write(&piece, 1));
  for (auto& each : writes) ASSERT_TRUE(wait(std::move(each)));
  ASSERT_TRUE(wait(put.commit("k", {})));
  EXPECT_EQ(get("b", "k"), std::accumulate(bytes.begin(), bytes.end(), std::string()));
}

TEST_F(Objects, AreNotSeenBeforeTheCommit) {
  ASSERT_TRUE(put("b", "k", "old"));
  ObjectPut staged = objects->begin_put("b", kLarge);
  ASSERT_TRUE(write(staged, some_bytes(kLarge)));
  EXPECT_EQ(get("b", "k"), "old");
  EXPECT_EQ(keys(list("b")).size(), 1U);
}

TEST_F(Objects, LeaveNothingWhenAborted) {
  {
    ObjectPut dropped = objects->begin_put("b", kLarge);
    ASSERT_TRUE(write(dropped, some_bytes(kLarge)));
    ObjectPut aborted = objects->begin_put("b");
    ASSERT_TRUE(write(aborted, some_bytes(kLarge)));
    aborted.abort();
  }
  EXPECT_EQ(space_after(0), 0U);
  EXPECT_EQ(store->usage().stored_bytes, 0U);
}

TEST_F(Objects, GiveBackSpaceWhenOverwrittenOrRemoved) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  EXPECT_GE(space_taken(path() + "/segments"), kLarge);
  ASSERT_TRUE(put("b", "k", "small"));
  EXPECT_EQ(space_after(0), 0U);
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  ASSERT_TRUE(wait(objects->remove("b", "k")));
  EXPECT_EQ(space_after(0), 0U);
}

TEST_F(Objects, StayReadableWhileTheyAreOpen) {
  const std::string bytes = some_bytes(kLarge);
  ASSERT_TRUE(put("b", "large", bytes));
  ASSERT_TRUE(put("b", "small", "abc"));
  {
    auto large = wait(objects->open("b", "large"));
    auto small = wait(objects->open("b", "small"));
    ASSERT_TRUE(put("b", "large", "new"));
    ASSERT_TRUE(wait(objects->remove("b", "small")));
    EXPECT_EQ(*read(*large, 0, kLarge), bytes);
    EXPECT_EQ(*read(*small, 0, 3), "abc");
    EXPECT_GE(space_taken(path() + "/segments"), kLarge);
  }
  EXPECT_EQ(space_after(0), 0U);
}

TEST_F(Objects, KeepWhatIsToldOfThem) {
  const ObjectFacts facts{.etag = "tag",
                          .headers = {{"content-type", "text/plain"}},
                          .user = {{"a", "1"}, {"b", std::string("\0\xff", 2)}},
                          .tags = {{"t", "v"}},
                          .checksums = {{.algorithm = 3, .composite = true, .value = "xyz"}}};
  ASSERT_TRUE(put("b", "k", "abc", {}, facts));
  reopen();
  const auto version = wait(objects->stat("b", "k"));
  ASSERT_TRUE(version) << version.error();
  EXPECT_EQ(version->etag, "tag");
  EXPECT_EQ(version->headers, facts.headers);
  EXPECT_EQ(version->user, facts.user);
  EXPECT_EQ(version->tags, facts.tags);
  EXPECT_EQ(version->checksums, facts.checksums);
  EXPECT_EQ(version->size, 3U);
  EXPECT_EQ(version->version_id, "null");
  EXPECT_GT(version->modified_ms, 1000);
}

TEST_F(Objects, RefuseMoreFactsThanTheIndexShouldHold) {
  const ObjectFacts facts{.etag = "e", .user = {{"a", std::string(70000, 'x')}}};
  const auto stored = put("b", "k", "1", {}, facts);
  ASSERT_FALSE(stored);
  EXPECT_EQ(fault(stored.error()), ObjectFault::too_large);
}

TEST_F(Objects, HaveKeysOfAnyBytesUpTo1024) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const std::string longest = all + all + all + all;
  ASSERT_TRUE(put("b", longest, "1"));
  ASSERT_TRUE(put("b", std::string("\0", 1), "2"));
  EXPECT_EQ(get("b", longest), "1");
  EXPECT_EQ(get("b", std::string("\0", 1)), "2");
  EXPECT_EQ(fault(put("b", longest + "x", "3").error()), ObjectFault::invalid_argument);
  EXPECT_EQ(fault(put("b", "", "3").error()), ObjectFault::invalid_argument);
}

TEST_F(Objects, AreRemovedOnceAndStayAway) {
  ASSERT_TRUE(put("b", "k", "1"));
  EXPECT_TRUE(wait(objects->remove("b", "k")));
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::no_such_key));
  EXPECT_TRUE(wait(objects->remove("b", "k"))) << "what is not there is removed with success";
  EXPECT_EQ(fault_of(objects->remove("c", "k")), ObjectFault::no_such_bucket);
}

// --- conditions ---------------------------------------------------------------------------------------

TEST_F(Objects, AreMadeOnlyOnceWithIfNoneMatch) {
  EXPECT_TRUE(put("b", "k", "1", {.if_none_match = "*"}));
  EXPECT_EQ(fault(put("b", "k", "2", {.if_none_match = "*"}).error()), ObjectFault::condition_failed);
  EXPECT_EQ(get("b", "k"), "1");
}

TEST_F(Objects, AreReplacedOnlyWhenTheyMatch) {
  EXPECT_EQ(fault(put("b", "k", "1", {.if_match = "*"}).error()), ObjectFault::no_such_key);
  ASSERT_TRUE(put("b", "k", "1", {}, {.etag = "one"}));
  EXPECT_EQ(fault(put("b", "k", "2", {.if_match = "two"}).error()), ObjectFault::condition_failed);
  EXPECT_TRUE(put("b", "k", "2", {.if_match = "one"}, {.etag = "two"}));
  EXPECT_EQ(get("b", "k"), "2");
}

TEST_F(Objects, AreWonByOneOfManyThatComeTogether) {
  constexpr int kMany = 50;
  std::vector<Future<ObjectVersion>> commits;
  for (int i = 0; i < kMany; ++i) {
    ObjectPut put = objects->begin_put("b", 1);
    ASSERT_TRUE(write(put, std::string(1, static_cast<char>('A' + i % 26))));
    commits.push_back(put.commit("k", {.etag = "e"}, {.if_none_match = "*"}));
  }
  int won = 0;
  for (auto& commit : commits) won += wait(std::move(commit)) ? 1 : 0;
  EXPECT_EQ(won, 1);
  EXPECT_EQ(store->usage().versions, 1U);
}

TEST_F(Objects, LeaveNothingOfAPutWhoseConditionFailed) {
  ASSERT_TRUE(put("b", "k", "1"));
  EXPECT_FALSE(put("b", "k", some_bytes(kLarge), {.if_none_match = "*"}));
  EXPECT_EQ(space_after(0), 0U);
}

TEST_F(Objects, AreRemovedOnlyWhenTheyMatch) {
  ASSERT_TRUE(put("b", "k", "1", {}, {.etag = "one"}));
  EXPECT_EQ(fault_of(objects->remove("b", "k", {}, {.if_match = "two"})), ObjectFault::condition_failed);
  EXPECT_TRUE(wait(objects->remove("b", "k", {}, {.if_match = "one"})));
}

// --- tags and copies ----------------------------------------------------------------------------------

TEST_F(Objects, HaveTagsThatChangeWithoutThem) {
  ASSERT_TRUE(put("b", "k", some_bytes(kLarge)));
  ASSERT_TRUE(wait(objects->set_tags("b", "k", {}, {{"a", "1"}})));
  EXPECT_EQ(wait(objects->stat("b", "k"))->tags, (NamedValues{{"a", "1"}}));
  ASSERT_TRUE(wait(objects->set_tags("b", "k", {}, {})));
  EXPECT_TRUE(wait(objects->stat("b", "k"))->tags.empty());
  EXPECT_EQ(get("b", "k"), some_bytes(kLarge));
  EXPECT_EQ(fault_of(objects->set_tags("b", "other", {}, {})), ObjectFault::no_such_key);
}

TEST_F(Objects, ShareTheirBytesWithCopies) {
  const std::string bytes = some_bytes(kLarge);
  ASSERT_TRUE(put("b", "k", bytes, {}, {.etag = "tag", .user = {{"a", "1"}}}));
  const auto stored = store->usage().stored_bytes;
  ASSERT_TRUE(wait(objects->copy({.bucket = "b", .key = "k"}, "b", "copy", std::nullopt)));
  ASSERT_TRUE(wait(objects->copy({.bucket = "b", .key = "k"}, "b", "other", ObjectFacts{.etag = "new"})));
  EXPECT_EQ(store->usage().stored_bytes, stored);
  EXPECT_EQ(wait(objects->stat("b", "copy"))->user, (NamedValues{{"a", "1"}}));
  EXPECT_EQ(wait(objects->stat("b", "other"))->etag, "new");
  ASSERT_TRUE(wait(objects->remove("b", "k")));
  ASSERT_TRUE(wait(objects->remove("b", "other")));
  reopen();
  EXPECT_EQ(get("b", "copy"), bytes);
  ASSERT_TRUE(wait(objects->remove("b", "copy")));
  EXPECT_EQ(space_after(0), 0U);
}

TEST_F(Objects, AreCopiedOntoThemselves) {
  for (const std::size_t size : {10UL, kLarge}) {
    ASSERT_TRUE(put("b", "k", some_bytes(size)));
    ASSERT_TRUE(wait(objects->copy({.bucket = "b", .key = "k"}, "b", "k", ObjectFacts{.etag = "new"})));
    EXPECT_EQ(get("b", "k"), some_bytes(size));
    EXPECT_EQ(wait(objects->stat("b", "k"))->etag, "new");
  }
}

TEST_F(Objects, AreCopiedUnderConditions) {
  ASSERT_TRUE(put("b", "k", "1", {}, {.etag = "one"}));
  const CopySource wrong{.bucket = "b", .key = "k", .version_id = {}, .conditions = {.if_match = "two"}};
  EXPECT_EQ(fault_of(objects->copy(wrong, "b", "copy", std::nullopt)), ObjectFault::condition_failed);
  const CopySource missing{.bucket = "b", .key = "none"};
  EXPECT_EQ(fault_of(objects->copy(missing, "b", "copy", std::nullopt)), ObjectFault::no_such_key);
}

// --- versions -----------------------------------------------------------------------------------------

class Versions : public Objects {
 protected:
  void SetUp() override {
    Objects::SetUp();
    ASSERT_TRUE(put("b", "k", "null"));
    ASSERT_TRUE(wait(objects->set_versioning("b", Versioning::enabled)));
    one = put("b", "k", some_bytes(kLarge, 1))->version_id;
    two = put("b", "k", some_bytes(kLarge, 2))->version_id;
  }
  std::string one, two;
};

TEST_F(Versions, AreAllReadable) {
  EXPECT_EQ(get("b", "k"), some_bytes(kLarge, 2));
  EXPECT_EQ(get("b", "k", two), some_bytes(kLarge, 2));
  EXPECT_EQ(get("b", "k", one), some_bytes(kLarge, 1));
  EXPECT_EQ(get("b", "k", "null"), "null");
  EXPECT_EQ(get("b", "k", "0000000000000001"), faulty(ObjectFault::no_such_version));
  EXPECT_EQ(get("b", "k", "nonsense"), faulty(ObjectFault::no_such_version));
  EXPECT_FALSE(wait(objects->stat("b", "k", one))->latest);
}

TEST_F(Versions, HideBehindADeleteMarker) {
  const auto removed = wait(objects->remove("b", "k"));
  ASSERT_TRUE(removed);
  EXPECT_TRUE(removed->delete_marker);
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::delete_marker));
  EXPECT_EQ(get("b", "k", removed->version_id), faulty(ObjectFault::delete_marker));
  EXPECT_TRUE(wait(objects->stat("b", "k", removed->version_id))->delete_marker);
  EXPECT_EQ(get("b", "k", two), some_bytes(kLarge, 2));
  EXPECT_TRUE(list("b").objects.empty());
  EXPECT_EQ(fault_of(objects->remove_bucket("b")), ObjectFault::bucket_not_empty);
  // Removing the marker brings the object back.
  const auto back = wait(objects->remove("b", "k", removed->version_id));
  EXPECT_TRUE(back->delete_marker);
  EXPECT_EQ(get("b", "k"), some_bytes(kLarge, 2));
}

TEST_F(Versions, FollowWhenTheCurrentOneIsRemoved) {
  ASSERT_TRUE(wait(objects->remove("b", "k", two)));
  EXPECT_EQ(get("b", "k"), some_bytes(kLarge, 1));
  EXPECT_TRUE(wait(objects->stat("b", "k", one))->latest);
  ASSERT_TRUE(wait(objects->remove("b", "k", one)));
  EXPECT_EQ(get("b", "k"), "null");
  ASSERT_TRUE(wait(objects->remove("b", "k", "null")));
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::no_such_key));
  EXPECT_EQ(space_after(0), 0U);
  EXPECT_TRUE(wait(objects->remove_bucket("b")));
}

TEST_F(Versions, AreRemovedFromBehind) {
  ASSERT_TRUE(wait(objects->remove("b", "k", "null")));
  EXPECT_EQ(get("b", "k", "null"), faulty(ObjectFault::no_such_version));
  ASSERT_TRUE(wait(objects->remove("b", "k", one)));
  EXPECT_EQ(get("b", "k", one), faulty(ObjectFault::no_such_version));
  EXPECT_EQ(get("b", "k"), some_bytes(kLarge, 2));
}

TEST_F(Versions, ReplaceTheNullOneWhenSuspended) {
  ASSERT_TRUE(wait(objects->set_versioning("b", Versioning::suspended)));
  EXPECT_EQ(put("b", "k", "new null")->version_id, "null");
  EXPECT_EQ(get("b", "k"), "new null");
  EXPECT_EQ(get("b", "k", "null"), "new null");
  EXPECT_EQ(get("b", "k", two), some_bytes(kLarge, 2));
  ASSERT_TRUE(put("b", "k", "newer null"));
  EXPECT_EQ(store->usage().versions, 3U);
  EXPECT_EQ(wait(objects->remove("b", "k"))->version_id, "null");
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::delete_marker));
  EXPECT_EQ(store->usage().versions, 3U);
}

TEST_F(Versions, MakeAMarkerEvenForWhatIsNotThere) {
  EXPECT_TRUE(wait(objects->remove("b", "other"))->delete_marker);
  EXPECT_EQ(get("b", "other"), faulty(ObjectFault::delete_marker));
}

TEST_F(Versions, AreCopiedByTheirId) {
  ASSERT_TRUE(wait(objects->copy({.bucket = "b", .key = "k", .version_id = one}, "b", "k", std::nullopt)));
  EXPECT_EQ(get("b", "k"), some_bytes(kLarge, 1));
  EXPECT_EQ(get("b", "k", two), some_bytes(kLarge, 2));
}

TEST_F(Versions, AreCounted) {
  EXPECT_EQ(store->usage().versions, 3U);
  EXPECT_EQ(store->usage().bytes, 2 * kLarge + 4);
  EXPECT_EQ(store->usage().stored_bytes, 2 * kLarge);
  EXPECT_EQ(store->usage().buckets, 1U);
  reopen();
  EXPECT_EQ(store->usage().bytes, 2 * kLarge + 4);
}

}  // namespace
}  // namespace netstor::store
