// SPDX-License-Identifier: Apache-2.0
// See netstord_volumes.h.

#include "server/netstord_volumes.h"

#include <netstor/uri.h>

#include <unistd.h>

#include <set>

namespace netstor::server {

namespace {

constexpr std::uint64_t kDefaultBytes = std::uint64_t{1} << 30;

Error differs(const VolumeFlag& flag, const std::string& state, const std::string& what,
              const std::string& has, const std::string& asked) {
  return {ErrorKind::already_exists, "volume '" + flag.name + "' in " + state + " has " + what + " " + has +
                                         ", but --volume asks for " + asked +
                                         ": leave the option out to serve it as it is, or use another name"};
}

Result<void> agrees(const VolumeFlag& flag, const store::VolumeRecord& record, const std::string& state) {
  if (flag.size_bytes != record.size_bytes) {
    return differs(flag, state, "the size",
                   format_size(record.size_bytes) + " (" + std::to_string(record.size_bytes) + " bytes)",
                   format_size(flag.size_bytes) + " (" + std::to_string(flag.size_bytes) + " bytes)");
  }
  if (flag.kind && *flag.kind != record.kind) {
    return differs(flag, state, "store", std::string(store::to_string(record.kind)),
                   std::string(store::to_string(*flag.kind)));
  }
  if (flag.block_bytes && *flag.block_bytes != record.block_bytes) {
    return differs(flag, state, "blocks of", std::to_string(record.block_bytes) + " bytes",
                   std::to_string(*flag.block_bytes));
  }
  if (flag.nqn && *flag.nqn != record.identity.nqn) {
    return differs(flag, state, "the NQN", record.identity.nqn, *flag.nqn);
  }
  return {};
}

store::VolumeSpec spec_of(const VolumeFlag& flag) {
  store::VolumeSpec spec{.name = flag.name, .nqn = flag.nqn.value_or(""), .size_bytes = flag.size_bytes};
  if (flag.kind) spec.kind = *flag.kind;
  if (flag.block_bytes) spec.block_bytes = *flag.block_bytes;
  return spec;
}

}  // namespace

Result<std::vector<ServedVolume>> prepare_volumes(store::StateDirectory& state,
                                                  const ServerOptions& options) {
  std::vector<store::VolumeSpec> missing;
  std::set<std::string> named;
  for (const VolumeFlag& flag : options.volumes) {
    if (!named.insert(flag.name).second) {
      return Error(ErrorKind::invalid_argument, "--volume names '" + flag.name + "' twice");
    }
    if (const auto* const there = state.find(flag.name)) {
      NETSTOR_CHECK_RETURN(agrees(flag, *there, state.path()));
    } else {
      missing.push_back(spec_of(flag));
    }
  }
  if (missing.empty() && state.volumes().empty())
    missing.push_back({.name = "default", .nqn = {}, .size_bytes = kDefaultBytes});
  std::set<std::string> created;
  for (const store::VolumeSpec& spec : missing) {
    NETSTOR_TRY_RETURN(const store::VolumeRecord record, state.create(spec));
    created.insert(record.identity.name);
  }
  std::vector<ServedVolume> volumes;
  for (const store::VolumeRecord& record : state.volumes()) {
    auto stored = store::open_volume(record);
    if (!stored) return std::move(stored).error().with_context("volume '" + record.identity.name + "'");
    volumes.push_back({record, created.contains(record.identity.name), *std::move(stored)});
  }
  return volumes;
}

std::vector<std::string> warnings_about(const std::vector<ServedVolume>& volumes) {
  std::vector<std::string> warnings;
  std::uint64_t in_memory = 0;
  for (const ServedVolume& volume : volumes) {
    if (volume.record.kind == store::StoreKind::memory) in_memory += volume.record.size_bytes;
  }
  const std::uint64_t installed = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                                  static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (in_memory > installed) {
    warnings.push_back("memory volumes of " + format_size(in_memory) + " are more than this machine's " +
                       format_size(installed) + ": the system ends the server when they fill up");
  }
  return warnings;
}

}  // namespace netstor::server
