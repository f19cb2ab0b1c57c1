// SPDX-License-Identifier: Apache-2.0
#pragma once
// SHA-256 over bytes that come in pieces.

#include <netstor/buffer.h>

#include <memory>
#include <string>

namespace netstor::tool {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(Bytes bytes);
  /// 64 hexadecimal digits. Ends the hash.
  std::string hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace netstor::tool
