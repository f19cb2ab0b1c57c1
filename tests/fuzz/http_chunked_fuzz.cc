// SPDX-License-Identifier: Apache-2.0
//
// The chunked coding: byte 0 chooses how the rest is cut. Cut and whole bring the same data, the same end and
// the same trailers, and what was brought is never more than came.
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/wire/http/chunked.h"
#include "lib/wire/http/head.h"

namespace {

using namespace netstor::http;

struct Decoded {
  std::string data;
  std::string trailers;
  std::size_t used = 0;
  bool done = false;
  bool failed = false;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(std::string_view text, std::size_t step) {
  ChunkedDecoder decoder({.chunk_bytes_max = 1 << 20,
                          .extension_bytes_max = 32,
                          .extensions_bytes_max = 100,
                          .trailer_bytes_max = 200});
  Decoded out;
  while (out.used < text.size() && !decoder.done() && !decoder.failed()) {
    std::string_view part = text.substr(out.used, step);
    const std::size_t eaten = decoder.framing(part);
    part.remove_prefix(eaten);
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), decoder.data_left()));
    NETSTOR_ASSERT(eaten + take != 0);
    out.data += part.substr(0, take);
    decoder.taken(take);
    out.used += eaten + take;
  }
  out.done = decoder.done();
  out.failed = decoder.failed();
  out.trailers = decoder.trailers();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Decoded whole = decode(text, text.size());
  NETSTOR_ASSERT(decode(text, data[0] % 17 + 1u) == whole);
  NETSTOR_ASSERT(!(whole.done && whole.failed) && whole.data.size() <= whole.used);
  NETSTOR_ASSERT(whole.trailers.size() <= 200);
  if (whole.done) {
    netstor::http::Fields fields;
    (void)decode_trailers(whole.trailers, fields);
  }
  return 0;
}
