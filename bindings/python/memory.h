// SPDX-License-Identifier: Apache-2.0
#pragma once
// Memory on both sides: views of what Python programs lend (buffer protocol or DLPack, never a copy), and
// memory of the library's own that Python programs see through the same two protocols.

#include "bindings/python/process.h"

namespace netstor::python {

/// A contiguous run of a Python object's bytes, kept in place while this lives. Made and destroyed with the
/// interpreter's lock.
class View {
 public:
  enum class Access : std::uint8_t { read, write };
  /// Raises InvalidArgument, naming `what`: read-only, not contiguous, objects instead of bytes, not memory.
  View(py::handle lent, Access access, const char* what);
  View(View&& other) noexcept
      : buffer_(other.buffer_),
        keep_(std::move(other.keep_)),
        bytes_(other.bytes_),
        buffered_(std::exchange(other.buffered_, false)) {}
  View& operator=(View&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(keep_, other.keep_);
    std::swap(bytes_, other.bytes_);
    std::swap(buffered_, other.buffered_);
    return *this;
  }
  ~View() {
    if (buffered_) PyBuffer_Release(&buffer_);
  }
  MutableBytes bytes() const noexcept { return bytes_; }

 private:
  void take_buffer(py::handle lent, Access access, const char* what);
  void take_dlpack(py::handle lent, Access access, const char* what);
  Py_buffer buffer_{};
  py::object keep_;  // a DLPack capsule
  MutableBytes bytes_;
  bool buffered_ = false;
};

/// Memory for an argument that is one object or a list of them.
std::vector<View> views_of(py::handle lent, View::Access access, const char* what);

/// What elements are: a name, its code in the buffer protocol, and in DLPack.
struct ElementType {
  const char* name;
  const char* format;
  std::uint8_t dlpack_code;
  std::uint8_t bytes;
};
/// "float32", numpy.float32, numpy.dtype("f4"), torch.float32.
const ElementType& element_type_of(py::handle given);

/// Aligned memory of the library's own, seen as an array.
class Memory {
 public:
  explicit Memory(Buffer buffer, py::object info = py::none());
  Memory(Buffer buffer, std::vector<py::ssize_t> shape, const ElementType& type);
  Memory(Memory&&) = default;

  py::buffer_info info();
  std::byte* data() noexcept { return buffer_.data(); }
  std::size_t size_bytes() const noexcept { return used_; }
  /// Less than was allocated.
  void shrink(std::size_t bytes);
  const std::vector<py::ssize_t>& shape() const noexcept { return shape_; }
  const ElementType& type() const noexcept { return *type_; }
  const py::object& object_info() const noexcept { return info_; }
  void set_object_info(py::object info) { info_ = std::move(info); }
  /// With the drivers; where the system does not allow it, it stays ordinary memory.
  void register_with_drivers();
  bool registered() const noexcept { return registration_.has_value(); }

 private:
  Buffer buffer_;
  std::size_t used_;
  std::vector<py::ssize_t> shape_;
  const ElementType* type_;
  py::object info_;
  std::optional<Bound<Runtime::Registration>> registration_;  // before its memory
};

void bind_memory(py::module_& module);

}  // namespace netstor::python
