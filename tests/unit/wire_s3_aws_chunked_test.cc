// SPDX-License-Identifier: Apache-2.0
//
// lib/wire/s3/aws_chunked.h: the worked example of the S3 API Reference byte for byte, every split of a body,
// and each way in which the framing or a signature may be wrong.

#include "lib/wire/s3/aws_chunked.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/wire/s3/checksum.h"

namespace netstor::s3 {
namespace {

using Event = AwsChunkedDecoder::Event;
constexpr std::string_view kDate = "20130524T000000Z";

std::optional<ChunkSigner> chain(PayloadForm form) {
  if (form == PayloadForm::streaming_unsigned_trailer) return std::nullopt;
  Signer signer("us-east-1");
  signer.set_identity({"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""});
  const std::string_view hash =
      form == PayloadForm::streaming_signed ? kStreamingSigned : kStreamingSignedTrailer;
  std::vector<NameValue> headers{{"content-encoding", "aws-chunked"},
                                 {"host", "s3.amazonaws.com"},
                                 {"x-amz-content-sha256", hash},
                                 {"x-amz-date", kDate},
                                 {"x-amz-decoded-content-length", "66560"},
                                 {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  if (form == PayloadForm::streaming_signed) headers.push_back({"content-length", "66824"});
  if (has_trailer(form)) headers.push_back({"x-amz-trailer", "x-amz-checksum-crc32c"});
  (void)signer.authorization({"PUT", "/examplebucket/chunkObject.txt", {}, headers}, hash, kDate);
  return signer.chunks();
}

std::string encoded(PayloadForm form, std::string_view payload, std::size_t chunk,
                    std::span<const NameValue> trailers = {}) {
  AwsChunkedEncoder encoder(form, chain(form));
  std::string body;
  for (std::size_t at = 0; at < payload.size(); at += chunk) {
    const std::string_view piece = payload.substr(at, chunk);
    body.append(encoder.before(as_bytes(piece))).append(piece);
  }
  return body.append(encoder.end(trailers));
}

struct Seen {
  std::string payload;
  Event event = Event::more;
  std::string code, trailers;
  std::size_t consumed = 0;
};

Seen decoded(PayloadForm form, std::uint64_t bytes, std::string_view body, std::size_t piece = SIZE_MAX) {
  AwsChunkedDecoder decoder(form, bytes, chain(form));
  Seen seen;
  while (seen.event == Event::more && seen.consumed < body.size()) {
    std::string_view in = body.substr(seen.consumed, piece);
    while (true) {
      const auto step = decoder.next(as_bytes(in));
      EXPECT_LE(step.consumed, in.size());
      if (!step.payload.empty()) {
        EXPECT_EQ(step.payload.data() + step.payload.size(), as_bytes(in).data() + step.consumed);
      }
      seen.payload.append(reinterpret_cast<const char*>(step.payload.data()), step.payload.size());
      seen.consumed += step.consumed;
      in.remove_prefix(step.consumed);
      seen.event = step.event;
      if (step.event != Event::payload) break;
    }
    if (seen.event == Event::more) {
      EXPECT_TRUE(in.empty());
    }
  }
  if (seen.event != Event::end) seen.code = to_string(decoder.fault().code);
  for (const NameValue& each : decoder.trailers()) {
    seen.trailers.append(each.name).append("=").append(each.value).append(" ");
  }
  return seen;
}

constexpr PayloadForm kForms[] = {PayloadForm::streaming_signed, PayloadForm::streaming_signed_trailer,
                                  PayloadForm::streaming_unsigned_trailer};

TEST(AwsChunked, WritesTheDocumentedBody) {
  const std::string body = encoded(PayloadForm::streaming_signed, std::string(66560, 'a'), 65536);
  EXPECT_EQ(body.size(), 66824u) << "the Content-Length of the example";
  EXPECT_TRUE(body.starts_with(
      "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\naaa"));
  EXPECT_TRUE(body.ends_with(
      "a\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"));
  EXPECT_NE(body.find("a\r\n400;chunk-signature="
                      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\na"),
            std::string::npos);
}

TEST(AwsChunked, WritesTheDocumentedTrailer) {
  const NameValue trailers[] = {{"x-amz-checksum-crc32c", "sOO8/Q=="}};
  const std::string body =
      encoded(PayloadForm::streaming_signed_trailer, std::string(66560, 'a'), 65536, trailers);
  EXPECT_TRUE(body.ends_with(
      "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
      "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
      "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"));
}

TEST(AwsChunked, SaysBeforehandHowLongItWillBe) {
  const NameValue trailers[] = {{"x-amz-checksum-crc32c", "sOO8/Q=="}};
  for (const PayloadForm form : kForms) {
    const auto these =
        has_trailer(form) ? std::span<const NameValue>(trailers) : std::span<const NameValue>();
    for (const std::size_t size : {0u, 1u, 15u, 16u, 8192u, 16384u, 16385u, 100'000u}) {
      EXPECT_EQ(AwsChunkedEncoder::encoded_bytes(form, size, 8192, these),
                encoded(form, std::string(size, 'x'), 8192, these).size())
          << size;
    }
  }
}

TEST(AwsChunked, ReadsWhatWasWrittenInPiecesOfAnySize) {
  const NameValue trailers[] = {{"x-amz-checksum-crc32c", "sOO8/Q=="}, {"x-amz-meta-b", ""}};
  const std::string payload = "0123456789\r\nabcdef0\r\n\r\n and more";
  for (const PayloadForm form : kForms) {
    const auto these =
        has_trailer(form) ? std::span<const NameValue>(trailers) : std::span<const NameValue>();
    const std::string body = encoded(form, payload, 11, these);
    for (std::size_t piece = 1; piece <= body.size(); ++piece) {
      const Seen seen = decoded(form, payload.size(), body, piece);
      ASSERT_EQ(seen.event, Event::end) << piece << " " << seen.code;
      EXPECT_EQ(seen.payload, payload);
      EXPECT_EQ(seen.consumed, body.size());
      EXPECT_EQ(seen.trailers, these.empty() ? "" : "x-amz-checksum-crc32c=sOO8/Q== x-amz-meta-b= ");
    }
  }
}

TEST(AwsChunked, ReadsAnEmptyBody) {
  for (const PayloadForm form : kForms) EXPECT_EQ(decoded(form, 0, encoded(form, "", 8)).event, Event::end);
}

TEST(AwsChunked, NoticesEveryChangedByte) {
  const NameValue trailers[] = {{"x-amz-checksum-crc32c", "sOO8/Q=="}};
  const std::string payload = "0123456789abcdef";
  const std::string body = encoded(PayloadForm::streaming_signed_trailer, payload, 9, trailers);
  for (std::size_t at = 0; at < body.size(); ++at) {
    std::string changed = body;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_NE(decoded(PayloadForm::streaming_signed_trailer, payload.size(), changed).event, Event::end)
        << at;
  }
}

TEST(AwsChunked, NoticesEveryMissingEnd) {
  for (const PayloadForm form : kForms) {
    const std::string body = encoded(form, "0123456789", 4);
    for (std::size_t size = 0; size < body.size(); ++size) {
      const Seen seen = decoded(form, 10, std::string_view(body).substr(0, size));
      EXPECT_EQ(seen.event, Event::more) << size;
      EXPECT_EQ(seen.code, "IncompleteBody");
    }
  }
}

TEST(AwsChunked, NoticesChunksInAnotherOrder) {
  const std::string body = encoded(PayloadForm::streaming_signed, "aaaabbbb", 4);
  const std::size_t head = body.find("aaaa") + 6;
  const std::string swapped = body.substr(head, head) + body.substr(0, head) + body.substr(2 * head);
  EXPECT_EQ(decoded(PayloadForm::streaming_signed, 8, swapped).code, "SignatureDoesNotMatch");
}

TEST(AwsChunked, RefusesBadFraming) {
  constexpr PayloadForm kPlain = PayloadForm::streaming_unsigned_trailer;
  const auto code = [](std::string_view body, std::uint64_t bytes = 4) {
    const Seen seen = decoded(kPlain, bytes, body);
    return seen.event == Event::fault ? seen.code : std::string("none");
  };
  EXPECT_EQ(code("4\r\nabcd\r\n0\r\n\r\n"), "none");
  EXPECT_EQ(code("4\r\nabcde\r\n0\r\n\r\n"), "InvalidRequest") << "longer than said";
  EXPECT_EQ(code("5\r\nabcde\r\n0\r\n\r\n"), "IncompleteBody") << "more than announced";
  EXPECT_EQ(code("3\r\nabc\r\n0\r\n\r\n"), "IncompleteBody") << "less than announced";
  EXPECT_EQ(code("\r\nabcd"), "InvalidRequest");
  EXPECT_EQ(code("-4\r\nabcd"), "InvalidRequest");
  EXPECT_EQ(code("0x4\r\nabcd"), "InvalidRequest");
  EXPECT_EQ(code(" 4\r\nabcd"), "InvalidRequest");
  EXPECT_EQ(code("4 \r\nabcd"), "InvalidRequest");
  EXPECT_EQ(code("4\nabcd\n0\n\n"), "InvalidRequest") << "no CR";
  EXPECT_EQ(code("4\rabcd"), "InvalidRequest") << "no LF";
  EXPECT_EQ(code("4;x=y\r\nabcd"), "InvalidRequest") << "an extension";
  EXPECT_EQ(code("ffffffffffffffff\r\n"), "IncompleteBody");
  EXPECT_EQ(code("10000000000000004\r\nabcd"), "InvalidRequest") << "more than 64 bits";
  EXPECT_EQ(code("00000000000000004\r\nabcd"), "InvalidRequest") << "more digits than any size has";
  EXPECT_EQ(code(std::string(129, '0')), "InvalidRequest") << "a line without end";
  EXPECT_EQ(code("4\r\nabcd\r\n0\r\nno colon\r\n\r\n"), "MalformedTrailerError");
  EXPECT_EQ(code("4\r\nabcd\r\n0\r\n:v\r\n\r\n"), "MalformedTrailerError");
  EXPECT_EQ(code("4\r\nabcd\r\n0\r\nx y:v\r\n\r\n"), "MalformedTrailerError");
  EXPECT_EQ(code("4\r\nabcd\r\n0\r\nx-amz-trailer-signature:00\r\n\r\n"), "MalformedTrailerError");
  EXPECT_EQ(code("4\r\nabcd\r\n0\r\nx:" + std::string(1024, 'v')), "InvalidRequest")
      << "a trailer without end";
  std::string many = "4\r\nabcd\r\n0\r\n";
  for (std::size_t i = 0; i <= kTrailersMax; ++i) many += "x:y\r\n";
  EXPECT_EQ(code(many), "MalformedTrailerError");
}

TEST(AwsChunked, RefusesWhatTheFormDoesNotHave) {
  const std::string body = encoded(PayloadForm::streaming_signed, "abcd", 4);
  const std::string with_trailer = body.substr(0, body.size() - 2) + "x-amz-meta-a:b\r\n\r\n";
  EXPECT_EQ(decoded(PayloadForm::streaming_signed, 4, with_trailer).code, "MalformedTrailerError");
  EXPECT_EQ(decoded(PayloadForm::streaming_signed, 4, "4\r\nabcd\r\n0\r\n\r\n").code, "InvalidRequest")
      << "unsigned chunks where signed ones were announced";
  AwsChunkedEncoder encoder(PayloadForm::streaming_signed_trailer,
                            chain(PayloadForm::streaming_signed_trailer));
  std::string unsigned_trailer(encoder.end());
  unsigned_trailer = unsigned_trailer.substr(0, unsigned_trailer.find("x-amz-trailer")) + "\r\n";
  EXPECT_EQ(decoded(PayloadForm::streaming_signed_trailer, 0, unsigned_trailer).code,
            "MalformedTrailerError");
}

TEST(AwsChunked, RefusesBytesBehindTheEndAndStaysAtItsFault) {
  AwsChunkedDecoder decoder(PayloadForm::streaming_unsigned_trailer, 0, std::nullopt);
  const auto step = decoder.next(as_bytes("0\r\n\r\nx"));
  EXPECT_EQ(step.event, Event::end);
  EXPECT_EQ(step.consumed, 5u);
  EXPECT_EQ(decoder.next(as_bytes("x")).event, Event::fault);
  EXPECT_EQ(decoder.next(as_bytes("x")).event, Event::fault);
  EXPECT_EQ(decoder.next({}).event, Event::fault);
}

}  // namespace
}  // namespace netstor::s3
