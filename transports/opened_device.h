// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a driver has to say of an open when it knows.

#include <netstor/ext/device.h>

#include <memory>
#include <utility>

namespace netstor {

inline OpResult result_of(const Error& error) noexcept {
  return OpResult::failure(error.kind(), error.origin(), error.native(), error.effect());
}

/// The device, or why there is none, goes into `op`, which is to be completed with the answer.
inline OpResult take_opened(OpenOp& op, Result<std::unique_ptr<Device>> device) {
  if (device) {
    op.device = *std::move(device);
    return OpResult::success();
  }
  op.detail = device.error().text();
  return result_of(device.error());
}

}  // namespace netstor
