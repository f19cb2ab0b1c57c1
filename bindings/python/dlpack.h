// SPDX-License-Identifier: Apache-2.0
#pragma once
// The structs of DLPack's C interface, version 0: how array libraries of Python hand memory to each other. A
// capsule named "dltensor" owns one; who takes it renames it to "used_dltensor" and calls the deleter.
// https://dmlc.github.io/dlpack/latest/c_api.html

#include <cstdint>

namespace netstor::python {

inline constexpr std::int32_t kDlpackCpu = 1;
inline constexpr std::int32_t kDlpackPinnedCpu = 3;  // page-locked for a GPU, yet the processor's own memory
inline constexpr std::uint8_t kDlpackInt = 0;
inline constexpr std::uint8_t kDlpackUint = 1;
inline constexpr std::uint8_t kDlpackFloat = 2;
inline constexpr std::uint8_t kDlpackComplex = 5;

struct DlpackDevice {
  std::int32_t type;
  std::int32_t id;
};

struct DlpackType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};

struct DlpackTensor {
  void* data;
  DlpackDevice device;
  std::int32_t dimensions;
  DlpackType type;
  std::int64_t* shape;
  std::int64_t* strides;  // in elements; null: contiguous
  std::uint64_t byte_offset;
};

struct DlpackManaged {
  DlpackTensor tensor;
  void* owner;
  void (*deleter)(DlpackManaged*);
};

}  // namespace netstor::python
