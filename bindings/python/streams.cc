// SPDX-License-Identifier: Apache-2.0
// Readers, writers and uploads.

#include "bindings/python/errors.h"
#include "bindings/python/objects.h"

namespace netstor::python {
namespace {

using Operations = Ref<Operation>;

constexpr const char* kForked =
    "this stream was opened by another process, before fork(); open one of this process's own";

template <class T>
const T& use(const Bound<T>& bound) {
  if (!bound.usable()) raise(ErrorKind::unsupported, kForked);
  return *bound;
}

struct PyReader {
  Bound<ObjectReader> reader;
};
struct PyWriter {
  Bound<ObjectWriter> writer;
};
struct PyUpload {
  Bound<Upload> upload;
};

Operations read_into(const PyReader& self, const py::object& into, const py::kwargs& given) {
  std::vector<View> views;
  views.emplace_back(into, View::Access::write, "into");
  const MutableBytes bytes = views.front().bytes();
  return start(
      only_timeout("readinto", given), std::move(views),
      [reader = use(self.reader), bytes] { return reader.read(bytes); },
      [](std::uint64_t read) -> py::object { return py::int_(read); });
}

Operations write(const PyWriter& self, const py::object& from, const py::kwargs& given) {
  std::vector<View> views;
  views.emplace_back(from, View::Access::read, "data");
  const Bytes bytes = views.front().bytes();
  return start(
      only_timeout("write", given), std::move(views),
      [writer = use(self.writer), bytes] { return writer.write(bytes); },
      [size = bytes.size()]() -> py::object { return py::int_(size); });
}

Operations part(const PyUpload& self, unsigned number, const py::object& from, const py::kwargs& given) {
  std::vector<View> views;
  views.emplace_back(from, View::Access::read, "data");
  const Bytes bytes = views.front().bytes();
  return start(
      only_timeout("part", given), std::move(views),
      [upload = use(self.upload), number, bytes] { return upload.part(number, bytes); },
      [](UploadedPart done) { return py::cast(std::move(done)); });
}

Operations part_copy(const PyUpload& self, unsigned number, const std::string& source, std::uint64_t offset,
                     std::uint64_t length, const py::kwargs& given) {
  Keywords words("part_copy", given);
  CopyOptions options;
  Duration timeout = Duration::zero();
  words.take("source_bucket", options.source_bucket).take("source_version_id", options.source_version_id);
  words.take_seconds("timeout", timeout).end();
  return start(
      timeout, {},
      [upload = use(self.upload), number, source, offset, length, options = std::move(options)]() mutable {
        return upload.part_copy(number, source, offset, length, std::move(options));
      },
      [](UploadedPart done) { return py::cast(std::move(done)); });
}

Operations parts(const PyUpload& self, const py::kwargs& given) {
  return start(
      only_timeout("parts", given), {}, [upload = use(self.upload)] { return upload.parts(); },
      [](std::vector<UploadedPart> all) -> py::object { return python_of(std::move(all)); });
}

Operations complete(const PyUpload& self, std::vector<UploadedPart> all, const py::kwargs& given) {
  return start(
      only_timeout("complete", given), {},
      [upload = use(self.upload), all = std::move(all)]() mutable { return upload.complete(std::move(all)); },
      [](ObjectInfo info) { return python_of(std::move(info)); });
}

}  // namespace

py::object reader_of(ObjectReader reader) {
  return py::cast(PyReader{Bound<ObjectReader>(std::move(reader))});
}
py::object writer_of(ObjectWriter writer) {
  return py::cast(PyWriter{Bound<ObjectWriter>(std::move(writer))});
}
py::object upload_of(Upload upload) { return py::cast(PyUpload{Bound<Upload>(std::move(upload))}); }

void bind_streams(py::module_& module) {
  py::class_<PyReader>(module, "Reader")
      .def_property_readonly("info", [](const PyReader& self) { return python_of(use(self.reader).info()); })
      .def("readinto", &read_into)
      .def("close", [](const PyReader& self) {
        return start(
            Duration::zero(), {}, [reader = use(self.reader)] { return reader.close(); }, none);
      });
  py::class_<PyWriter>(module, "Writer")
      .def("write", &write)
      .def("finish",
           [](const PyWriter& self, const py::kwargs& given) {
             return start(
                 only_timeout("finish", given), {}, [writer = use(self.writer)] { return writer.finish(); },
                 [](ObjectInfo info) { return python_of(std::move(info)); });
           })
      .def("abort", [](const PyWriter& self, const py::kwargs& given) {
        return start(
            only_timeout("abort", given), {}, [writer = use(self.writer)] { return writer.abort(); }, none);
      });
  py::class_<PyUpload>(module, "Upload")
      .def_property_readonly("key", [](const PyUpload& self) { return use(self.upload).key(); })
      .def_property_readonly("id", [](const PyUpload& self) { return use(self.upload).id(); })
      .def("part", &part)
      .def("part_copy", &part_copy, py::arg("number"), py::arg("source_key"), py::arg("offset") = 0,
           py::arg("length") = 0)
      .def("parts", &parts)
      .def("complete", &complete)
      .def("abort", [](const PyUpload& self, const py::kwargs& given) {
        return start(
            only_timeout("abort", given), {}, [upload = use(self.upload)] { return upload.abort(); }, none);
      });
}

}  // namespace netstor::python
