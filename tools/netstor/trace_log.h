// SPDX-License-Identifier: Apache-2.0
#pragma once
// --trace: remembers what requests passed, in memory that is there from the start, and prints it to standard
// error when it goes, after the verb has ended.

#include <netstor/trace.h>

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
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
  /// A text as far as there is room for it; it then says that it was cut.
  template <std::size_t N>
  struct Text {
    static constexpr std::string_view kCut = "…";
    static_assert(kCut.size() <= N && N <= UINT8_MAX);
    char bytes[N];
    std::uint8_t size;
    void operator=(std::string_view text) noexcept {
      std::size_t kept = text.size();
      if (kept > N) {
        kept = N - kCut.size();
        while (kept > 0 && (text[kept] & 0xC0) == 0x80) --kept;  // a whole number of UTF-8 characters
      }
      std::size_t end = text.copy(bytes, kept);
      if (kept < text.size()) end += kCut.copy(bytes + end, kCut.size());
      size = static_cast<std::uint8_t>(end);
    }
    std::string_view view() const noexcept { return {bytes, size}; }
  };
  struct Point {
    TracePoint at;
    Text<16> path;
    Text<64> bucket;
    Text<64> key;
    Text<240> detail;
  };
  using Request = std::vector<const Point*>;
  void print(std::ostream& out, const Request& points) const;
  struct Shard {
    std::vector<Point> points;
    std::uint64_t left_out = 0;
  };
  std::string driver_;
  std::vector<Shard> shards_;
};

}  // namespace netstor::tool
