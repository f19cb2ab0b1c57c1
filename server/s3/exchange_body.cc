// SPDX-License-Identifier: Apache-2.0
// The body of a request: received into lent memory, looked at, and written from there, while the next portion
// is received. No byte is copied on its way to the store.

#include "server/s3/exchange.h"

namespace netstor::s3server {

namespace {

// Less is done before another thread has begun.
constexpr std::uint64_t kElsewhereFrom = 256 * 1024;

/// Work on another thread, to be awaited.
class Elsewhere : detail::Runnable {
 public:
  template <class F>
  Elsewhere(detail::BlockingThread& thread, F& function) {
    work_.function = const_cast<void*>(static_cast<const void*>(&function));
    work_.call = [](void* it) { (*static_cast<F*>(it))(); };
    work_.run = [](detail::Runnable& self) noexcept {
      auto& work = static_cast<Work&>(self);
      work.call(work.function);
    };
    run = [](detail::Runnable& self) noexcept {
      auto& elsewhere = static_cast<Elsewhere&>(self);
      elsewhere.done_ = true;
      if (elsewhere.waiting_) elsewhere.waiting_.resume();
    };
    thread.run(work_, *this, *detail::current_loop);
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  bool await_ready() const noexcept { return done_; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiting_ = handle; }
  void await_resume() const noexcept {}

 private:
  struct Work : detail::Runnable {
    void (*call)(void*) = nullptr;
    void* function = nullptr;
  };
  Work work_;
  bool done_ = false;
  std::coroutine_handle<> waiting_;
};

}  // namespace

Result<Intake> Exchange::intake() {
  NETSTOR_TRY_RETURN(Intake intake,
                     Intake::of(connection_.request(), payload_hash_, std::move(chunk_signer_)));
  if (token_) intake.comes_apart(token_->length);
  return intake;
}

// What was received goes to where it belongs; its sums are taken, too.
Task<void> Exchange::keep(Intake& intake, const Lending& from, std::uint64_t bytes, store::ObjectPut* put,
                          std::string* text, std::size_t bytes_max) {
  std::vector<iovec> payload;
  Result<void> taken = ok();
  const auto take = [&] { taken = intake.take(from.pieces(), from.count(), bytes, payload); };
  if (bytes < kElsewhereFrom || !intake.takes_sums()) {
    take();
  } else if (put != nullptr && intake.plain()) {
    // What is written is what was received: both at once. Nobody sees it if the sums turn out wrong.
    iovec pieces[Lending::kPiecesMax];
    auto writing = put->write(pieces, from.first(bytes, pieces));
    co_await Elsewhere(shard_.hashing(), take);
    Result<void> written = co_await std::move(writing);
    if (!written) co_return std::move(written).error();
    payload.clear();
  } else {
    co_await Elsewhere(shard_.hashing(), take);
  }
  if (!taken) co_return std::move(taken).error();
  if (intake.bytes() > bytes_max) co_return refusal(s3::ErrorCode::entity_too_large);
  if (text != nullptr) {
    for (const iovec& piece : payload) text->append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    co_return ok();
  }
  if (payload.empty()) co_return ok();
  auto writing = put->write(payload.data(), static_cast<unsigned>(payload.size()));
  Result<void> written = co_await std::move(writing);
  co_return std::move(written);
}

Task<void> Exchange::receive(Intake& intake, store::ObjectPut* put, std::string* text,
                             std::size_t bytes_max) {
  if (token_) {
    auto pulling = pull(intake, *put, bytes_max);
    co_return co_await std::move(pulling);
  }
  if (intake.size().value_or(0) > bytes_max) co_return refusal(s3::ErrorCode::entity_too_large);
  const http::RequestHead& head = connection_.request();
  if (head.framing == http::Framing::none || head.content_length == std::uint64_t{0})
    co_return intake.finish();
  std::uint64_t left = head.content_length.value_or(UINT64_MAX);
  Memory& memory = shard_.memory();
  Lending first;
  Lending second;
  Lending* now = &first;
  Lending* next = &second;
  co_await memory.lend(memory.portion(left), *now);
  if (connection_.gone()) co_return ok();
  std::uint64_t before = 0;
  connection_.receive_body(now->pieces(), now->count());
  for (bool last = false; !last;) {
    if (!co_await connection_.received()) co_return ok();
    const std::uint64_t bytes = connection_.body_bytes() - before;
    before += bytes;
    left -= std::min(left, bytes);
    last = connection_.body_done();
    const bool overlap = !last && (!next->empty() || memory.try_lend(memory.portion(left), *next));
    if (overlap) connection_.receive_body(next->pieces(), next->count());
    auto keeping = keep(intake, *now, bytes, put, text, bytes_max);
    Result<void> kept = co_await std::move(keeping);
    if (!kept && overlap) {
      // Memory that is being received into is not ours to give back.
      const bool there = co_await connection_.received();
      static_cast<void>(there);
    }
    if (connection_.gone()) co_return ok();
    if (!kept) co_return std::move(kept).error();
    if (overlap)
      std::swap(now, next);
    else if (!last)
      connection_.receive_body(now->pieces(), now->count());
  }
  co_return intake.finish();
}

Task<std::string> Exchange::receive_text(std::size_t bytes_max) {
  NETSTOR_TRY(Intake body, intake());
  std::string text;
  auto receiving = receive(body, nullptr, &text, bytes_max);
  NETSTOR_CHECK(co_await std::move(receiving));
  if (connection_.gone()) co_return Error(ErrorKind::cancelled, "the client is gone");
  co_return std::move(text);
}

}  // namespace netstor::s3server
