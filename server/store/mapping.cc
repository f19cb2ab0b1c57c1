// SPDX-License-Identifier: Apache-2.0
// See mapping.h.

#include "server/store/mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace netstor::store {

Result<Mapping> Mapping::make(std::size_t size_bytes, bool writable) {
  // NORESERVE: a volume may promise more than there is, as thin volumes do. Private, so that pages given back
  // read as zeroes again.
  void* const begin = ::mmap(nullptr, size_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED) {
    return Error(ErrorKind::exhausted,
                 "mapping " + std::to_string(size_bytes) + " bytes of memory: " + std::strerror(errno) +
                     "; see vm.overcommit_memory and `ulimit -v`, or make the volume smaller",
                 Effect::none, Origin::system, errno);
  }
  return Mapping(static_cast<std::byte*>(begin), size_bytes);
}

Mapping::~Mapping() {
  if (begin_ != nullptr) ::munmap(begin_, size_);
}

void Mapping::clear(std::size_t offset, std::size_t length) noexcept {
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t end = offset + length;
  const std::size_t first_page = (offset + page - 1) / page * page;
  const std::size_t last_page = end / page * page;
  if (first_page >= last_page || ::madvise(begin_ + first_page, last_page - first_page, MADV_DONTNEED) != 0) {
    std::memset(begin_ + offset, 0, length);
    return;
  }
  std::memset(begin_ + offset, 0, first_page - offset);
  std::memset(begin_ + last_page, 0, end - last_page);
}

}  // namespace netstor::store
