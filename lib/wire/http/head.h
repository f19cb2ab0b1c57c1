// SPDX-License-Identifier: Apache-2.0
#pragma once
// The head of an HTTP/1.1 message: start line and fields, up to the empty line (RFC 9112). A HeadScanner
// finds its end in bytes that come piece by piece; decode_request() and decode_response() then make values of
// it, as views into those bytes.
//
//   HeadScanner scanner;
//   switch (scanner.scan(bytes, limits)) { case found: decode_request(bytes.substr(0, scanner.size()), …) }
//
// Strict, because what two parsers read differently is how requests are smuggled: lines end with CR LF and
// nothing else, no folded lines, no white space before the colon, one Content-Length at most, never one
// together with Transfer-Encoding, and no transfer coding but "chunked". A head that is refused is refused
// as a whole; head_status() says with what.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/wire/http/fields.h"

namespace netstor::http {

struct HeadLimits {
  std::size_t line_bytes_max = 8 * 1024;   ///< the start line, without its end
  std::size_t head_bytes_max = 64 * 1024;  ///< all of it
  unsigned fields_max = kFieldsMax;        ///< at most kFieldsMax
};

enum class HeadError : std::uint8_t {
  none,
  start_line,         ///< not METHOD SP target SP version, or not version SP status
  line_end,           ///< a CR without LF, or an LF without CR
  version,            ///< not HTTP/1.x
  target,             ///< characters that no target may have
  line_too_long,      ///< the start line
  head_too_long,      ///< the head, or too many fields
  field,              ///< no colon, a name that is no token, white space before the colon, a folded line
  value,              ///< a control character in a value
  length,             ///< Content-Length is no number, or is there twice
  framing,            ///< Content-Length together with Transfer-Encoding, or a coding where none may be
  transfer_encoding,  ///< a transfer coding other than "chunked"
  host,               ///< HTTP/1.1 without exactly one Host
};

[[nodiscard]] std::string_view to_string(HeadError error) noexcept;
/// The status that answers it: 400, 414, 431, 501 or 505.
[[nodiscard]] unsigned head_status(HeadError error) noexcept;

/// Where the head ends, without looking twice at a byte.
class HeadScanner {
 public:
  enum class State : std::uint8_t { more, found, refused };

  void reset() { *this = {}; }
  /// All bytes from the head's first on, each time; they may have moved.
  [[nodiscard]] State scan(std::string_view bytes, const HeadLimits& limits);
  /// Found: how many bytes the head has, its empty line included.
  [[nodiscard]] std::size_t size() const { return line_; }
  [[nodiscard]] HeadError error() const { return error_; }

 private:
  State refuse(HeadError error) {
    error_ = error;
    return State::refused;
  }
  std::size_t line_ = 0;  // where the line under way begins
  std::size_t seen_ = 0;
  HeadError error_ = HeadError::none;
};

enum class Method : std::uint8_t { get, head, put, post, delete_, options, other };
[[nodiscard]] std::string_view to_string(Method method) noexcept;  ///< "GET"; "" for other

/// How the end of a message's body is known (RFC 9112, 6.3).
enum class Framing : std::uint8_t {
  none,         ///< there is no body
  length,       ///< content_length bytes
  chunked,      ///< the chunked coding says
  until_close,  ///< responses only
};

struct MessageHead {
  Fields fields;
  Framing framing = Framing::none;
  std::optional<std::uint64_t> content_length;  ///< as the field says; a HEAD's answer has it without a body
  unsigned minor = 1;                           ///< HTTP/1.minor
  bool keep_alive = true;                       ///< this message does not ask for the end of the connection
};

struct RequestHead : MessageHead {
  Method method = Method::other;
  std::string_view method_name;
  std::string_view target;  ///< raw, as signatures want it; uri.h cuts it
  bool expects_continue = false;
};

struct ResponseHead : MessageHead {
  unsigned status = 0;  ///< 100 to 999
  std::string_view reason;
};

/// `head` is all of it, as the scanner found it. Into a value that may have been used before.
[[nodiscard]] HeadError decode_request(std::string_view head, RequestHead& out,
                                       const HeadLimits& limits = {}) noexcept;
/// `to_head`: it answers a HEAD, which never has a body.
[[nodiscard]] HeadError decode_response(std::string_view head, bool to_head, ResponseHead& out,
                                        const HeadLimits& limits = {}) noexcept;
/// The trailer section of a chunked body: fields and the empty line, nothing of which is framing.
[[nodiscard]] HeadError decode_trailers(std::string_view trailers, Fields& out) noexcept;

}  // namespace netstor::http
