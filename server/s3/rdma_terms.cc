// SPDX-License-Identifier: Apache-2.0

#include "server/s3/rdma_terms.h"

#include <utility>

#include "lib/base/hash.h"

namespace netstor::s3server {

namespace {

constexpr unsigned kDeclined = 501;
constexpr unsigned kRefused = 403;
constexpr unsigned kInvalid = 400;

}  // namespace

bool RdmaTerms::take_ticket(const s3::RdmaId& ticket, Time now) {
  if (!equal_in_constant_time(ticket, ticket_)) return false;
  return !std::exchange(taken_, true) && now - offered_ <= kTicketLife;
}

std::optional<RdmaRefusal> RdmaTerms::judge(const s3::RdmaToken& token, std::string_view access_key_id,
                                            Time now) {
  if (!began_) return RdmaRefusal{kDeclined, "The session of this connection is not connected."};
  if (token.session != session_)
    return RdmaRefusal{kRefused, "The token is of another connection's session."};
  if (access_key_id != access_key_id_)
    return RdmaRefusal{kRefused, "The session was asked for by another access key."};
  if (token.sequence <= last_sequence_) return RdmaRefusal{kRefused, "The token was used before."};
  last_sequence_ = token.sequence;
  const auto age_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - *began_).count();
  if (token.expires_ms < static_cast<std::uint64_t>(age_ms))
    return RdmaRefusal{kRefused, "The token has expired."};
  if (token.length == 0 || token.length - 1 > UINT64_MAX - token.address)
    return RdmaRefusal{kInvalid, "The token names no memory that there can be."};
  if (token.length > kBytesMax) return RdmaRefusal{kDeclined, "The token names more than one request moves."};
  return std::nullopt;
}

std::optional<RdmaRefusal> judge_rdma_token(std::string_view text, RdmaTerms* terms,
                                            std::string_view access_key_id, Time now, s3::RdmaToken& token) {
  const auto decoded = s3::decode_rdma_token(text);
  if (!decoded) return RdmaRefusal{kDeclined, "Tokens of this form are not known here."};
  if (terms == nullptr) return RdmaRefusal{kDeclined, "This connection has no session."};
  token = *decoded;
  return terms->judge(token, access_key_id, now);
}

}  // namespace netstor::s3server
