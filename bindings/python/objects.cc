// SPDX-License-Identifier: Apache-2.0
#include "bindings/python/objects.h"

#include "bindings/python/errors.h"

#include <array>

namespace netstor::python {
namespace {

constexpr std::array<const char*, 7> kChecksumNames{"none", "crc32",  "crc32c", "crc64nvme",
                                                    "sha1", "sha256", "md5"};

void take_conditions(Keywords& words, Conditions& into) {
  words.take("if_match", into.if_match).take("if_none_match", into.if_none_match);
  words.take_time("if_modified_since", into.if_modified_since);
  words.take_time("if_unmodified_since", into.if_unmodified_since);
}

/// Of SSE-C: 32 bytes.
void take_key(Keywords& words, const char* name, Encryption& into) {
  words.take(name, into.customer_key);
  if (!into.customer_key.empty()) into.kind = Encryption::Kind::sse_c;
}

void take_encryption(Keywords& words, Encryption& into) {
  std::string kind = "none";
  words.take("encryption", kind).take("kms_key_id", into.kms_key_id);
  if (kind == "sse_s3") {
    into.kind = Encryption::Kind::sse_s3;
  } else if (kind == "sse_kms") {
    into.kind = Encryption::Kind::sse_kms;
  } else if (kind != "none") {
    words.refuse_value("encryption", "'sse_s3', 'sse_kms' or 'none'");
  }
  take_key(words, "customer_key", into);
}

Credentials credentials_from(py::handle given) {
  const auto field = [&](const char* name) -> py::object {
    if (py::isinstance<py::dict>(given)) {
      return py::reinterpret_borrow<py::dict>(given).attr("get")(name);
    }
    return py::getattr(given, name, py::none());
  };
  const auto text = [&](const char* name) {
    const py::object value = field(name);
    return value.is_none() ? std::string() : py::cast<std::string>(value);
  };
  Credentials taken{.access_key_id = text("access_key_id"),
                    .secret_access_key = text("secret_access_key"),
                    .session_token = text("session_token"),
                    .expires = {}};
  if (taken.access_key_id.empty() || taken.secret_access_key.empty()) {
    raise(ErrorKind::invalid_argument,
          "credentials: a dict with access_key_id and secret_access_key (and perhaps session_token, expires) "
          "is expected");
  }
  if (const py::object expires = field("expires"); !expires.is_none()) {
    taken.expires = wall_time_of(expires, "credentials: expires");
  }
  return taken;
}

/// Called on a helper thread. The callable is let go under the interpreter's lock, or not at all when the
/// interpreter has ended.
std::function<Result<Credentials>()> callback_of(py::handle callable) {
  const std::shared_ptr<py::object> kept(new py::object(py::reinterpret_borrow<py::object>(callable)),
                                         [](py::object* object) {
                                           if (Py_IsInitialized() == 0 || !running()) return;
                                           const py::gil_scoped_acquire locked;
                                           delete object;
                                         });
  return [kept]() -> Result<Credentials> {
    const py::gil_scoped_acquire locked;
    try {
      return credentials_from((*kept)());
    } catch (const std::exception& error) {
      return Error(ErrorKind::permission_denied, std::string("credentials callback: ") + error.what());
    }
  };
}

template <class T, class Member>
auto text_or_none(Member T::*member) {
  return [member](const T& self) -> py::object {
    return (self.*member).empty() ? py::object(py::none()) : py::str(self.*member);
  };
}

}  // namespace

const char* name_of(ChecksumAlgorithm algorithm) {
  return kChecksumNames[static_cast<std::size_t>(algorithm)];
}

ChecksumAlgorithm checksum_of(const std::string& name) {
  for (std::size_t i = 0; i < kChecksumNames.size(); ++i) {
    if (name == kChecksumNames[i]) return static_cast<ChecksumAlgorithm>(i);
  }
  raise(ErrorKind::invalid_argument,
        "checksum: 'none', 'crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256' or 'md5', not '" + name + "'");
}

GetOptions get_options(Keywords& words, Duration& timeout) {
  GetOptions options;
  words.take("offset", options.offset).take("version_id", options.version_id);
  take_conditions(words, options.conditions);
  take_key(words, "customer_key", options.encryption);
  words.take_seconds("timeout", timeout);
  return options;
}

CopyOptions copy_options(Keywords& words, Duration& timeout) {
  CopyOptions options;
  words.take("source_bucket", options.source_bucket).take("source_version_id", options.source_version_id);
  words.take("replace_metadata", options.replace_metadata);
  words.take("source_if_match", options.source_conditions.if_match);
  words.take("source_if_none_match", options.source_conditions.if_none_match);
  take_key(words, "source_customer_key", options.source_encryption);
  options.put = put_options(words, timeout);
  return options;
}

PutOptions put_options(Keywords& words, Duration& timeout) {
  PutOptions options;
  words.take("content_type", options.content_type).take("cache_control", options.cache_control);
  words.take("content_encoding", options.content_encoding).take("storage_class", options.storage_class);
  words.take_pairs("metadata", options.metadata).take_pairs("tags", options.tags);
  take_conditions(words, options.conditions);
  take_encryption(words, options.encryption);
  std::optional<std::string> checksum;
  bool create_only = false;
  words.take("checksum", checksum).take("create_only", create_only).take_seconds("timeout", timeout);
  if (checksum) options.checksum = checksum_of(*checksum);
  if (create_only) options.conditions.if_none_match = "*";
  return options;
}

BucketOptions bucket_options(Keywords& words) {
  BucketOptions options;
  words.take("endpoint", options.endpoint).take("ca_file", options.ca_file);
  words.take("client_certificate_file", options.client_certificate_file);
  words.take("client_key_file", options.client_key_file).take("region", options.region);
  std::string checksum = "none";
  words.take("checksum", checksum).take("rdma_from_bytes", options.rdma_from_bytes);
  words.take_word("addressing", options.addressing,
                  {{"automatic", Addressing::automatic},
                   {"path", Addressing::path},
                   {"virtual_host", Addressing::virtual_host}});
  words.take_word("payload_signing", options.payload_signing,
                  {{"automatic", PayloadSigning::automatic},
                   {"always", PayloadSigning::always},
                   {"never", PayloadSigning::never},
                   {"chunks", PayloadSigning::chunks}});
  words.take_word(
      "rdma", options.rdma,
      {{"automatic", RdmaUse::automatic}, {"never", RdmaUse::never}, {"required", RdmaUse::required}});
  options.checksum = checksum_of(checksum);
  if (const py::handle given = words.find("credentials"); given && !given.is_none()) {
    if (PyCallable_Check(given.ptr()) != 0) {
      options.credentials_callback = callback_of(given);
    } else {
      options.credentials = credentials_from(given);
    }
  }
  words.take("profile", options.profile).take("anonymous", options.anonymous);
  words.take("verify_checksums", options.verify_checksums).take("requester_pays", options.requester_pays);
  words.take("connections", options.connections).take_seconds("idle_timeout", options.idle_timeout);
  words.take("part_bytes", options.part_bytes).take("parallel", options.parallel);
  words.take("memory_limit_bytes", options.memory_limit_bytes).take("retries", options.retries);
  words.take_seconds("connect_timeout", options.connect_timeout);
  words.take_seconds("first_byte_timeout", options.first_byte_timeout);
  words.take_seconds("operation_timeout", options.operation_timeout);
  words.take_seconds("hedge_after", options.hedge_after);
  words.take_seconds("retry_delay", options.retry_delay);
  words.take_seconds("retry_delay_max", options.retry_delay_max);
  return options;
}

Duration only_timeout(const char* call, const py::kwargs& given) {
  Duration timeout = Duration::zero();
  if (!given.empty()) {
    Keywords words(call, given);
    words.take_seconds("timeout", timeout).end();
  }
  return timeout;
}

py::object python_of(ObjectInfo info) { return py::cast(std::move(info)); }

py::list python_of(std::vector<UploadedPart> parts) {
  py::list list;
  for (UploadedPart& part : parts) list.append(py::cast(std::move(part)));
  return list;
}

py::dict python_of(const Pairs& pairs) {
  py::dict dict;
  for (const auto& [name, value] : pairs) dict[py::str(name)] = value;
  return dict;
}

void bind_objects(py::module_& module) {
  py::class_<ObjectInfo>(module, "ObjectInfo", "What the service says of an object.")
      .def_readonly("key", &ObjectInfo::key, "Its name.")
      .def_readonly("size", &ObjectInfo::size_bytes, "In bytes; of the whole object, of a range, too.")
      .def_readonly("etag", &ObjectInfo::etag, "Without its quotes.")
      .def_property_readonly(
          "modified", [](const ObjectInfo& self) { return datetime_of(self.modified); },
          "A datetime in UTC, or None where the service did not say.")
      .def_property_readonly("version_id", text_or_none(&ObjectInfo::version_id), "Of a versioned bucket.")
      .def_readonly("latest", &ObjectInfo::latest, "Is it the newest version of its key?")
      .def_readonly("delete_marker", &ObjectInfo::delete_marker, "Is it the trace of a removal?")
      .def_property_readonly("storage_class", text_or_none(&ObjectInfo::storage_class),
                             "As the service names it.")
      .def_property_readonly("content_type", text_or_none(&ObjectInfo::content_type),
                             "Of head, get and put only.")
      .def_property_readonly("cache_control", text_or_none(&ObjectInfo::cache_control),
                             "Of head and get only.")
      .def_property_readonly("content_encoding", text_or_none(&ObjectInfo::content_encoding),
                             "Of head and get only.")
      .def_property_readonly(
          "metadata", [](const ObjectInfo& self) { return python_of(self.metadata); },
          "A dict of the owner's own names and values; of head and get only.")
      .def_property_readonly(
          "checksum_algorithm", [](const ObjectInfo& self) { return name_of(self.checksum_algorithm); },
          "Its name, or 'none'.")
      .def_property_readonly("checksum", text_or_none(&ObjectInfo::checksum),
                             "Base64, as the service has it.")
      .def("__repr__", [](const ObjectInfo& self) {
        return "<netstor.ObjectInfo '" + self.key + "', " + format_size(self.size_bytes) + ">";
      });
  py::class_<UploadedPart>(module, "UploadedPart", "One part of an upload.")
      .def_readonly("number", &UploadedPart::number, "1 to 10,000.")
      .def_readonly("size", &UploadedPart::size_bytes, "In bytes.")
      .def_readonly("etag", &UploadedPart::etag, "Without its quotes.");
  py::class_<UploadInfo>(module, "UploadInfo", "An upload that was started and not ended.")
      .def_readonly("key", &UploadInfo::key, "The object that it is to become.")
      .def_readonly("id", &UploadInfo::id, "For Bucket.resume_upload().")
      .def_property_readonly(
          "started", [](const UploadInfo& self) { return datetime_of(self.started); }, "A datetime in UTC.");
  py::class_<BucketInfo>(module, "BucketInfo", "One of list_buckets().")
      .def_readonly("name", &BucketInfo::name, "Its name.")
      .def_property_readonly(
          "created", [](const BucketInfo& self) { return datetime_of(self.created); }, "A datetime in UTC.");
  py::class_<BucketPath>(module, "BucketPath", "By what a bucket's payload goes.")
      .def_readonly("endpoint", &BucketPath::endpoint, "Where requests go: 'http://10.0.0.1:9000'.")
      .def_readonly("transport", &BucketPath::transport, "'http' or 'https'.")
      .def_readonly("rdma_offered", &BucketPath::rdma_offered,
                    "Did the endpoint give a session of RDMA? False where nobody asked.")
      .def_readonly("rdma", &BucketPath::rdma, "Does large payload go by RDMA?")
      .def_readonly("rdma_obstacle", &BucketPath::rdma_obstacle, "Otherwise why not.");
  py::class_<RemoveFailure>(module, "RemoveFailure", "A key that delete_many() could not remove.")
      .def_readonly("key", &RemoveFailure::key, "Its name.")
      .def_readonly("version_id", &RemoveFailure::version_id, "Of a versioned bucket.")
      .def_readonly("code", &RemoveFailure::code, "S3's word for why.")
      .def_readonly("text", &RemoveFailure::text, "And its sentence.");
}

}  // namespace netstor::python
