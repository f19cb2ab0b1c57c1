// SPDX-License-Identifier: Apache-2.0
#include "lib/base/errno.h"

#include <cerrno>

namespace netstor {

ErrorKind kind_of_errno(int errno_value) noexcept {
  switch (errno_value) {
    case ECANCELED:
      return ErrorKind::cancelled;
    case ETIME:
    case ETIMEDOUT:
      return ErrorKind::timed_out;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ESHUTDOWN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case EADDRNOTAVAIL:
    case ENODEV:
    case ENXIO:
      return ErrorKind::disconnected;
    case EINVAL:
    case EDESTADDRREQ:
    case ENAMETOOLONG:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
      return ErrorKind::invalid_argument;
    case EOPNOTSUPP:
    case ENOSYS:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return ErrorKind::unsupported;
    case ENOENT:
      return ErrorKind::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::permission_denied;
    case EADDRINUSE:
    case EEXIST:
      return ErrorKind::already_exists;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorKind::no_space;
    case EILSEQ:
    case EBADMSG:
      return ErrorKind::data_corrupt;
    case EPROTO:
      return ErrorKind::protocol;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case EAGAIN:
    case EBUSY:
      return ErrorKind::exhausted;
    default:
      return ErrorKind::device_error;
  }
}

}  // namespace netstor
