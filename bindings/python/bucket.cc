// SPDX-License-Identifier: Apache-2.0
// Bucket, one method a call of bucket.h; each answers an Operation that netstor/_bucket.py waits for.

#include "bindings/python/errors.h"
#include "bindings/python/objects.h"

namespace netstor::python {
namespace {

using Operations = Ref<Operation>;

/// The handle, as one object of Python's.
struct PyBucket {
  Bound<Bucket> bucket;

  const Bucket& use() const {
    if (!bucket.usable())
      raise(ErrorKind::unsupported, "this bucket was opened by another process: open it again");
    return *bucket;
  }
};

std::vector<Bytes> pieces_of(const std::vector<View>& views) {
  std::vector<Bytes> pieces;
  pieces.reserve(views.size());
  for (const View& view : views) pieces.emplace_back(view.bytes());
  return pieces;
}

Operations open_bucket(const std::string& uri, const py::kwargs& given) {
  Keywords words("open_bucket", given);
  BucketOptions options = bucket_options(words);
  Duration timeout = Duration::zero();
  words.take_seconds("timeout", timeout).end();
  Runtime& all = runtime();
  return start(
      timeout, {},
      [&all, uri, options = std::move(options)]() mutable {
        return Bucket::open(all, uri, std::move(options));
      },
      [](Bucket bucket) { return py::cast(PyBucket{Bound<Bucket>(std::move(bucket))}); });
}

Operations head(const PyBucket& self, const std::string& key, const py::kwargs& given) {
  Keywords words("head", given);
  Duration timeout = Duration::zero();
  GetOptions options = get_options(words, timeout);
  words.end();
  return start(
      timeout, {},
      [bucket = self.use(), key, options = std::move(options)]() mutable {
        return bucket.head(key, std::move(options));
      },
      [](ObjectInfo info) { return python_of(std::move(info)); });
}

/// Without `into`: memory of its own. With: the number of bytes, and the object.
Operations get(const PyBucket& self, const std::string& key, const py::object& into,
               const py::kwargs& given) {
  Keywords words("get", given);
  Duration timeout = Duration::zero();
  GetOptions options = get_options(words, timeout);
  words.end();
  if (into.is_none()) {
    return start(
        timeout, {},
        [bucket = self.use(), key, options = std::move(options)]() mutable {
          return bucket.get(key, std::move(options));
        },
        [](Object object) {
          return py::cast(Memory(std::move(object.data), python_of(std::move(object.info))));
        });
  }
  std::vector<View> views;
  views.emplace_back(into, View::Access::write, "into");
  const MutableBytes bytes = views.front().bytes();
  return start(
      timeout, std::move(views),
      [bucket = self.use(), key, bytes, options = std::move(options)]() mutable {
        return bucket.get(key, bytes, std::move(options));
      },
      [](ObjectRead read) -> py::object {
        return py::make_tuple(read.bytes, python_of(std::move(read.info)));
      });
}

/// `length` bytes in memory of its own; fewer at the end of the object.
Operations get_range(const PyBucket& self, const std::string& key, std::uint64_t offset, std::uint64_t length,
                     const py::kwargs& given) {
  Keywords words("get_range", given);
  Duration timeout = Duration::zero();
  GetOptions options = get_options(words, timeout);
  words.end();
  options.offset = offset;
  auto memory = std::make_unique<Memory>(length == 0 ? Buffer() : value_or_raise(Buffer::allocate(length)));
  const MutableBytes bytes{memory->data(), memory->size_bytes()};
  return start(
      timeout, {},
      [bucket = self.use(), key, bytes, options = std::move(options)]() mutable {
        return bucket.get(key, bytes, std::move(options));
      },
      [memory = std::move(memory)](ObjectRead read) {
        memory->shrink(read.bytes);
        memory->set_object_info(python_of(std::move(read.info)));
        return py::cast(std::move(*memory));
      });
}

/// Each of `ranges` is (offset, length), or (offset, memory to fill).
Operations get_ranges(const PyBucket& self, const std::string& key, const py::iterable& ranges,
                      const py::kwargs& given) {
  Keywords words("get_ranges", given);
  Duration timeout = Duration::zero();
  GetOptions options = get_options(words, timeout);
  words.end();
  std::vector<RangeRead> reads;
  std::vector<View> views;
  py::list answer;
  for (const py::handle item : ranges) {
    const auto [offset, what] = py::cast<std::pair<std::uint64_t, py::object>>(item);
    py::object into = what;
    if (py::isinstance<py::int_>(what)) {
      const auto length = py::cast<std::uint64_t>(what);
      into = py::cast(Memory(length == 0 ? Buffer() : value_or_raise(Buffer::allocate(length))));
    }
    views.emplace_back(into, View::Access::write, "ranges");
    reads.push_back({.offset = offset, .into = views.back().bytes()});
    answer.append(into);
  }
  return start(
      timeout, std::move(views),
      [bucket = self.use(), key, reads = std::move(reads), options = std::move(options)]() mutable {
        return bucket.get_ranges(key, reads, std::move(options));
      },
      [answer = std::move(answer)](const ObjectInfo& /*info*/) -> py::object { return answer; });
}

Operations put(const PyBucket& self, const std::string& key, const py::object& from,
               const py::kwargs& given) {
  Keywords words("put", given);
  Duration timeout = Duration::zero();
  PutOptions options = put_options(words, timeout);
  words.end();
  std::vector<View> views = views_of(from, View::Access::read, "data");
  std::vector<Bytes> pieces = pieces_of(views);
  return start(
      timeout, std::move(views),
      [bucket = self.use(), key, pieces = std::move(pieces), options = std::move(options)]() mutable {
        if (pieces.size() == 1) return bucket.put(key, pieces.front(), std::move(options));
        return bucket.put(key, ConstScatterList(pieces), std::move(options));
      },
      [](ObjectInfo info) { return python_of(std::move(info)); });
}

Operations copy(const PyBucket& self, const std::string& source, const std::string& key,
                const py::kwargs& given) {
  Keywords words("copy", given);
  Duration timeout = Duration::zero();
  CopyOptions options = copy_options(words, timeout);
  words.end();
  return start(
      timeout, {},
      [bucket = self.use(), source, key, options = std::move(options)]() mutable {
        return bucket.copy(source, key, std::move(options));
      },
      [](ObjectInfo info) { return python_of(std::move(info)); });
}

Operations remove(const PyBucket& self, const std::string& key, const std::string& version_id,
                  const py::kwargs& given) {
  return start(
      only_timeout("delete", given), {},
      [bucket = self.use(), key, version_id] { return bucket.remove(key, version_id); }, none);
}

Operations remove_many(const PyBucket& self, std::vector<std::string> keys, const py::kwargs& given) {
  return start(
      only_timeout("delete_many", given), {},
      [bucket = self.use(), keys = std::move(keys)]() mutable { return bucket.remove_many(std::move(keys)); },
      [](std::vector<RemoveFailure> failures) -> py::object {
        py::list list;
        for (RemoveFailure& failure : failures) list.append(py::cast(std::move(failure)));
        return list;
      });
}

/// One page: objects, prefixes, and what to ask the next one with.
Operations list_page(const PyBucket& self, const py::kwargs& given) {
  Keywords words("list", given);
  Duration timeout = Duration::zero();
  ListOptions options;
  words.take("prefix", options.prefix).take("delimiter", options.delimiter);
  words.take("start_after", options.start_after)
      .take("page", options.page)
      .take("versions", options.versions);
  words.take("continuation", options.continuation).take_seconds("timeout", timeout).end();
  return start(
      timeout, {},
      [bucket = self.use(), options = std::move(options)]() mutable {
        return bucket.list(std::move(options));
      },
      [](ListPage page) -> py::object {
        py::list objects;
        for (ObjectInfo& info : page.objects) objects.append(python_of(std::move(info)));
        return py::make_tuple(std::move(objects), page.prefixes, page.next);
      });
}

Operations tags(const PyBucket& self, const std::string& key, const std::string& version_id,
                const py::kwargs& given) {
  return start(
      only_timeout("tags", given), {},
      [bucket = self.use(), key, version_id] { return bucket.tags(key, version_id); },
      [](const Pairs& pairs) -> py::object { return python_of(pairs); });
}

Operations set_tags(const PyBucket& self, const std::string& key, const py::dict& given_tags,
                    const std::string& version_id, const py::kwargs& given) {
  Pairs pairs;
  for (const auto& [name, value] : given_tags) {
    pairs.emplace_back(py::cast<std::string>(name), py::cast<std::string>(value));
  }
  return start(
      only_timeout("set_tags", given), {},
      [bucket = self.use(), key, pairs = std::move(pairs), version_id]() mutable {
        return pairs.empty() ? bucket.remove_tags(key, version_id)
                             : bucket.set_tags(key, std::move(pairs), version_id);
      },
      none);
}

Operations presign(const PyBucket& self, const std::string& method, const std::string& key, double valid_for,
                   const py::kwargs& given) {
  Bucket::Method means = Bucket::Method::get;
  if (method == "put") {
    means = Bucket::Method::put;
  } else if (method == "head") {
    means = Bucket::Method::head;
  } else if (method == "delete") {
    means = Bucket::Method::remove;
  } else if (method != "get") {
    raise(ErrorKind::invalid_argument,
          "presign: 'get', 'put', 'head' or 'delete' is expected, not '" + method + "'");
  }
  const std::chrono::seconds seconds(static_cast<std::int64_t>(std::clamp(valid_for, -1.0, 1e9)));
  return start(
      only_timeout("presign", given), {},
      [bucket = self.use(), means, key, seconds] { return bucket.presign(means, key, seconds); },
      [](const std::string& url) -> py::object { return py::str(url); });
}

Operations open_reader(const PyBucket& self, const std::string& key, const py::kwargs& given) {
  Keywords words("open_reader", given);
  Duration timeout = Duration::zero();
  GetOptions options = get_options(words, timeout);
  words.end();
  return start(
      timeout, {},
      [bucket = self.use(), key, options = std::move(options)]() mutable {
        return bucket.open_reader(key, std::move(options));
      },
      [](ObjectReader reader) { return reader_of(std::move(reader)); });
}

Operations open_writer(const PyBucket& self, const std::string& key, const py::kwargs& given) {
  Keywords words("open_writer", given);
  Duration timeout = Duration::zero();
  PutOptions options = put_options(words, timeout);
  words.end();
  return start(
      timeout, {},
      [bucket = self.use(), key, options = std::move(options)]() mutable {
        return bucket.open_writer(key, std::move(options));
      },
      [](ObjectWriter writer) { return writer_of(std::move(writer)); });
}

Operations start_upload(const PyBucket& self, const std::string& key, const py::kwargs& given) {
  Keywords words("start_upload", given);
  Duration timeout = Duration::zero();
  PutOptions options = put_options(words, timeout);
  words.end();
  return start(
      timeout, {},
      [bucket = self.use(), key, options = std::move(options)]() mutable {
        return bucket.start_upload(key, std::move(options));
      },
      [](Upload upload) { return upload_of(std::move(upload)); });
}

Operations resume_upload(const PyBucket& self, const std::string& key, const std::string& id,
                         const py::kwargs& given) {
  Duration timeout = Duration::zero();
  Keywords words("resume_upload", given);
  PutOptions options = put_options(words, timeout);
  words.end();
  return start(
      timeout, {},
      [bucket = self.use(), key, id, options = std::move(options)]() mutable {
        return bucket.resume_upload(key, id, std::move(options));
      },
      [](Upload upload) { return upload_of(std::move(upload)); });
}

Operations uploads(const PyBucket& self, const std::string& prefix, const py::kwargs& given) {
  return start(
      only_timeout("uploads", given), {}, [bucket = self.use(), prefix] { return bucket.uploads(prefix); },
      [](std::vector<UploadInfo> all) -> py::object {
        py::list list;
        for (UploadInfo& one : all) list.append(py::cast(std::move(one)));
        return list;
      });
}

/// For calls without arguments.
template <class Call>
auto plain(const char* name, Call call) {
  return [name, call](const PyBucket& self, const py::kwargs& given) {
    return start(
        only_timeout(name, given), {}, [bucket = self.use(), call] { return (bucket.*call)(); }, none);
  };
}

Operations list_buckets_of(const py::kwargs& given) {
  Keywords words("list_buckets", given);
  BucketOptions options = bucket_options(words);
  Duration timeout = Duration::zero();
  words.take_seconds("timeout", timeout).end();
  Runtime& all = runtime();
  return start(
      timeout, {},
      [&all, options = std::move(options)]() mutable { return list_buckets(all, std::move(options)); },
      [](std::vector<BucketInfo> buckets) -> py::object {
        py::list list;
        for (BucketInfo& bucket : buckets) list.append(py::cast(std::move(bucket)));
        return list;
      });
}

/// Fewer bytes are summed up in less time than the interpreter's lock takes to change hands.
constexpr std::size_t kUnlockedFrom = 64 << 10;

/// Threads that share one do no harm: what comes while another one is in it is refused.
struct PyCheck {
  PyCheck(const Bucket& bucket, const ObjectInfo& info) : check(bucket, info) {}

  void update(const py::object& data) {
    const View view(data, View::Access::read, "data");  // may call Python, which may call this
    refuse_use();
    if (view.bytes().size() < kUnlockedFrom) return check.update(view.bytes());
    busy = true;
    {
      const py::gil_scoped_release unlocked;
      check.update(view.bytes());
    }
    busy = false;
  }
  void finish() {
    refuse_use();
    finished = true;
    value_or_raise(check.finish());
  }
  void refuse_use() const {
    if (finished) raise(ErrorKind::invalid_argument, "this check is finished: begin another one");
    if (busy) raise(ErrorKind::invalid_argument, "another thread is in this check: its bytes have an order");
  }

  ObjectCheck check;
  bool finished = false;
  bool busy = false;  // with the interpreter's lock, as all of it but the summing up
};

}  // namespace

void bind_bucket(py::module_& module) {
  module.def("open_bucket", &open_bucket);
  module.def("list_buckets", &list_buckets_of);
  py::class_<PyBucket>(module, "Bucket")
      .def_property_readonly("name", [](const PyBucket& self) { return self.use().name(); })
      .def("head", &head)
      .def("get", &get, py::arg("key"), py::arg("into") = py::none())
      .def("get_range", &get_range)
      .def("get_ranges", &get_ranges)
      .def("put", &put)
      .def("copy", &copy)
      .def("delete", &remove, py::arg("key"), py::arg("version_id") = "")
      .def("delete_many", &remove_many)
      .def("list_page", &list_page)
      .def("tags", &tags, py::arg("key"), py::arg("version_id") = "")
      .def("set_tags", &set_tags, py::arg("key"), py::arg("tags"), py::arg("version_id") = "")
      .def("presign", &presign)
      .def("open_reader", &open_reader)
      .def("open_writer", &open_writer)
      .def("start_upload", &start_upload)
      .def("resume_upload", &resume_upload)
      .def("uploads", &uploads, py::arg("prefix") = "")
      .def("create", plain("create", &Bucket::create))
      .def("delete_bucket", plain("delete_bucket", &Bucket::remove_bucket))
      .def("versioning",
           [](const PyBucket& self, const py::kwargs& given) {
             return start(
                 only_timeout("versioning", given), {}, [bucket = self.use()] { return bucket.versioning(); },
                 [](bool on) -> py::object { return py::bool_(on); });
           })
      .def("set_versioning",
           [](const PyBucket& self, bool on, const py::kwargs& given) {
             return start(
                 only_timeout("set_versioning", given), {},
                 [bucket = self.use(), on] { return bucket.set_versioning(on); }, none);
           })
      .def("path",
           [](const PyBucket& self, const py::kwargs& given) {
             return start(
                 only_timeout("path", given), {}, [bucket = self.use()] { return bucket.path(); },
                 [](BucketPath path) { return py::cast(std::move(path)); });
           })
      .def("check", [](const PyBucket& self,
                       const ObjectInfo& info) { return std::make_unique<PyCheck>(self.use(), info); })
      .def("close", plain("close", &Bucket::close));
  py::class_<PyCheck>(module, "ObjectCheck",
                      "The bytes of an object against the checksum that the service keeps with them, for who "
                      "reads them in ranges: Bucket.check() makes one.")
      .def_property_readonly(
          "compares", [](const PyCheck& self) { return self.check.compares(); },
          "False where the service told no checksum, or one of an upload's parts: nothing is compared then.")
      .def("update", &PyCheck::update, py::arg("data"),
           "The next bytes of the object: of all of it, in order. One thread at a time.")
      .def("finish", &PyCheck::finish, "Raises DataCorrupt where they are not those that were put. Once.");
}

}  // namespace netstor::python
