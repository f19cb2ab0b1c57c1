// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/xml.h"

#include "lib/wire/s3/xml_text.h"

namespace netstor::s3 {

namespace {

using xml::decode_as;
using xml::Document;
using xml::Element;
using xml::Reader;
using xml::Writer;

constexpr std::string_view kComplete = "CompleteMultipartUpload";
constexpr std::string_view kCompleteResult = "CompleteMultipartUploadResult";

ErrorBody read_error(const Element& root) {
  ErrorBody body;
  // The other services of AWS, STS among them, have it one level deeper.
  const Element error = root.name() == "ErrorResponse" ? root.child("Error") : root;
  body.code = error.text("Code");
  body.message = error.text("Message");
  body.resource = error.text("Resource");
  body.request_id = error.text("RequestId");
  if (body.request_id.empty()) body.request_id = root.text("RequestId");
  body.host_id = error.text("HostId");
  body.region = error.text("Region");
  body.endpoint = error.text("Endpoint");
  body.bucket = error.text("BucketName");
  if (body.bucket.empty()) body.bucket = error.text("Bucket");
  body.key = error.text("Key");
  return body;
}

bool is_error(const Element& root) { return root.name() == "Error" || root.name() == "ErrorResponse"; }

// A body that is what was asked for or an error.
template <class T, class Fill>
Result<OrError<T>> decode_or_error(std::string_view what, std::string_view text, Fill&& fill) {
  Document document;
  NETSTOR_CHECK_RETURN(document.parse(text, what));
  if (is_error(document.root())) return OrError<T>(read_error(document.root()));
  Reader reader(what);
  T value{};
  fill(document.root(), reader, value);
  if (!reader.ok()) return reader.take_error();
  return OrError<T>(std::move(value));
}

void encode_copy(std::string_view root, const CopyResult& body, std::string& out) {
  Writer writer(out, root);
  writer.time("LastModified", body.modified);
  writer.etag(body.etag);
  writer.checksum(body.checksum);
  writer.finish();
}

}  // namespace

std::optional<std::string> xml_root(std::string_view text) {
  Document document;
  if (!document.parse(text, "")) return std::nullopt;
  return std::string(document.root().name());
}

void encode(const ErrorBody& body, std::string& out) {
  Writer writer(out, "Error", false);
  writer.text("Code", body.code);
  writer.text("Message", body.message);
  writer.optional_text("BucketName", body.bucket);
  writer.optional_text("Key", body.key);
  writer.optional_text("Region", body.region);
  writer.optional_text("Endpoint", body.endpoint);
  writer.text("Resource", body.resource);
  writer.text("RequestId", body.request_id);
  writer.optional_text("HostId", body.host_id);
  writer.finish();
}

Result<ErrorBody> decode_error(std::string_view text) {
  Document document;
  NETSTOR_CHECK_RETURN(document.parse(text, "Error"));
  if (is_error(document.root())) return read_error(document.root());
  return Error(ErrorKind::protocol, "Error: the root element has another name");
}

void encode(const InitiateMultipartUploadResult& body, std::string& out) {
  Writer writer(out, "InitiateMultipartUploadResult");
  writer.text("Bucket", body.bucket);
  writer.text("Key", body.key);
  writer.text("UploadId", body.upload_id);
  writer.finish();
}

Result<InitiateMultipartUploadResult> decode_initiate_result(std::string_view text) {
  return decode_as<InitiateMultipartUploadResult>(
      "InitiateMultipartUploadResult", text,
      [](const Element& root, Reader& reader, InitiateMultipartUploadResult& body) {
        body = {root.text("Bucket"), root.text("Key"), root.text("UploadId")};
        if (body.upload_id.empty()) reader.fail("there is no UploadId");
      });
}

void encode(const CompleteMultipartUpload& body, std::string& out) {
  Writer writer(out, kComplete);
  for (const CompletedPart& each : body.parts) {
    writer.open("Part");
    writer.number("PartNumber", each.number);
    writer.etag(each.etag);
    writer.checksum(each.checksum);
    writer.close("Part");
  }
  writer.finish();
}

Result<CompleteMultipartUpload> decode_complete_request(std::string_view text) {
  return decode_as<CompleteMultipartUpload>(
      kComplete, text, [](const Element& root, Reader& reader, CompleteMultipartUpload& body) {
        root.each([&](const Element& each) {
          if (each.name() != "Part") return;
          if (body.parts.size() == kPartsMax) return reader.fail("too many parts");
          CompletedPart& part = body.parts.emplace_back();
          part.number = static_cast<unsigned>(reader.number(each, "PartNumber", kPartsMax));
          part.etag = each.etag();
          part.checksum = reader.checksum(each);
          if (part.number == 0) reader.fail("a part has no number");
          if (part.etag.empty()) reader.fail("a part has no ETag");
        });
        if (body.parts.empty()) reader.fail("there are no parts");
      });
}

void encode(const CompleteMultipartUploadResult& body, std::string& out) {
  Writer writer(out, kCompleteResult);
  writer.text("Location", body.location);
  writer.text("Bucket", body.bucket);
  writer.text("Key", body.key);
  writer.etag(body.etag);
  writer.checksum(body.checksum);
  if (body.checksum_type) writer.text("ChecksumType", to_string(*body.checksum_type));
  writer.finish();
}

Result<OrError<CompleteMultipartUploadResult>> decode_complete_result(std::string_view text) {
  return decode_or_error<CompleteMultipartUploadResult>(
      kCompleteResult, text, [](const Element& root, Reader& reader, CompleteMultipartUploadResult& body) {
        if (root.name() != kCompleteResult) return reader.fail("the root element has another name");
        body.location = root.text("Location");
        body.bucket = root.text("Bucket");
        body.key = root.text("Key");
        body.etag = root.etag();
        body.checksum = reader.object_checksum(root);
        ChecksumKind unused{};
        reader.checksum_facts(root, unused, body.checksum_type);
      });
}

void encode_copy_object(const CopyResult& body, std::string& out) {
  encode_copy("CopyObjectResult", body, out);
}
void encode_copy_part(const CopyResult& body, std::string& out) { encode_copy("CopyPartResult", body, out); }

Result<OrError<CopyResult>> decode_copy_result(std::string_view text) {
  return decode_or_error<CopyResult>(
      "CopyResult", text, [](const Element& root, Reader& reader, CopyResult& body) {
        if (root.name() != "CopyObjectResult" && root.name() != "CopyPartResult") {
          return reader.fail("the root element has another name");
        }
        body.etag = root.etag();
        body.modified = reader.time(root, "LastModified");
        body.checksum = reader.object_checksum(root);
      });
}

void encode(const DeleteRequest& body, std::string& out) {
  Writer writer(out, "Delete");
  if (body.quiet) writer.flag("Quiet", true);
  for (const ObjectName& each : body.objects) {
    writer.open("Object");
    writer.text("Key", each.key);
    writer.optional_text("VersionId", each.version_id);
    writer.close("Object");
  }
  writer.finish();
}

Result<DeleteRequest> decode_delete(std::string_view text) {
  return decode_as<DeleteRequest>("Delete", text,
                                  [](const Element& root, Reader& reader, DeleteRequest& body) {
                                    body.quiet = root.flag("Quiet");
                                    root.each([&](const Element& each) {
                                      if (each.name() != "Object") return;
                                      if (body.objects.size() == kDeleteMax)
                                        return reader.fail("too many objects");
                                      body.objects.push_back({each.text("Key"), each.text("VersionId")});
                                      if (body.objects.back().key.empty())
                                        reader.fail("an object has no key");
                                    });
                                    if (body.objects.empty()) reader.fail("there are no objects");
                                  });
}

void encode(const DeleteResult& body, std::string& out) {
  Writer writer(out, "DeleteResult");
  for (const DeleteResult::Deleted& each : body.deleted) {
    writer.open("Deleted");
    writer.text("Key", each.key);
    writer.optional_text("VersionId", each.version_id);
    if (each.delete_marker) writer.flag("DeleteMarker", true);
    writer.optional_text("DeleteMarkerVersionId", each.delete_marker_version_id);
    writer.close("Deleted");
  }
  for (const DeleteResult::Failed& each : body.failed) {
    writer.open("Error");
    writer.text("Key", each.key);
    writer.optional_text("VersionId", each.version_id);
    writer.text("Code", each.code);
    writer.text("Message", each.message);
    writer.close("Error");
  }
  writer.finish();
}

Result<DeleteResult> decode_delete_result(std::string_view text) {
  return decode_as<DeleteResult>("DeleteResult", text, [](const Element& root, Reader&, DeleteResult& body) {
    root.each([&](const Element& each) {
      if (each.name() == "Deleted") {
        body.deleted.push_back({each.text("Key"), each.text("VersionId"), each.flag("DeleteMarker"),
                                each.text("DeleteMarkerVersionId")});
      } else if (each.name() == "Error") {
        body.failed.push_back(
            {each.text("Key"), each.text("VersionId"), each.text("Code"), each.text("Message")});
      }
    });
  });
}

void encode_tagging(const Tags& tags, std::string& out) {
  Writer writer(out, "Tagging");
  writer.open("TagSet");
  for (const auto& [name, value] : tags) {
    writer.open("Tag");
    writer.text("Key", name);
    writer.text("Value", value);
    writer.close("Tag");
  }
  writer.close("TagSet");
  writer.finish();
}

Result<Tags> decode_tagging(std::string_view text) {
  return decode_as<Tags>("Tagging", text, [](const Element& root, Reader& reader, Tags& tags) {
    if (!root.child("TagSet").found()) return reader.fail("there is no TagSet");
    root.child("TagSet").each([&](const Element& each) {
      if (each.name() != "Tag") return;
      if (tags.size() == kTagsMax) return reader.fail("too many tags");
      tags.emplace_back(each.text("Key"), each.text("Value"));
      if (tags.back().first.empty()) reader.fail("a tag has no key");
    });
  });
}

void encode_create_bucket(std::string_view location_constraint, std::string& out) {
  Writer writer(out, "CreateBucketConfiguration");
  writer.optional_text("LocationConstraint", location_constraint);
  writer.finish();
}

Result<std::string> decode_create_bucket(std::string_view text) {
  if (text.empty()) return std::string();
  return decode_as<std::string>(
      "CreateBucketConfiguration", text,
      [](const Element& root, Reader&, std::string& region) { region = root.text("LocationConstraint"); });
}

void encode_location(std::string_view location_constraint, std::string& out) {
  Writer writer(out, "LocationConstraint");
  writer.raw_text(location_constraint);
  writer.finish();
}

Result<std::string> decode_location(std::string_view text) {
  return decode_as<std::string>(
      "LocationConstraint", text,
      [](const Element& root, Reader&, std::string& region) { region = root.text(); });
}

void encode(Versioning versioning, std::string& out) {
  Writer writer(out, "VersioningConfiguration");
  if (versioning != Versioning::never) {
    writer.text("Status", versioning == Versioning::enabled ? "Enabled" : "Suspended");
  }
  writer.finish();
}

Result<Versioning> decode_versioning(std::string_view text) {
  return decode_as<Versioning>("VersioningConfiguration", text,
                               [](const Element& root, Reader& reader, Versioning& versioning) {
                                 const std::string status = root.text("Status");
                                 versioning = status == "Enabled"     ? Versioning::enabled
                                              : status == "Suspended" ? Versioning::suspended
                                                                      : Versioning::never;
                                 if (!status.empty() && versioning == Versioning::never)
                                   reader.fail("Status is not known");
                               });
}

}  // namespace netstor::s3
