// SPDX-License-Identifier: Apache-2.0
//
// NVMe Qualified Names of any bytes. A valid name is bearable and has one of the three forms.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/assert.h"
#include "lib/wire/fabrics/nqn.h"

using namespace netstor::nvme;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view name(reinterpret_cast<const char*>(data), size);
  if (valid_nqn(name)) {
    NETSTOR_ASSERT(bearable_nqn(name));
    NETSTOR_ASSERT(name.starts_with("nqn."));
    NETSTOR_ASSERT(name == kDiscoveryNqn || name.find(':') != std::string_view::npos);
  }
  if (bearable_nqn(name)) {
    NETSTOR_ASSERT(name.size() <= kNqnMax && name.find('\0') == std::string_view::npos);
    NETSTOR_ASSERT(nqn_of(NqnField(name)) == name);
  }
  if (const auto uuid = parse_uuid(name)) {
    const NqnField field = uuid_nqn(*uuid);
    NETSTOR_ASSERT(valid_nqn(field.view()));
    NETSTOR_ASSERT(parse_uuid(field.view().substr(kUuidNqnPrefix.size())) == uuid);
  }
  return 0;
}
