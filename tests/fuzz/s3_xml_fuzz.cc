// SPDX-License-Identifier: Apache-2.0
//
// XML bodies of S3 of any bytes. The first byte chooses the decoder. What is read and written again is read
// as the same value.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/wire/s3/xml.h"
#include "lib/wire/s3/xml_list.h"

using namespace netstor;
using namespace netstor::s3;

namespace {

// What was read once has no byte that XML cannot carry, so that the second time must be exact.
template <class T, class Decode>
void twice(std::string_view text, Decode decode) {
  const Result<T> first = decode(text);
  if (!first) return;
  std::string written;
  encode(*first, written);
  const Result<T> second = decode(written);
  NETSTOR_ASSERT(second.ok());
  std::string again;
  encode(*second, again);
  NETSTOR_ASSERT(written == again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 14) {
    case 0:
      twice<ErrorBody>(text, decode_error);
      break;
    case 1:
      twice<InitiateMultipartUploadResult>(text, decode_initiate_result);
      break;
    case 2:
      twice<CompleteMultipartUpload>(text, decode_complete_request);
      break;
    case 3:
      (void)decode_complete_result(text).ok();
      break;
    case 4:
      (void)decode_copy_result(text).ok();
      break;
    case 5:
      twice<DeleteRequest>(text, decode_delete);
      break;
    case 6:
      twice<DeleteResult>(text, decode_delete_result);
      break;
    case 7:
      (void)decode_tagging(text).ok();
      break;
    case 8:
      (void)decode_create_bucket(text).ok();
      break;
    case 9:
      twice<Versioning>(text, decode_versioning);
      break;
    case 10:
      twice<ListBucketResult>(text, decode_list);
      break;
    case 11:
      twice<ListVersionsResult>(text, decode_list_versions);
      break;
    case 12:
      twice<ListPartsResult>(text, decode_list_parts);
      break;
    default:
      twice<ListMultipartUploadsResult>(text, decode_list_uploads);
      break;
  }
  return 0;
}
