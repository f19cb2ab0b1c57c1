// SPDX-License-Identifier: Apache-2.0
//
// CRC32 is ISA-L's. CRC64NVME is not in the ISA-L that distributions carry, so it is here: slicing by 8, and
// folding by carry-less multiplication ("Fast CRC Computation for Generic Polynomials Using PCLMULQDQ",
// Intel 2009) where the processor has it. All polynomials are in the reflected form: the highest bit of a
// word is the coefficient of x^0.

#include "lib/base/crc.h"

#include <isa-l/crc.h>

#include <array>
#include <bit>
#include <concepts>
#include <limits>

#include "lib/base/bytes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace netstor {

namespace {

constexpr std::uint32_t kCrc32 = 0xEDB88320u;
constexpr std::uint32_t kCrc32c = 0x82F63B78u;
constexpr std::uint64_t kCrc64Nvme = 0x9A6C9329AC4BC9B5u;

// a * x modulo the polynomial.
template <std::unsigned_integral Word>
constexpr Word times_x(Word a, Word polynomial) {
  return static_cast<Word>((a >> 1) ^ ((a & 1u) != 0 ? polynomial : Word{0}));
}

// a * b modulo the polynomial.
template <std::unsigned_integral Word>
constexpr Word times(Word a, Word b, Word polynomial) {
  Word product = 0;
  for (int bit = std::numeric_limits<Word>::digits - 1; bit >= 0; --bit) {
    product = static_cast<Word>(product ^ ((a >> bit & 1u) != 0 ? b : Word{0}));
    b = times_x(b, polynomial);
  }
  return product;
}

// x^exponent modulo the polynomial.
template <std::unsigned_integral Word>
constexpr Word x_to(std::uint64_t exponent, Word polynomial) {
  constexpr Word kOne = Word{1} << (std::numeric_limits<Word>::digits - 1);
  Word result = kOne;
  for (Word power = kOne >> 1; exponent != 0; exponent >>= 1) {
    if ((exponent & 1u) != 0) result = times(result, power, polynomial);
    power = times(power, power, polynomial);
  }
  return result;
}

// Moving A in front of b_bytes bytes multiplies it by x^(8 * b_bytes). What both values were inverted with at
// the start and at the end cancels out.
template <std::unsigned_integral Word>
Word combine(Word a, Word b, std::uint64_t b_bytes, Word polynomial) {
  // As x^(8n) = (x^8)^n, so that the exponent cannot overflow.
  constexpr Word kOne = Word{1} << (std::numeric_limits<Word>::digits - 1);
  Word shift = kOne;
  for (Word power = static_cast<Word>(kOne >> 8); b_bytes != 0; b_bytes >>= 1) {
    if ((b_bytes & 1u) != 0) shift = times(shift, power, polynomial);
    power = times(power, power, polynomial);
  }
  return static_cast<Word>(times(a, shift, polynomial) ^ b);
}

using Table = std::array<std::array<std::uint64_t, 256>, 8>;

// kTable[k][v]: the byte v followed by k zero bytes.
constexpr Table make_table() {
  Table table{};
  for (std::uint64_t value = 0; value < 256; ++value) {
    std::uint64_t crc = value;
    for (int bit = 0; bit < 8; ++bit) crc = times_x(crc, kCrc64Nvme);
    table[0][value] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t value = 0; value < 256; ++value) {
      const std::uint64_t before = table[k - 1][value];
      table[k][value] = (before >> 8) ^ table[0][before & 0xFFu];
    }
  }
  return table;
}

constexpr Table kTable = make_table();

std::uint64_t by_table(std::uint64_t crc, std::span<const std::byte> bytes) {
  while (bytes.size() >= 8) {
    crc ^= load_le<std::uint64_t>(bytes.data());
    std::uint64_t next = 0;
    for (unsigned i = 0; i < 8; ++i) {
      next ^= kTable[7 - i][crc >> (8 * i) & 0xFFu];
    }
    crc = next;
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ kTable[0][(crc ^ std::to_integer<std::uint64_t>(byte)) & 0xFFu];
  }
  return crc;
}

#if defined(__x86_64__)

// Below this the set-up costs more than it saves.
constexpr std::size_t kFoldingMin = 256;
constexpr std::size_t kLanes = 8;
constexpr std::size_t kLaneBytes = 16;

// What moves the two halves of a lane by `bits`. A product of two reflected words comes out multiplied by x
// once too often, hence the exponents.
struct Shift {
  std::uint64_t first, second;
};
constexpr Shift shift_by(std::uint64_t bits) {
  return {x_to(bits + 63, kCrc64Nvme), x_to(bits - 1, kCrc64Nvme)};
}
constexpr Shift kByOneLane = shift_by(8 * kLaneBytes);
constexpr Shift kByAllLanes = shift_by(8 * kLaneBytes * kLanes);

__attribute__((target("pclmul,sse4.1"))) inline __m128i load_lane(const std::byte* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

__attribute__((target("pclmul,sse4.1"))) inline __m128i folded(__m128i lane, __m128i shift, __m128i onto) {
  const __m128i first = _mm_clmulepi64_si128(lane, shift, 0x00);
  const __m128i second = _mm_clmulepi64_si128(lane, shift, 0x11);
  return _mm_xor_si128(_mm_xor_si128(first, second), onto);
}

__attribute__((target("pclmul,sse4.1"))) inline __m128i shift_lane(const Shift& shift) {
  return _mm_set_epi64x(static_cast<long long>(shift.second), static_cast<long long>(shift.first));
}

// Folds all whole lanes into one of 16 bytes, which has the same remainder; tables do the rest.
__attribute__((target("pclmul,sse4.1"))) std::uint64_t by_folding(std::uint64_t crc,
                                                                  std::span<const std::byte> bytes) {
  __m128i lanes[kLanes];  // no std::array: the type's alignment is an attribute, which a template drops
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = load_lane(bytes.data() + i * kLaneBytes);
  lanes[0] = _mm_xor_si128(lanes[0], _mm_set_epi64x(0, static_cast<long long>(crc)));
  bytes = bytes.subspan(kLanes * kLaneBytes);

  const __m128i by_all = shift_lane(kByAllLanes);
  for (; bytes.size() >= kLanes * kLaneBytes; bytes = bytes.subspan(kLanes * kLaneBytes)) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      lanes[i] = folded(lanes[i], by_all, load_lane(bytes.data() + i * kLaneBytes));
    }
  }
  const __m128i by_one = shift_lane(kByOneLane);
  __m128i last = lanes[0];
  for (std::size_t i = 1; i < kLanes; ++i) last = folded(last, by_one, lanes[i]);
  for (; bytes.size() >= kLaneBytes; bytes = bytes.subspan(kLaneBytes)) {
    last = folded(last, by_one, load_lane(bytes.data()));
  }
  std::array<std::byte, kLaneBytes> rest;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest.data()), last);
  return by_table(by_table(0, rest), bytes);
}

bool can_fold() {
  static const bool kCan = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  return kCan;
}

#endif

}  // namespace

Crc32& Crc32::update(std::span<const std::byte> bytes) {
  if (!bytes.empty()) {
    value_ = crc32_gzip_refl(value_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  }
  return *this;
}

Crc64Nvme& Crc64Nvme::update(std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  if (bytes.size() >= kFoldingMin && can_fold()) {
    register_ = by_folding(register_, bytes);
    return *this;
  }
#endif
  return update_by_table(bytes);
}

Crc64Nvme& Crc64Nvme::update_by_table(std::span<const std::byte> bytes) {
  register_ = by_table(register_, bytes);
  return *this;
}

std::uint32_t combine_crc32(std::uint32_t a, std::uint32_t b, std::uint64_t b_bytes) {
  return combine(a, b, b_bytes, kCrc32);
}

std::uint32_t combine_crc32c(std::uint32_t a, std::uint32_t b, std::uint64_t b_bytes) {
  return combine(a, b, b_bytes, kCrc32c);
}

std::uint64_t combine_crc64nvme(std::uint64_t a, std::uint64_t b, std::uint64_t b_bytes) {
  return combine(a, b, b_bytes, kCrc64Nvme);
}

}  // namespace netstor
