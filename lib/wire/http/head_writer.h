// SPDX-License-Identifier: Apache-2.0
#pragma once
// Writes a head into the caller's memory:
//
//   HeadWriter head(buffer);
//   head.request_line("GET", target);
//   head.field("Host", authority);
//   head.field("Content-Length", std::uint64_t{4096});
//   if (!head.finish()) …               // too small a buffer, or a value that would break the head
//   …send head.written()…
//
// What is no token in a name, and any control character in a value or target, turns the writer off: what a
// user says cannot become a field of its own.

#include <cstdint>
#include <span>
#include <string_view>

namespace netstor::http {

class HeadWriter {
 public:
  explicit HeadWriter(std::span<char> buffer) : buffer_(buffer) {}
  explicit HeadWriter(std::span<std::byte> buffer)
      : buffer_(reinterpret_cast<char*>(buffer.data()), buffer.size()) {}

  void request_line(std::string_view method, std::string_view target);
  void status_line(unsigned status);  ///< with the reason of reason_phrase()
  void field(std::string_view name, std::string_view value);
  void field(std::string_view name, std::uint64_t value);
  /// Fields already in the form of the wire, such as another writer made: "Name: value\r\n"…
  void raw(std::string_view lines);
  /// The empty line. True when all of the head is there.
  [[nodiscard]] bool finish();

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::string_view text() const { return {buffer_.data(), used_}; }
  [[nodiscard]] std::span<const std::byte> written() const {
    return std::as_bytes(std::span<const char>(buffer_.data(), used_));
  }

 private:
  void put(std::string_view text);
  std::span<char> buffer_;
  std::size_t used_ = 0;
  bool ok_ = true;
};

/// "Not Found"; "" for a status that is not known.
[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

}  // namespace netstor::http
