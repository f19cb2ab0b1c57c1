// SPDX-License-Identifier: Apache-2.0
#pragma once
// OpenSSL's errors in words for people: what was wrong, and what to do. For this room alone.

#include "lib/proto/tls/session.h"

#include <string>

struct asn1_string_st;
struct x509_st;

namespace netstor::tls {

/// Of this thread's error queue, which is emptied.
[[nodiscard]] Failure take_failure(Role role);

/// The same where both ends were to hold a key. `offered`: server: the client named one.
[[nodiscard]] Failure take_key_failure(Role role, bool offered);

/// Of a chain that verification did not believe. `certificate` is the peer's own, `at` the one of its chain
/// where verification stopped.
[[nodiscard]] Failure distrust(int verify_error, const x509_st* certificate, const x509_st* at, Role role,
                               const std::string& server_name);

/// "2026-01-31 12:00:00 UTC"
[[nodiscard]] std::string time_text(const asn1_string_st* time);

/// The queue's first reason, "no start line"; empties it.
[[nodiscard]] std::string take_reason();

}  // namespace netstor::tls
