// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one place that decides whether a request is sent again, and when.

#include <netstor/bucket.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace netstor::object {

/// How a try ended, as far as it matters here.
struct Failure {
  /// No byte of an answer came: the connection could not be made, broke, or fell silent.
  bool unanswered = false;
  /// No byte of the request can have been read: it never happened.
  bool never_sent = false;
  /// The service said that it is busy, or broken for a moment (error_code.h).
  bool retryable_answer = false;
  /// It said that it has done nothing (Meaning::refused).
  bool refused = false;
  /// Its Retry-After.
  std::optional<Duration> asked_pause{};
};

/// Whether the request may be repeated though an earlier try may have happened. By S3's own rules that is so
/// for everything but requests under a condition, where the second try would meet the success of the first,
/// and for those that make something new each time (but for an upload that was begun twice: the one that
/// nobody knows has no parts).
enum class Repeat : std::uint8_t { harmless, only_if_it_never_happened };

constexpr bool may_retry(const Failure& failure, Repeat repeat) noexcept {
  if (failure.never_sent) return true;
  if (!failure.unanswered && !failure.retryable_answer) return false;
  // Who answers 500, 502 or 504 may have done it all the same.
  return repeat == Repeat::harmless || (!failure.unanswered && failure.refused);
}

/// Of a shard: however many requests fail at once, what they send again stays a part of what succeeds. As the
/// SDKs' standard mode: a bucket of tokens that a retry takes from and a success refills.
class RetryBudget {
 public:
  bool take() noexcept {
    if (tokens_ < kCost) return false;
    tokens_ -= kCost;
    return true;
  }
  void succeeded() noexcept { tokens_ = std::min(tokens_ + 1, kMost); }

 private:
  static constexpr int kMost = 500;
  static constexpr int kCost = 5;
  int tokens_ = kMost;
};

/// Before try `number` (the first retry is 1): a random part of a growing pause ("full jitter"), or at least
/// what the service asked for, and never more than retry_delay_max. `random` is any 64 bits.
constexpr Duration pause_before(unsigned number, const BucketOptions& options, const Failure& failure,
                                std::uint64_t random) noexcept {
  Duration most = options.retry_delay;
  for (unsigned i = 1; i < number && most < options.retry_delay_max; ++i) most *= 2;
  most = std::min(most, options.retry_delay_max);
  const auto drawn =
      Duration(static_cast<std::int64_t>(random % static_cast<std::uint64_t>(most.count() + 1)));
  if (!failure.asked_pause) return drawn;
  return std::min(std::max(drawn, *failure.asked_pause), options.retry_delay_max);
}

}  // namespace netstor::object
