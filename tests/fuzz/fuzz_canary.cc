// SPDX-License-Identifier: Apache-2.0
//
// A decoder with a planted fault: it believes a length that came off the wire. `./dev fuzz` runs it first and
// fails unless the fuzzer finds the fault, so that "nothing found" about the real targets means something.
#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4 || data[0] != 'N' || data[1] != 'S') return 0;
  const std::vector<std::uint8_t> payload(data + 3, data + size);
  const std::size_t stated = data[2];
  std::uint8_t sum = 0;
  for (std::size_t i = 0; i < stated; ++i) sum = static_cast<std::uint8_t>(sum + payload.data()[i]);
  volatile std::uint8_t sink = sum;
  (void)sink;
  return 0;
}
