// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every source of the extension includes, precompiled: pybind11 and the public headers.

#include <netstor/netstor.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace netstor::python {
namespace py = pybind11;
}  // namespace netstor::python
