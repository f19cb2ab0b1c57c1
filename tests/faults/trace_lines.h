// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a trace says, as text.

#include <netstor/trace.h>

#include <string>

namespace netstor {

/// What a trace has of requests, a line a point: "path room: what: detail".
class TraceLines {
 public:
  explicit TraceLines(Runtime& runtime) : runtime_(runtime) {
    const auto hook = [](void* user, const TracePoint& at) noexcept {
      auto& self = *static_cast<TraceLines*>(user);
      const std::string detail = at.detail.empty() ? "" : ": " + std::string(at.detail);
      self.all += std::string(at.path) + " " + at.room + ": " + at.what + detail + "\n";
      self.last = std::string(at.verb) + " " + std::string(at.bucket) + "/" + std::string(at.key) + " " +
                  std::to_string(at.length);
    };
    trace(runtime_, hook, this);
  }
  ~TraceLines() { trace(runtime_, nullptr, nullptr); }
  TraceLines(const TraceLines&) = delete;
  TraceLines& operator=(const TraceLines&) = delete;

  std::string all;
  std::string last;

 private:
  Runtime& runtime_;
};

}  // namespace netstor
