// SPDX-License-Identifier: Apache-2.0
// A list that is longer than memory should be: it is read page by page, and each page is forgotten.
// NETSTOR_LIST_PAGES says how many pages of 1,000 keys there are.

#include <netstor/netstor.h>

#include "tests/faults/scripted_service.h"

#include <sys/resource.h>

#include <cstdlib>

namespace netstor {
namespace {

std::string page_of(unsigned page, unsigned pages) {
  std::string body = "<ListBucketResult><Name>samples</Name><EncodingType>url</EncodingType>";
  for (unsigned i = 0; i < 1000; ++i) {
    char key[96];
    std::snprintf(key, sizeof key, "folder/%08u/some-name-of-a-usual-length.parquet", page * 1000 + i);
    body += "<Contents><Key>" + std::string(key) +
            "</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>&quot;"
            "9b2cf535f27731c974343645a3985328&quot;</ETag><Size>1234</Size><StorageClass>STANDARD"
            "</StorageClass></Contents>";
  }
  const bool last = page + 1 == pages;
  body += "<IsTruncated>" + std::string(last ? "false" : "true") + "</IsTruncated>";
  if (!last) body += "<NextContinuationToken>" + std::to_string(page + 1) + "</NextContinuationToken>";
  return answer("200 OK", "", body + "</ListBucketResult>");
}

long peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(BucketList, OfAnyLengthNeedsTheMemoryOfAPage) {
  const char* const chosen = std::getenv("NETSTOR_LIST_PAGES");
  const unsigned pages = chosen != nullptr ? static_cast<unsigned>(std::atoi(chosen)) : 30;
  ScriptedService service([pages](const std::string& request) {
    const auto token = request.find("continuation-token=");
    const auto space = request.find(" HTTP/1.1");
    const bool has_token = token < space;
    return page_of(has_token ? static_cast<unsigned>(std::stoul(request.substr(token + 19))) : 0, pages);
  });
  service.forget_requests();
  Runtime runtime = *Runtime::start({.shards = 1});
  BucketOptions options;
  options.endpoint = service.url();
  options.anonymous = true;
  const Bucket bucket = *Bucket::open(runtime, "s3://samples", options).get();
  std::uint64_t keys = 0;
  std::string last;
  ListOptions list;
  [[maybe_unused]] long after_five = 0;  // a sanitizer has memory of its own
  for (unsigned page = 0; page < pages; ++page) {
    const auto got = bucket.list(list).get();
    ASSERT_TRUE(got.ok()) << got.error();
    for (const ObjectInfo& object : got->objects) {
      ASSERT_LT(last, object.key);
      last = object.key;
    }
    keys += got->objects.size();
    list.continuation = got->next;
    ASSERT_EQ(got->next.empty(), page + 1 == pages);
    if (page == 4) after_five = peak_kib();
  }
  EXPECT_EQ(keys, std::uint64_t{1000} * pages);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(peak_kib() - after_five, 4096);
#endif
}

}  // namespace
}  // namespace netstor
