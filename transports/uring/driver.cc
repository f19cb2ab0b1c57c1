// SPDX-License-Identifier: Apache-2.0
#include "transports/uring/driver.h"

#include "transports/uring/nvme_disk.h"
#include "transports/uring/nvme_port.h"
#include "transports/uring/port.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

namespace netstor {
namespace uring {
namespace {

std::string why_not(int error) {
  if (error == EPERM || error == EACCES) {
    int disabled = 0;
    std::ifstream("/proc/sys/kernel/io_uring_disabled") >> disabled;
    if (disabled == 2)
      return "switched off by kernel.io_uring_disabled = 2; an administrator can set it to 0";
    if (disabled == 1) {
      return "kernel.io_uring_disabled = 1 allows it to the group kernel.io_uring_group only; join it, or "
             "set 0";
    }
    return "refused, most likely by a container's seccomp filter; allow io_uring_setup, io_uring_enter and "
           "io_uring_register";
  }
  if (error == ENOSYS)
    return "this kernel has none, or a container's seccomp filter hides it; Linux 5.11 or later";
  if (error == EOPNOTSUPP || error == EINVAL) return "this kernel's io_uring is too old; Linux 5.11 or later";
  if (error == ENOMEM) return "the limit on locked memory is too low for a ring; raise ulimit -l";
  return std::strerror(error);
}

/// The kernel interrupts the thread that made a ring when the ring has ended, some time later: a caller
/// that blocks in a system call by then would see EINTR. So rings that are only looked at are made by a
/// thread that does not outlive them. Answers 0 or a negative errno value.
template <class Look>
int look_at_a_ring(Look look, Ring::Kind kind = Ring::Kind::ordinary) {
  int error = 0;
  try {
    std::thread([&] {
      Metrics unused;
      Ring ring(unused);
      error = ring.open(kind);
      if (error == 0) look(ring);
    }).join();
  } catch (const std::system_error& failure) {
    return -failure.code().value();
  }
  return error;
}

class UringDriver final : public Driver {
 public:
  std::string_view name() const noexcept override { return "uring"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  Abilities abilities() const noexcept override {
    return {.links = true, .devices = true, .registered_memory = true, .kernel_sleep = true};
  }
  std::optional<std::string> probe() const override {
    const int error = look_at_a_ring([](const Ring&) {});
    if (error == 0) return std::nullopt;
    return why_not(-error);
  }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    auto port = std::make_unique<UringPort>(context);
    NETSTOR_CHECK_RETURN(port->open_ring());
    return std::unique_ptr<Port>(std::move(port));
  }

 private:
  static constexpr std::array<std::string_view, 2> kSchemes = {"tcp", "file"};
};

bool kernel_has(io_uring_op opcode) {
  io_uring_probe* const probe = io_uring_get_probe();  // makes a ring of its own
  const bool has = probe != nullptr && io_uring_opcode_supported(probe, opcode) != 0;
  io_uring_free_probe(probe);
  return has;
}

class NvmeDriver final : public Driver {
 public:
  std::string_view name() const noexcept override { return "nvme"; }
  std::span<const std::string_view> schemes() const noexcept override { return kSchemes; }
  Abilities abilities() const noexcept override {
    return {.devices = true, .registered_memory = true, .kernel_sleep = true};
  }
  std::optional<std::string> probe() const override {
    if (const int error = look_at_a_ring([](const Ring&) {}); error != 0) return why_not(-error);
    bool has_commands = false;
    const int error = look_at_a_ring([&](const Ring&) { has_commands = kernel_has(IORING_OP_URING_CMD); },
                                     Ring::Kind::passthrough);
    if (error != 0 || !has_commands)
      return "this kernel's io_uring passes no commands to NVMe disks (uring_cmd); Linux 5.19 or later";
    return std::nullopt;
  }
  Result<std::unique_ptr<Port>> make_port(PortContext& context) override {
    auto port = std::make_unique<NvmePort>(context);
    NETSTOR_CHECK_RETURN(port->open_ring());
    return std::unique_ptr<Port>(std::move(port));
  }

 private:
  static constexpr std::array<std::string_view, 1> kSchemes = {"nvme"};
};

/// The disks that nvme:// could open here, and whether their completions can be polled for.
Capability nvme_disks() {
  std::string found;
  std::error_code error;
  for (const auto& each : std::filesystem::directory_iterator("/dev", error)) {
    const std::string name = each.path().filename();
    if (name.starts_with("ng")) found += (found.empty() ? "" : ", ") + each.path().string();
  }
  if (found.empty())
    return {"nvme.disks", false, "there is no /dev/ngXnY: no NVMe disk, or its driver is not loaded"};
  return {"nvme.disks", true, found};
}

Capability nvme_polling() {
  unsigned queues = 0;
  std::ifstream("/sys/module/nvme/parameters/poll_queues") >> queues;
  if (!kernel_polls()) return {"nvme.polling", false, "needs Linux 6.5: earlier kernels do not poll safely"};
  if (queues > 0) return {"nvme.polling", true, "by nvme:///dev/ngXnY?poll=1"};
  return {"nvme.polling", false, "load the kernel's module nvme with poll_queues=N"};
}

Capability nvme_registered_buffers() {
  const bool available = kernel_takes_registered_memory();
  return {"nvme.registered_buffers", available, available ? "" : "needs Linux 6.12"};
}

}  // namespace
}  // namespace uring

Driver& uring_driver() noexcept {
  static uring::UringDriver driver;
  return driver;
}

Driver& nvme_driver() noexcept {
  static uring::NvmeDriver driver;
  return driver;
}

std::vector<Capability> uring_capabilities() {
  unsigned flags = 0;
  bool memory_table = false;
  bool can_send_zc = false;
  const int error = uring::look_at_a_ring([&](const uring::Ring& ring) {
    flags = ring.setup_flags();
    memory_table = ring.has_memory_table();
    can_send_zc = uring::kernel_has(IORING_OP_SEND_ZC);
  });
  if (error != 0) return {};
  std::vector<Capability> all;
  const auto add = [&](std::string name, bool available, std::string since) {
    all.push_back(
        {"uring." + std::move(name), available, available ? "" : "needs Linux " + std::move(since)});
  };
  add("single_issuer", (flags & IORING_SETUP_SINGLE_ISSUER) != 0, "6.0");
  add("defer_taskrun", (flags & IORING_SETUP_DEFER_TASKRUN) != 0, "6.1");
  add("registered_buffers", memory_table, "5.19");
  add("send_zc", can_send_zc, "6.0");
  if (all.back().available) all.back().reason = "not used: it does not pay below tens of KiB a piece";
  all.push_back(uring::nvme_disks());
  all.push_back(uring::nvme_polling());
  all.push_back(uring::nvme_registered_buffers());
  return all;
}

}  // namespace netstor
