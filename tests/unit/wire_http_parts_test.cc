// SPDX-License-Identifier: Apache-2.0
// The small grammars of HTTP: chunks, percent-encoding, dates, ranges, entity tags.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/wire/http/chunked.h"
#include "lib/wire/http/date.h"
#include "lib/wire/http/etag.h"
#include "lib/wire/http/head.h"
#include "lib/wire/http/range.h"
#include "lib/wire/http/uri.h"

namespace netstor::http {
namespace {

struct Decoded {
  std::string data;
  std::string trailers;
  std::size_t eaten = 0;
  bool done = false;
  bool failed = false;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode_chunks(std::string_view text, std::size_t step, const ChunkedLimits& limits = {}) {
  ChunkedDecoder decoder(limits);
  Decoded out;
  for (std::size_t at = 0; at < text.size() && !decoder.done() && !decoder.failed();) {
    const std::string_view part = text.substr(at, step);
    std::size_t used = 0;
    while (used < part.size() && !decoder.done() && !decoder.failed()) {
      used += decoder.framing(part.substr(used));
      const auto take = std::min<std::uint64_t>(decoder.data_left(), part.size() - used);
      out.data += part.substr(used, take);
      decoder.taken(take);
      used += take;
    }
    at += used;
    out.eaten = at;
  }
  out.done = decoder.done();
  out.failed = decoder.failed();
  out.trailers = decoder.trailers();
  return out;
}

Decoded chunks(std::string_view text, const ChunkedLimits& limits = {}) {
  const Decoded whole = decode_chunks(text, text.size() + 1, limits);
  for (std::size_t step = 1; step < std::min<std::size_t>(text.size(), 40); ++step)
    EXPECT_EQ(decode_chunks(text, step, limits), whole) << step;
  return whole;
}

TEST(HttpChunked, ReadsChunksExtensionsAndTrailers) {
  const Decoded got =
      chunks("4\r\nWiki\r\n5;a=\"b\\\"\";c\r\npedia\r\n00a \t;x\r\n0123456789\r\n0\r\nA: b\r\n\r\nGET");
  EXPECT_TRUE(got.done);
  EXPECT_EQ(got.data, "Wikipedia0123456789");
  EXPECT_EQ(got.trailers, "A: b\r\n\r\n");
  Fields fields;
  EXPECT_EQ(decode_trailers(got.trailers, fields), HeadError::none);
  EXPECT_EQ(fields.value("a"), "b");
  EXPECT_EQ(got.eaten, std::string_view("4\r\nWiki\r\n5;a=\"b\\\"\";c\r\npedia\r\n00a \t;x\r\n0123456789\r\n"
                                        "0\r\nA: b\r\n\r\n")
                           .size());
  EXPECT_EQ(chunks("0\r\n\r\n").trailers, "\r\n");
}

TEST(HttpChunked, RefusesBadFraming) {
  for (const std::string_view text : {"\r\n",
                                      "g\r\n",
                                      "-1\r\n",
                                      "0x4\r\n",
                                      " 4\r\n",
                                      "4 \r\nWiki",
                                      "4\nWiki",
                                      "4\r\nWikiX",
                                      "4\r\nWiki\n",
                                      "4\r\nWiki\rX",
                                      "4\rX",
                                      "4;a\nb",
                                      "4;\x01\r\n",
                                      "00000000000000001\r\n",
                                      "ffffffffffffffff\r\n",
                                      "0\r\nA: b\n",
                                      "0\r\n\rX",
                                      "4 4\r\n",
                                      "4\t5\r\n",
                                      ";a\r\n"}) {
    EXPECT_TRUE(chunks(text).failed) << text;
  }
  for (const std::string_view text : {"", "4", "4\r\nWik", "4\r\nWiki\r\n", "0\r\n", "0\r\nA: b\r\n"}) {
    EXPECT_FALSE(chunks(text).failed) << text;
    EXPECT_FALSE(chunks(text).done) << text;
  }
}

TEST(HttpChunked, IsBounded) {
  const ChunkedLimits limits{
      .chunk_bytes_max = 8, .extension_bytes_max = 4, .extensions_bytes_max = 6, .trailer_bytes_max = 10};
  EXPECT_FALSE(chunks("8\r\n", limits).failed);
  EXPECT_TRUE(chunks("9\r\n", limits).failed);
  EXPECT_FALSE(chunks("1;abcd\r\n", limits).failed);
  EXPECT_TRUE(chunks("1;abcde", limits).failed);
  EXPECT_FALSE(chunks("1;abc\r\nx\r\n1;abc\r\n", limits).failed);
  EXPECT_TRUE(chunks("1;abc\r\nx\r\n1;abcd\r\n", limits).failed);
  EXPECT_TRUE(chunks("0\r\nA: bcd\r\n\r\n", limits).done);
  EXPECT_TRUE(chunks("0\r\nA: bcde\r\n\r\n", limits).failed);
  EXPECT_TRUE(chunks("1                    ", limits).failed);
}

TEST(HttpChunked, WritesSizes) {
  std::array<char, kChunkSizeMax> out;
  EXPECT_EQ(std::string(out.data(), encode_chunk_size(0x1000, out)), "1000\r\n");
  EXPECT_EQ(std::string(out.data(), encode_chunk_size(UINT64_MAX, out)), "ffffffffffffffff\r\n");
}

TEST(HttpUri, EncodesAsS3Signs) {
  EXPECT_EQ(percent_encoded("azAZ09-._~/", Slash::keep), "azAZ09-._~/");
  EXPECT_EQ(percent_encoded("a/b c+\xc3\xa9%\n", Slash::encode), "a%2Fb%20c%2B%C3%A9%25%0A");
  std::string every;
  for (int c = 0; c < 256; ++c) every.push_back(static_cast<char>(c));
  for (const Slash slash : {Slash::keep, Slash::encode}) {
    std::string back;
    ASSERT_TRUE(percent_decode(percent_encoded(every, slash), Plus::literal, back));
    EXPECT_EQ(back, every);
  }
}

TEST(HttpUri, RefusesBrokenEncoding) {
  for (const std::string_view text : {"%", "a%1", "%g0", "%0g", "%%41"}) {
    std::string out;
    EXPECT_FALSE(percent_decode(text, Plus::literal, out)) << text;
  }
  std::string out;
  EXPECT_TRUE(percent_decode("a+b%2B", Plus::space, out));
  EXPECT_EQ(out, "a b+");
}

TEST(HttpUri, SplitsTargets) {
  const auto plain = split_target("/b/k?x=1?2&y");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->path, "/b/k");
  EXPECT_EQ(plain->query, "x=1?2&y");
  EXPECT_FALSE(split_target("/b")->has_query);
  EXPECT_TRUE(split_target("/b?")->has_query);
  EXPECT_EQ(split_target("*")->path, "*");
  const auto absolute = split_target("HTTP://host:80/p?q");
  ASSERT_TRUE(absolute);
  EXPECT_EQ(absolute->authority, "host:80");
  EXPECT_EQ(absolute->path, "/p");
  EXPECT_EQ(absolute->query, "q");
  EXPECT_EQ(split_target("http://host?q")->path, "/");
  EXPECT_EQ(split_target("http://host")->path, "/");
  for (const std::string_view bad : {"", "b", "http:///p", "/a#b", "?q", "*x", "*?x", "ftp://h/"})
    EXPECT_FALSE(split_target(bad)) << bad;
}

TEST(HttpUri, ReadsQueries) {
  std::vector<std::string> seen;
  for (QueryReader reader("&uploads&a=1&b=&=x&&c=d=e&"); reader.next();)
    seen.push_back(std::string(reader.name()) + (reader.has_value() ? "|" : "") +
                   std::string(reader.value()));
  EXPECT_EQ(seen, (std::vector<std::string>{"uploads", "a|1", "b|", "|x", "c|d=e"}));
}

constexpr WallTime at(std::int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

TEST(HttpDate, WritesAndReadsTheFormsOfHttp) {
  EXPECT_EQ(encode_http_date(at(784111777)).view(), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(encode_http_date(at(0)).view(), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(encode_http_date(at(951782400)).view(), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(encode_http_date(at(-5)).view(), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(decode_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), at(784111777));
  EXPECT_EQ(decode_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), at(784111777));
  EXPECT_EQ(decode_http_date("Sun Nov  6 08:49:37 1994"), at(784111777));
  for (std::int64_t t = 0; t < 7'000'000'000; t += 9'876'543)
    EXPECT_EQ(decode_http_date(encode_http_date(at(t))), at(t));
  for (const std::string_view bad :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT", "Sun, 06 Nov 9999 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 0a:49:37 GMT"})
    EXPECT_FALSE(decode_http_date(bad)) << bad;
}

TEST(HttpDate, WritesAndReadsTheFormsOfS3) {
  EXPECT_EQ(encode_basic_date(at(1369353600)).view(), "20130524T000000Z");
  EXPECT_EQ(encode_iso_date(at(1255369830) + std::chrono::milliseconds(7)).view(),
            "2009-10-12T17:50:30.007Z");
  EXPECT_EQ(decode_iso_date("20130524T000000Z"), at(1369353600));
  EXPECT_EQ(decode_iso_date("2009-10-12T17:50:30.000Z"), at(1255369830));
  EXPECT_EQ(decode_iso_date("2009-10-12T17:50:30Z"), at(1255369830));
  EXPECT_EQ(decode_iso_date("2009-10-12T19:20:30.5+01:30"), at(1255369830) + std::chrono::milliseconds(500));
  EXPECT_EQ(decode_iso_date("2009-10-12T16:50:30-01:00"), at(1255369830));
  for (const std::string_view bad :
       {"", "20130524", "20130524T000000", "2013-05-24T000000Z", "20130524T0000Z", "2009-10-12T17:50:30.Z",
        "2009-10-12T17:50:30Zx", "2009-13-12T17:50:30Z", "2009-10-12T17:50:30+24:00", "2009-10-12 17:50:30Z"})
    EXPECT_FALSE(decode_iso_date(bad)) << bad;
}

TEST(HttpRange, ReadsAndResolves) {
  const auto resolved = [](std::string_view text, std::uint64_t size) {
    const auto spec = decode_range(text);
    EXPECT_TRUE(spec) << text;
    const auto range = spec ? resolve(*spec, size) : std::nullopt;
    return range ? std::pair(range->offset, range->length) : std::pair(std::uint64_t{77}, std::uint64_t{0});
  };
  using Pair = std::pair<std::uint64_t, std::uint64_t>;
  EXPECT_EQ(resolved("bytes=0-9", 100), Pair(0, 10));
  EXPECT_EQ(resolved("Bytes=5-", 100), Pair(5, 95));
  EXPECT_EQ(resolved("bytes=-7", 100), Pair(93, 7));
  EXPECT_EQ(resolved("bytes=-700", 100), Pair(0, 100));
  EXPECT_EQ(resolved("bytes=90-1000", 100), Pair(90, 10));
  EXPECT_EQ(resolved("bytes=100-", 100), Pair(77, 0));
  EXPECT_EQ(resolved("bytes=0-", 0), Pair(77, 0));
  EXPECT_EQ(resolved("bytes=-0", 10), Pair(77, 0));
  for (const std::string_view bad :
       {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "items=0-1", "bytes=0-1,3-4", "bytes=1",
        "bytes=0-18446744073709551616", "bytes=--1", "bytes=0-1-2", "bytes= 0 - 1"})
    EXPECT_FALSE(decode_range(bad)) << bad;
  EXPECT_EQ(encode_range({5, 10}).view(), "bytes=5-14");
}

TEST(HttpRange, WritesAndReadsContentRange) {
  EXPECT_EQ(encode_content_range(ByteRange{5, 10}, 100).view(), "bytes 5-14/100");
  EXPECT_EQ(encode_content_range(std::nullopt, 100).view(), "bytes */100");
  const auto range = decode_content_range("bytes 5-14/100");
  ASSERT_TRUE(range && range->range);
  EXPECT_EQ(range->range->offset, 5U);
  EXPECT_EQ(range->range->length, 10U);
  EXPECT_EQ(range->size, 100U);
  EXPECT_FALSE(decode_content_range("bytes 5-14/*")->size);
  EXPECT_FALSE(decode_content_range("bytes */100")->range);
  for (const std::string_view bad : {"", "bytes", "bytes 5-14", "bytes 5-4/10", "bytes 5-10/10", "bytes */*",
                                     "bytes=5-6/10", "bytes 5-/10", "items 0-1/2", "bytes 0-1/2x"})
    EXPECT_FALSE(decode_content_range(bad)) << bad;
}

TEST(HttpEtag, MatchesLists) {
  EXPECT_EQ(match_strongly("\"a\"", "a"), TagMatch::yes);
  EXPECT_EQ(match_strongly("\"b\", \"a\"", "a"), TagMatch::yes);
  EXPECT_EQ(match_strongly("\"b\",,\"c\"", "a"), TagMatch::no);
  EXPECT_EQ(match_strongly("W/\"a\"", "a"), TagMatch::no);
  EXPECT_EQ(match_weakly("W/\"a\"", "a"), TagMatch::yes);
  EXPECT_EQ(match_weakly(" * ", "a"), TagMatch::yes);
  EXPECT_EQ(match_strongly("d41d8-2, x", "d41d8-2"), TagMatch::yes) << "without quotes, as clients send it";
  EXPECT_EQ(match_strongly("\"a,b\"", "a,b"), TagMatch::yes);
  EXPECT_EQ(match_strongly("\"\"", ""), TagMatch::yes);
  EXPECT_EQ(match_strongly("", "a"), TagMatch::no);
  for (const std::string_view bad : {"\"a", "\"a\" \"b\"", "W/a", "\"a b\"", "\"a\"x", "\"a\", \"", "a\"b"})
    EXPECT_EQ(match_strongly(bad, "a"), TagMatch::malformed) << bad;
}

}  // namespace
}  // namespace netstor::http
