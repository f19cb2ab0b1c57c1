// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/xml_list.h"

#include <limits>

#include "lib/wire/s3/xml.h"
#include "lib/wire/s3/xml_text.h"

namespace netstor::s3 {

namespace {

using xml::decode_as;
using xml::Element;
using xml::Reader;
using xml::Writer;

constexpr std::uint64_t kNumberMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kSizeMax = std::numeric_limits<std::int64_t>::max();

std::uint32_t small(Reader& reader, const Element& parent, std::string_view name, std::uint32_t missing = 0) {
  return static_cast<std::uint32_t>(reader.number(parent, name, kNumberMax, missing));
}

bool is_url_encoded(const Element& root) { return root.text("EncodingType") == "url"; }
void write_encoding(Writer& writer, bool url_encoded) {
  if (url_encoded) writer.text("EncodingType", "url");
}

void write_owner(Writer& writer, std::string_view name, const Owner& owner) {
  writer.open(name);
  writer.text("ID", owner.id);
  writer.optional_text("DisplayName", owner.display_name);
  writer.close(name);
}

std::optional<Owner> read_owner(const Element& parent) {
  const Element owner = parent.child("Owner");
  if (!owner.found()) return std::nullopt;
  return Owner{owner.text("ID"), owner.text("DisplayName")};
}

void write_prefixes(Writer& writer, const std::vector<std::string>& prefixes, bool url_encoded) {
  for (const std::string& each : prefixes) {
    writer.open("CommonPrefixes");
    writer.key("Prefix", each, url_encoded);
    writer.close("CommonPrefixes");
  }
}

// An object's fields in the order of S3; `version` for ListVersionsResult.
void write_object(Writer& writer, const ListedObject& object, bool url_encoded, bool version) {
  const std::string_view name = !version ? "Contents" : object.delete_marker ? "DeleteMarker" : "Version";
  writer.open(name);
  writer.key("Key", object.key, url_encoded);
  if (version) {
    writer.text("VersionId", object.version_id.empty() ? "null" : object.version_id);
    writer.flag("IsLatest", object.latest);
  }
  writer.time("LastModified", object.modified);
  if (!object.delete_marker) {
    writer.etag(object.etag);
    writer.checksum_facts(object.checksum_kind, object.checksum_type);
    writer.number("Size", object.size_bytes);
  }
  if (object.owner) write_owner(writer, "Owner", *object.owner);
  if (!object.delete_marker) {
    writer.text("StorageClass", object.storage_class.empty() ? "STANDARD" : object.storage_class);
  }
  writer.close(name);
}

ListedObject read_object(Reader& reader, const Element& element, bool url_encoded) {
  ListedObject object;
  object.key = reader.key(element, "Key", url_encoded);
  if (object.key.empty()) reader.fail("an object has no key");
  object.modified = reader.time(element, "LastModified");
  object.etag = element.etag();
  object.size_bytes = reader.number(element, "Size", kSizeMax);
  object.storage_class = element.text("StorageClass");
  reader.checksum_facts(element, object.checksum_kind, object.checksum_type);
  object.owner = read_owner(element);
  object.version_id = element.text("VersionId");
  object.latest = element.flag("IsLatest");
  object.delete_marker = element.name() == "DeleteMarker";
  return object;
}

// S3 has one Prefix in each CommonPrefixes, others all in one.
void read_prefix(Reader& reader, const Element& element, bool url_encoded, std::vector<std::string>& out) {
  element.each([&](const Element& each) {
    if (each.name() == "Prefix") out.push_back(reader.key(each, url_encoded));
  });
}

void read_list(const Element& root, Reader& reader, ListBucketResult& body) {
  body.v2 = !root.child("Marker").found();
  body.name = root.text("Name");
  const bool url = body.url_encoded = is_url_encoded(root);
  body.prefix = reader.key(root, "Prefix", url);
  body.delimiter = reader.key(root, "Delimiter", url);
  body.max_keys = small(reader, root, "MaxKeys", 1000);
  body.truncated = root.flag("IsTruncated");
  body.start_after = reader.key(root, "StartAfter", url);
  body.continuation_token = root.text("ContinuationToken");
  body.next_continuation_token = root.text("NextContinuationToken");
  body.key_count = small(reader, root, "KeyCount");
  body.marker = reader.key(root, "Marker", url);
  body.next_marker = reader.key(root, "NextMarker", url);
  root.each([&](const Element& each) {
    if (each.name() == "Contents") {
      body.objects.push_back(read_object(reader, each, url));
    } else if (each.name() == "CommonPrefixes") {
      read_prefix(reader, each, url, body.prefixes);
    }
  });
  if (body.v2 && body.truncated && body.next_continuation_token.empty()) {
    reader.fail("it goes on, but does not say where");
  }
}

}  // namespace

void encode(const ListBucketResult& body, std::string& out) {
  const bool url = body.url_encoded;
  Writer writer(out, "ListBucketResult");
  writer.text("Name", body.name);
  writer.key("Prefix", body.prefix, url);
  if (body.v2) {
    writer.optional_key("StartAfter", body.start_after, url);
    writer.optional_text("ContinuationToken", body.continuation_token);
    writer.optional_text("NextContinuationToken", body.next_continuation_token);
    writer.number("KeyCount", body.objects.size() + body.prefixes.size());
  } else {
    writer.key("Marker", body.marker, url);
    writer.optional_key("NextMarker", body.next_marker, url);
  }
  writer.number("MaxKeys", body.max_keys);
  writer.optional_key("Delimiter", body.delimiter, url);
  write_encoding(writer, url);
  writer.flag("IsTruncated", body.truncated);
  for (const ListedObject& each : body.objects) write_object(writer, each, url, false);
  write_prefixes(writer, body.prefixes, url);
  writer.finish();
}

Result<ListBucketResult> decode_list(std::string_view text) {
  return decode_as<ListBucketResult>("ListBucketResult", text, read_list);
}

void encode(const ListVersionsResult& body, std::string& out) {
  const bool url = body.url_encoded;
  Writer writer(out, "ListVersionsResult");
  writer.text("Name", body.name);
  writer.key("Prefix", body.prefix, url);
  writer.key("KeyMarker", body.key_marker, url);
  writer.text("VersionIdMarker", body.version_id_marker);
  writer.optional_key("NextKeyMarker", body.next_key_marker, url);
  writer.optional_text("NextVersionIdMarker", body.next_version_id_marker);
  writer.number("MaxKeys", body.max_keys);
  writer.optional_key("Delimiter", body.delimiter, url);
  write_encoding(writer, url);
  writer.flag("IsTruncated", body.truncated);
  for (const ListedObject& each : body.versions) write_object(writer, each, url, true);
  write_prefixes(writer, body.prefixes, url);
  writer.finish();
}

Result<ListVersionsResult> decode_list_versions(std::string_view text) {
  return decode_as<ListVersionsResult>("ListVersionsResult", text,
                                       [](const Element& root, Reader& reader, ListVersionsResult& body) {
                                         body.name = root.text("Name");
                                         const bool url = body.url_encoded = is_url_encoded(root);
                                         body.prefix = reader.key(root, "Prefix", url);
                                         body.delimiter = reader.key(root, "Delimiter", url);
                                         body.max_keys = small(reader, root, "MaxKeys", 1000);
                                         body.truncated = root.flag("IsTruncated");
                                         body.key_marker = reader.key(root, "KeyMarker", url);
                                         body.version_id_marker = root.text("VersionIdMarker");
                                         body.next_key_marker = reader.key(root, "NextKeyMarker", url);
                                         body.next_version_id_marker = root.text("NextVersionIdMarker");
                                         root.each([&](const Element& each) {
                                           if (each.name() == "Version" || each.name() == "DeleteMarker") {
                                             body.versions.push_back(read_object(reader, each, url));
                                           } else if (each.name() == "CommonPrefixes") {
                                             read_prefix(reader, each, url, body.prefixes);
                                           }
                                         });
                                         if (body.truncated && body.next_key_marker.empty())
                                           reader.fail("it goes on, but does not say where");
                                       });
}

void encode(const ListAllMyBucketsResult& body, std::string& out) {
  Writer writer(out, "ListAllMyBucketsResult");
  write_owner(writer, "Owner", body.owner);
  writer.open("Buckets");
  for (const ListedBucket& each : body.buckets) {
    writer.open("Bucket");
    writer.text("Name", each.name);
    writer.time("CreationDate", each.created);
    writer.optional_text("BucketRegion", each.region);
    writer.close("Bucket");
  }
  writer.close("Buckets");
  writer.optional_text("Prefix", body.prefix);
  writer.optional_text("ContinuationToken", body.continuation_token);
  writer.finish();
}

Result<ListAllMyBucketsResult> decode_list_buckets(std::string_view text) {
  return decode_as<ListAllMyBucketsResult>(
      "ListAllMyBucketsResult", text, [](const Element& root, Reader& reader, ListAllMyBucketsResult& body) {
        body.owner = read_owner(root).value_or(Owner());
        body.prefix = root.text("Prefix");
        body.continuation_token = root.text("ContinuationToken");
        root.child("Buckets").each([&](const Element& each) {
          if (each.name() != "Bucket") return;
          body.buckets.push_back(
              {each.text("Name"), reader.time(each, "CreationDate"), each.text("BucketRegion")});
          if (body.buckets.back().name.empty()) reader.fail("a bucket has no name");
        });
      });
}

void encode(const ListPartsResult& body, std::string& out) {
  const bool url = body.url_encoded;
  Writer writer(out, "ListPartsResult");
  writer.text("Bucket", body.bucket);
  writer.key("Key", body.key, url);
  writer.text("UploadId", body.upload_id);
  write_encoding(writer, url);
  writer.number("PartNumberMarker", body.part_number_marker);
  writer.number("NextPartNumberMarker", body.next_part_number_marker);
  writer.number("MaxParts", body.max_parts);
  writer.flag("IsTruncated", body.truncated);
  for (const ListedPart& each : body.parts) {
    writer.open("Part");
    writer.number("PartNumber", each.number);
    writer.time("LastModified", each.modified);
    writer.etag(each.etag);
    writer.number("Size", each.size_bytes);
    writer.checksum(each.checksum);
    writer.close("Part");
  }
  writer.text("StorageClass", body.storage_class.empty() ? "STANDARD" : body.storage_class);
  writer.checksum_facts(body.checksum_kind, body.checksum_type);
  writer.finish();
}

Result<ListPartsResult> decode_list_parts(std::string_view text) {
  return decode_as<ListPartsResult>(
      "ListPartsResult", text, [](const Element& root, Reader& reader, ListPartsResult& body) {
        body.bucket = root.text("Bucket");
        body.url_encoded = is_url_encoded(root);
        body.key = reader.key(root, "Key", body.url_encoded);
        body.upload_id = root.text("UploadId");
        body.part_number_marker = small(reader, root, "PartNumberMarker");
        body.next_part_number_marker = small(reader, root, "NextPartNumberMarker");
        body.max_parts = small(reader, root, "MaxParts", 1000);
        body.truncated = root.flag("IsTruncated");
        body.storage_class = root.text("StorageClass");
        reader.checksum_facts(root, body.checksum_kind, body.checksum_type);
        root.each([&](const Element& each) {
          if (each.name() != "Part") return;
          ListedPart& part = body.parts.emplace_back();
          part.number = static_cast<unsigned>(reader.number(each, "PartNumber", kPartsMax));
          if (part.number == 0) reader.fail("a part has no number");
          part.modified = reader.time(each, "LastModified");
          part.etag = each.etag();
          part.size_bytes = reader.number(each, "Size", kSizeMax);
          part.checksum = reader.checksum(each);
        });
        if (body.truncated && body.next_part_number_marker <= body.part_number_marker) {
          reader.fail("it goes on, but does not say where");
        }
      });
}

void encode(const ListMultipartUploadsResult& body, std::string& out) {
  const bool url = body.url_encoded;
  Writer writer(out, "ListMultipartUploadsResult");
  writer.text("Bucket", body.bucket);
  writer.key("KeyMarker", body.key_marker, url);
  writer.text("UploadIdMarker", body.upload_id_marker);
  writer.optional_key("NextKeyMarker", body.next_key_marker, url);
  writer.optional_text("NextUploadIdMarker", body.next_upload_id_marker);
  writer.key("Prefix", body.prefix, url);
  writer.optional_key("Delimiter", body.delimiter, url);
  write_encoding(writer, url);
  writer.number("MaxUploads", body.max_uploads);
  writer.flag("IsTruncated", body.truncated);
  for (const ListedUpload& each : body.uploads) {
    writer.open("Upload");
    writer.key("Key", each.key, url);
    writer.text("UploadId", each.upload_id);
    writer.text("StorageClass", each.storage_class.empty() ? "STANDARD" : each.storage_class);
    writer.time("Initiated", each.started);
    writer.checksum_facts(each.checksum_kind, each.checksum_type);
    writer.close("Upload");
  }
  write_prefixes(writer, body.prefixes, url);
  writer.finish();
}

Result<ListMultipartUploadsResult> decode_list_uploads(std::string_view text) {
  return decode_as<ListMultipartUploadsResult>(
      "ListMultipartUploadsResult", text,
      [](const Element& root, Reader& reader, ListMultipartUploadsResult& body) {
        body.bucket = root.text("Bucket");
        const bool url = body.url_encoded = is_url_encoded(root);
        body.prefix = reader.key(root, "Prefix", url);
        body.delimiter = reader.key(root, "Delimiter", url);
        body.key_marker = reader.key(root, "KeyMarker", url);
        body.upload_id_marker = root.text("UploadIdMarker");
        body.next_key_marker = reader.key(root, "NextKeyMarker", url);
        body.next_upload_id_marker = root.text("NextUploadIdMarker");
        body.max_uploads = small(reader, root, "MaxUploads", 1000);
        body.truncated = root.flag("IsTruncated");
        root.each([&](const Element& each) {
          if (each.name() == "Upload") {
            ListedUpload& upload = body.uploads.emplace_back();
            upload.key = reader.key(each, "Key", url);
            upload.upload_id = each.text("UploadId");
            upload.started = reader.time(each, "Initiated");
            upload.storage_class = each.text("StorageClass");
            reader.checksum_facts(each, upload.checksum_kind, upload.checksum_type);
            if (upload.key.empty() || upload.upload_id.empty()) reader.fail("an upload has no key or no id");
          } else if (each.name() == "CommonPrefixes") {
            read_prefix(reader, each, url, body.prefixes);
          }
        });
        if (body.truncated && body.next_key_marker.empty()) reader.fail("it goes on, but does not say where");
      });
}

}  // namespace netstor::s3
