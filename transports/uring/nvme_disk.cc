// SPDX-License-Identifier: Apache-2.0
#include "transports/uring/nvme_disk.h"

#include <netstor/uri.h>

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "lib/wire/nvme/command.h"
#include "transports/descriptor.h"
#include "transports/nvme_namespace.h"
#include "transports/nvme_status.h"

namespace netstor::uring {
namespace {

constexpr std::uint64_t kPageBytes = 4096;
// Where /sys does not tell: what every controller and every kernel take.
constexpr std::uint64_t kTransferBytesUnknown = 128 << 10;

struct Asked {
  std::string path;
  bool poll = false;
};

Result<Asked> asked_of(std::string_view text) {
  NETSTOR_TRY_RETURN(Uri uri, Uri::parse(text));
  if (uri.scheme != "nvme" || !uri.host.empty() || uri.path.empty()) {
    return Error(ErrorKind::invalid_argument, std::string(text) + ": expected nvme:///dev/ngXnY[?poll=1]");
  }
  Asked asked{.path = std::move(uri.path)};
  for (const auto& [name, value] : uri.query) {
    if (name != "poll" || (value != "0" && value != "1")) {
      std::string setting = name;
      setting.append("=").append(value);
      return Error(ErrorKind::invalid_argument,
                   "the URI's setting " + setting + " is unknown; poll=1 and poll=0 are known");
    }
    asked.poll = value == "1";
  }
  return asked;
}

Error refused(int error, const std::string& what) {
  const Error plain = Error::system(error, what);
  std::string_view advice;
  if (error == ENOENT) {
    advice = "; the namespaces of this machine's NVMe disks are /dev/ngXnY (Linux 5.13 and later)";
  } else if (error == EACCES || error == EPERM) {
    advice =
        "; commands are passed to NVMe disks for root, and from Linux 6.2 on for whoever may open the device";
  }
  return {plain.kind(), plain.text() + std::string(advice), plain.effect(), plain.origin(), plain.native()};
}

Result<void> check_device(int fd, const std::string& path) {
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) return Error::system(errno, "stat " + path);
  if (S_ISBLK(facts.st_mode)) {
    return Error(ErrorKind::invalid_argument, path + " is a block device: open it as file://" + path +
                                                  ", or its character device, /dev/ngXnY, as nvme://");
  }
  if (!S_ISCHR(facts.st_mode)) {
    return Error(ErrorKind::invalid_argument, path + " is no device; expected /dev/ngXnY");
  }
  return {};
}

using IdentifyBuffer = std::array<std::byte, nvme::kIdentifyBytes>;

Result<void> identify(int fd, std::uint32_t nsid, const nvme::Identify& what, IdentifyBuffer& into) {
  const nvme::Command command = nvme::make_identify(0, nsid, what);
  nvme_admin_cmd admin{};
  admin.opcode = command.opcode();
  admin.nsid = nsid;
  admin.addr = reinterpret_cast<std::uintptr_t>(into.data());
  admin.data_len = nvme::kIdentifyBytes;
  admin.cdw10 = command.cdw(10);
  admin.cdw11 = command.cdw(11);
  admin.cdw14 = command.cdw(14);
  const int answer = ::ioctl(fd, NVME_IOCTL_ADMIN_CMD, &admin);
  if (answer < 0) return refused(errno, "identify");
  if (answer > 0) {
    return nvme::error_of(nvme::Status::from_raw(static_cast<std::uint16_t>(answer)),
                          nvme::StatusDialect::nvm, "identify", 0);
  }
  return {};
}

/// What the kernel's block layer says of the same namespace; its name there is nvmeXnY.
class QueueFacts {
 public:
  explicit QueueFacts(int fd) {
    struct stat facts {};
    std::error_code error;
    if (::fstat(fd, &facts) != 0) return;
    const std::filesystem::path node =
        "/sys/dev/char/" + std::to_string(major(facts.st_rdev)) + ":" + std::to_string(minor(facts.st_rdev));
    const std::string name = std::filesystem::canonical(node, error).filename();
    if (!error && name.starts_with("ng")) folder_ = "/sys/block/nvme" + name.substr(2) + "/queue";
  }

  std::uint64_t number(const char* name, std::uint64_t fallback) const {
    std::uint64_t value = 0;
    return std::ifstream(folder_ / name) >> value ? value : fallback;
  }

  /// A command's pages need not lie beside each other: each may be a segment, and one more when the first
  /// begins in its middle.
  std::uint64_t transfer_bytes_max() const {
    const std::uint64_t whole = number("max_hw_sectors_kb", kTransferBytesUnknown >> 10) << 10;
    const std::uint64_t segments = number("max_segments", kTransferBytesUnknown / kPageBytes + 1);
    return std::max(std::min(whole, (std::max<std::uint64_t>(segments, 2) - 1) * kPageBytes), kPageBytes);
  }

  bool has_poll_queues() const { return number("io_poll", 0) != 0; }

 private:
  std::filesystem::path folder_ = "/nonexistent";
};

Result<void> fill(OpenedNamespace& opened, int fd) {
  IdentifyBuffer data{};
  nvme::ControllerFacts facts;
  NETSTOR_CHECK_RETURN(identify(fd, 0, {.cns = nvme::Cns::identify_controller}, data));
  facts.identify = nvme::decode_identify_controller(data);
  // Controllers before 2.0 do not have it; then there are no such limits.
  if (identify(fd, 0, {.cns = nvme::Cns::csi_controller}, data).ok())
    facts.nvm = nvme::decode_identify_controller_nvm(data);
  NETSTOR_CHECK_RETURN(identify(fd, opened.nsid, {.cns = nvme::Cns::identify_namespace}, data));
  const auto about = nvme::decode_identify_namespace(data);
  NETSTOR_CHECK_RETURN(nvme::describe(facts, about, opened.nsid, opened.limits));
  std::optional<nvme::NamespaceIds> ids;
  if (identify(fd, opened.nsid, {.cns = nvme::Cns::namespace_id_descriptors}, data).ok())
    ids = nvme::decode_namespace_ids(data);
  if (ids && ids->csi && *ids->csi != nvme::Csi::nvm) {
    return Error(ErrorKind::unsupported, "the namespace is of another command set (zoned, key value)");
  }
  opened.identity = nvme::identity_of(about, ids);
  opened.description = nvme::describe(facts.identify);
  // The kernel takes no fused commands.
  opened.limits.can_compare_and_write = false;
  return {};
}

bool kernel_is_at_least(unsigned major, unsigned minor) {
  utsname names{};
  unsigned its_major = 0;
  unsigned its_minor = 0;
  // NOLINTNEXTLINE(cert-err34-c): what does not parse is no kernel that we know
  if (::uname(&names) != 0 || std::sscanf(names.release, "%u.%u", &its_major, &its_minor) != 2) return false;
  return std::pair(its_major, its_minor) >= std::pair(major, minor);
}

std::string_view completion_of(bool asked, const OpenedNamespace& opened) {
  if (opened.polled) return "polled";
  if (!asked) return "interrupts";
  if (!kernel_polls()) return "interrupts: kernels before Linux 6.5 do not poll safely";
  return "interrupts: the kernel has no poll queues for this disk; load its nvme module with poll_queues=N";
}

}  // namespace

bool kernel_polls() { return kernel_is_at_least(6, 5); }
bool kernel_takes_registered_memory() { return kernel_is_at_least(6, 12); }

Result<OpenedNamespace> open_namespace(std::string_view uri, bool writable) {
  NETSTOR_TRY_RETURN(const Asked asked, asked_of(uri));
  Descriptor fd(::open(asked.path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (fd.get() < 0) return refused(errno, "open " + asked.path);
  NETSTOR_CHECK_RETURN(check_device(fd.get(), asked.path));
  const int nsid = ::ioctl(fd.get(), NVME_IOCTL_ID);
  if (nsid <= 0) {
    return Error(ErrorKind::invalid_argument,
                 asked.path + " is not the character device of an NVMe namespace; expected /dev/ngXnY");
  }
  OpenedNamespace opened;
  opened.nsid = static_cast<std::uint32_t>(nsid);
  NETSTOR_CHECK_RETURN(fill(opened, fd.get()));
  const QueueFacts queue(fd.get());
  const std::uint32_t block = opened.limits.block_bytes;
  const auto transfer = std::min<std::uint64_t>(opened.limits.transfer_bytes_max, queue.transfer_bytes_max());
  opened.limits.transfer_bytes_max = static_cast<std::uint32_t>(transfer / block * block);
  opened.limits.atomic_bytes = std::min(opened.limits.atomic_bytes, opened.limits.transfer_bytes_max);
  if (opened.limits.transfer_bytes_max == 0) {
    return Error(ErrorKind::unsupported,
                 asked.path + ": its blocks are larger than one transfer may be here");
  }
  opened.limits.writable = opened.limits.writable && writable;
  opened.polled = asked.poll && kernel_polls() && queue.has_poll_queues();
  opened.description = "driver: nvme, io_uring passthrough\npath: " + asked.path +
                       "\nnamespace: " + std::to_string(nsid) + "\n" + opened.description +
                       "completion: " + std::string(completion_of(asked.poll, opened)) + "\n";
  opened.fd = fd.take();
  return opened;
}

}  // namespace netstor::uring
