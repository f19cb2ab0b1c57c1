// SPDX-License-Identifier: Apache-2.0
#pragma once
// --trace: remembers what requests passed, in memory that is there from the start, and prints it to standard
// error when it goes, after the verb has ended.

#include <netstor/trace.h>

#include <atomic>
#include <string>
#include <vector>

namespace netstor::tool {

class TraceLog {
 public:
  /// Points that are kept of each shard, the first ones; the others are counted.
  static constexpr std::size_t kPointsMax = 1 << 16;

  TraceLog() = default;
  TraceLog(const TraceLog&) = delete;
  TraceLog& operator=(const TraceLog&) = delete;
  ~TraceLog();

  /// The runtime ends before this does.
  void follow(Runtime& runtime);
  std::string text() const;

 private:
  struct Point {
    TracePoint at;
    char path[16];
  };
  struct Shard {
    std::vector<Point> points;
    std::uint64_t left_out = 0;
  };
  std::string driver_;
  std::vector<Shard> shards_;
};

}  // namespace netstor::tool
