// SPDX-License-Identifier: Apache-2.0
#include "lib/object/verify.h"

#include "lib/object/helper_thread.h"
#include "lib/object/plan.h"

namespace netstor {

struct ObjectCheck::State {
  std::string name;
  s3::Checksum kept;
  s3::Checksummer sum;
};

ObjectCheck::ObjectCheck(const Bucket& bucket, const ObjectInfo& info) {
  if (const auto kept = object::kept_checksum(info))
    state_ = std::make_unique<State>(
        State{.name = bucket.name() + "/" + info.key, .kept = *kept, .sum = s3::Checksummer(kept->kind)});
}

ObjectCheck::~ObjectCheck() = default;

bool ObjectCheck::compares() const noexcept { return state_ != nullptr; }

void ObjectCheck::update(Bytes bytes) {
  if (state_ != nullptr) state_->sum.update(bytes);
}

Result<void> ObjectCheck::finish() {
  if (state_ == nullptr || state_->sum.finish() == state_->kept) return {};
  return object::corrupt(state_->name, state_->kept.kind);
}

}  // namespace netstor

namespace netstor::object {
namespace {

s3::Checksum sum_of(const PieceList& pieces, s3::ChecksumKind kind) {
  s3::Checksummer sum(kind);
  for (const iovec& piece : pieces) sum.update(as_bytes(piece));
  return sum.finish();
}

}  // namespace

std::optional<s3::Checksum> kept_checksum(const ObjectInfo& info) {
  const auto kind = static_cast<s3::ChecksumKind>(info.checksum_algorithm);
  const auto kept = s3::decode_object_checksum(kind, info.checksum);
  if (!kept || kept->parts != 0) return std::nullopt;
  return kept->checksum;
}

Error corrupt(const std::string& name, s3::ChecksumKind kind) {
  return {ErrorKind::data_corrupt, "GET s3://" + name + ": the bytes do not have the " +
                                       std::string(s3::checksum_name(kind)) + " that was stored with them"};
}

Error corrupt(const BucketCore& core, const std::string& key, s3::ChecksumKind kind) {
  return corrupt(core.name() + "/" + key, kind);
}

Task<void> verify(Call call, const std::string& key, const PieceList& bytes, const ObjectInfo& info) {
  const auto kept = kept_checksum(info);
  if (!kept) co_return ok();
  s3::Checksum sum;
  if (bytes_in(bytes) <= kHashHere) {
    sum = sum_of(bytes, kept->kind);
  } else {
    auto summing = on_helper_thread(call.shard->loop(),
                                    [&]() -> Result<s3::Checksum> { return sum_of(bytes, kept->kind); });
    NETSTOR_TRY(sum, co_await std::move(summing));
  }
  if (sum == *kept) co_return ok();
  co_return corrupt(*call.core, key, kept->kind);
}

}  // namespace netstor::object
