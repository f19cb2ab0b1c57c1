// SPDX-License-Identifier: Apache-2.0
// A peer: random reads through libiscsi's asynchronous calls, --depth in flight on one connection. The
// socket is polled without pause, as ours is.

#include "bench/stats.h"

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>

#include <vector>

namespace {

using namespace netstor::bench;

struct Load {
  iscsi_context* iscsi = nullptr;
  int lun = 1;
  std::uint32_t block = 4096;
  std::uint32_t sector = 512;
  std::uint64_t blocks = 1;
  bool write = false;
  Latencies latencies;
  std::uint64_t seed = 88172645463325252U;
  bool failed = false;
};

struct Slot {
  Load* load = nullptr;
  SteadyTime begun;
  std::vector<unsigned char> memory;
};

void submit(Slot& slot);

void completed(iscsi_context*, int status, void* data, void* user) {
  auto& slot = *static_cast<Slot*>(user);
  if (status != SCSI_STATUS_GOOD) slot.load->failed = true;
  scsi_free_scsi_task(static_cast<scsi_task*>(data));
  slot.load->latencies.add(now() - slot.begun);
  submit(slot);
}

void submit(Slot& slot) {
  Load& load = *slot.load;
  load.seed ^= load.seed << 13;
  load.seed ^= load.seed >> 7;
  load.seed ^= load.seed << 17;
  const auto lba = static_cast<std::uint32_t>(load.seed % load.blocks * (load.block / load.sector));
  slot.begun = now();
  scsi_task* task = nullptr;
  if (load.write) {
    task = iscsi_write10_task(load.iscsi, load.lun, lba, slot.memory.data(), load.block,
                              static_cast<int>(load.sector), 0, 0, 0, 0, 0, completed, &slot);
  } else {
    task = iscsi_read10_task(load.iscsi, load.lun, lba, load.block, static_cast<int>(load.sector), 0, 0, 0, 0,
                             0, completed, &slot);
    if (task != nullptr) scsi_task_add_data_in_buffer(task, static_cast<int>(load.block), slot.memory.data());
  }
  if (task == nullptr) load.failed = true;
}

}  // namespace

int main(int argc, char** argv) {
  const auto depth = static_cast<std::size_t>(number(argc, argv, "--depth", "1"));
  const double seconds = std::strtod(argument(argc, argv, "--seconds", "1").c_str(), nullptr);
  Load load;
  load.block = static_cast<std::uint32_t>(number(argc, argv, "--block", "4096"));
  load.write = argument(argc, argv, "--rw", "randread") == "randwrite";
  pin_to_cpu(static_cast<int>(number(argc, argv, "--cpu", "0")));
  load.iscsi = iscsi_create_context("iqn.2026-01.io.netstor:bench");
  iscsi_url* const url = iscsi_parse_full_url(load.iscsi, argument(argc, argv, "--uri", "").c_str());
  if (url == nullptr) {
    std::fprintf(stderr, "peer_iscsi: %s\n", iscsi_get_error(load.iscsi));
    return 1;
  }
  load.lun = url->lun;
  iscsi_set_targetname(load.iscsi, url->target);
  iscsi_set_session_type(load.iscsi, ISCSI_SESSION_NORMAL);
  iscsi_set_header_digest(load.iscsi, ISCSI_HEADER_DIGEST_NONE);
  if (iscsi_full_connect_sync(load.iscsi, url->portal, url->lun) != 0) {
    std::fprintf(stderr, "peer_iscsi: %s\n", iscsi_get_error(load.iscsi));
    return 1;
  }
  scsi_task* const capacity = iscsi_readcapacity10_sync(load.iscsi, load.lun, 0, 0);
  auto* const size =
      capacity == nullptr ? nullptr : static_cast<scsi_readcapacity10*>(scsi_datain_unmarshall(capacity));
  if (size == nullptr) return 1;
  load.sector = size->block_size;
  load.blocks = (std::uint64_t{size->lba} + 1) * size->block_size / load.block;
  std::vector<Slot> slots(depth);
  for (Slot& slot : slots) {
    slot.load = &load;
    slot.memory.resize(load.block);
    submit(slot);
  }
  const double cpu_before = cpu_seconds();
  auto start = now();
  bool warm = false;
  pollfd waiting{.fd = iscsi_get_fd(load.iscsi), .events = 0, .revents = 0};
  while (!load.failed) {
    const auto time = now();
    if (!warm && time - start > std::chrono::milliseconds(200)) {
      warm = true;
      load.latencies.reset();
      start = time;
    }
    if (warm && time - start >= std::chrono::duration<double>(seconds)) break;
    waiting.events = static_cast<short>(iscsi_which_events(load.iscsi));
    if (::poll(&waiting, 1, 0) < 0 || iscsi_service(load.iscsi, waiting.revents) != 0) load.failed = true;
  }
  const double taken = std::chrono::duration<double>(now() - start).count();
  if (load.failed) {
    std::fprintf(stderr, "peer_iscsi: %s\n", iscsi_get_error(load.iscsi));
    return 1;
  }
  print_json(load.latencies, taken, cpu_seconds() - cpu_before);
}
