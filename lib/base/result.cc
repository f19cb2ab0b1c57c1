// SPDX-License-Identifier: Apache-2.0
// The words of errors.

#include <netstor/result.h>

#include "lib/base/errno.h"

#include <cstring>

namespace netstor {

std::string_view to_string(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::cancelled:
      return "cancelled";
    case ErrorKind::timed_out:
      return "timed out";
    case ErrorKind::disconnected:
      return "disconnected";
    case ErrorKind::invalid_argument:
      return "invalid argument";
    case ErrorKind::out_of_range:
      return "out of range";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::not_found:
      return "not found";
    case ErrorKind::permission_denied:
      return "permission denied";
    case ErrorKind::already_exists:
      return "already exists";
    case ErrorKind::no_space:
      return "no space";
    case ErrorKind::compare_failed:
      return "compare failed";
    case ErrorKind::data_corrupt:
      return "data corrupt";
    case ErrorKind::protocol:
      return "protocol error";
    case ErrorKind::exhausted:
      return "exhausted";
    case ErrorKind::device_error:
      return "device error";
    case ErrorKind::internal:
      return "internal error";
  }
  return "unknown error";
}

std::string_view to_string(Origin origin) noexcept {
  switch (origin) {
    case Origin::library:
      return "netstor";
    case Origin::system:
      return "errno";
    case Origin::nvme:
      return "nvme status";
    case Origin::tls:
      return "tls";
    case Origin::s3:
      return "s3 status";
  }
  return "unknown origin";
}

std::string_view to_string(Effect effect) noexcept { return effect == Effect::none ? "none" : "unknown"; }

Error Error::system(int errno_value, std::string_view what, Effect effect) {
  std::string text(what);
  text += ": ";
  text += std::strerror(errno_value);
  return {kind_of_errno(errno_value), std::move(text), effect, Origin::system, errno_value};
}

Error Error::with_context(std::string_view context) && {
  text_.insert(0, ": ");
  text_.insert(0, context);
  return std::move(*this);
}

Error Error::with_answer(std::string code, std::string request_id) && {
  answer_ = std::make_shared<const Answer>(Answer{std::move(code), std::move(request_id)});
  return std::move(*this);
}

std::string_view Error::code() const noexcept { return answer_ ? answer_->code : std::string_view(); }

std::string_view Error::request_id() const noexcept {
  return answer_ ? answer_->request_id : std::string_view();
}

std::string Error::to_string() const {
  std::string all(netstor::to_string(kind_));
  all += ": ";
  all += text_;
  if (origin_ != Origin::library) {
    all += " (";
    all += netstor::to_string(origin_);
    all += ' ';
    all += std::to_string(native_);
    all += ')';
  }
  if (effect_ == Effect::unknown) all += " (it may have happened)";
  return all;
}

std::ostream& operator<<(std::ostream& out, const Error& error) { return out << error.to_string(); }

}  // namespace netstor
