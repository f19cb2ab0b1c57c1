// SPDX-License-Identifier: Apache-2.0
#include "lib/wire/s3/aws_chunked.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"
#include "lib/wire/http/text.h"

namespace netstor::s3 {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kChunkSignature = ";chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";

bool signed_chunks(PayloadForm form) {
  return form == PayloadForm::streaming_signed || form == PayloadForm::streaming_signed_trailer;
}

void append_hex_number(std::string& out, std::uint64_t value) {
  char digits[16];
  const auto [end, error] = std::to_chars(std::begin(digits), std::end(digits), value, 16);
  NETSTOR_ASSERT(error == std::errc());
  out.append(std::begin(digits), end);
}

std::uint64_t hex_size(std::uint64_t value) {
  return std::max<std::uint64_t>(1, (static_cast<unsigned>(std::bit_width(value)) + 3) / 4);
}

void append_trailer(std::string& out, std::string_view name, std::string_view value,
                    std::string_view line_end) {
  out.append(name).append(":").append(value).append(line_end);
}

}  // namespace

AwsChunkedEncoder::AwsChunkedEncoder(PayloadForm form, std::optional<ChunkSigner> signer)
    : signer_(std::move(signer)), form_(form) {
  NETSTOR_ASSERT(is_streaming(form) && signer_.has_value() == signed_chunks(form));
}

void AwsChunkedEncoder::append_head(std::uint64_t chunk_bytes, const Sha256::Digest& digest) {
  text_.assign(first_ ? std::string_view() : kLineEnd);
  first_ = false;
  append_hex_number(text_, chunk_bytes);
  if (signer_) text_.append(kChunkSignature).append(signer_->chunk(digest));
  text_.append(kLineEnd);
}

std::string_view AwsChunkedEncoder::before(std::span<const std::byte> chunk) {
  return before(chunk.size(), signer_ ? sha256(chunk) : Sha256::Digest{});
}

std::string_view AwsChunkedEncoder::before(std::uint64_t chunk_bytes, const Sha256::Digest& digest) {
  NETSTOR_ASSERT(chunk_bytes != 0);
  append_head(chunk_bytes, digest);
  return text_;
}

std::string_view AwsChunkedEncoder::end(std::span<const NameValue> trailers) {
  NETSTOR_ASSERT(trailers.empty() || has_trailer(form_));
  append_head(0, sha256({}));
  std::string canonical;
  for (const NameValue& each : trailers) {
    append_trailer(text_, each.name, each.value, kLineEnd);
    append_trailer(canonical, each.name, each.value, "\n");
  }
  if (form_ == PayloadForm::streaming_signed_trailer) {
    append_trailer(text_, kTrailerSignature, signer_->trailer(sha256(as_bytes(canonical))), kLineEnd);
  }
  return text_.append(kLineEnd);
}

std::uint64_t AwsChunkedEncoder::encoded_bytes(PayloadForm form, std::uint64_t payload_bytes,
                                               std::uint64_t chunk_bytes,
                                               std::span<const NameValue> trailers) {
  NETSTOR_ASSERT(chunk_bytes != 0);
  const std::uint64_t signature = signed_chunks(form) ? kChunkSignature.size() + kSignatureSize : 0;
  const auto around = [&](std::uint64_t bytes) { return hex_size(bytes) + signature + 2 * kLineEnd.size(); };
  const std::uint64_t rest = payload_bytes % chunk_bytes;
  std::uint64_t total = payload_bytes + payload_bytes / chunk_bytes * around(chunk_bytes) + around(0);
  if (rest != 0) total += around(rest);
  for (const NameValue& each : trailers) {
    total += each.name.size() + 1 + each.value.size() + kLineEnd.size();
  }
  if (form == PayloadForm::streaming_signed_trailer) {
    total += kTrailerSignature.size() + 1 + kSignatureSize + kLineEnd.size();
  }
  return total;
}

AwsChunkedDecoder::AwsChunkedDecoder(PayloadForm form, std::uint64_t decoded_bytes,
                                     std::optional<ChunkSigner> signer)
    : signer_(std::move(signer)), left_(decoded_bytes), form_(form) {
  NETSTOR_ASSERT(is_streaming(form) && signer_.has_value() == signed_chunks(form));
}

AwsChunkedDecoder::Step AwsChunkedDecoder::failed(std::size_t consumed, ErrorCode code,
                                                  std::string_view text) {
  state_ = State::fault;
  fault_ = {code, text};
  return {Event::fault, consumed, {}};
}

bool AwsChunkedDecoder::take_line(std::span<const std::byte> in, std::size_t& at) {
  const std::size_t line_max = state_ == State::trailer_line ? kTrailerLineMax : kChunkLineMax;
  while (at < in.size()) {
    const char byte = static_cast<char>(in[at++]);
    if (carriage_return_) {
      if (byte == '\n') return true;
      break;
    }
    if (byte == '\r') {
      carriage_return_ = true;
    } else if (byte == '\n' || line_size_ == line_max) {
      break;
    } else {
      line_[line_size_++] = byte;
    }
    if (at == in.size()) return false;
  }
  state_ = State::fault;
  fault_ = {ErrorCode::invalid_request, "A line of the aws-chunked encoding is too long or has no CRLF."};
  return false;
}

std::optional<Fault> AwsChunkedDecoder::take_size_line() {
  const Fault malformed{ErrorCode::invalid_request, "A chunk has to begin with SIZE[;chunk-signature=HEX]."};
  std::string_view text = line();
  const std::size_t digits = std::min(text.find(';'), text.size());
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, bytes, 16);
  if (error != std::errc() || end != text.data() + digits || digits > 16) return malformed;
  text.remove_prefix(digits);
  if (signer_) {
    if (text.size() != kChunkSignature.size() + kSignatureSize || !text.starts_with(kChunkSignature)) {
      return malformed;
    }
    std::ranges::copy(text.substr(kChunkSignature.size()), signature_.begin());
  } else if (!text.empty()) {
    return malformed;
  }
  if (bytes > left_ || (bytes == 0 && left_ != 0)) {
    return Fault{ErrorCode::incomplete_body, "The chunks do not add up to x-amz-decoded-content-length."};
  }
  chunk_left_ = bytes;
  left_ -= bytes;
  if (bytes != 0) {
    state_ = State::payload;
    return std::nullopt;
  }
  state_ = State::trailer_line;
  return check_chunk();
}

std::optional<Fault> AwsChunkedDecoder::check_chunk() {
  if (!signer_) return std::nullopt;
  const std::string_view expected = signer_->chunk(sha256_.finish());
  if (equal_in_constant_time(as_bytes(expected), as_bytes(view(signature_)))) return std::nullopt;
  return Fault{ErrorCode::signature_does_not_match, "The signature of a chunk does not match its bytes."};
}

std::optional<Fault> AwsChunkedDecoder::take_trailer_line(bool& last) {
  const bool wants_signature = form_ == PayloadForm::streaming_signed_trailer;
  const std::string_view text = line();
  last = text.empty();
  if (last) {
    if (!wants_signature || trailer_signed_) return std::nullopt;
    return Fault{ErrorCode::malformed_trailer, "x-amz-trailer-signature is missing."};
  }
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (!has_trailer(form_) || colon == std::string_view::npos || !http::is_token(name) || trailer_signed_) {
    return Fault{ErrorCode::malformed_trailer,
                 "A trailer has to be NAME:VALUE, where the form has trailers."};
  }
  const std::string_view value = http::trimmed(text.substr(colon + 1));
  if (http::equal_without_case(name, kTrailerSignature)) {
    if (!wants_signature) return Fault{ErrorCode::malformed_trailer, "No trailer signature was announced."};
    const std::string_view expected = signer_->trailer(sha256(as_bytes(trailers_)));
    if (!equal_in_constant_time(as_bytes(expected), as_bytes(value))) {
      return Fault{ErrorCode::signature_does_not_match, "The signature of the trailer does not match."};
    }
    trailer_signed_ = true;
    return std::nullopt;
  }
  if (++trailer_count_ > kTrailersMax) return Fault{ErrorCode::malformed_trailer, "Too many trailers."};
  for (const char letter : name) trailers_.push_back(http::lower(letter));
  append_trailer(trailers_, "", value, "\n");
  return std::nullopt;
}

AwsChunkedDecoder::Step AwsChunkedDecoder::next(std::span<const std::byte> in) {
  std::size_t at = 0;
  while (at < in.size()) {
    switch (state_) {
      case State::payload: {
        const std::size_t count =
            static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, in.size() - at));
        const auto payload = in.subspan(at, count);
        if (signer_) sha256_.update(payload);
        chunk_left_ -= count;
        if (chunk_left_ == 0) state_ = State::payload_end;
        return {Event::payload, at + count, payload};
      }
      case State::end:
        return failed(at, ErrorCode::invalid_request, "There are bytes behind the last chunk.");
      case State::fault:
        return {Event::fault, at, {}};
      default:
        break;
    }
    if (!take_line(in, at)) {
      return {state_ == State::fault ? Event::fault : Event::more, at, {}};
    }
    std::optional<Fault> wrong;
    bool last = false;
    if (state_ == State::size_line) {
      wrong = take_size_line();
    } else if (state_ == State::trailer_line) {
      wrong = take_trailer_line(last);
    } else {
      if (!line().empty()) wrong = Fault{ErrorCode::invalid_request, "A chunk is longer than its size."};
      if (!wrong) wrong = check_chunk();
      state_ = State::size_line;
    }
    line_size_ = 0;
    carriage_return_ = false;
    if (wrong) return failed(at, wrong->code, wrong->text);
    if (last) {
      state_ = State::end;
      return {Event::end, at, {}};
    }
  }
  if (state_ == State::fault) return {Event::fault, at, {}};
  return {state_ == State::end ? Event::end : Event::more, at, {}};
}

std::vector<NameValue> AwsChunkedDecoder::trailers() const {
  std::vector<NameValue> out;
  for (std::string_view rest = trailers_; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    const std::size_t colon = rest.find(':');
    out.push_back({rest.substr(0, colon), rest.substr(colon + 1, end - colon - 1)});
    rest.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace netstor::s3
