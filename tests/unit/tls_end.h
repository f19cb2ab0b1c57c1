// SPDX-License-Identifier: Apache-2.0
#pragma once
// TLS machines with owners, and what lies between two of them in a test's hands.

#include "lib/proto/tls/session.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

namespace netstor::tls {

/// A machine with its owner: moves as much as the other side's bytes allow.
struct End {
  explicit End(std::unique_ptr<Session> made) : session(std::move(made)) {}

  void turn() {
    if (last != Step::failed) last = session->handshake();
    if (last == Step::done && !writing.empty() && !failed()) {
      std::size_t moved = 0;
      while (!writing.empty() &&
             (last = session->write(std::as_bytes(std::span(writing)), moved)) == Step::done) {
        writing.remove_prefix(moved);
      }
    }
    if (!session->established() || failed()) return;
    do {
      std::byte some[5000];
      std::size_t moved = 0;
      last = session->read(some, moved);
      got.append(reinterpret_cast<const char*>(some), moved);
    } while (last == Step::done);
    if (last == Step::ended) ended = true;
  }
  bool failed() const { return last == Step::failed; }

  std::unique_ptr<Session> session;
  std::string_view writing{};
  std::string got{};
  Step last = Step::needs_in;
  bool ended = false;
};

/// At most `step` bytes; `change` may alter them. False: nothing to move.
inline bool carry(End& from, End& to, std::size_t step,
                  const std::function<void(std::span<std::byte>)>& change) {
  const auto out = from.session->to_send();
  const auto in = to.session->space();
  const std::size_t size = std::min({out.size(), in.size(), step});
  if (size == 0) return false;
  std::memcpy(in.data(), out.data(), size);
  if (change) change(in.first(size));
  to.session->received(size);
  from.session->sent(size);
  return true;
}

}  // namespace netstor::tls
