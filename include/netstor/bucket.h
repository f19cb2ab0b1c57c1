// SPDX-License-Identifier: Apache-2.0
#pragma once
// Buckets: object storage that speaks the S3 REST interface, through one set of calls.
//
//   Bucket bucket = *Bucket::open(runtime, "s3://samples", {.endpoint = "http://10.0.0.1:9000"}).get();
//   ObjectInfo stored = *bucket.put("a/b.bin", block.bytes()).get();            // any thread
//   Result<ObjectRead> read = co_await bucket.get("a/b.bin", block.bytes());   // on a shard
//
// An object appears whole or not at all, and is replaced as a whole. Large ones are read as parallel ranges
// and written as parallel parts, straight from and to the caller's memory (BucketOptions::part_bytes,
// parallel). The ranges after the first are asked for as soon as its head tells the size and the version; of
// two versions nothing is mixed (compare_failed).
//
// Memory: payload bytes are borrowed from the call until the future is ready; over plain TCP those of a part
// of 16 KiB and more are not copied in user space (Metrics::copied_bytes), over TLS all are. Bytes lent to a
// put must not change meanwhile; memory lent to a get holds anything after an error. Requests beyond
// BucketOptions::connections wait without memory of their own.
//
// Thread rule: a Bucket is a handle; copies name the same bucket. It lives on its Runtime: after that ended,
// a handle may only be destroyed or assigned to. On a shard, calls use that shard's own connections and
// answer there. From a foreign thread, calls go to a shard of the runtime and are for get().
// Error rule: not_found (no such key, bucket, upload, version), permission_denied (signature, rights),
// already_exists (create-only put; bucket), compare_failed (another condition did not hold), timed_out,
// disconnected, data_corrupt (a checksum), invalid_argument, out_of_range (range beyond the object),
// no_space, exhausted (memory limit, SlowDown for too long), protocol, unsupported, cancelled, device_error.
// Origin::s3 means that the service answered: native() is the HTTP status, and the text names the S3 code
// and the request id. Origin::tls (https): permission_denied is a certificate that one side does not accept,
// unsupported a service without TLS 1.2 and 1.3, protocol something that is no TLS; the text says what to do.
// Error::effect(): may a put, remove, copy, … have happened all the same?
// Retries: connection failures, 500, 502, 503, 504 and throttling, with growing random pauses and a budget
// (BucketOptions::retries); a part at a time. Putting and removing an object again does no harm by S3's own
// rules, but that a versioned bucket gets one version more. Under a condition it is repeated only when the
// service said that it did nothing: a retry might meet its first try's success.
// Redirects (301, 307, 308) are followed, signed anew, three at most, to the endpoint's own host and hosts
// below it, of Amazon's endpoints to other ones of S3; to anywhere else: permission_denied.
// Proxies: HTTP_PROXY, HTTPS_PROXY, NO_PROXY, in small letters too, as they are at open(); for https:// by
// CONNECT; never for localhost.
// Cancel: the future becomes ready soon (a checksum or a SHA-256 over more than 256 KiB ends first), and no
// request of the operation is under way any more, but for the one that gives up what a put had uploaded.

#include <netstor/shard.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netstor {

namespace detail {
class BucketCore;  // lib/object
class UploadCore;
class ReaderCore;
class WriterCore;
}  // namespace detail

/// Wall-clock time, as S3 has it.
using WallTime = std::chrono::system_clock::time_point;
/// Names and values: metadata, tags.
using Pairs = std::vector<std::pair<std::string, std::string>>;

// ---- Options.

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;    ///< never printed, never logged
  std::string session_token;        ///< temporary credentials only
  std::optional<WallTime> expires;  ///< asked for again five minutes before, later if it is for little more
};

enum class Addressing : std::uint8_t {
  automatic,     ///< virtual_host with Amazon's endpoints, path with others and with names that have dots
  path,          ///< http://host/bucket/key
  virtual_host,  ///< http://bucket.host/key
};

/// What of a payload the signature covers.
enum class PayloadSigning : std::uint8_t {
  automatic,  ///< its SHA-256 over plain HTTP; nothing over TLS, which protects it
  always,     ///< but for `anonymous`, where nothing is signed
  never,      ///< x-amz-content-sha256: UNSIGNED-PAYLOAD; saves a pass over the bytes, as a checksum may
  /// As automatic, but the payload goes out in signed chunks of 256 KiB with its checksum behind it
  /// (aws-chunked): both are computed by the shard as the bytes are sent, in one pass that nothing waits for.
  /// Not every service speaks it.
  chunks,
};

/// What goes with a payload, for the service to compare and, but for `md5` (Content-MD5), to keep: computed
/// before it is sent.
enum class ChecksumAlgorithm : std::uint8_t { none, crc32, crc32c, crc64nvme, sha1, sha256, md5 };

/// Whether payload goes by RDMA, straight between the service's card and the caller's memory, where both
/// sides can (docs/formats/s3-rdma.md; netstord --s3-listen-rdma). Then Metrics::rdma_requests counts.
enum class RdmaUse : std::uint8_t {
  /// Over http://, without a proxy, of rdma_from_bytes and more in one piece, not `anonymous`; otherwise by
  /// HTTP, without a word but in traces and Bucket::path(). No signature covers a payload that goes by RDMA,
  /// and PayloadSigning::always keeps it to HTTP; with a `checksum` it is compared where it is stored.
  automatic,
  never,
  /// Every payload of rdma_from_bytes and more, over https:// too (RDMA does not encrypt), or an error that
  /// says why not: `unsupported` at once (several pieces, a proxy, no device, a service without), but for
  /// what
  /// passes (no resources, a time-out, nobody there), which is tried again as other lost connections are; and
  /// what any request may be answered (no rights, ended credentials, another place) means what it does there.
  /// Smaller payloads go by HTTP. Not with `anonymous` or PayloadSigning::always.
  required,
};

struct BucketOptions {
  /// "http://HOST[:PORT]" or "https://HOST[:PORT]". Empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the
  /// profile's, else Amazon's.
  std::string endpoint{};
  /// Of https, PEM files that are read by Bucket::open. Who may have signed the server's certificate; empty:
  /// AWS_CA_BUNDLE, the profile's, else the system's store. It must be for the endpoint's name or address.
  std::string ca_file{};
  /// For services that want one of the client, with the chain behind it; its key without a passphrase.
  std::string client_certificate_file{};
  std::string client_key_file{};
  /// Empty: AWS_REGION, AWS_DEFAULT_REGION, the profile's, else us-east-1.
  std::string region{};
  Addressing addressing = Addressing::automatic;

  /// Who we are, the first of: these; `credentials_callback`; nobody, if `anonymous`; then, unless a profile
  /// is chosen here, AWS_ACCESS_KEY_ID and its companions, and the web identity of
  /// AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (STS: AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, else Amazon's
  /// of the region); the profile of the shared files (AWS_PROFILE, AWS_CONFIG_FILE,
  /// AWS_SHARED_CREDENTIALS_FILE): its role_arn by web_identity_token_file, source_profile or
  /// credential_source, its keys, its credential_process; the container's service
  /// (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, and AWS_CONTAINER_AUTHORIZATION_TOKEN or
  /// _TOKEN_FILE); the instance's metadata service (IMDSv2; AWS_EC2_METADATA_DISABLED=true: not). Renewed
  /// meanwhile, for all requests at once.
  std::optional<Credentials> credentials{};
  std::string profile{};
  bool anonymous = false;
  /// Called on a helper thread, whenever the last answer is about to expire.
  std::function<Result<Credentials>()> credentials_callback{};

  PayloadSigning payload_signing = PayloadSigning::automatic;
  /// Sent with every put that does not choose one. `none` works with every server.
  ChecksumAlgorithm checksum = ChecksumAlgorithm::none;
  /// Ask for the checksum that the service keeps with an object, and compare once all bytes are here: of
  /// get() without a destination and of readers, from the first to the last byte; of get() into the caller's
  /// memory, when the service tells it with a range that is all of the object, too (netstord does, Amazon
  /// does not). Never of get_ranges() or from an offset, nor where the checksum is of an upload's parts.
  bool verify_checksums = true;
  bool requester_pays = false;

  /// Memory that is not registered (Runtime::register_memory) is so for as long as each request lasts. A
  /// service that declines, or whose RDMA cannot be reached, is not asked again for a minute (by each shard).
  /// What goes by RDMA is silent until it is there:
  /// first_byte_timeout is for a whole part then.
  RdmaUse rdma = RdmaUse::automatic;
  /// Objects and parts below go by HTTP, which costs fewer steps. From 1.
  std::uint64_t rdma_from_bytes = std::uint64_t{1} << 20;

  /// Connections of each shard. 1 … 1,024. Idle ones are closed after `idle_timeout`.
  std::uint16_t connections = 32;
  Duration idle_timeout = std::chrono::seconds(20);
  /// Objects larger than this are read and written in parts of this size. 5 MiB … 5 GiB.
  std::uint64_t part_bytes = std::uint64_t{8} << 20;
  /// Parts of one operation that are under way at once. 1 … 64.
  unsigned parallel = 8;
  /// What readers, writers and get() without a destination (until it is answered) may hold together; each
  /// shard has an equal share. A reader holds up to `parallel` parts until they are read, a writer until they
  /// are sent. Who finds nothing left waits for others; if nobody gives any back for first_byte_timeout, the
  /// answer is `exhausted`, as for a part that is more than the share. From 1 MiB.
  std::uint64_t memory_limit_bytes = std::uint64_t{256} << 20;

  /// 1 ms … 10 min each. first_byte_timeout: silence of any kind within an exchange; what is sent counts in
  /// batches of up to 4 MiB. The last, without an upper limit: a whole operation, retries included, but not
  /// the calls of readers and writers; 0: no limit.
  Duration connect_timeout = std::chrono::seconds(5);
  Duration first_byte_timeout = std::chrono::seconds(30);
  Duration operation_timeout = Duration::zero();
  /// Part of a get that took this long: it is asked for once more, into a buffer within memory_limit_bytes,
  /// and the first answer wins; each takes from the budget of retries. 0: never. Otherwise from 1 ms.
  Duration hedge_after = Duration::zero();
  /// Tries after the first, of each part. 0 … 20. First and longest pause between them, whatever a service
  /// asks for with Retry-After.
  unsigned retries = 4;
  Duration retry_delay = std::chrono::milliseconds(50);
  Duration retry_delay_max = std::chrono::seconds(10);
};

/// ETags without their quotes; "*": any. A condition that does not hold: compare_failed, for `if_none_match`
/// of a put already_exists.
struct Conditions {
  std::string if_match{};
  std::string if_none_match{};
  std::optional<WallTime> if_modified_since{};
  std::optional<WallTime> if_unmodified_since{};
};

/// Encryption at rest by the service.
struct Encryption {
  enum class Kind : std::uint8_t { none, sse_s3, sse_kms, sse_c };
  Kind kind = Kind::none;
  std::string kms_key_id{};    ///< sse_kms; empty: the bucket's
  std::string customer_key{};  ///< sse_c: 32 bytes; wanted again by every read; over https:// only
};

struct GetOptions {
  std::uint64_t offset = 0;
  std::string version_id{};
  Conditions conditions{};
  Encryption encryption{};
};

struct PutOptions {
  std::string content_type{};  ///< empty: application/octet-stream
  std::string cache_control{};
  std::string content_encoding{};
  std::string storage_class{};
  Pairs metadata{};  ///< x-amz-meta-NAME; at most 2 KiB together
  Pairs tags{};      ///< at most 10
  Conditions conditions{};
  Encryption encryption{};
  std::optional<ChecksumAlgorithm> checksum{};  ///< instead of the bucket's
};

struct CopyOptions {
  std::string source_bucket{};  ///< empty: this one
  std::string source_version_id{};
  Conditions source_conditions{};
  Encryption source_encryption{};  ///< sse_c: the key that the source was put with
  /// Set: the copy's metadata and content type are `put`'s; otherwise the source's. Tags, if `put` has any,
  /// and conditions on what is there are always `put`'s.
  bool replace_metadata = false;
  PutOptions put{};
};

struct ListOptions {
  std::string prefix{};
  std::string delimiter{};  ///< "/": keys with a further one after the prefix become one of `prefixes`
  std::string start_after{};
  unsigned page = 1000;        ///< 1 … 1,000
  bool versions = false;       ///< every version and delete marker, the newest of a key first
  std::string continuation{};  ///< ListPage::next of the page before
};

// ---- Results.

struct ObjectInfo {
  std::string key;
  std::uint64_t size_bytes = 0;
  std::string etag;  ///< without its quotes
  WallTime modified{};
  std::string version_id;
  bool latest = true;
  bool delete_marker = false;
  std::string storage_class;
  std::string content_type;  ///< this and what follows: of head, get and put only
  std::string cache_control;
  std::string content_encoding;
  Pairs metadata;
  ChecksumAlgorithm checksum_algorithm = ChecksumAlgorithm::none;
  std::string checksum;  ///< base64, as the service has it
};

struct ObjectRead {
  std::uint64_t bytes = 0;  ///< placed in the caller's memory
  ObjectInfo info;
};

struct Object {
  Buffer data;
  ObjectInfo info;
};

/// One of several reads of an object; see Bucket::get_ranges.
struct RangeRead {
  std::uint64_t offset = 0;
  MutableBytes into{};
};

struct ListPage {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> prefixes;
  std::string next;  ///< for ListOptions::continuation; empty: this was the last
};

struct RemoveFailure {
  std::string key;
  std::string version_id;
  std::string code;  ///< S3's
  std::string text;
};

struct UploadedPart {
  unsigned number = 0;  ///< 1 … 10,000
  std::uint64_t size_bytes = 0;
  std::string etag;
  ChecksumAlgorithm checksum_algorithm = ChecksumAlgorithm::none;
  std::string checksum;
};

struct UploadInfo {
  std::string key;
  std::string id;
  WallTime started{};
};

struct BucketInfo {
  std::string name;
  WallTime created{};
};

/// By what payload goes, at this time.
struct BucketPath {
  std::string endpoint;       ///< where requests go: "http://10.0.0.1:9000"
  std::string transport;      ///< "http", "https"
  bool rdma_offered = false;  ///< the endpoint gave a session of RDMA; where nobody asked: false
  bool rdma = false;          ///< payload of rdma_from_bytes and more goes by RDMA
  std::string rdma_obstacle;  ///< otherwise: why not
};

// ---- Calls.

/// A multipart upload under way. What was uploaded is kept, and billed, until complete() or abort(); parts
/// that were under way then may want a second abort(). Conditions count when it is completed.
class Upload {
 public:
  const std::string& key() const noexcept;
  const std::string& id() const noexcept;
  /// Part `number`, in any order, several at once; again: the last one counts. All but the last part of the
  /// object have at least 5 MiB.
  Future<UploadedPart> part(unsigned number, Bytes from) const;
  /// The same from bytes that the service has already. `length` 0: to the end.
  Future<UploadedPart> part_copy(unsigned number, std::string_view source_key, std::uint64_t offset = 0,
                                 std::uint64_t length = 0, CopyOptions options = {}) const;
  /// What the service has so far.
  Future<std::vector<UploadedPart>> parts() const;
  /// The object is there, made of these parts in the order of their numbers.
  Future<ObjectInfo> complete(std::vector<UploadedPart> parts) const;
  Future<void> abort() const;

 private:
  friend class detail::UploadCore;
  explicit Upload(std::shared_ptr<detail::UploadCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<detail::UploadCore> core_;
};

class Bucket;

/// Compares the bytes of an object with the checksum that the service keeps with them, for who reads it in
/// ranges of his own; get() and readers do so by themselves (BucketOptions::verify_checksums).
///
///   const ObjectInfo info = *bucket.head(key).get();
///   ObjectCheck check(bucket, info);
///   … bucket.get(key, into, {.offset = at, .conditions = {.if_match = info.etag}}) …
///   … check.update(bytes) …
///   Result<void> same = check.finish();
///
/// The condition (or GetOptions::version_id) keeps to one version: ranges of another, put in the meantime,
/// would be found corrupt.
///
/// Any one thread at a time.
class ObjectCheck {
 public:
  /// `info` is of an object of `bucket`.
  ObjectCheck(const Bucket& bucket, const ObjectInfo& info);
  ~ObjectCheck();
  ObjectCheck(const ObjectCheck&) = delete;
  ObjectCheck& operator=(const ObjectCheck&) = delete;

  /// Not where the service told none, or one that is of an upload's parts: then nothing is compared.
  bool compares() const noexcept;
  /// All of the object, in order.
  void update(Bytes bytes);
  /// Once. Errors: data_corrupt, which names bucket and object.
  Result<void> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads one version of an object from front to back, some parts ahead. One call at a time; after an error it
/// can only be closed.
class ObjectReader {
 public:
  const ObjectInfo& info() const noexcept;
  /// Fills `into`, less at the end of the object only: 0 is the end.
  Future<std::uint64_t> read(MutableBytes into) const;
  Future<void> close() const;

 private:
  friend class detail::ReaderCore;
  explicit ObjectReader(std::shared_ptr<detail::ReaderCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<detail::ReaderCore> core_;
};

/// Writes an object of unknown size from front to back. Nothing is visible before finish(). One call at a
/// time; after an error of write(), finish() answers it and gives up what was uploaded. Dropped without
/// finish(): aborted.
class ObjectWriter {
 public:
  /// Ready: the bytes were taken over (copied into a part, or sent), and belong to the caller again.
  Future<void> write(Bytes from) const;
  Future<ObjectInfo> finish() const;
  Future<void> abort() const;

 private:
  friend class detail::WriterCore;
  explicit ObjectWriter(std::shared_ptr<detail::WriterCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<detail::WriterCore> core_;
};

class Bucket {
 public:
  /// No bucket; valid() is false and every call but assignment is a defect.
  Bucket() noexcept = default;

  /// "s3://NAME", with `?endpoint=` and `?region=` over those of the options. Finds the credentials; asks the
  /// service nothing. Any thread.
  static Future<Bucket> open(Runtime& runtime, std::string_view uri, BucketOptions options = {});

  bool valid() const noexcept { return core_ != nullptr; }
  const std::string& name() const noexcept;

  Future<ObjectInfo> head(std::string_view key, GetOptions options = {}) const;

  /// Fills `into` from GetOptions::offset; fewer bytes at the end of the object.
  Future<ObjectRead> get(std::string_view key, MutableBytes into, GetOptions options = {}) const;
  /// All of it from GetOptions::offset, in memory of its own. Larger than this shard's share of the memory
  /// limit: exhausted; get() into your own memory has no limit.
  Future<Object> get(std::string_view key, GetOptions options = {}) const;
  /// Fills every range. Those that lie close together are asked for in one request; one that is larger than
  /// a part is one request, too. Each whole, or out_of_range.
  Future<ObjectInfo> get_ranges(std::string_view key, std::span<const RangeRead> ranges,
                                GetOptions options = {}) const;

  /// Ready: the service has stored the object, whole; netstord answers when it is on stable storage.
  Future<ObjectInfo> put(std::string_view key, Bytes from, PutOptions options = {}) const;
  Future<ObjectInfo> put(std::string_view key, ConstScatterList from, PutOptions options = {}) const;
  /// Within the service; at most 5 GiB. Larger ones: Upload::part_copy. Answers ETag, time and version.
  Future<ObjectInfo> copy(std::string_view source_key, std::string_view key, CopyOptions options = {}) const;

  /// A key that is not there is removed already. In a versioned bucket without `version_id`: a delete marker.
  Future<void> remove(std::string_view key, std::string_view version_id = {}) const;
  /// Any number, a thousand in a request; answers those that could not be removed. An error says how many
  /// were removed before it, and has effect unknown then.
  Future<std::vector<RemoveFailure>> remove_many(std::vector<std::string> keys) const;

  /// One page, in the order of UTF-8 bytes.
  Future<ListPage> list(ListOptions options = {}) const;

  Future<Pairs> tags(std::string_view key, std::string_view version_id = {}) const;
  Future<void> set_tags(std::string_view key, Pairs tags, std::string_view version_id = {}) const;
  Future<void> remove_tags(std::string_view key, std::string_view version_id = {}) const;

  Future<Upload> start_upload(std::string_view key, PutOptions options = {}) const;
  /// One that was started before, perhaps by another process. Of `options` conditions, checksum and a
  /// customer's key count: as it was started with.
  Future<Upload> resume_upload(std::string_view key, std::string_view id, PutOptions options = {}) const;
  Future<std::vector<UploadInfo>> uploads(std::string_view prefix = {}) const;

  Future<ObjectReader> open_reader(std::string_view key, GetOptions options = {}) const;
  Future<ObjectWriter> open_writer(std::string_view key, PutOptions options = {}) const;

  enum class Method : std::uint8_t { get, put, head, remove };
  /// A URL with which anybody may do this until then, or until these credentials end. 1 s … 7 days.
  Future<std::string> presign(Method method, std::string_view key,
                              std::chrono::seconds valid_for = std::chrono::hours(1)) const;

  /// Asks the endpoint for a session of RDMA and takes it up, if there is none, with tries, credentials and
  /// redirects as any request; where something on this side stands in the way (RdmaUse::never, no device, a
  /// proxy) it is not asked. Requests notice nothing of it. That the endpoint gives none, or does not say, is
  /// an obstacle and no error; one that cannot be reached is.
  Future<BucketPath> path() const;

  /// Of the bucket itself.
  Future<void> create() const;
  Future<void> remove_bucket() const;  ///< must be empty
  Future<bool> versioning() const;
  Future<void> set_versioning(bool on) const;

  /// Ends all connections; requests under way are answered `cancelled`. Ready when every byte is given
  /// back. The last handle closes by itself, without waiting.
  Future<void> close() const;

 private:
  friend class detail::BucketCore;
  explicit Bucket(std::shared_ptr<detail::BucketCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<detail::BucketCore> core_;
};

/// The buckets that these credentials own. Any thread.
Future<std::vector<BucketInfo>> list_buckets(Runtime& runtime, BucketOptions options = {});

}  // namespace netstor
