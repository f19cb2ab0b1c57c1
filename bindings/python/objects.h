// SPDX-License-Identifier: Apache-2.0
#pragma once
// The values of bucket.h: options out of keyword arguments, results as Python objects.

#include "bindings/python/keywords.h"
#include "bindings/python/operation.h"

namespace netstor::python {

/// The keywords of one call, with `timeout` for all of them.
GetOptions get_options(Keywords& words, Duration& timeout);
PutOptions put_options(Keywords& words, Duration& timeout);
CopyOptions copy_options(Keywords& words, Duration& timeout);
BucketOptions bucket_options(Keywords& words);

/// Options that only `timeout` is of.
Duration only_timeout(const char* call, const py::kwargs& given);

py::object python_of(ObjectInfo info);
py::list python_of(std::vector<UploadedPart> parts);
py::dict python_of(const Pairs& pairs);

/// The name of a member of ChecksumAlgorithm and back.
const char* name_of(ChecksumAlgorithm algorithm);
ChecksumAlgorithm checksum_of(const std::string& name);

void bind_objects(py::module_& module);
void bind_bucket(py::module_& module);
void bind_streams(py::module_& module);
void bind_volume(py::module_& module);

py::object reader_of(ObjectReader reader);
py::object writer_of(ObjectWriter writer);
py::object upload_of(Upload upload);

}  // namespace netstor::python
