// SPDX-License-Identifier: Apache-2.0
#include "lib/object/credential_cache.h"

#include "lib/object/credential_service.h"
#include "lib/object/helper_thread.h"

#include <algorithm>

namespace netstor::object {

namespace {
constexpr auto kRenewalPause = std::chrono::seconds(10);
}

WallTime renewal_time(WallTime now, WallTime end) noexcept {
  constexpr WallTime::duration kEarly = std::chrono::minutes(5);
  return end - std::min(kEarly, std::max((end - now) / 4, WallTime::duration::zero()));
}

Task<KnownCredentials> CredentialCache::get(std::uint64_t refused) {
  const auto now = std::chrono::system_clock::now();
  if (known_ && known_->number > refused && (!known_->renew_at || now < *known_->renew_at)) co_return *known_;
  if (closed_) co_return Error(ErrorKind::cancelled, "the bucket is closed");
  auto finding = finding_.join([this] { return find(); });
  Result<KnownCredentials> found = co_await std::move(finding);
  if (found || !known_ || known_->number <= refused) co_return found;
  const auto later = std::chrono::system_clock::now();
  if (later >= *known_->credentials.expires) co_return found;
  // Still good: what could not be renewed is asked for again soon.
  known_->renew_at = later + kRenewalPause;
  co_return *known_;
}

Task<KnownCredentials> CredentialCache::find() {
  auto looking = on_helper_thread(loop_, [this] { return find_source(options_); });
  NETSTOR_TRY(const CredentialSource source, co_await std::move(looking));
  auto asking = ask_source(loop_, source);
  NETSTOR_TRY(Credentials found, co_await std::move(asking));
  KnownCredentials known{.credentials = std::move(found), .number = known_ ? known_->number + 1 : 1};
  if (const auto& end = known.credentials.expires) {
    const auto now = std::chrono::system_clock::now();
    if (*end <= now)
      co_return Error(ErrorKind::permission_denied, "the credentials that were found have ended already");
    known.renew_at = renewal_time(now, *end);
  }
  known_ = known;
  co_return known;
}

void CredentialCache::close() {
  closed_ = true;
  finding_.cancel();
}

}  // namespace netstor::object
