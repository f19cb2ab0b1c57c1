// SPDX-License-Identifier: Apache-2.0
#pragma once
// For the tests of the object store: a store in a folder of its own on a shard that the test turns by hand.

#include "server/store/object_store.h"
#include "tests/unit/store_support.h"

#include <numeric>

namespace netstor::store {

inline std::string some_bytes(std::size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 2654435761U + 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

/// What of a folder takes space on the disk.
inline std::uint64_t space_taken(const std::string& folder) {
  std::uint64_t sum = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    struct stat facts {};
    if (::stat(entry.path().c_str(), &facts) == 0) sum += static_cast<std::uint64_t>(facts.st_blocks) * 512;
  }
  return sum;
}

class ObjectStoreTest : public ::testing::Test {
 protected:
  ObjectStoreTest() {
    options.now_ms = [this] { return ++clock; };
    options.segment_bytes = 256 << 20;
    options.part_bytes_min = 64 << 10;
  }
  ~ObjectStoreTest() override { close(); }

  void open() {
    auto opened = ObjectStore::open(path(), options);
    ASSERT_TRUE(opened) << opened.error();
    store = *std::move(opened);
    objects = store->attach(shard.loop);
  }
  void close() {
    if (objects != nullptr) {
      EXPECT_TRUE(wait(objects->close()));
    }
    objects.reset();
    store.reset();
  }
  void reopen() {
    close();
    open();
  }
  std::string path() const { return folder.path() + "/objects"; }

  template <class T>
  Result<T> wait(Future<T> future) {
    while (!future.ready()) shard.loop.turn();
    return future.get();
  }
  /// The same for those of which the test expects a fault.
  template <class T>
  ObjectFault fault_of(Future<T> future) {
    const auto result = wait(std::move(future));
    return result ? ObjectFault::none : fault(result.error());
  }

  Result<void> write(ObjectPut& put, const std::string& bytes) {
    // In pieces, so that walking through them is tried.
    const std::size_t half = bytes.size() / 2;
    auto* const data = const_cast<char*>(bytes.data());
    const iovec pieces[] = {{data, half}, {data + half, bytes.size() - half}};
    return wait(put.write(pieces, 2));
  }
  Result<ObjectVersion> put(const std::string& bucket, const std::string& key, const std::string& bytes,
                            ObjectConditions conditions = {}, ObjectFacts facts = {}) {
    ObjectPut put = objects->begin_put(bucket, bytes.size());
    if (auto written = write(put, bytes); !written) return std::move(written).error();
    if (facts.etag.empty()) facts.etag = "e" + std::to_string(std::hash<std::string>()(bytes));
    return wait(put.commit(key, std::move(facts), std::move(conditions)));
  }
  Result<std::string> read(ObjectReader& reader, std::uint64_t offset, std::size_t length) {
    std::string bytes(length, '?');
    const iovec pieces[] = {{bytes.data(), length / 3}, {bytes.data() + length / 3, length - length / 3}};
    auto done = wait(reader.read(offset, pieces, 2));
    if (!done) return std::move(done).error();
    return bytes;
  }
  /// The object's bytes, or the fault's number in angle brackets.
  std::string get(const std::string& bucket, const std::string& key, const std::string& version = {}) {
    auto reader = wait(objects->open(bucket, key, version));
    if (!reader) return "<" + std::to_string(static_cast<int>(fault(reader.error()))) + ">";
    auto bytes = read(*reader, 0, reader->version().size);
    return bytes ? *bytes : bytes.error().to_string();
  }
  static std::string faulty(ObjectFault what) { return "<" + std::to_string(static_cast<int>(what)) + ">"; }
  ListPage list(const std::string& bucket, ListQuery query = {}) {
    auto page = wait(objects->list(bucket, std::move(query)));
    EXPECT_TRUE(page);
    return page ? *page : ListPage();
  }
  static std::vector<std::string> keys(const ListPage& page) {
    std::vector<std::string> keys;
    for (const ObjectVersion& version : page.objects) keys.push_back(version.key);
    return keys;
  }
  Result<ObjectPart> put_part(const Upload& upload, std::uint32_t number, const std::string& bytes,
                              const std::string& etag) {
    ObjectPut put = objects->begin_put("b", bytes.size());
    if (auto written = write(put, bytes); !written) return std::move(written).error();
    return wait(put.commit_part(upload.key, upload.id, number, {.etag = etag}));
  }
  /// Until helpers have given back what was freed.
  std::uint64_t space_after(std::uint64_t expected) {
    std::uint64_t taken = 0;
    for (int i = 0; i < 500; ++i) {
      taken = space_taken(path() + "/segments");
      if (taken <= expected) break;
      ::usleep(10000);
    }
    return taken;
  }

  TemporaryFolder folder;
  Faults faults;
  TestShard shard{faults};
  std::atomic<std::int64_t> clock{1000};
  ObjectStoreOptions options;
  std::unique_ptr<ObjectStore> store;
  std::unique_ptr<ObjectShard> objects;
};

}  // namespace netstor::store
