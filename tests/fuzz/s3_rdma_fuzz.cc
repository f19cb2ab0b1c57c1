// SPDX-License-Identifier: Apache-2.0
//
// Tokens, offers and private data of S3 over RDMA, of any bytes. What is understood has one text: written
// again it is the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/wire/s3/rdma.h"

using namespace netstor;
using namespace netstor::s3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto token = decode_rdma_token(text)) NETSTOR_ASSERT(encode(*token) == text);
  if (const auto offer = decode_rdma_offer(text)) NETSTOR_ASSERT(encode(*offer) == text);
  const auto bytes = std::as_bytes(std::span(data, size));
  RdmaStatus refusal = RdmaStatus::accepted;
  if (const auto greeting = decode_rdma_greeting(bytes, refusal)) {
    const auto again = encode(*greeting);
    NETSTOR_ASSERT(std::ranges::equal(std::span(again).subspan(8), bytes.subspan(8, again.size() - 8)));
  } else {
    NETSTOR_ASSERT(refusal == RdmaStatus::version);
  }
  if (const auto status = decode_rdma_welcome(bytes)) NETSTOR_ASSERT(!to_string(*status).empty());
  return 0;
}
