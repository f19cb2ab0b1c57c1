// SPDX-License-Identifier: Apache-2.0
// FileComparer of file_parts.h.

#include "server/store/file_parts.h"
#include "server/store/pieces.h"

#include <cerrno>
#include <cstdlib>

namespace netstor::store {

namespace {
constexpr std::size_t kBufferAlignment = 4096;
}

FileComparer::FileComparer(FileStore& store) noexcept : store_(store) {
  step_.comparer = this;
  step_.complete = [](Op& op) noexcept { static_cast<Step&>(op).comparer->step_done(); };
}

void FileComparer::submit(StoreOp& op) noexcept {
  op.next = nullptr;
  if (first_ != nullptr) {
    last_->next = &op;
    last_ = &op;
    return;
  }
  first_ = last_ = &op;
  begin();
}

void FileComparer::cancel_waiting() noexcept {
  if (first_ == nullptr) return;
  auto* op = static_cast<StoreOp*>(first_->next);
  first_->next = nullptr;
  last_ = first_;
  while (op != nullptr) {
    auto* const following = static_cast<StoreOp*>(op->next);
    store_.finish_later(*op, OpResult::failure(ErrorKind::cancelled));
    op = following;
  }
}

void FileComparer::begin() noexcept {
  done_bytes_ = 0;
  if (buffer_ == nullptr) {
    buffer_.reset(static_cast<std::byte*>(std::aligned_alloc(kBufferAlignment, kStepBytes)));
  }
  if (store_.closing() || buffer_ == nullptr) {
    finish(OpResult::failure(store_.closing() ? ErrorKind::cancelled : ErrorKind::exhausted));
  } else {
    read_on();
  }
}

void FileComparer::read_on() noexcept {
  const std::uint64_t length = std::min<std::uint64_t>(first_->length - done_bytes_, kStepBytes);
  piece_ = {.iov_base = buffer_.get(), .iov_len = length};
  step_.verb = DeviceVerb::read;
  step_.force_unit_access = false;
  step_.offset = first_->offset + done_bytes_;
  step_.length = length;
  step_.pieces = &piece_;
  step_.piece_count = 1;
  store_.send(step_);
}

void FileComparer::write() noexcept {
  step_.verb = DeviceVerb::write;
  step_.force_unit_access = first_->force_unit_access;
  step_.offset = first_->offset;
  step_.length = first_->length;
  step_.pieces = first_->pieces;
  step_.piece_count = first_->piece_count;
  store_.send(step_);
}

bool FileComparer::same(std::uint64_t length) noexcept {
  if (first_->verb == DeviceVerb::verify) return true;
  const bool fused = first_->verb == DeviceVerb::compare_and_write;
  PieceCursor wanted(fused ? first_->expected : first_->pieces,
                     fused ? first_->expected_count : first_->piece_count);
  for (std::uint64_t skip = done_bytes_; skip > 0;) skip -= wanted.next(skip).size();
  return wanted.equals(buffer_.get(), length);
}

void FileComparer::step_done() noexcept {
  store_.received();
  const OpResult result = step_.result;
  if (!result.ok) return finish(result);
  if (result.bytes != step_.length)
    return finish(OpResult::failure(ErrorKind::device_error, Origin::system, EIO));
  if (step_.verb == DeviceVerb::write) return finish(OpResult::success(first_->length));
  if (!same(step_.length)) return finish(OpResult::failure(ErrorKind::compare_failed));
  if (store_.closing()) return finish(OpResult::failure(ErrorKind::cancelled));
  done_bytes_ += step_.length;
  if (done_bytes_ < first_->length) return read_on();
  if (first_->verb == DeviceVerb::compare_and_write) return write();
  finish(OpResult::success(first_->length));
}

void FileComparer::finish(const OpResult& result) noexcept {
  StoreOp& op = *first_;
  first_ = static_cast<StoreOp*>(op.next);
  if (first_ == nullptr) last_ = nullptr;
  if (first_ != nullptr) begin();
  store_.finish_later(op, result);
}

}  // namespace netstor::store
