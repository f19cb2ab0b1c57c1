// SPDX-License-Identifier: Apache-2.0
// Listings and multipart uploads of the object store.

#include "tests/unit/object_support.h"

namespace netstor::store {
namespace {

using Keys = std::vector<std::string>;

class Listing : public ObjectStoreTest {
 protected:
  Listing() { open(); }
  void SetUp() override { ASSERT_TRUE(wait(objects->create_bucket("b"))); }
  void put_all(const Keys& keys) {
    for (const std::string& key : keys) ASSERT_TRUE(put("b", key, key));
  }
  /// All pages of `max` each, put together.
  ListPage list_by(unsigned max, ListQuery query) {
    ListPage all;
    query.max = max;
    for (int pages = 0; pages < 100; ++pages) {
      ListPage page = list("b", query);
      EXPECT_LE(page.objects.size() + page.common_prefixes.size(), max);
      std::move(page.objects.begin(), page.objects.end(), std::back_inserter(all.objects));
      std::move(page.common_prefixes.begin(), page.common_prefixes.end(),
                std::back_inserter(all.common_prefixes));
      if (!page.truncated) return all;
      query.after = page.next;
    }
    ADD_FAILURE() << "it does not end";
    return all;
  }
};

TEST_F(Listing, IsInTheOrderOfRawBytes) {
  put_all({"b", "a", "\xff", std::string("a\0", 2), "a!", "aa", "\x7f"});
  EXPECT_EQ(keys(list("b")), (Keys{"a", std::string("a\0", 2), "a!", "aa", "b", "\x7f", "\xff"}));
}

TEST_F(Listing, HasOnlyWhatBeginsWithThePrefix) {
  put_all({"a", "ab", "abc", "b", "ab\xff\xff", "ac"});
  EXPECT_EQ(keys(list("b", {.prefix = "ab"})), (Keys{"ab", "abc", "ab\xff\xff"}));
  EXPECT_TRUE(list("b", {.prefix = "x"}).objects.empty());
}

TEST_F(Listing, StaysInItsBucket) {
  ASSERT_TRUE(wait(objects->create_bucket("c")));
  put_all({"a"});
  ASSERT_TRUE(put("c", "z", "1"));
  EXPECT_EQ(keys(list("b")), Keys{"a"});
  EXPECT_EQ(keys(list("c")), Keys{"z"});
}

TEST_F(Listing, GathersUnderADelimiter) {
  put_all({"a/1", "a/2", "a/b/3", "b", "c/1", "c\xff/1"});
  const ListPage page = list("b", {.prefix = {}, .delimiter = "/"});
  EXPECT_EQ(keys(page), Keys{"b"});
  EXPECT_EQ(page.common_prefixes, (Keys{"a/", "c/", "c\xff/"}));
  const ListPage below = list("b", {.prefix = "a/", .delimiter = "/"});
  EXPECT_EQ(keys(below), (Keys{"a/1", "a/2"}));
  EXPECT_EQ(below.common_prefixes, Keys{"a/b/"});
}

TEST_F(Listing, TakesDelimitersOfSeveralBytes) {
  put_all({"a--1", "a-2", "b--1--2"});
  const ListPage page = list("b", {.prefix = {}, .delimiter = "--"});
  EXPECT_EQ(keys(page), Keys{"a-2"});
  EXPECT_EQ(page.common_prefixes, (Keys{"a--", "b--"}));
}

TEST_F(Listing, GoesOnWhereAPageEnded) {
  Keys all;
  for (int i = 0; i < 25; ++i) all.push_back("k" + std::to_string(100 + i));
  put_all(all);
  for (const unsigned max : {1U, 7U, 25U, 1000U}) EXPECT_EQ(keys(list_by(max, {})), all);
}

TEST_F(Listing, GoesOnBehindACommonPrefix) {
  put_all({"a/1", "a/2", "b/1", "b/2", "c"});
  for (const unsigned max : {1U, 2U, 3U}) {
    const ListPage all = list_by(max, {.prefix = {}, .delimiter = "/"});
    EXPECT_EQ(all.common_prefixes, (Keys{"a/", "b/"}));
    EXPECT_EQ(keys(all), Keys{"c"});
  }
}

TEST_F(Listing, BeginsBehindAKey) {
  put_all({"a", "b", "c"});
  EXPECT_EQ(keys(list("b", {.after = "a"})), (Keys{"b", "c"}));
  EXPECT_EQ(keys(list("b", {.after = "aa"})), (Keys{"b", "c"}));
  EXPECT_TRUE(list("b", {.after = "c"}).objects.empty());
}

TEST_F(Listing, OfNothingIsEmptyAndWhole) {
  put_all({"a"});
  const ListPage page = list("b", {.max = 0});
  EXPECT_TRUE(page.objects.empty());
  EXPECT_FALSE(page.truncated);
}

TEST_F(Listing, FailsWithoutABucket) {
  EXPECT_EQ(fault_of(objects->list("none", {})), ObjectFault::no_such_bucket);
}

TEST_F(Listing, PassesOverPrefixesOfDeletedObjectsOnly) {
  ASSERT_TRUE(wait(objects->set_versioning("b", Versioning::enabled)));
  put_all({"a/1", "b/1"});
  ASSERT_TRUE(wait(objects->remove("b", "a/1")));
  EXPECT_EQ(list("b", {.prefix = {}, .delimiter = "/"}).common_prefixes, Keys{"b/"});
}

TEST_F(Listing, OfVersionsHasAllOfThemNewestFirst) {
  ASSERT_TRUE(put("b", "a", "null"));
  ASSERT_TRUE(wait(objects->set_versioning("b", Versioning::enabled)));
  std::vector<std::string> ids{"null"};
  for (int i = 0; i < 3; ++i) ids.insert(ids.begin(), put("b", "a", std::to_string(i))->version_id);
  ids.insert(ids.begin(), wait(objects->remove("b", "a"))->version_id);
  ids.push_back(put("b", "a/b", "other key")->version_id);
  for (const unsigned max : {1U, 2U, 5U, 100U}) {
    std::vector<std::string> found;
    std::size_t latest = 0;
    ListQuery query{.max = max};
    for (;;) {
      const auto page = wait(objects->list_versions("b", query));
      ASSERT_TRUE(page);
      for (const ObjectVersion& version : page->objects) {
        found.push_back(version.version_id);
        latest += version.latest ? 1 : 0;
      }
      if (!page->truncated || found.size() > 10) break;
      query.after = page->next;
      query.after_version = page->next_version;
    }
    EXPECT_EQ(found, ids) << max;
    EXPECT_EQ(latest, 2U);
  }
}

// --- multipart uploads --------------------------------------------------------------------------------

class Multipart : public Listing {
 protected:
  static constexpr std::size_t kPart = 64 << 10;
  void SetUp() override {
    Listing::SetUp();
    auto created = wait(objects->create_upload("b", "k", {.headers = {{"content-type", "x"}}}));
    ASSERT_TRUE(created);
    upload = *created;
  }
  Result<ObjectVersion> complete(std::vector<WantedPart> parts, ObjectConditions conditions = {}) {
    return wait(objects->complete_upload("b", "k", upload.id, std::move(parts), {.etag = "whole"},
                                         std::move(conditions)));
  }
  ObjectFault fault_of_complete(std::vector<WantedPart> parts) {
    const auto done = complete(std::move(parts));
    return done ? ObjectFault::none : fault(done.error());
  }
  Upload upload;
};

TEST_F(Multipart, BecomesOneObject) {
  const std::string a = some_bytes(kPart, 1);
  const std::string b = some_bytes(3 * kPart + 1, 2);
  ASSERT_TRUE(put_part(upload, 7, b, "b"));
  ASSERT_TRUE(put_part(upload, 2, a, "a"));
  ASSERT_TRUE(put_part(upload, 9, "tail", "c"));
  EXPECT_EQ(get("b", "k"), faulty(ObjectFault::no_such_key));
  const auto stored = complete({{2, "a"}, {7, "b"}, {9, "c"}});
  ASSERT_TRUE(stored) << stored.error();
  EXPECT_EQ(stored->size, 4 * kPart + 5);
  reopen();
  EXPECT_EQ(get("b", "k"), a + b + "tail");
  const auto version = wait(objects->stat("b", "k"));
  EXPECT_EQ(version->etag, "whole");
  EXPECT_EQ(version->headers, (NamedValues{{"content-type", "x"}}));
  ASSERT_EQ(version->parts.size(), 3U);
  EXPECT_EQ(version->parts[1].number, 7U);
  EXPECT_EQ(version->parts[1].size, b.size());
  EXPECT_EQ(fault_of_complete({{2, "a"}}), ObjectFault::no_such_upload);
}

TEST_F(Multipart, OfManyPartsKeepsItsLayoutApart) {
  std::vector<WantedPart> parts;
  std::string all;
  for (unsigned i = 1; i <= 30; ++i) {
    all += some_bytes(kPart, i);
    ASSERT_TRUE(put_part(upload, i, some_bytes(kPart, i), std::to_string(i)));
    parts.push_back({i, std::to_string(i)});
  }
  ASSERT_TRUE(complete(parts));
  EXPECT_EQ(get("b", "k"), all);
  EXPECT_EQ(wait(objects->stat("b", "k"))->parts.size(), 30U);
  ASSERT_TRUE(wait(objects->remove("b", "k")));
  EXPECT_EQ(space_after(0), 0U);
}

TEST_F(Multipart, TakesTheLastPartOfANumber) {
  ASSERT_TRUE(put_part(upload, 1, some_bytes(kPart, 1), "a"));
  ASSERT_TRUE(put_part(upload, 1, some_bytes(kPart, 2), "b"));
  EXPECT_EQ(fault_of_complete({{1, "a"}}), ObjectFault::invalid_part);
  ASSERT_TRUE(complete({{1, "b"}}));
  EXPECT_EQ(get("b", "k"), some_bytes(kPart, 2));
  EXPECT_EQ(space_after(kPart), kPart);
}

TEST_F(Multipart, HasTheRulesOfS3) {
  ASSERT_TRUE(put_part(upload, 1, some_bytes(kPart - 1), "a"));
  ASSERT_TRUE(put_part(upload, 2, some_bytes(kPart), "b"));
  EXPECT_EQ(fault_of_complete({{1, "a"}, {2, "b"}}), ObjectFault::part_too_small);
  EXPECT_EQ(fault_of_complete({{2, "b"}, {1, "a"}}), ObjectFault::invalid_part_order);
  EXPECT_EQ(fault_of_complete({{2, "b"}, {2, "b"}}), ObjectFault::invalid_part_order);
  EXPECT_EQ(fault_of_complete({{2, "x"}}), ObjectFault::invalid_part);
  EXPECT_EQ(fault_of_complete({{2, "b"}, {3, "c"}}), ObjectFault::invalid_part);
  EXPECT_EQ(fault_of_complete({}), ObjectFault::invalid_part);
  EXPECT_TRUE(complete({{1, "a"}})) << "the last one may be small";
  EXPECT_EQ(fault(put_part(upload, 1, "x", "a").error()), ObjectFault::no_such_upload);
}

TEST_F(Multipart, RefusesNumbersBeyondTheLimits) {
  EXPECT_EQ(fault(put_part(upload, 0, "x", "a").error()), ObjectFault::invalid_argument);
  EXPECT_EQ(fault(put_part(upload, 10001, "x", "a").error()), ObjectFault::invalid_argument);
  EXPECT_TRUE(put_part(upload, 10000, "x", "a"));
}

TEST_F(Multipart, LosesPartsThatWereNotNamed) {
  ASSERT_TRUE(put_part(upload, 1, some_bytes(kPart, 1), "a"));
  ASSERT_TRUE(put_part(upload, 2, some_bytes(kPart, 2), "b"));
  ASSERT_TRUE(put_part(upload, 3, some_bytes(kPart, 3), "c"));
  ASSERT_TRUE(complete({{2, "b"}}));
  EXPECT_EQ(get("b", "k"), some_bytes(kPart, 2));
  EXPECT_EQ(space_after(kPart), kPart);
}

TEST_F(Multipart, KeepsTheUploadWhenAConditionFails) {
  ASSERT_TRUE(put("b", "k", "old"));
  ASSERT_TRUE(put_part(upload, 1, some_bytes(kPart), "a"));
  EXPECT_EQ(fault(complete({{1, "a"}}, {.if_none_match = "*"}).error()), ObjectFault::condition_failed);
  ASSERT_TRUE(complete({{1, "a"}}));
  EXPECT_EQ(get("b", "k"), some_bytes(kPart));
}

TEST_F(Multipart, LeavesNothingWhenAborted) {
  ASSERT_TRUE(put_part(upload, 1, some_bytes(kPart), "a"));
  ASSERT_TRUE(wait(objects->abort_upload("b", "k", upload.id)));
  EXPECT_EQ(fault_of(objects->abort_upload("b", "k", upload.id)), ObjectFault::no_such_upload);
  EXPECT_EQ(space_after(0), 0U);
  EXPECT_TRUE(wait(objects->remove_bucket("b")));
}

TEST_F(Multipart, ListsItsParts) {
  for (const unsigned number : {5U, 1U, 10000U}) {
    ASSERT_TRUE(put_part(upload, number, some_bytes(number % 100), "e" + std::to_string(number)));
  }
  const auto first = wait(objects->list_parts("b", "k", upload.id, 0, 2));
  ASSERT_TRUE(first);
  ASSERT_EQ(first->parts.size(), 2U);
  EXPECT_EQ(first->parts[0].number, 1U);
  EXPECT_EQ(first->parts[1].etag, "e5");
  EXPECT_TRUE(first->truncated);
  const auto second = wait(objects->list_parts("b", "k", upload.id, first->next, 2));
  ASSERT_EQ(second->parts.size(), 1U);
  EXPECT_EQ(second->parts[0].number, 10000U);
  EXPECT_FALSE(second->truncated);
  EXPECT_EQ(fault_of(objects->list_parts("b", "other", upload.id, 0, 2)), ObjectFault::no_such_upload);
}

TEST_F(Multipart, ListsUploads) {
  std::vector<std::string> ids{upload.id, wait(objects->create_upload("b", "k", {}))->id,
                               wait(objects->create_upload("b", "k/1", {}))->id,
                               wait(objects->create_upload("b", "k/2", {}))->id};
  for (const unsigned max : {1U, 3U, 10U}) {
    std::vector<std::string> found;
    std::string key, id;
    for (;;) {
      const auto page = wait(objects->list_uploads("b", "k", {}, key, id, max));
      ASSERT_TRUE(page);
      for (const Upload& each : page->uploads) found.push_back(each.id);
      if (!page->truncated || found.size() > 10) break;
      key = page->next_key;
      id = page->next_id;
    }
    EXPECT_EQ(found, ids);
  }
  const auto page = wait(objects->list_uploads("b", {}, "/", {}, {}, 10));
  EXPECT_EQ(page->uploads.size(), 2U);
  EXPECT_EQ(page->common_prefixes, Keys{"k/"});
}

TEST_F(Multipart, SurvivesAReopen) {
  ASSERT_TRUE(put_part(upload, 1, some_bytes(kPart), "a"));
  reopen();
  ASSERT_TRUE(complete({{1, "a"}}));
  EXPECT_EQ(get("b", "k"), some_bytes(kPart));
}

TEST_F(Multipart, TakesPartsFromOtherObjects) {
  const std::string bytes = some_bytes(5 * kPart);
  ASSERT_TRUE(put("b", "source", bytes));
  const CopySource middle{.bucket = "b",
                          .key = "source",
                          .version_id = {},
                          .conditions = {},
                          .offset = kPart + 11,
                          .length = 2 * kPart};
  const auto stored = store->usage().stored_bytes;
  ASSERT_TRUE(wait(objects->copy_part(middle, "b", "k", upload.id, 1, {.etag = "a"})));
  EXPECT_EQ(store->usage().stored_bytes, stored);
  ASSERT_TRUE(put("b", "small", "0123456789"));
  const CopySource digits{
      .bucket = "b", .key = "small", .version_id = {}, .conditions = {}, .offset = 3, .length = 4};
  ASSERT_TRUE(wait(objects->copy_part(digits, "b", "k", upload.id, 2, {.etag = "b"})));
  CopySource beyond = digits;
  beyond.offset = 7;
  EXPECT_EQ(fault_of(objects->copy_part(beyond, "b", "k", upload.id, 3, {})), ObjectFault::invalid_argument);
  ASSERT_TRUE(wait(objects->remove("b", "source")));
  ASSERT_TRUE(complete({{1, "a"}, {2, "b"}}));
  reopen();
  EXPECT_EQ(get("b", "k"), bytes.substr(kPart + 11, 2 * kPart) + "3456");
  ASSERT_TRUE(wait(objects->remove("b", "k")));
  EXPECT_EQ(space_after(0), 0U);
}

}  // namespace
}  // namespace netstor::store
