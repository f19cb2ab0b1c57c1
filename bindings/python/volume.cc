// SPDX-License-Identifier: Apache-2.0
// Volume, one method a call of volume.h.

#include "bindings/python/errors.h"
#include "bindings/python/objects.h"

namespace netstor::python {
namespace {

using Operations = Ref<Operation>;

struct PyVolume {
  Bound<Volume> volume;

  const Volume& use() const {
    if (!volume.usable())
      raise(ErrorKind::unsupported, "this volume was opened by another process: open it again");
    return *volume;
  }
};

Operations open_volume(const std::string& uri, const py::kwargs& given) {
  Keywords words("open_volume", given);
  VolumeOptions options;
  Duration timeout = Duration::zero();
  words.take("host_nqn", options.host_nqn)
      .take("queue_depth", options.queue_depth)
      .take("queues", options.queues);
  words.take("host_secret", options.host_secret).take("controller_secret", options.controller_secret);
  words.take("tls_key", options.tls_key);
  words.take("header_digest", options.header_digest).take("data_digest", options.data_digest);
  words.take_seconds("connect_timeout", options.connect_timeout)
      .take_seconds("io_timeout", options.io_timeout);
  words.take_seconds("keep_alive", options.keep_alive);
  words.take_seconds("reconnect_delay", options.reconnect_delay);
  words.take_seconds("reconnect_delay_max", options.reconnect_delay_max);
  words.take_seconds("path_loss_timeout", options.path_loss_timeout).take("read_only", options.read_only);
  words.take_seconds("timeout", timeout).end();
  Runtime& all = runtime();
  return start(
      timeout, {},
      [&all, uri, options = std::move(options)]() mutable {
        return Volume::open(all, uri, std::move(options));
      },
      [](Volume volume) { return py::cast(PyVolume{Bound<Volume>(std::move(volume))}); });
}

IoOptions io_options(const char* call, const py::kwargs& given, Duration& timeout) {
  IoOptions options;
  if (given.empty()) return options;
  Keywords words(call, given);
  words.take("force_unit_access", options.force_unit_access).take("idempotent", options.idempotent);
  words.take_seconds("timeout", timeout).end();
  return options;
}

Operations read_into(const PyVolume& self, std::uint64_t offset, const py::object& into,
                     const py::kwargs& given) {
  const Duration timeout = only_timeout("read_into", given);
  std::vector<View> views = views_of(into, View::Access::write, "into");
  std::vector<MutableBytes> pieces;
  std::size_t total = 0;
  for (const View& view : views) {
    pieces.push_back(view.bytes());
    total += view.bytes().size();
  }
  return start(
      timeout, std::move(views),
      [volume = self.use(), offset, pieces = std::move(pieces)] {
        return pieces.size() == 1 ? volume.read(offset, pieces.front())
                                  : volume.read(offset, ScatterList(pieces));
      },
      [total]() -> py::object { return py::int_(total); });
}

Operations read(const PyVolume& self, std::uint64_t offset, std::uint64_t length, const py::kwargs& given) {
  const Duration timeout = only_timeout("read", given);
  auto memory = std::make_unique<Memory>(length == 0 ? Buffer() : value_or_raise(Buffer::allocate(length)));
  const MutableBytes bytes{memory->data(), memory->size_bytes()};
  return start(
      timeout, {}, [volume = self.use(), offset, bytes] { return volume.read(offset, bytes); },
      [memory = std::move(memory)] { return py::cast(std::move(*memory)); });
}

Operations write_from(const PyVolume& self, std::uint64_t offset, const py::object& from,
                      const py::kwargs& given) {
  Duration timeout = Duration::zero();
  const IoOptions options = io_options("write_from", given, timeout);
  std::vector<View> views = views_of(from, View::Access::read, "data");
  std::vector<Bytes> pieces;
  std::size_t total = 0;
  for (const View& view : views) {
    pieces.emplace_back(view.bytes());
    total += view.bytes().size();
  }
  return start(
      timeout, std::move(views),
      [volume = self.use(), offset, pieces = std::move(pieces), options] {
        return pieces.size() == 1 ? volume.write(offset, pieces.front(), options)
                                  : volume.write(offset, ConstScatterList(pieces), options);
      },
      [total]() -> py::object { return py::int_(total); });
}

Operations write_zeroes(const PyVolume& self, std::uint64_t offset, std::uint64_t length,
                        const py::kwargs& given) {
  Duration timeout = Duration::zero();
  const IoOptions options = io_options("write_zeroes", given, timeout);
  return start(
      timeout, {},
      [volume = self.use(), offset, length, options] { return volume.write_zeroes(offset, length, options); },
      none);
}

Operations compare(const PyVolume& self, std::uint64_t offset, const py::object& expected,
                   const py::kwargs& given) {
  std::vector<View> views;
  views.emplace_back(expected, View::Access::read, "expected");
  const Bytes bytes = views.front().bytes();
  return start(
      only_timeout("compare", given), std::move(views),
      [volume = self.use(), offset, bytes] { return volume.compare(offset, bytes); }, none);
}

Operations compare_and_write(const PyVolume& self, std::uint64_t offset, const py::object& expected,
                             const py::object& from, const py::kwargs& given) {
  std::vector<View> views;
  views.emplace_back(expected, View::Access::read, "expected");
  views.emplace_back(from, View::Access::read, "data");
  const Bytes before = views[0].bytes();
  const Bytes after = views[1].bytes();
  return start(
      only_timeout("compare_and_write", given), std::move(views),
      [volume = self.use(), offset, before, after] {
        return volume.compare_and_write(offset, before, after);
      },
      none);
}

template <class Call>
auto on_range(const char* name, Call call) {
  return [name, call](const PyVolume& self, std::uint64_t offset, std::uint64_t length,
                      const py::kwargs& given) {
    return start(
        only_timeout(name, given), {},
        [volume = self.use(), call, offset, length] { return (volume.*call)(offset, length); }, none);
  };
}

template <class Call>
auto plain(const char* name, Call call) {
  return [name, call](const PyVolume& self, const py::kwargs& given) {
    return start(
        only_timeout(name, given), {}, [volume = self.use(), call] { return (volume.*call)(); }, none);
  };
}

Operations discover_at(const std::string& uri, const py::kwargs& given) {
  const Duration timeout = only_timeout("discover", given);
  Runtime& all = runtime();
  return start(
      timeout, {}, [&all, uri] { return discover(all, uri); },
      [](std::vector<DiscoveredSubsystem> found) -> py::object {
        py::list list;
        for (DiscoveredSubsystem& one : found) list.append(py::cast(std::move(one)));
        return list;
      });
}

}  // namespace

void bind_volume(py::module_& module) {
  module.def("open_volume", &open_volume);
  module.def("discover", &discover_at);
  py::class_<VolumeInfo>(module, "VolumeInfo", "What a volume says of itself.")
      .def_readonly("uri", &VolumeInfo::uri, "Its name.")
      .def_readonly("size", &VolumeInfo::size_bytes, "In bytes.")
      .def_readonly("block_bytes", &VolumeInfo::block_bytes, "Offsets and lengths are multiples of this.")
      .def_readonly("transfer_bytes_max", &VolumeInfo::transfer_bytes_max,
                    "One request to the device; larger ones are split.")
      .def_readonly("atomic_bytes", &VolumeInfo::atomic_bytes, "Writes up to this are all or nothing.")
      .def_readonly("queues", &VolumeInfo::queues, "Shards that have a queue.")
      .def_readonly("queue_depth", &VolumeInfo::queue_depth, "Of each.")
      .def_readonly("writable", &VolumeInfo::writable, "May it be written?")
      .def_readonly("volatile_cache", &VolumeInfo::volatile_cache, "Does flush() matter?")
      .def_readonly("description", &VolumeInfo::description,
                    "Model, serial number, firmware, driver; by lines.");
  py::class_<DiscoveredSubsystem>(module, "DiscoveredSubsystem", "One of discover().")
      .def_readonly("transport", &DiscoveredSubsystem::transport, "'tcp', 'rdma', …")
      .def_readonly("address", &DiscoveredSubsystem::address, "Its host.")
      .def_readonly("service", &DiscoveredSubsystem::service, "Its port.")
      .def_readonly("nqn", &DiscoveredSubsystem::nqn, "Its name.")
      .def_readonly("discovery", &DiscoveredSubsystem::discovery, "Is it another discovery service?")
      .def_readonly("tls_required", &DiscoveredSubsystem::tls_required, "Does it ask for a tls_key?")
      .def_readonly("uri", &DiscoveredSubsystem::uri, "To open its first namespace with.");
  py::class_<PyVolume>(module, "Volume")
      .def_property_readonly("uri", [](const PyVolume& self) { return self.use().uri(); })
      .def_property_readonly("size", [](const PyVolume& self) { return self.use().size_bytes(); })
      .def_property_readonly("block_bytes", [](const PyVolume& self) { return self.use().block_bytes(); })
      .def_property_readonly("info", [](const PyVolume& self) { return self.use().info(); })
      .def("read_into", &read_into)
      .def("read", &read)
      .def("write_from", &write_from)
      .def("flush", plain("flush", &Volume::flush))
      .def("write_zeroes", &write_zeroes)
      .def("trim", on_range("trim", &Volume::deallocate))
      .def("compare", &compare)
      .def("compare_and_write", &compare_and_write)
      .def("verify", on_range("verify", &Volume::verify))
      .def("close", plain("close", &Volume::close));
}

}  // namespace netstor::python
