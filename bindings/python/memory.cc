// SPDX-License-Identifier: Apache-2.0
#include "bindings/python/memory.h"

#include "bindings/python/dlpack.h"
#include "bindings/python/errors.h"

#include <array>

namespace netstor::python {
namespace {

constexpr std::array<ElementType, 13> kElementTypes{{{"uint8", "B", kDlpackUint, 1},
                                                     {"int8", "b", kDlpackInt, 1},
                                                     {"uint16", "H", kDlpackUint, 2},
                                                     {"int16", "h", kDlpackInt, 2},
                                                     {"uint32", "I", kDlpackUint, 4},
                                                     {"int32", "i", kDlpackInt, 4},
                                                     {"uint64", "Q", kDlpackUint, 8},
                                                     {"int64", "q", kDlpackInt, 8},
                                                     {"float16", "e", kDlpackFloat, 2},
                                                     {"float32", "f", kDlpackFloat, 4},
                                                     {"float64", "d", kDlpackFloat, 8},
                                                     {"complex64", "Zf", kDlpackComplex, 8},
                                                     {"complex128", "Zd", kDlpackComplex, 16}}};
constexpr const ElementType& kBytes = kElementTypes[0];

[[noreturn]] void refuse(const char* what, const std::string& why) {
  raise(ErrorKind::invalid_argument, std::string(what) + ": " + why);
}

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

void drop_capsule(PyObject* capsule) {
  const char* const name = PyCapsule_GetName(capsule);
  if (name == nullptr || std::string_view(name) == "used_dltensor") return;
  auto* const managed = static_cast<DlpackManaged*>(PyCapsule_GetPointer(capsule, name));
  if (managed != nullptr && managed->deleter != nullptr) managed->deleter(managed);
}

/// What an exported tensor owns.
struct Exported {
  DlpackManaged managed{};
  std::vector<std::int64_t> shape;
  py::object memory;
};

/// A capsule that keeps `self`.
py::capsule export_dlpack(const py::object& self) {
  auto& memory = py::cast<Memory&>(self);
  auto* const exported = new Exported;
  exported->shape.assign(memory.shape().begin(), memory.shape().end());
  exported->memory = self;
  DlpackTensor& tensor = exported->managed.tensor;
  tensor.data = memory.data();
  tensor.device = {kDlpackCpu, 0};
  tensor.dimensions = static_cast<std::int32_t>(exported->shape.size());
  tensor.type = {memory.type().dlpack_code, static_cast<std::uint8_t>(memory.type().bytes * 8), 1};
  tensor.shape = exported->shape.data();
  exported->managed.owner = exported;
  exported->managed.deleter = [](DlpackManaged* managed) {
    // The taker may let go on any thread of its own.
    const py::gil_scoped_acquire locked;
    delete static_cast<Exported*>(managed->owner);
  };
  return py::capsule(&exported->managed, "dltensor", &drop_capsule);
}

}  // namespace

// ---- Views.

View::View(py::handle lent, Access access, const char* what) {
  if (PyObject_CheckBuffer(lent.ptr()) != 0) {
    take_buffer(lent, access, what);
  } else if (py::hasattr(lent, "__dlpack__")) {
    take_dlpack(lent, access, what);
  } else {
    refuse(what, "memory is expected (numpy array, bytearray, memoryview, torch tensor, …), not " +
                     type_name(lent));
  }
}

void View::take_buffer(py::handle lent, Access access, const char* what) {
  const int flags = PyBUF_STRIDES | PyBUF_FORMAT;
  if (PyObject_GetBuffer(lent.ptr(), &buffer_, flags) != 0) {
    PyErr_Clear();
    refuse(what, "the " + type_name(lent) + " gives no plain memory: elements without a fixed size?");
  }
  buffered_ = true;
  if (buffer_.format != nullptr && std::string_view(buffer_.format).find('O') != std::string_view::npos) {
    refuse(what, "its elements are Python objects (dtype object), not bytes");
  }
  if (access == Access::write && buffer_.readonly != 0) {
    refuse(what, "the " + type_name(lent) +
                     " is read-only; give memory that may be written, such as a bytearray "
                     "or a numpy array");
  }
  if (PyBuffer_IsContiguous(&buffer_, 'C') == 0) {
    refuse(what,
           "the memory has gaps (a strided view); numpy.ascontiguousarray() makes one without, by copying");
  }
  bytes_ = {static_cast<std::byte*>(buffer_.buf), static_cast<std::size_t>(buffer_.len)};
}

void View::take_dlpack(py::handle lent, Access access, const char* what) {
  static_cast<void>(access);  // version 0 of DLPack knows no read-only memory
  const auto device = py::cast<std::pair<int, int>>(lent.attr("__dlpack_device__")());
  if (device.first != kDlpackCpu && device.first != kDlpackPinnedCpu) {
    refuse(what, "the " + type_name(lent) +
                     " lies on a device; only the processor's memory can be read or "
                     "filled: use .cpu()");
  }
  keep_ = lent.attr("__dlpack__")();
  auto* const managed = static_cast<DlpackManaged*>(PyCapsule_GetPointer(keep_.ptr(), "dltensor"));
  if (managed == nullptr) throw py::error_already_set();
  const DlpackTensor& tensor = managed->tensor;
  std::int64_t elements = 1;
  for (std::int32_t i = tensor.dimensions - 1; i >= 0; --i) {
    if (tensor.strides != nullptr && tensor.shape[i] > 1 && tensor.strides[i] != elements) {
      refuse(what, "the memory has gaps (a strided view); .contiguous() makes one without, by copying");
    }
    elements *= tensor.shape[i];
  }
  const std::int64_t bits = std::int64_t{tensor.type.bits} * tensor.type.lanes;
  bytes_ = {static_cast<std::byte*>(tensor.data) + tensor.byte_offset,
            static_cast<std::size_t>(elements * ((bits + 7) / 8))};
}

std::vector<View> views_of(py::handle lent, View::Access access, const char* what) {
  std::vector<View> views;
  if (py::isinstance<py::list>(lent) || py::isinstance<py::tuple>(lent)) {
    for (const py::handle piece : lent) views.emplace_back(piece, access, what);
  } else {
    views.emplace_back(lent, access, what);
  }
  return views;
}

// ---- Memory of our own.

const ElementType& element_type_of(py::handle given) {
  std::string name;
  if (py::isinstance<py::str>(given)) {
    name = py::cast<std::string>(given);
  } else if (py::hasattr(given, "name")) {  // numpy.dtype
    name = py::cast<std::string>(py::str(given.attr("name")));
  } else if (py::hasattr(given, "__name__")) {  // numpy.float32, float
    name = py::cast<std::string>(py::str(given.attr("__name__")));
  } else {
    name = py::cast<std::string>(py::str(given));  // torch.float32
  }
  if (const auto dot = name.rfind('.'); dot != std::string::npos) name.erase(0, dot + 1);
  if (name == "float") name = "float64";
  if (name == "int") name = "int64";
  const auto short_name = [](const ElementType& type) {
    const char kind = "iufxxc"[type.dlpack_code];
    return kind + std::to_string(type.bytes);
  };
  for (const ElementType& type : kElementTypes) {
    if (name == type.name || name == short_name(type) || name == type.format) return type;
  }
  std::string known;
  for (const ElementType& type : kElementTypes) known += (known.empty() ? "" : ", ") + std::string(type.name);
  refuse("dtype", "'" + name + "' is none of " + known);
}

Memory::Memory(Buffer buffer, py::object info)
    : buffer_(std::move(buffer)),
      used_(buffer_.size()),
      shape_{static_cast<py::ssize_t>(used_)},
      type_(&kBytes),
      info_(std::move(info)) {}

Memory::Memory(Buffer buffer, std::vector<py::ssize_t> shape, const ElementType& type)
    : buffer_(std::move(buffer)),
      used_(buffer_.size()),
      shape_(std::move(shape)),
      type_(&type),
      info_(py::none()) {}

void Memory::shrink(std::size_t bytes) {
  used_ = std::min(used_, bytes);
  shape_ = {static_cast<py::ssize_t>(used_)};
}

py::buffer_info Memory::info() {
  std::vector<py::ssize_t> strides(shape_.size());
  py::ssize_t step = type_->bytes;
  for (std::size_t i = shape_.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape_[i];
  }
  return {buffer_.data(), type_->bytes,      type_->format, static_cast<py::ssize_t>(shape_.size()),
          shape_,         std::move(strides)};
}

void Memory::register_with_drivers() {
  if (buffer_.size() == 0) return;
  Runtime& all = runtime();
  std::optional<Result<Runtime::Registration>> registered;
  {
    const InUse in_use;
    const py::gil_scoped_release unlocked;
    registered.emplace(all.register_memory(buffer_.bytes()));
  }
  registration_.emplace(value_or_raise(*std::move(registered)));
}

namespace {

py::object empty(const py::object& shape, const py::object& dtype) {
  const ElementType& type = element_type_of(dtype);
  std::vector<py::ssize_t> sizes;
  if (py::isinstance<py::int_>(shape)) {
    sizes.push_back(py::cast<py::ssize_t>(shape));
  } else {
    sizes = py::cast<std::vector<py::ssize_t>>(shape);
  }
  std::size_t bytes = type.bytes;
  for (const py::ssize_t size : sizes) {
    if (size < 0) refuse("shape", "a negative size");
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(size), &bytes)) refuse("shape", "too large");
  }
  if (bytes > static_cast<std::size_t>(PY_SSIZE_T_MAX)) refuse("shape", "too large");
  Buffer buffer = bytes == 0 ? Buffer() : value_or_raise(Buffer::allocate(bytes));
  Memory memory(std::move(buffer), std::move(sizes), type);
  memory.register_with_drivers();
  return py::cast(std::move(memory));
}

std::string shown(const Memory& memory) {
  std::string text = "<netstor.Memory ";
  for (const py::ssize_t size : memory.shape()) text += std::to_string(size) + "x";
  if (!memory.shape().empty()) text.pop_back();
  return text + " " + memory.type().name + ", " + format_size(memory.size_bytes()) +
         (memory.registered() ? ", registered>" : ">");
}

}  // namespace

void bind_memory(py::module_& module) {
  const auto flat = [](const py::object& self) -> py::object {
    return py::memoryview(self).attr("cast")("B");
  };
  py::class_<Memory>(module, "Memory", py::buffer_protocol(), py::is_final(),
                     "Aligned memory of the library's own. It speaks the buffer protocol and DLPack, so that "
                     "numpy.asarray(), memoryview() and torch.from_dlpack() wrap it without a copy.")
      .def_buffer(&Memory::info)
      .def_property_readonly("nbytes", &Memory::size_bytes, "Its size in bytes.")
      .def_property_readonly(
          "shape", [](const Memory& self) { return py::tuple(py::cast(self.shape())); }, "As numpy's.")
      .def_property_readonly(
          "dtype", [](const Memory& self) { return self.type().name; }, "The name of its elements' type.")
      .def_property_readonly("registered", &Memory::registered, "Do the drivers know this memory?")
      .def_property_readonly(
          "info", [](const Memory& self) { return self.object_info(); },
          "Of what a get() answered: its ObjectInfo.")
      .def("__len__",
           [](const Memory& self) {
             if (self.shape().empty()) throw py::type_error("len() of memory without dimensions");
             return self.shape()[0];
           })
      .def("__getitem__",
           [](const py::object& self, const py::object& key) -> py::object {
             const py::memoryview all{self};
             return all[key];
           })
      .def("__setitem__",
           [](const py::object& self, const py::object& key, const py::object& value) {
             const py::memoryview all{self};
             all[key] = value;
           })
      .def(
          "tobytes", [](const py::object& self) { return py::bytes(py::memoryview(self).attr("tobytes")()); },
          "A copy as bytes.")
      .def("__bytes__",
           [](const py::object& self) { return py::bytes(py::memoryview(self).attr("tobytes")()); })
      .def("__eq__",
           [flat](const py::object& self, const py::object& other) -> py::object {
             if (PyObject_CheckBuffer(other.ptr()) == 0)
               return py::reinterpret_borrow<py::object>(Py_NotImplemented);
             return flat(self).attr("__eq__")(py::memoryview(other).attr("cast")("B"));
           })
      .def(
          "__dlpack__",
          [](const py::object& self, const py::object& /*stream*/) { return export_dlpack(self); },
          py::arg("stream") = py::none(), "The array, for another library to wrap.")
      .def(
          "__dlpack_device__", [](const Memory& /*self*/) { return py::make_tuple(kDlpackCpu, 0); },
          "The processor.")
      .def("__repr__", &shown);
  module.def("empty", &empty, py::arg("shape"), py::arg("dtype") = "uint8",
             "Zeroed memory that the drivers know, so that reading into it costs least.");
}

}  // namespace netstor::python
