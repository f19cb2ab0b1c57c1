// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ordered map under the object store and the records of the control plane, and the only room of RocksDB:
// reads from any thread, changes from one thread at a time, each change whole and on stable storage when
// commit() returns.

#include <netstor/result.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace netstor::store {

/// Which of its two maps: what is looked through, and bytes that are only ever asked for by number.
enum class Map : std::uint8_t { index, data };

enum class Found : std::uint8_t {
  yes,
  no,
  not_cached,  ///< it would have to be read from the disk
  failed,
};

/// A value where it rests; it stays there while this lives.
class PinnedValue {
 public:
  PinnedValue();
  ~PinnedValue();
  PinnedValue(PinnedValue&&) noexcept;
  PinnedValue& operator=(PinnedValue&&) noexcept;
  std::string_view bytes() const noexcept;

 private:
  friend class ObjectIndex;
  friend class IndexChange;
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

/// Goes through a map in order, as it was when the walk was made. May wait for the disk.
class IndexWalk {
 public:
  virtual ~IndexWalk() = default;
  virtual void seek(std::string_view key) = 0;         ///< to the first at or behind it
  virtual void seek_before(std::string_view key) = 0;  ///< to the last at or before it
  virtual void next() = 0;
  virtual bool valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Result<void> good() const = 0;  ///< once it is no longer valid: the end, or a failure?
};

class ObjectIndex;

/// What is to be changed, and the map as it will be then.
class IndexChange {
 public:
  explicit IndexChange(ObjectIndex& index);
  ~IndexChange();
  IndexChange(const IndexChange&) = delete;
  IndexChange& operator=(const IndexChange&) = delete;

  Found get(Map map, std::string_view key, PinnedValue& value) const;
  void put(Map map, std::string_view key, std::string_view value);
  void erase(Map map, std::string_view key);
  std::unique_ptr<IndexWalk> walk(Map map) const;
  bool empty() const;
  void mark();          ///< the place that unmark() goes back to
  void back_to_mark();  ///< forgets what was changed behind the mark
  void drop_mark();

 private:
  friend class ObjectIndex;
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

class ObjectIndex {
 public:
  struct Options {
    std::size_t cache_bytes = 64 << 20;
    std::size_t buffer_bytes = 16 << 20;
    bool create = false;
    bool read_only = false;                         ///< looks, and changes nothing on the disk
    std::string what = "the index of the objects";  ///< in errors
    std::function<int()> fail_commit = {};
  };
  static Result<std::unique_ptr<ObjectIndex>> open(const std::string& path, const Options& options);
  ~ObjectIndex();

  /// `cached`: never waits for the disk, and says when it would have to.
  Found get(Map map, std::string_view key, PinnedValue& value, bool cached) const;
  std::unique_ptr<IndexWalk> walk(Map map) const;
  /// An error's effect is unknown: it may be seen after the next start.
  Result<void> commit(IndexChange& change);

 private:
  friend class IndexChange;
  struct Inside;
  explicit ObjectIndex(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace netstor::store
