// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an errno value means in the caller's terms. The one table of it.

#include <netstor/result.h>

namespace netstor {

/// `errno_value` is positive.
ErrorKind kind_of_errno(int errno_value) noexcept;

}  // namespace netstor
