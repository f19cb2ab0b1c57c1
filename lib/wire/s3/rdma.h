// SPDX-License-Identifier: Apache-2.0
//
// S3 over RDMA as the two ends write it (docs/formats/s3-rdma.md): the token that a request shows in place of
// its body, the session that an endpoint offers, and the private data with which the connection that it goes
// over is asked for. Whether a token may be used is not said here.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace netstor::s3 {

inline constexpr std::string_view kRdmaTokenHeader = "x-amz-rdma-token";
inline constexpr std::string_view kRdmaReplyHeader = "x-amz-rdma-reply";
inline constexpr std::string_view kRdmaBytesHeader = "x-amz-rdma-bytes-transferred";
inline constexpr std::string_view kRdmaSessionHeader = "x-netstor-rdma-session";
// As a parameter of the query: a session is asked for.
inline constexpr std::string_view kRdmaQuery = "netstor-rdma";

using RdmaId = std::array<std::byte, 16>;

// Memory of the client's, and the session in which it may be reached.
struct RdmaToken {
  RdmaId session{};
  std::uint64_t sequence = 0;
  std::uint64_t expires_ms = 0;  // since the RDMA connection was accepted
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::uint32_t key = 0;
  friend bool operator==(const RdmaToken&, const RdmaToken&) = default;
};
inline constexpr std::size_t kRdmaTokenSize = 122;
[[nodiscard]] std::string encode(const RdmaToken& token);
// Nothing for every other form.
[[nodiscard]] std::optional<RdmaToken> decode_rdma_token(std::string_view text);

struct RdmaOffer {
  std::uint16_t port = 0;
  RdmaId session{};
  RdmaId ticket{};              // a secret, good for one connection
  std::uint32_t seconds = 0;    // for so long
  std::uint64_t bytes_max = 0;  // of one token
  std::string host{};           // empty: that of the HTTP connection
  friend bool operator==(const RdmaOffer&, const RdmaOffer&) = default;
};
[[nodiscard]] std::string encode(const RdmaOffer& offer);
[[nodiscard]] std::optional<RdmaOffer> decode_rdma_offer(std::string_view text);

// ---- Private data of the connection manager, most significant byte first.

// What the client sends.
struct RdmaGreeting {
  RdmaId session{};
  RdmaId ticket{};
  friend bool operator==(const RdmaGreeting&, const RdmaGreeting&) = default;
};
inline constexpr std::size_t kRdmaGreetingBytes = 40;
[[nodiscard]] std::array<std::byte, kRdmaGreetingBytes> encode(const RdmaGreeting& greeting);

enum class RdmaStatus : std::uint16_t { accepted = 0, version = 1, ticket = 2, resources = 3 };
[[nodiscard]] std::string_view to_string(RdmaStatus status);

// Longer is padding. On failure what it is to be refused with is in `refusal`.
[[nodiscard]] std::optional<RdmaGreeting> decode_rdma_greeting(std::span<const std::byte> bytes,
                                                               RdmaStatus& refusal);

// What the endpoint answers.
inline constexpr std::size_t kRdmaWelcomeBytes = 8;
[[nodiscard]] std::array<std::byte, kRdmaWelcomeBytes> encode(RdmaStatus status);
// `version` also for what another version of the protocol says; nothing for what is none of its answers.
[[nodiscard]] std::optional<RdmaStatus> decode_rdma_welcome(std::span<const std::byte> bytes);

}  // namespace netstor::s3
