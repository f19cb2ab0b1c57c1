// SPDX-License-Identifier: Apache-2.0

#include "server/nvmf/shard_subsystem.h"

#include <algorithm>

#include "lib/wire/fabrics/nqn.h"
#include "server/nvmf/tls_keys.h"

namespace netstor::nvmf {

namespace {

/// Those that hold.
const HostSecrets* find_secrets(const SubsystemConfig& config, std::string_view host_nqn) {
  const auto found = std::find_if(config.secrets.begin(), config.secrets.end(),
                                  [=](const HostSecrets& each) { return each.host_nqn == host_nqn; });
  return found == config.secrets.end() || net::passed(found->until) ? nullptr : &*found;
}

bool allows(const SubsystemConfig& config, std::string_view host_nqn) {
  return (config.hosts.empty() && !config.only_listed) ||
         std::find(config.hosts.begin(), config.hosts.end(), host_nqn) != config.hosts.end();
}

bool has_to_authenticate(const SubsystemConfig& config) {
  return config.only_authenticated || !config.secrets.empty();
}

/// Opens nothing (an empty secret never does), and is as much work as any.
const nvme::AuthSecrets& nobodys_secrets() {
  static const nvme::AuthSecrets secrets = [] {
    nvme::AuthSecrets made;
    made.host.transform = nvme::AuthHash::sha256;
    return made;
  }();
  return secrets;
}

}  // namespace

ShardSubsystem::ShardSubsystem(std::shared_ptr<const SubsystemConfig> config,
                               const std::shared_ptr<const Directory>& directory, bool discovery)
    : config_(std::move(config)), directory_(directory), discovery_(discovery) {
  if (!discovery) namespaces_.resize(config_->nsid_max);
}

std::unique_ptr<ShardNamespace> ShardSubsystem::replace(std::uint32_t nsid,
                                                        std::unique_ptr<ShardNamespace> space) {
  // Counts go on where another size takes the place of the volume.
  const auto& before = namespaces_[nsid - 1];
  if (space != nullptr && before != nullptr) space->traffic = before->traffic;
  return std::exchange(namespaces_[nsid - 1], std::move(space));
}

const nvme::NamespaceView* ShardSubsystem::find(std::uint32_t nsid) const {
  const ShardNamespace* const space = at(nsid);
  return space == nullptr ? nullptr : &space->view();
}

std::uint32_t ShardSubsystem::next_nsid(std::uint32_t nsid) const {
  for (std::size_t i = nsid; i < namespaces_.size(); ++i) {
    if (namespaces_[i] != nullptr) return static_cast<std::uint32_t>(i + 1);
  }
  return 0;
}

bool ShardSubsystem::host_allowed(std::string_view host_nqn) const { return allows(*config_, host_nqn); }
const nvme::AuthSecrets* ShardSubsystem::secrets_of(std::string_view host_nqn) const {
  if (!has_to_authenticate(*config_)) return nullptr;
  const HostSecrets* const found = find_secrets(*config_, host_nqn);
  return found != nullptr ? &found->secrets : &nobodys_secrets();
}

std::uint64_t ShardSubsystem::paths(std::string_view host_nqn, std::vector<nvme::PathView>& out) const {
  const auto add = [&](const Directory::Path& path, std::string_view nqn, bool discovery) {
    const bool has_key = path.tls == TlsUse::offered && tls_key_of(*directory_, nqn, host_nqn) != nullptr;
    out.push_back({.nqn = std::string(nqn),
                   .host = path.host,
                   .port = path.port,
                   .rdma = path.rdma,
                   .port_id = path.port_id,
                   .ipv6 = path.host.find(':') != std::string::npos,
                   .discovery = discovery,
                   .secure_channel = path.tls == TlsUse::required || has_key});
  };
  for (const Directory::Path& path : directory_->paths) {
    add(path, nvme::kDiscoveryNqn, true);
    for (const auto& subsystem : directory_->subsystems) {
      const bool stranger = has_to_authenticate(*subsystem) && find_secrets(*subsystem, host_nqn) == nullptr;
      if (allows(*subsystem, host_nqn) && !stranger) add(path, subsystem->nqn, false);
    }
  }
  return directory_->generation;
}

}  // namespace netstor::nvmf
