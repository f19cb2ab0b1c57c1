// SPDX-License-Identifier: Apache-2.0
#pragma once
// One S3 request: method, key, query and headers, signed whenever it is sent; the error that its answer
// means; and perform(), which sends it until it is answered.
//
//   Request request(shard, "GET", key);
//   request.header("range", range);
//   request.on_head([&](const http::ResponseHead& head) { … });
//   NETSTOR_CHECK(co_await perform(request));
//
// Names and values are views: what they show lives as long as the request.

#include <netstor/task.h>

#include "lib/object/chunked_payload.h"
#include "lib/object/exchange.h"
#include "lib/object/object_shard.h"
#include "lib/wire/s3/xml.h"

#include <absl/container/inlined_vector.h>

#include <functional>
#include <string>
#include <string_view>

namespace netstor::object {

/// The same answer of the service in other words.
Error reworded(const Error& error, ErrorKind kind, std::string text, Effect effect);

class Request final : public Exchange {
 public:
  /// `key` empty: of the bucket; see also of_service().
  Request(ObjectShard& shard, std::string_view method, std::string_view key);

  ObjectShard& shard() noexcept { return shard_; }
  void query(std::string_view name, std::string_view value = {}) { query_.push_back({name, value}); }
  /// Lower case. An empty value: no such header.
  void header(std::string_view name, std::string_view value) {
    if (!value.empty()) headers_.push_back({name, value});
  }
  /// Payload in the caller's memory.
  void payload(const iovec* pieces, unsigned count, std::uint64_t bytes) noexcept;
  /// Payload of its own: an XML body.
  void payload(std::string own);
  /// Payload in chunks, signed and summed up as they are sent; borrowed. Its checksum and a content encoding
  /// are its own to announce.
  void payload(ChunkedPayload& chunks);
  /// The form for payload(ChunkedPayload&); nothing where the bucket does not want it, or cannot have it.
  std::optional<s3::PayloadForm> chunked_form(s3::ChecksumKind sum) const noexcept;
  /// Sends this instead of UNSIGNED-PAYLOAD.
  void payload_hash(std::string hash) { payload_hash_ = std::move(hash); }
  bool signs_payload() const noexcept;
  std::uint64_t payload_bytes() const noexcept { return payload_bytes_; }

  /// What `pieces` hold, or shall hold, may go by RDMA, if the bucket's options and the service want it so.
  /// Errors: unsupported, where they require it and it cannot.
  Result<void> use_rdma(std::span<const iovec> pieces, bool writable);
  bool may_go_by_rdma() const noexcept { return remote.iov_len != 0; }
  /// Before it is sent by HTTP after all.
  void before_http(std::function<Task<void>()> prepare) { before_http_ = std::move(prepare); }
  /// The head of an answer below 300.
  void on_head(std::function<void(const http::ResponseHead&)> take) { take_ = std::move(take); }

  std::uint64_t offset = 0;  ///< of a range; for those who follow requests
  /// It changes what is stored: without an answer its effect is unknown.
  bool changes = false;
  Repeat repeat = Repeat::harmless;
  /// A 200 may have an error inside (CompleteMultipartUpload, CopyObject).
  bool may_hide_error = false;
  /// What a condition that does not hold is called.
  ErrorKind condition_failed = ErrorKind::compare_failed;

  /// Of the last try, which did not succeed.
  Error error() const;
  /// After a try: does it count as done?
  bool succeeded() const noexcept { return outcome == Outcome::answered && status / 100 == 2 && !hidden_; }
  /// After a try: reads what the answer says of itself.
  void examine();
  Duration asked_pause() const noexcept { return asked_pause_; }
  /// After a try: the service said that the request belongs to another region, or elsewhere; then it goes
  /// there the next time. Errors: of a redirect that is not followed.
  Result<bool> follow();
  /// After a try: who signed is no longer known to the service.
  bool identity_ended() const;
  Pool& pool() noexcept { return *pool_; }
  /// After a try: the endpoint did nothing with the token of a session that it had given before, and may
  /// have lost since, of which this end need not have heard.
  bool session_forgotten() const noexcept { return rdma_reply == kRdmaDeclined && !first_token; }
  /// After a try: it is to go by HTTP; not again by RDMA.
  bool rdma_declined() const noexcept {
    return !session_only &&
           (outcome == Outcome::declined || (outcome == Outcome::answered && rdma_reply >= 300));
  }
  Task<void> go_by_http(std::string_view reason);
  /// After a redirect.
  Task<void> reconsider_rdma();

  void begin_trace() noexcept;
  void trace_failure(const char* happened, const Error& error) const;
  void end_trace(const Result<void>& result) const;

 private:
  struct Line {  // what of a head differs
    std::string_view method;
    std::string_view path;
    std::span<const s3::NameValue> query;
    std::span<const s3::NameValue> headers;
    std::string_view hash;
    std::uint64_t body_bytes = 0;
  };
  void write(http::HeadWriter& head, const Line& line);
  void write_head(http::HeadWriter& head) override;
  void write_session_head(http::HeadWriter& head) override;
  std::string_view identity() const override { return shard_.signer().access_key_id(); }
  void take_head(const http::ResponseHead& head) override;
  BodyPart next_body() override { return chunks_->next(); }
  void tell(const char* room, const char* what, std::string_view detail) const noexcept override;
  std::string_view payload_said() const noexcept;
  Error required_but(std::string_view obstacle) const;
  std::string what() const;
  /// Before why RDMA is not to be had.
  std::string without_rdma() const;

  bool learn_region();
  bool may_do_by_new_session() const noexcept;

  ObjectShard& shard_;
  Pool* pool_;
  std::string_view method_;
  std::string key_;
  std::string path_;  // percent-encoded
  absl::InlinedVector<s3::NameValue, 8> query_;
  absl::InlinedVector<s3::NameValue, 16> headers_;
  absl::InlinedVector<s3::NameValue, 16> signed_;
  std::uint64_t payload_bytes_ = 0;
  std::string payload_text_;
  iovec payload_piece_{};
  std::string payload_hash_;
  ChunkedPayload* chunks_ = nullptr;
  std::string content_encoding_;
  std::string decoded_bytes_;
  std::function<void(const http::ResponseHead&)> take_;
  std::function<Task<void>()> before_http_;
  std::string obstacle_;  // to RDMA, of one that is followed

  // Of the answer.
  std::string request_id_;
  std::string region_;
  std::string location_;
  unsigned redirects_ = 0;
  s3::ErrorBody body_;
  Duration asked_pause_{};
  bool hidden_ = false;
  bool may_have_happened_ = false;  // of an earlier try, too
  bool token_declined_ = false;     // in one of the tries that were judged
  unsigned tries_ = 0;
};

/// Sends it until it succeeds, or may not be sent again.
[[nodiscard]] Task<void> perform(Request& request);

}  // namespace netstor::object
