// SPDX-License-Identifier: Apache-2.0
#pragma once
// One request and its answer: where it goes, whether it may, what is done, and what is said. A coroutine on
// its connection's shard; the operations are in exchange_*.cc.
//
// After every co_await the request may be gone (its client or its connection is): then its fields must not be
// looked at, and nobody waits for an answer.

#include <netstor/task.h>

#include "server/s3/connection.h"
#include "server/s3/counters.h"
#include "server/s3/endpoint_shard.h"
#include "server/s3/facts.h"
#include "server/s3/intake.h"
#include "server/s3/route.h"

namespace netstor::s3server {

class Exchange {
 public:
  explicit Exchange(Connection& connection);
  /// To its end.
  Task<void> run();

 private:
  /// Which bytes of a GET are sent, after the head was filled in.
  struct Plan {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  struct Portions;  // of an object that goes by RDMA
  /// Of one request, from its begin to its end; counters.cc.
  class Count {
   public:
    explicit Count(Exchange& exchange);
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    ~Count();

   private:
    net::Traffic* bucket() const;
    void tell_of_slow(Duration took, std::uint64_t in, std::uint64_t out) const;
    Exchange& exchange_;
    const Time arrived_;
    const std::uint64_t bytes_in_;
    const std::uint64_t bytes_out_;
  };

  // exchange.cc
  Result<void> begin();
  Result<void> authenticate();
  /// Who is not let in for what is, or is not, said of who asks: counts and logs it. `why`: as it is counted.
  void tell_of_refusal(std::string_view why, std::string_view access_key_id);
  Result<void> authorize() const;
  [[nodiscard]] bool may(Right right, std::string_view bucket, std::string_view key) const;
  Task<void> dispatch();
  Task<void> dispatch_object();
  void answer_error(const Error& error);
  Task<void> send_answer();
  std::string_view write_head(Answer& answer);
  [[nodiscard]] const http::Fields& fields() const { return connection_.request().fields; }
  [[nodiscard]] store::ObjectShard& store() const { return shard_.store(); }
  [[nodiscard]] std::string_view version_id() const { return route_.query.value("versionId"); }
  [[nodiscard]] bool head_only() const { return head_only_; }

  // exchange_body.cc: the body of the request.
  Result<Intake> intake();
  Task<void> receive(Intake& intake, store::ObjectPut* put, std::string* text, std::size_t bytes_max);
  Task<void> keep(Intake& intake, const Lending& from, std::uint64_t bytes, store::ObjectPut* put,
                  std::string* text, std::size_t bytes_max);
  Task<std::string> receive_text(std::size_t bytes_max);

  // exchange_get.cc
  Task<void> get_object();
  Task<void> head_object();
  Result<Plan> plan(store::ObjectVersion& version);
  void describe_absent(const Error& error);
  Task<void> send_object(store::ObjectReader reader, Plan plan);

  // exchange_rdma.cc
  Result<void> open_rdma_session();
  Result<void> examine_token();
  Error refuse_rdma(unsigned status, std::string_view text);
  Error rdma_failed();
  RdmaSession* rdma();
  Task<void> push_object(store::ObjectReader reader, Plan plan);
  Task<void> push_portions(store::ObjectReader& reader, Plan plan, Portions& portions);
  Task<void> pull(Intake& intake, store::ObjectPut& put, std::size_t bytes_max);
  Task<void> pull_portions(Intake& intake, store::ObjectPut& put, std::size_t bytes_max, Portions& portions);

  // exchange_put.cc
  Task<void> put_object();
  Task<void> copy_object();
  Task<void> delete_object();
  Task<void> get_object_tagging();
  Task<void> put_object_tagging();
  Task<void> delete_object_tagging();
  Result<store::CopySource> copy_source();
  Task<store::ObjectVersion> find_source(store::CopySource& source);

  // exchange_bucket.cc
  Result<void> list_buckets();
  Task<void> create_bucket();
  Task<void> delete_bucket();
  Task<void> put_versioning();
  Result<void> get_versioning();
  Result<void> get_location();
  Task<void> delete_objects();

  // exchange_list.cc
  Result<store::ListQuery> list_query();
  Task<void> list_objects(bool v2);
  Task<void> list_versions();
  Task<void> list_uploads();

  // exchange_multipart.cc
  Task<void> create_upload();
  Task<void> upload_part();
  Task<void> upload_part_copy();
  Task<void> complete_upload();
  Task<void> abort_upload();
  Task<void> list_parts();
  Result<std::uint32_t> part_number() const;
  Task<void> sum_parts(const std::vector<s3::CompletedPart>& parts, store::ObjectFacts& facts);

  Connection& connection_;
  EndpointShard& shard_;
  std::string request_id_;
  Route route_;
  std::shared_ptr<const User> user_;  // null: anonymous; keeps the keys of its time
  bool signed_ = false;               // it claims to be somebody's
  std::string payload_hash_;          // x-amz-content-sha256 as it was signed
  std::optional<s3::ChunkSigner> chunk_signer_;
  std::optional<s3::RdmaToken> token_;  // the payload goes by RDMA
  std::uint64_t rdma_in_ = 0;
  std::uint64_t rdma_out_ = 0;
  bool head_only_ = false;
  bool replied_ = false;
  Time answering_{};                   // since when the answer is sent
  std::optional<s3::ErrorCode> code_;  // that it is
  Answer answer_;
  Answer refusal_;  // of a request that fails: beside the error, and instead of `answer_`
  Count count_;     // the last: at its end all the others are there
};

}  // namespace netstor::s3server
