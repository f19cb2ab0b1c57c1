// SPDX-License-Identifier: Apache-2.0
#pragma once
// Errors and results.
//
//   netstor::Result<netstor::Volume> volume = …;
//   if (!volume) std::cerr << volume.error() << '\n';   // what, where, what to do
//   volume->size_bytes();
//
// Every fallible call of the library answers a Result<T>: a T or an Error. No exception crosses a public
// header. `value()` on an error prints the error and aborts: it is for programs that have nothing better
// to do with it.
//
// Thread rule: plain values; as safe as an int.

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace netstor {

/// What went wrong, in the caller's terms. Decide on this; log the text.
enum class ErrorKind : std::uint8_t {
  cancelled,          ///< the caller asked for it (or dropped the future)
  timed_out,          ///< a deadline, or a limit of opening, passed; a silent path is `disconnected`
  disconnected,       ///< the path to the storage was lost, or was never there
  invalid_argument,   ///< the call itself is wrong: alignment, name, option
  out_of_range,       ///< beyond the end of the volume
  unsupported,        ///< this build, machine, driver or peer cannot do it; see capabilities.h
  not_found,          ///< no such volume, subsystem, file
  permission_denied,  ///< the peer or the system refused the caller
  already_exists,     ///< a name or an address is taken
  no_space,           ///< the store is full
  compare_failed,     ///< compare or fused compare-and-write: the bytes differ, nothing was written
  data_corrupt,       ///< a digest or the medium says that the bytes are wrong
  protocol,           ///< the peer broke the protocol; the connection was ended
  exhausted,          ///< a limit of memory, queues or descriptors was met; try later
  device_error,       ///< the storage answered with an error of its own; see native()
  internal,           ///< a defect of the library, or an exception thrown by the caller's coroutine
};

/// Whose number `Error::native()` is.
enum class Origin : std::uint8_t {
  library,  ///< netstor itself; native() is 0
  system,   ///< the operating system; native() is an errno value
  nvme,  ///< an NVMe completion; native() is (status code type << 8 | status code), NVMe Base 2.0 §3.3.3.2
  tls,   ///< OpenSSL
  s3,    ///< an S3 answer; native() is the HTTP status
};

/// May the failed operation have changed the storage all the same?
enum class Effect : std::uint8_t {
  none,     ///< nothing happened: it is safe to try again, or to do something else
  unknown,  ///< a write (or the like) whose answer was lost: it may have happened, wholly or in part, or
            ///< may yet happen; read before relying on either
};

std::string_view to_string(ErrorKind kind) noexcept;
std::string_view to_string(Origin origin) noexcept;
std::string_view to_string(Effect effect) noexcept;

/// Why an operation failed.
class Error {
 public:
  Error(ErrorKind kind, std::string text, Effect effect = Effect::none, Origin origin = Origin::library,
        std::int32_t native = 0)
      : text_(std::move(text)), native_(native), kind_(kind), origin_(origin), effect_(effect) {}

  /// An error of the operating system: kind chosen from `errno_value`, text "WHAT: strerror".
  static Error system(int errno_value, std::string_view what, Effect effect = Effect::none);

  ErrorKind kind() const noexcept { return kind_; }
  Origin origin() const noexcept { return origin_; }
  Effect effect() const noexcept { return effect_; }
  std::int32_t native() const noexcept { return native_; }
  /// One line for people: what, where, what to do. Never holds a secret.
  const std::string& text() const noexcept { return text_; }
  /// Of Origin::s3, in the service's own words: "NoSuchKey", and what its operator finds the request by. The
  /// text has both. Empty where the service did not say, and of every other origin.
  std::string_view code() const noexcept;
  std::string_view request_id() const noexcept;

  /// The same error with what the service said.
  [[nodiscard]] Error with_answer(std::string code, std::string request_id) &&;

  /// The same error with "CONTEXT: " before its text.
  [[nodiscard]] Error with_context(std::string_view context) &&;

  /// "kind: text (origin N; it may have happened)", as far as there is something to say.
  std::string to_string() const;

 private:
  struct Answer {
    std::string code;
    std::string request_id;
  };
  std::string text_;
  std::shared_ptr<const Answer> answer_;  // of services only, and then never changed
  std::int32_t native_;
  ErrorKind kind_;
  Origin origin_;
  Effect effect_;
};

std::ostream& operator<<(std::ostream& out, const Error& error);

namespace detail {
[[noreturn]] void abort_with(const Error& error) noexcept;
}  // namespace detail

/// A T or an Error. Converts from both.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : either_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : either_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const noexcept { return either_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & { return checked(); }
  const T& value() const& { return const_cast<Result*>(this)->checked(); }
  T value() && { return std::move(checked()); }
  T& operator*() & { return checked(); }
  const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
  T operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &const_cast<Result*>(this)->checked(); }

  /// Only when !ok().
  const Error& error() const& { return std::get<1>(either_); }
  Error error() && { return std::move(std::get<1>(either_)); }

  T value_or(T fallback) && { return ok() ? std::move(checked()) : std::move(fallback); }

 private:
  T& checked() {
    if (!ok()) detail::abort_with(std::get<1>(either_));
    return *std::get_if<0>(&either_);
  }
  std::variant<T, Error> either_;
};

/// Success without a value, or an Error. `Result<void>{}` (or `ok()`) is success.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() noexcept = default;
  Result(Error error) : either_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const noexcept { return either_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  void value() const {
    if (!ok()) detail::abort_with(std::get<1>(either_));
  }
  const Error& error() const& { return std::get<1>(either_); }
  Error error() && { return std::move(std::get<1>(either_)); }

 private:
  std::variant<std::monostate, Error> either_;
};

inline Result<void> ok() noexcept { return {}; }

}  // namespace netstor

/// `NETSTOR_TRY(auto block, co_await volume.read(…))`: the value, or leave the coroutine with the error.
#define NETSTOR_TRY(declaration, expression) \
  NETSTOR_DETAIL_TRY(co_return, NETSTOR_DETAIL_JOIN(netstor_try_, __LINE__), declaration, expression)
/// The same for a function that answers a Result.
#define NETSTOR_TRY_RETURN(declaration, expression) \
  NETSTOR_DETAIL_TRY(return, NETSTOR_DETAIL_JOIN(netstor_try_, __LINE__), declaration, expression)
/// For Result<void>: go on, or leave the coroutine with the error.
#define NETSTOR_CHECK(expression)                                                                         \
  do {                                                                                                    \
    if (auto netstor_check_ = (expression); !netstor_check_) co_return std::move(netstor_check_).error(); \
  } while (false)
/// The same for a function that answers a Result.
#define NETSTOR_CHECK_RETURN(expression)                                                               \
  do {                                                                                                 \
    if (auto netstor_check_ = (expression); !netstor_check_) return std::move(netstor_check_).error(); \
  } while (false)

#define NETSTOR_DETAIL_JOIN2(a, b) a##b
#define NETSTOR_DETAIL_JOIN(a, b) NETSTOR_DETAIL_JOIN2(a, b)
#define NETSTOR_DETAIL_TRY(leave, result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result) leave std::move(result).error();                    \
  declaration = *std::move(result)
