// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a session of S3 over RDMA lets its client do: who may take it up, and which tokens are good in it
// (docs/formats/s3-rdma.md). Pure.

#include <netstor/options.h>

#include <optional>
#include <string>
#include <string_view>

#include "lib/wire/s3/rdma.h"

namespace netstor::s3server {

/// Why a token is not used.
struct RdmaRefusal {
  unsigned status = 501;  ///< 501 declined, 403 refused, 400
  std::string_view text;
};

class RdmaTerms {
 public:
  /// The longest that a request may name: S3's largest PUT.
  static constexpr std::uint64_t kBytesMax = std::uint64_t{5} << 30;
  static constexpr Duration kTicketLife = std::chrono::seconds(10);

  RdmaTerms(const s3::RdmaId& session, const s3::RdmaId& ticket, std::string access_key_id, Time now)
      : session_(session), ticket_(ticket), access_key_id_(std::move(access_key_id)), offered_(now) {}

  [[nodiscard]] const s3::RdmaId& session() const { return session_; }
  /// Once, and in time.
  [[nodiscard]] bool take_ticket(const s3::RdmaId& ticket, Time now);
  /// The connection is there; and is no more.
  void begin(Time now) { began_ = now; }
  void end() { began_.reset(); }

  /// Nothing: it is good, and is not again.
  [[nodiscard]] std::optional<RdmaRefusal> judge(const s3::RdmaToken& token, std::string_view access_key_id,
                                                 Time now);

 private:
  const s3::RdmaId session_;
  const s3::RdmaId ticket_;
  const std::string access_key_id_;
  const Time offered_;
  bool taken_ = false;
  std::optional<Time> began_;
  std::uint64_t last_sequence_ = 0;
};

/// Of a request whose connection has the session `terms`, or none (null). `token` is set when nothing is
/// answered.
[[nodiscard]] std::optional<RdmaRefusal> judge_rdma_token(std::string_view text, RdmaTerms* terms,
                                                          std::string_view access_key_id, Time now,
                                                          s3::RdmaToken& token);

}  // namespace netstor::s3server
