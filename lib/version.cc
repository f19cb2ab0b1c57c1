// SPDX-License-Identifier: Apache-2.0
//
// The version that the compiled library carries, for programs that want to compare it with their headers.
#include <netstor/version.h>

namespace netstor {

const char* linked_version() noexcept { return kVersion; }

}  // namespace netstor
