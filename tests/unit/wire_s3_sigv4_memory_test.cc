// SPDX-License-Identifier: Apache-2.0
//
// Signing and verifying a small request allocate nothing once they have run: neither here nor in OpenSSL,
// whose allocator is counted, too.

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "lib/base/bytes.h"
#include "lib/wire/http/date.h"
#include "lib/wire/s3/checksum.h"
#include "lib/wire/s3/sigv4_verify.h"

namespace {

std::atomic<unsigned> allocations{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1);
  return std::malloc(size == 0 ? 1 : size);
}
void* openssl_malloc(std::size_t size, const char*, int) { return size == 0 ? nullptr : counted(size); }
void* openssl_realloc(void* old, std::size_t size, const char*, int) {
  allocations.fetch_add(1);
  return std::realloc(old, size);
}
void openssl_free(void* old, const char*, int) { std::free(old); }

// Only before OpenSSL's first allocation.
const bool kOpensslCounted = CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;

}  // namespace

// Not inlined: the compiler would compare the free() in one with the new of the other.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* made = counted(size)) return made;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* old) noexcept { std::free(old); }
[[gnu::noinline]] void operator delete(void* old, std::size_t) noexcept { std::free(old); }

namespace netstor::s3 {
namespace {

TEST(SigV4Memory, CountsAllocationsOfBothKinds) {
  ASSERT_TRUE(kOpensslCounted);
  const unsigned before = allocations.load();
  OPENSSL_free(OPENSSL_malloc(1));
  EXPECT_EQ(allocations.load(), before + 1);
  const std::string long_text(100, 'a');
  EXPECT_EQ(long_text.size(), 100u);
  EXPECT_GT(allocations.load(), before + 1);
}

TEST(SigV4Memory, SigningAndVerifyingAllocateNothingOnceWarm) {
  constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
  Signer signer("us-east-1");
  signer.set_identity({"AKIAIOSFODNN7EXAMPLE", kSecret, ""});
  Verifier verifier;
  const NameValue headers[] = {{"host", "examplebucket.s3.amazonaws.com"},
                               {"range", "bytes=0-4095"},
                               {"x-amz-content-sha256", kUnsignedPayload},
                               {"x-amz-date", "20130524T000000Z"},
                               {"authorization", ""}};
  const NameValue query[] = {{"x-id", "GetObject"}, {"partNumber", "1"}};
  const auto round = [&] {
    NameValue all[5];
    std::ranges::copy(headers, all);
    const RequestView request{"GET", "/some/key%20of/middling/length.bin", query, std::span(all).first(4)};
    all[4].value = signer.authorization(request, kUnsignedPayload, "20130524T000000Z");
    RequestView seen = request;
    seen.headers = all;
    Authorization said;
    return !parse_authorization(seen, said) && !verifier.verify(seen, said, kSecret);
  };
  ASSERT_TRUE(round());
  const unsigned before = allocations.load();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(round());
  EXPECT_EQ(allocations.load(), before);
}

TEST(SigV4Memory, SumsOverAStreamAllocateNothingOnceMade) {
  Checksummer sum(ChecksumKind::sha256);
  const unsigned before = allocations.load();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(sum.update(as_bytes("abc")).finish().bytes[0], std::byte{0xBA});
  }
  EXPECT_EQ(allocations.load(), before);
}

}  // namespace
}  // namespace netstor::s3
