// SPDX-License-Identifier: Apache-2.0
// Heads of requests and responses: what is read, and what is refused with which status.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "lib/wire/http/head.h"
#include "lib/wire/http/head_writer.h"

namespace netstor::http {
namespace {

struct Read {
  HeadError error = HeadError::none;
  bool complete = true;
  std::string text;
  RequestHead request;
  ResponseHead response;
};

HeadError find_end(const std::string& text, const HeadLimits& limits, std::size_t step, bool& complete) {
  HeadScanner scanner;
  complete = false;
  for (std::size_t end = std::min(step, text.size());; end = std::min(end + step, text.size())) {
    const auto state = scanner.scan(std::string_view(text).substr(0, end), limits);
    if (state == HeadScanner::State::refused) return scanner.error();
    if (state == HeadScanner::State::found) {
      complete = true;
      EXPECT_EQ(scanner.size(), text.size());
      return HeadError::none;
    }
    if (end == text.size()) return HeadError::none;
  }
}

/// Scans at once and byte by byte, which has to say the same, and decodes.
HeadError request(Read& out, const HeadLimits& limits = {}) {
  bool complete = false;
  out.error = find_end(out.text, limits, out.text.size(), out.complete);
  EXPECT_EQ(find_end(out.text, limits, 1, complete), out.error) << out.text;
  EXPECT_EQ(complete, out.complete);
  if (out.error == HeadError::none && out.complete) out.error = decode_request(out.text, out.request, limits);
  return out.error;
}

HeadError request_error(std::string text) {
  Read read;
  read.text = std::move(text);
  const HeadError error = request(read);
  EXPECT_TRUE(read.complete || error != HeadError::none) << read.text;
  return error;
}

HeadError field_error(const std::string& lines) {
  return request_error("PUT /b/k HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n");
}

HeadError response_error(const std::string& text, bool to_head = false) {
  ResponseHead head;
  return decode_response(text, to_head, head);
}

TEST(HttpRequestHead, ReadsAllOfIt) {
  Read read;
  read.text =
      "GET /bucket/a%20key?versionId=1 HTTP/1.1\r\nHost: s3.example:9000\r\nX-Empty:\r\n"
      "Range:bytes=0-9 \t\r\nx-amz-meta-Name: caf\xc3\xa9\t!\r\nConnection: Keep-Alive, close\r\n\r\n";
  ASSERT_EQ(request(read), HeadError::none) << to_string(read.error);
  const RequestHead& head = read.request;
  EXPECT_EQ(head.method, Method::get);
  EXPECT_EQ(head.method_name, "GET");
  EXPECT_EQ(head.target, "/bucket/a%20key?versionId=1");
  EXPECT_EQ(head.minor, 1U);
  EXPECT_EQ(head.fields.size(), 5U);
  EXPECT_EQ(head.fields.value("HOST"), "s3.example:9000");
  EXPECT_EQ(head.fields.find("x-empty"), "");
  EXPECT_EQ(head.fields.value("range"), "bytes=0-9");
  EXPECT_EQ(head.fields.value("x-amz-meta-name"), "caf\xc3\xa9\t!");
  EXPECT_FALSE(head.fields.has("x-amz-meta"));
  EXPECT_FALSE(head.keep_alive);
  EXPECT_EQ(head.framing, Framing::none);
}

TEST(HttpRequestHead, KnowsMethods) {
  for (const std::string name : {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "M-SEARCH", "get"}) {
    Read read;
    read.text = name + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    ASSERT_EQ(request(read), HeadError::none);
    EXPECT_EQ(read.request.method_name, name);
    EXPECT_EQ(read.request.method == Method::other, name == "M-SEARCH" || name == "get") << name;
  }
}

TEST(HttpRequestHead, RefusesMalformedRequestLines) {
  for (const std::string line :
       {"", "GET", "GET /", "GET / ", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET / HTTP/1.1 ",
        "GET / http/1.1", "GET / HTTP/11", "GET / HTTP/1.10", "GET /a b HTTP/1.1", "G(T / HTTP/1.1",
        "GET\t/\tHTTP/1.1", "GET / HTTP/1.x"}) {
    EXPECT_EQ(request_error(line + "\r\nHost: a\r\n\r\n"), HeadError::start_line) << line;
  }
  EXPECT_EQ(request_error("GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), HeadError::target);
  EXPECT_EQ(request_error(std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28)), HeadError::target);
  EXPECT_EQ(request_error("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), HeadError::version);
  EXPECT_EQ(request_error("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), HeadError::version);
  EXPECT_EQ(request_error("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), HeadError::none);
}

TEST(HttpRequestHead, RefusesLineEndsOtherThanCrLf) {
  EXPECT_EQ(request_error("GET / HTTP/1.1\nHost: a\r\n\r\n"), HeadError::line_end);
  EXPECT_EQ(request_error("GET / HTTP/1.1\r\nHost: a\n\n"), HeadError::line_end);
  EXPECT_EQ(request_error("GET / HTTP/1.1\r\nHost: a\r\n\n"), HeadError::line_end);
  EXPECT_EQ(request_error("\n"), HeadError::line_end);
  EXPECT_EQ(field_error("A: b\rc\r\n"), HeadError::value);
  EXPECT_EQ(field_error("A: b\r\r\n"), HeadError::value);
  EXPECT_EQ(field_error("A\r: b\r\n"), HeadError::field);
}

TEST(HttpRequestHead, RefusesMalformedFields) {
  EXPECT_EQ(field_error("A : b\r\n"), HeadError::field);
  EXPECT_EQ(field_error(" A: b\r\n"), HeadError::field);
  EXPECT_EQ(field_error("A: b\r\n folded\r\n"), HeadError::field);
  EXPECT_EQ(field_error("A: b\r\n\tfolded: x\r\n"), HeadError::field);
  EXPECT_EQ(field_error(": b\r\n"), HeadError::field);
  EXPECT_EQ(field_error("A\r\n"), HeadError::field);
  EXPECT_EQ(field_error("A b: c\r\n"), HeadError::field);
  EXPECT_EQ(field_error("A\xe9: c\r\n"), HeadError::field);
  for (int c = 1; c < 256; ++c) {
    if (c == '\r' || c == '\n') continue;
    const bool bad = (c < 0x20 && c != '\t') || c == 0x7F;
    for (const std::string before : {"", "1", "1234567", "12345678"}) {
      const std::string value = before + "x" + static_cast<char>(c) + "x";
      EXPECT_EQ(field_error("A: " + value + "\r\n"), bad ? HeadError::value : HeadError::none) << c;
      EXPECT_EQ(field_error("A: " + value + "12345678\r\n"), bad ? HeadError::value : HeadError::none) << c;
    }
  }
  EXPECT_EQ(field_error(std::string("A: b\0c\r\n", 8)), HeadError::value);
}

TEST(HttpRequestHead, WantsOneHost) {
  EXPECT_EQ(request_error("GET / HTTP/1.1\r\nA: b\r\n\r\n"), HeadError::host);
  EXPECT_EQ(request_error("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), HeadError::host);
  EXPECT_EQ(request_error("GET / HTTP/1.0\r\nA: b\r\n\r\n"), HeadError::none);
  EXPECT_EQ(request_error("GET / HTTP/1.0\r\n\r\n"), HeadError::none);
}

TEST(HttpRequestHead, RefusesFramingThatTwoCouldReadDifferently) {
  EXPECT_EQ(field_error("Content-Length: 4\r\nContent-Length: 4\r\n"), HeadError::length);
  EXPECT_EQ(field_error("Content-Length: 4\r\nContent-Length: 5\r\n"), HeadError::length);
  for (const std::string value : {"4, 4", "+4", "-1", "0x4", "4 ", "", "4;", "9223372036854775808",
                                  "18446744073709551616", "99999999999999999999999"}) {
    EXPECT_EQ(field_error("Content-Length: " + value + "\r\n"),
              value == "4 " ? HeadError::none : HeadError::length)
        << value;
  }
  EXPECT_EQ(field_error("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), HeadError::framing);
  EXPECT_EQ(field_error("Transfer-Encoding: chunked\r\ncontent-length: 0\r\n"), HeadError::framing);
  for (const std::string value : {"gzip", "gzip, chunked", "chunked, gzip", "xchunked", "chunked, chunked",
                                  "\x0b"
                                  "chunked",
                                  "identity", "\"chunked\"", "", ",", "chunked;a=b"}) {
    const HeadError expected = value.starts_with('\x0b') ? HeadError::value : HeadError::transfer_encoding;
    EXPECT_EQ(field_error("Transfer-Encoding: " + value + "\r\n"), expected) << value;
  }
  EXPECT_EQ(field_error("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            HeadError::transfer_encoding);
  EXPECT_EQ(request_error("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), HeadError::framing);
}

TEST(HttpRequestHead, FindsTheFraming) {
  const auto read = [](const std::string& lines, Read& out) -> RequestHead& {
    out.text = "PUT / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
    EXPECT_EQ(request(out), HeadError::none);
    return out.request;
  };
  Read a;
  EXPECT_EQ(read("Content-Length: 007\r\n", a).framing, Framing::length);
  EXPECT_EQ(a.request.content_length, 7U);
  Read b;
  EXPECT_EQ(read("Transfer-Encoding: ,Chunked,\r\nExpect: 100-Continue\r\n", b).framing, Framing::chunked);
  EXPECT_TRUE(b.request.expects_continue);
  Read c;
  EXPECT_EQ(read("Content-Length: 0\r\n", c).framing, Framing::none);
  EXPECT_EQ(c.request.content_length, 0U);
}

TEST(HttpRequestHead, IsBounded) {
  const HeadLimits limits{.line_bytes_max = 40, .head_bytes_max = 200, .fields_max = 3};
  const auto error = [&](const std::string& text) {
    Read read;
    read.text = text;
    return request(read, limits);
  };
  const std::string target27(27, 'a');
  EXPECT_EQ(error("GET /" + target27 + "/ HTTP/1.1\r\nHost: a\r\n\r\n"), HeadError::line_too_long);
  EXPECT_EQ(error("GET /" + target27 + " HTTP/1.1\r\nHost: a\r\n\r\n"), HeadError::line_too_long);
  EXPECT_EQ(error("GET /" + target27.substr(1) + " HTTP/1.1\r\nHost: a\r\n\r\n"), HeadError::none);
  EXPECT_EQ(error("GET /" + std::string(37, 'a')), HeadError::line_too_long) << "before its end has come";
  EXPECT_EQ(error("GET / HTTP/1.1\r\nHost: " + std::string(300, 'a')), HeadError::head_too_long);
  const std::string start = "GET / HTTP/1.1\r\nHost: ";
  EXPECT_EQ(error(start + std::string(200 - 4 - start.size(), 'a') + "\r\n\r\n"), HeadError::none);
  EXPECT_EQ(error(start + std::string(201 - 4 - start.size(), 'a') + "\r\n\r\n"), HeadError::head_too_long);
  EXPECT_EQ(error("GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nA:b\r\n\r\n"), HeadError::none);
  EXPECT_EQ(error("GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nA:b\r\nA:b\r\n\r\n"), HeadError::head_too_long);
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (unsigned i = 0; i < kFieldsMax; ++i) many += "A:b\r\n";
  EXPECT_EQ(request_error(many + "\r\n"), HeadError::head_too_long);
}

TEST(HttpRequestHead, IsAnsweredWithAStatusOfItsOwn) {
  EXPECT_EQ(head_status(HeadError::start_line), 400U);
  EXPECT_EQ(head_status(HeadError::framing), 400U);
  EXPECT_EQ(head_status(HeadError::line_too_long), 414U);
  EXPECT_EQ(head_status(HeadError::head_too_long), 431U);
  EXPECT_EQ(head_status(HeadError::transfer_encoding), 501U);
  EXPECT_EQ(head_status(HeadError::version), 505U);
}

TEST(HttpResponseHead, ReadsAllOfIt) {
  const std::string text = "HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nETag: \"a\"\r\n\r\n";
  ResponseHead head;
  ASSERT_EQ(decode_response(text, false, head), HeadError::none);
  EXPECT_EQ(head.status, 206U);
  EXPECT_EQ(head.reason, "Partial Content");
  EXPECT_EQ(head.framing, Framing::length);
  EXPECT_EQ(head.content_length, 10U);
  EXPECT_EQ(head.fields.value("etag"), "\"a\"");
  EXPECT_TRUE(head.keep_alive);
  ASSERT_EQ(decode_response(text, true, head), HeadError::none);
  EXPECT_EQ(head.framing, Framing::none);
  EXPECT_EQ(head.content_length, 10U);
  ASSERT_EQ(decode_response("HTTP/1.0 200\r\n\r\n", false, head), HeadError::none);
  EXPECT_EQ(head.framing, Framing::until_close);
  EXPECT_EQ(head.reason, "");
  EXPECT_FALSE(head.keep_alive);
  ASSERT_EQ(decode_response("HTTP/1.0 200 \r\nConnection: keep-alive\r\n\r\n", false, head), HeadError::none);
  EXPECT_TRUE(head.keep_alive);
}

TEST(HttpResponseHead, FindsTheFraming) {
  const auto framing = [](const std::string& status, const std::string& lines) {
    ResponseHead head;
    EXPECT_EQ(decode_response("HTTP/1.1 " + status + "\r\n" + lines + "\r\n", false, head), HeadError::none);
    return head.framing;
  };
  EXPECT_EQ(framing("200 OK", "Transfer-Encoding: chunked\r\n"), Framing::chunked);
  EXPECT_EQ(framing("200 OK", ""), Framing::until_close);
  EXPECT_EQ(framing("200 OK", "Content-Length: 0\r\n"), Framing::none);
  EXPECT_EQ(framing("204 No Content", ""), Framing::none);
  EXPECT_EQ(framing("204 No Content", "Content-Length: 5\r\n"), Framing::none);
  EXPECT_EQ(framing("304 Not Modified", "Content-Length: 5\r\n"), Framing::none);
  EXPECT_EQ(framing("100 Continue", ""), Framing::none);
}

TEST(HttpResponseHead, RefusesWhatItShould) {
  for (const std::string line : {"HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1  200",
                                 "HTTP/1.1 099 A", "HTTP/1.1 2x0 A", "HTTP/1.1 200OK", "ICY 200 OK", ""}) {
    EXPECT_EQ(response_error(line + "\r\n\r\n"), HeadError::start_line) << line;
  }
  EXPECT_EQ(response_error("HTTP/2.0 200 OK\r\n\r\n"), HeadError::version);
  EXPECT_EQ(response_error("HTTP/1.1 200 O\x01K\r\n\r\n"), HeadError::value);
  EXPECT_EQ(response_error("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            HeadError::framing);
  EXPECT_EQ(response_error("HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HeadError::framing);
  EXPECT_EQ(response_error("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
            HeadError::transfer_encoding);
  EXPECT_EQ(response_error("HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest"), HeadError::field);
  EXPECT_EQ(response_error("HTTP/1.1 200 OK\r\nA: b\r\n"), HeadError::line_end);
}

TEST(HttpFields, FindListElements) {
  Fields fields;
  ASSERT_TRUE(fields.add("Connection", "a, Close"));
  ASSERT_TRUE(fields.add("connection", "b"));
  EXPECT_TRUE(fields.lists("connection", "close"));
  EXPECT_TRUE(fields.lists("connection", "B"));
  EXPECT_FALSE(fields.lists("connection", "clos"));
  EXPECT_EQ(fields.count("CONNECTION"), 2U);
}

TEST(HttpHeadWriter, WritesWhatIsRead) {
  std::array<char, 256> buffer;
  HeadWriter writer(buffer);
  writer.request_line("PUT", "/a?b");
  writer.field("Host", "x");
  writer.field("Content-Length", std::uint64_t{UINT32_MAX} + 1);
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(writer.text(), "PUT /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 4294967296\r\n\r\n");
  RequestHead head;
  EXPECT_EQ(decode_request(writer.text(), head), HeadError::none);
  HeadWriter answer(buffer);
  answer.status_line(404);
  ASSERT_TRUE(answer.finish());
  EXPECT_EQ(answer.text(), "HTTP/1.1 404 Not Found\r\n\r\n");
}

TEST(HttpHeadWriter, RefusesWhatWouldBreakTheHead) {
  const auto fails = [](auto&& write) {
    std::array<char, 64> buffer;
    HeadWriter writer(buffer);
    write(writer);
    return !writer.finish();
  };
  EXPECT_TRUE(fails([](HeadWriter& w) { w.field("A", "b\r\nC: d"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.field("A", std::string_view("b\0", 2)); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.field("A b", "c"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.field("", "c"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.request_line("GET", "/a b"); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.request_line("GET", ""); }));
  EXPECT_TRUE(fails([](HeadWriter& w) { w.field("A", std::string(60, 'a')); }));
  EXPECT_FALSE(fails([](HeadWriter& w) { w.field("A", std::string(57, 'a')); }));
}

}  // namespace
}  // namespace netstor::http
