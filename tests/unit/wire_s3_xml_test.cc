// SPDX-License-Identifier: Apache-2.0
//
// lib/wire/s3/xml.h: round trips, the examples of the S3 API Reference, and what hostile bodies get. Listings
// are in wire_s3_xml_list_test.cc.

#include "lib/wire/s3/xml.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/bytes.h"

namespace netstor::s3 {
namespace {

template <class T>
std::string encoded(const T& body) {
  std::string out;
  encode(body, out);
  return out;
}

// All bytes that a key may have but NUL, in valid UTF-8.
std::string difficult_key() {
  std::string key = " <a & \"b\" 'c'>]]>\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80/../%41+%/";
  for (char c = 1; c < 0x20; ++c) key.push_back(c);
  return key + "\x7F ";
}

TEST(S3Xml, ErrorRoundTripsAndReadsTheDocumentedOne) {
  const ErrorBody body{"NoSuchKey", "No <key>", "/b/k&k", "4442587FB7D0A2F9", "host", "eu-west-1",
                       "e",         "b",        "k&k"};
  EXPECT_EQ(decode_error(encoded(body)).value(), body);
  const auto read = decode_error(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>\n  <Code>NoSuchKey</Code>\n"
      "  <Message>The resource you requested does not exist</Message>\n"
      "  <Resource>/mybucket/myfoto.jpg</Resource> \n  <RequestId>4442587FB7D0A2F9</RequestId>\n</Error>");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->code, "NoSuchKey");
  EXPECT_EQ(read->message, "The resource you requested does not exist");
  EXPECT_EQ(read->request_id, "4442587FB7D0A2F9");
  const auto sts = decode_error(
      "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"
      "<Code>ExpiredToken</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>");
  ASSERT_TRUE(sts);
  EXPECT_EQ(sts->code, "ExpiredToken");
  EXPECT_EQ(sts->request_id, "r");
}

TEST(S3Xml, MultipartBodiesRoundTrip) {
  const InitiateMultipartUploadResult started{"b", difficult_key(), "id+/="};
  EXPECT_EQ(decode_initiate_result(encoded(started)).value(), started);

  const Checksum sum = checksum_of(ChecksumKind::crc64nvme, as_bytes("x"));
  const CompleteMultipartUpload parts{{{1, "a", sum}, {10000, "b", std::nullopt}}};
  EXPECT_EQ(decode_complete_request(encoded(parts)).value(), parts);

  const CompleteMultipartUploadResult done{"http://h/b/k",
                                           "b",
                                           difficult_key(),
                                           "e-2",
                                           ObjectChecksum{checksum_of(ChecksumKind::sha256, {}), 2},
                                           ChecksumType::composite};
  EXPECT_EQ(std::get<0>(decode_complete_result(encoded(done)).value()), done);

  const CopyResult copy{"e", *http::decode_iso_date("2009-10-28T22:32:00.123Z"), ObjectChecksum{sum, 0}};
  std::string object, part;
  encode_copy_object(copy, object);
  encode_copy_part(copy, part);
  EXPECT_EQ(std::get<0>(decode_copy_result(object).value()), copy);
  EXPECT_EQ(std::get<0>(decode_copy_result(part).value()), copy);
  EXPECT_EQ(xml_root(part), "CopyPartResult");
}

TEST(S3Xml, SeesTheErrorInsideOfA200) {
  const auto complete = decode_complete_result(
      "  \n \n<?xml version=\"1.0\"?>\n\n<Error><Code>InternalError</Code><Message>m</Message></Error>");
  ASSERT_TRUE(complete) << complete.error();
  EXPECT_EQ(std::get<ErrorBody>(*complete).code, "InternalError");
  const auto copy = decode_copy_result("<Error><Code>SlowDown</Code></Error>");
  ASSERT_TRUE(copy);
  EXPECT_EQ(std::get<ErrorBody>(*copy).code, "SlowDown");
  EXPECT_FALSE(decode_complete_result("<Other/>"));
}

TEST(S3Xml, CompleteRequestIsChecked) {
  const auto request = [](std::string_view parts) {
    return decode_complete_request("<CompleteMultipartUpload>" + std::string(parts) +
                                   "</CompleteMultipartUpload>");
  };
  const auto good = request("<Part><ETag>\"a\"</ETag><PartNumber> 7 </PartNumber></Part>");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->parts[0], (CompletedPart{7, "a", std::nullopt}));
  EXPECT_TRUE(request("<Part><ETag>a</ETag><PartNumber>1</PartNumber></Part>")) << "an ETag without quotes";
  for (const std::string_view wrong :
       {"", "<Part><ETag>a</ETag></Part>", "<Part><PartNumber>1</PartNumber></Part>",
        "<Part><ETag>a</ETag><PartNumber>0</PartNumber></Part>",
        "<Part><ETag>a</ETag><PartNumber>10001</PartNumber></Part>",
        "<Part><ETag>a</ETag><PartNumber>-1</PartNumber></Part>",
        "<Part><ETag>a</ETag><PartNumber>1x</PartNumber></Part>",
        "<Part><ETag>a</ETag><PartNumber>1</PartNumber><ChecksumCRC32>no</ChecksumCRC32></Part>"}) {
    EXPECT_FALSE(request(wrong)) << wrong;
  }
  CompleteMultipartUpload many;
  many.parts.assign(kPartsMax, {1, "0123456789abcdef0123456789abcdef", std::nullopt});
  EXPECT_TRUE(decode_complete_request(encoded(many)));
  many.parts.push_back(many.parts.back());
  EXPECT_FALSE(decode_complete_request(encoded(many)));
}

TEST(S3Xml, DeleteRoundTripsAndIsChecked) {
  const DeleteRequest request{{{difficult_key(), ""}, {" ", "null"}, {"\n", ""}}, true};
  EXPECT_EQ(decode_delete(encoded(request)).value(), request);
  DeleteResult result;
  result.deleted = {{difficult_key(), "v", true, "m"}, {"b", "", false, ""}};
  result.failed = {{"c", "v2", "AccessDenied", "Access Denied"}};
  EXPECT_EQ(decode_delete_result(encoded(result)).value(), result);

  EXPECT_FALSE(decode_delete("<Delete></Delete>"));
  EXPECT_FALSE(decode_delete("<Delete><Object><Key></Key></Object></Delete>"));
  DeleteRequest many;
  many.objects.assign(kDeleteMax + 1, {"k", ""});
  EXPECT_FALSE(decode_delete(encoded(many)));
  many.objects.assign(kDeleteMax, {std::string(1024, '&'), ""});
  EXPECT_EQ(decode_delete(encoded(many)).value(), many) << "the largest one";
}

TEST(S3Xml, SmallBodiesRoundTrip) {
  const Tags tags{{"a&b", "<c>"}, {"d", ""}};
  std::string text;
  encode_tagging(tags, text);
  EXPECT_EQ(decode_tagging(text).value(), tags);
  text.clear();
  encode_tagging({}, text);
  EXPECT_EQ(decode_tagging(text).value(), Tags());
  EXPECT_FALSE(decode_tagging("<Tagging></Tagging>"));
  EXPECT_FALSE(decode_tagging("<Tagging><TagSet><Tag><Value>x</Value></Tag></TagSet></Tagging>"));

  for (const std::string_view region : {"", "eu-central-1"}) {
    text.clear();
    encode_create_bucket(region, text);
    EXPECT_EQ(decode_create_bucket(text).value(), region);
    text.clear();
    encode_location(region, text);
    EXPECT_EQ(decode_location(text).value(), region);
  }
  EXPECT_EQ(decode_create_bucket("").value(), "");

  for (const Versioning each : {Versioning::never, Versioning::enabled, Versioning::suspended}) {
    EXPECT_EQ(decode_versioning(encoded(each)).value(), each);
  }
  EXPECT_FALSE(
      decode_versioning("<VersioningConfiguration><Status>Perhaps</Status></VersioningConfiguration>"));
}

TEST(S3Xml, TakesPrefixesCommentsCdataAndUnknownElements) {
  const auto read = decode_delete(
      "\xEF\xBB\xBF<?xml version='1.0'?><!-- < & > --><s:Delete xmlns:s=\"x\" a='1 > "
      "0'><s:New><s:Key>no</s:Key>"
      "</s:New><s:Object><s:Key><![CDATA[<a&]]>&#98;<!-- c -->&#x64;</s:Key></s:Object></s:Delete>\n");
  ASSERT_TRUE(read) << read.error();
  ASSERT_EQ(read->objects.size(), 1u);
  EXPECT_EQ(read->objects[0].key, "<a&bd");
}

std::string key_of(std::string_view key_text) {
  const auto read =
      decode_delete("<Delete><Object><Key>" + std::string(key_text) + "</Key></Object></Delete>");
  return read ? read->objects[0].key : "refused";
}

TEST(S3Xml, RefusesReferencesThatAreNoCharacters) {
  EXPECT_EQ(key_of("a&#x1;b"),
            "a\x01"
            "b");
  EXPECT_EQ(key_of("a&#x1F600;"), "a\xF0\x9F\x98\x80");
  EXPECT_EQ(key_of("&quot;&apos;&lt;&gt;&amp;"), "\"'<>&");
  for (const std::string_view wrong : {"a&#0;b", "a&#x0;b", "&#xD800;", "&#x110000;", "&#99999999999;", "&#;",
                                       "&#x;", "&#-1;", "&#x1", "&", "&;", "&amp", "&nbsp;", "&lol;"}) {
    EXPECT_EQ(key_of(wrong), "refused") << wrong;
  }
  const std::string with_nul("a\0b", 3);
  EXPECT_EQ(key_of(with_nul), "refused");
}

TEST(S3Xml, RefusesDocumentTypesAndEntities) {
  EXPECT_FALSE(decode_error(
      "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]>"
      "<Error><Code>&lol2;</Code></Error>"));
  EXPECT_FALSE(decode_error(
      "<!DOCTYPE foo [<!ENTITY xxe SYSTEM \"file:///etc/passwd\">]><Error><Code>&xxe;</Code></Error>"));
  EXPECT_FALSE(decode_error("<!DOCTYPE Error><Error><Code>a</Code></Error>"));
  EXPECT_FALSE(decode_error("<Error><!ELEMENT a ANY><Code>a</Code></Error>"));
}

TEST(S3Xml, RefusesWhatIsTooDeepTooManyOrTooLarge) {
  const auto nested = [](std::size_t depth) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += i == 0 ? "<Error>" : "<a>";
    for (std::size_t i = depth; i-- > 0;) text += i == 0 ? "</Error>" : "</a>";
    return text;
  };
  EXPECT_TRUE(decode_error(nested(kXmlDepthMax)));
  EXPECT_FALSE(decode_error(nested(kXmlDepthMax + 1)));
  EXPECT_FALSE(decode_error(nested(1'000'000)));
  const auto many = [](std::string_view what, std::size_t count) {
    std::string text = "<Error>";
    for (std::size_t i = 0; i < count; ++i) text += what;
    return text + "</Error>";
  };
  EXPECT_TRUE(decode_error(many("<a/>", kXmlElementsMax - 1)));
  EXPECT_FALSE(decode_error(many("<a/>", kXmlElementsMax)));
  EXPECT_FALSE(decode_error(many("<a b='' b=''/>", kXmlElementsMax / 2))) << "attributes count";
  EXPECT_TRUE(decode_error("<Error>" + std::string(kXmlBytesMax - 15, ' ') + "</Error>"));
  EXPECT_FALSE(decode_error("<Error>" + std::string(kXmlBytesMax - 14, ' ') + "</Error>"));
}

TEST(S3Xml, RefusesWhatIsNotWellFormed) {
  for (const std::string_view wrong :
       {"", " ", "text", "<", "<Error", "<Error>", "</Error>", "<Error></Other>", "<Error><a></Error></a>",
        "<Error a='x></Error>", "<Error a=\"&bad;\"></Error>", "<Error><a<b></a></Error>",
        "<Error><!-- </Error>", "<Error><![CDATA[ </Error>", "<?xml <Error></Error>", "{\"Error\": 1}"}) {
    const auto read = decode_error(wrong);
    ASSERT_FALSE(read) << wrong;
    EXPECT_EQ(read.error().kind(), ErrorKind::protocol);
  }
  EXPECT_EQ(xml_root("<a:Root/>"), "Root");
  EXPECT_EQ(xml_root("<a"), std::nullopt);
}

TEST(S3Xml, ReplacesWhatXmlCannotCarry) {
  const auto carried = [](std::string_view key) {
    return decode_delete(encoded(DeleteRequest{{{std::string(key), ""}}, false})).value().objects[0].key;
  };
  constexpr std::string_view kReplaced = "\xEF\xBF\xBD";
  EXPECT_EQ(carried(std::string_view("\0", 1)), kReplaced);
  EXPECT_EQ(carried("\xFF"), kReplaced);
  EXPECT_EQ(carried("\xC3"), kReplaced) << "cut off";
  EXPECT_EQ(carried("\xC0\x80"), std::string(kReplaced) + std::string(kReplaced)) << "too long a form";
  EXPECT_EQ(carried("\xED\xA0\x80").substr(0, 3), kReplaced) << "a surrogate";
  EXPECT_EQ(carried("\xEF\xBF\xBE").substr(0, 3), kReplaced) << "U+FFFE";
  EXPECT_EQ(carried("\xF4\x90\x80\x80").substr(0, 3), kReplaced) << "beyond U+10FFFF";
  EXPECT_EQ(carried("\r\n"), "\r\n") << "line ends are kept";
}

}  // namespace
}  // namespace netstor::s3
