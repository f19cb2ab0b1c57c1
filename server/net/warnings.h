// SPDX-License-Identifier: Apache-2.0
#pragma once
// What goes wrong while a server serves, for whoever runs it: of each kind a line now and then, however often
// it happens. Nothing here is on the way of what goes well.
//
// Thread rule: any thread; the lines come one after the other.

#include <netstor/options.h>

#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace netstor::net {

class Warnings {
 public:
  enum class Kind : std::uint8_t {
    accept,
    connections_max,
    refused_host,
    protocol,
    digest,
    lost_host,
    store,
    slow,
    refused_client  ///< of buckets
  };
  /// `line` is printable; `left_out`: how many of the kind were not said since the last one.
  using Write = std::function<void(Kind kind, const std::string& line, std::uint64_t left_out)>;

  explicit Warnings(Write write, Duration pause = std::chrono::seconds(1))
      : write_(std::move(write)), pause_(pause) {}

  /// `text()` is asked for only when it is said.
  template <class Text>
  void say(Kind kind, Time now, Text text) {
    if (const auto left_out = turn(kind, now)) write(kind, text(), *left_out);
  }

  /// How often each kind happened, said or left out; by Kind.
  static constexpr std::size_t kKinds = 9;
  std::array<std::uint64_t, kKinds> counts() const;

 private:
  struct Last {
    Time next{};  // no line before
    std::uint64_t left_out = 0;
    std::uint64_t count = 0;
  };

  /// How many were left out since the last line; nothing when this one is to be left out, too.
  std::optional<std::uint64_t> turn(Kind kind, Time now);
  void write(Kind kind, std::string line, std::uint64_t left_out);

  Write write_;
  const Duration pause_;
  mutable std::mutex mutex_;
  std::array<Last, kKinds> last_;
};

/// "refused_host".
std::string_view to_string(Warnings::Kind kind) noexcept;

}  // namespace netstor::net
