// SPDX-License-Identifier: Apache-2.0
// The extension netstor._netstor. The package beside it is what programs import.

#include "bindings/python/objects.h"

PYBIND11_MODULE(_netstor, module) {
  using namespace netstor::python;
  module.doc() = "The extension behind the package netstor; not for direct use.";
  bind_process(module);
  bind_memory(module);
  bind_operation(module);
  bind_objects(module);
  bind_bucket(module);
  bind_streams(module);
  bind_volume(module);
}
