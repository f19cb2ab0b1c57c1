// SPDX-License-Identifier: Apache-2.0
//
// aws-chunked bodies of any bytes. The first byte chooses the form and the size of the pieces, the second the
// announced size. Whatever the pieces, the payload and the verdict are those of the body in one piece.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "lib/base/assert.h"
#include "lib/wire/s3/aws_chunked.h"

using namespace netstor;
using namespace netstor::s3;

namespace {

using Event = AwsChunkedDecoder::Event;

struct Seen {
  std::string payload, trailers;
  Event event = Event::more;
  ErrorCode code{};
  friend bool operator==(const Seen&, const Seen&) = default;
};

std::optional<ChunkSigner> chain(PayloadForm form) {
  if (form == PayloadForm::streaming_unsigned_trailer) return std::nullopt;
  return ChunkSigner(SigningKey{}, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", SignatureText{});
}

Seen decoded(PayloadForm form, std::uint64_t bytes, std::span<const std::byte> body, std::size_t piece) {
  AwsChunkedDecoder decoder(form, bytes, chain(form));
  Seen seen;
  while (!body.empty()) {
    auto in = body.first(std::min(piece, body.size()));
    body = body.subspan(in.size());
    do {
      const auto step = decoder.next(in);
      NETSTOR_ASSERT(step.consumed <= in.size());
      NETSTOR_ASSERT(step.event != Event::payload || !step.payload.empty());
      seen.payload.append(reinterpret_cast<const char*>(step.payload.data()), step.payload.size());
      in = in.subspan(step.consumed);
      seen.event = step.event;
    } while (seen.event == Event::payload);
    NETSTOR_ASSERT(seen.event != Event::more || in.empty());
    if (seen.event == Event::fault || (seen.event == Event::end && !in.empty())) break;
  }
  NETSTOR_ASSERT(seen.payload.size() <= bytes);
  if (seen.event == Event::fault) {
    seen.code = decoder.fault().code;
    NETSTOR_ASSERT(!decoder.fault().text.empty());
  }
  if (seen.event == Event::end) NETSTOR_ASSERT(seen.payload.size() == bytes);
  for (const NameValue& each : decoder.trailers()) {
    seen.trailers.append(each.name).append(":").append(each.value).append("\n");
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  constexpr PayloadForm kForms[] = {PayloadForm::streaming_unsigned_trailer, PayloadForm::streaming_signed,
                                    PayloadForm::streaming_signed_trailer};
  const PayloadForm form = kForms[data[0] % 3];
  const std::size_t piece = 1 + data[0] / 3;
  const auto body = std::as_bytes(std::span(data, size)).subspan(2);
  const Seen whole = decoded(form, data[1], body, SIZE_MAX);
  const Seen pieces = decoded(form, data[1], body, piece);
  // Bytes behind the end are left to the caller, who sees them only if they are in the same piece.
  if (whole.event == Event::end) {
    NETSTOR_ASSERT(whole.payload == pieces.payload && whole.trailers == pieces.trailers);
  } else {
    NETSTOR_ASSERT(whole == pieces);
  }
  return 0;
}
