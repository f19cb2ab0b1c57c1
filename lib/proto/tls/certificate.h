// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an operator should know of a certificate before clients do.

#include <string>

namespace netstor::tls {

/// Of the first certificate of a PEM file, now: that it has expired, or is not valid yet. Empty: neither, or
/// no certificate can be read (Context::make says that).
[[nodiscard]] std::string certificate_complaint(const std::string& file);

}  // namespace netstor::tls
