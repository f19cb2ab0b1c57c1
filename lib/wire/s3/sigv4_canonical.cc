// SPDX-License-Identifier: Apache-2.0
//
// The canonical request and the string to sign. S3's rules differ from those of other services: the path is
// encoded once and never normalised.
#include <algorithm>

#include "lib/base/assert.h"
#include "lib/base/bytes.h"
#include "lib/base/encoding.h"
#include "lib/wire/http/text.h"
#include "lib/wire/http/uri.h"
#include "lib/wire/s3/sigv4.h"

namespace netstor::s3 {

namespace {

constexpr std::string_view kSignatureParameter = "X-Amz-Signature";

// By the order that signed names have: that of their lower-case bytes.
bool name_less(std::string_view a, std::string_view b) {
  return std::ranges::lexicographical_compare(a, b, [](char x, char y) {
    return static_cast<unsigned char>(http::lower(x)) < static_cast<unsigned char>(http::lower(y));
  });
}

void append_lower(std::string& out, std::string_view name) {
  const std::size_t start = out.size();
  out.append(name);
  std::ranges::transform(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(),
                         out.begin() + static_cast<std::ptrdiff_t>(start), http::lower);
}

// Without blanks around it, and one space for each run of blanks inside.
void append_trimmed(std::string& out, std::string_view value) {
  value = http::trimmed(value);
  while (!value.empty()) {
    const auto blank = static_cast<std::size_t>(std::ranges::find_if(value, http::is_blank) - value.begin());
    out.append(value.substr(0, blank));
    value.remove_prefix(blank);
    if (value.empty()) return;
    out.push_back(' ');
    while (http::is_blank(value.front())) value.remove_prefix(1);
  }
}

}  // namespace

void Canonical::append_query(std::span<const NameValue> query) {
  query_at_ = request_.size();
  // Sorted as they are encoded: the names first, then the values.
  scratch_.clear();
  pieces_.clear();
  for (const NameValue& each : query) {
    if (each.name == kSignatureParameter) continue;
    const std::size_t at = scratch_.size();
    http::percent_encode(each.name, http::Slash::encode, scratch_);
    const std::size_t name_size = scratch_.size() - at;
    scratch_.push_back('=');
    http::percent_encode(each.value, http::Slash::encode, scratch_);
    pieces_.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(name_size),
                       static_cast<std::uint32_t>(scratch_.size() - at)});
  }
  const std::string_view all = scratch_;
  std::ranges::sort(pieces_, [&](const Piece& a, const Piece& b) {
    const int names = all.substr(a.at, a.name_size).compare(all.substr(b.at, b.name_size));
    return names != 0 ? names < 0 : all.substr(a.at, a.size) < all.substr(b.at, b.size);
  });
  for (const Piece& each : pieces_) {
    if (request_.size() != query_at_) request_.push_back('&');
    request_.append(all.substr(each.at, each.size));
  }
  query_size_ = request_.size() - query_at_;
  request_.push_back('\n');
}

void Canonical::append_values(const RequestView& request, std::span<const std::uint16_t> indices) {
  append_lower(request_, request.headers[indices.front()].name);
  char before = ':';
  for (const std::uint16_t index : indices) {
    request_.push_back(before);
    append_trimmed(request_, request.headers[index].value);
    before = ',';
  }
  request_.push_back('\n');
}

void Canonical::build(const RequestView& request, std::string_view payload_hash) {
  NETSTOR_ASSERT(request.headers.size() <= UINT16_MAX);
  request_.assign(request.method).append("\n");
  request_.append(request.path.empty() ? "/" : request.path).append("\n");
  append_query(request.query);

  order_.clear();
  for (std::size_t i = 0; i < request.headers.size(); ++i) {
    // Insertion: few headers, mostly in order already. Equal names keep their order.
    const auto place = std::ranges::upper_bound(order_, request.headers[i].name, name_less,
                                                [&](std::uint16_t at) { return request.headers[at].name; });
    order_.insert(place, static_cast<std::uint16_t>(i));
  }
  scratch_.clear();
  for (std::size_t i = 0; i < order_.size();) {
    const std::string_view name = request.headers[order_[i]].name;
    std::size_t end = i + 1;
    while (end < order_.size() && http::equal_without_case(name, request.headers[order_[end]].name)) ++end;
    append_values(request, std::span(order_).subspan(i, end - i));
    if (!scratch_.empty()) scratch_.push_back(';');
    append_lower(scratch_, name);
    i = end;
  }
  request_.push_back('\n');
  signed_at_ = request_.size();
  signed_size_ = scratch_.size();
  request_.append(scratch_).append("\n").append(payload_hash);
}

bool Canonical::build_as_told(const RequestView& request, std::string_view path,
                              std::string_view signed_headers, std::string_view payload_hash) {
  NETSTOR_ASSERT(request.headers.size() <= UINT16_MAX);
  request_.assign(request.method).append("\n");
  request_.append(path.empty() ? "/" : path).append("\n");
  append_query(request.query);
  for (std::string_view rest = signed_headers; !rest.empty();) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    order_.clear();
    for (std::size_t i = 0; i < request.headers.size(); ++i) {
      if (http::equal_without_case(name, request.headers[i].name)) {
        order_.push_back(static_cast<std::uint16_t>(i));
      }
    }
    if (order_.empty()) return false;
    append_values(request, order_);
  }
  request_.push_back('\n');
  signed_at_ = request_.size();
  signed_size_ = signed_headers.size();
  request_.append(signed_headers).append("\n").append(payload_hash);
  return true;
}

void Canonical::sign(HmacSha256& keyed, std::string_view amz_date, std::string_view scope,
                     SignatureText& out) {
  to_sign_.assign(kAlgorithm).append("\n").append(amz_date).append("\n").append(scope).append("\n");
  append_hex(to_sign_, sha256_.update(as_bytes(request_)).finish());
  write_hex(out, keyed.update(as_bytes(to_sign_)).finish());
}

}  // namespace netstor::s3
