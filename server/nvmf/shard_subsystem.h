// SPDX-License-Identifier: Apache-2.0
#pragma once
// A subsystem on one shard: what its controllers here see, and the namespaces that its queues here use.
// Every shard has one of each subsystem; the target's home changes them all, one after the other.

#include <memory>
#include <vector>

#include "server/nvmf/config.h"
#include "server/nvmf/shard_namespace.h"

namespace netstor::nvmf {

class ShardSubsystem final : public nvme::SubsystemView {
 public:
  /// `directory` is the shard's own pointer to the newest one. A discovery subsystem has no namespaces.
  ShardSubsystem(std::shared_ptr<const SubsystemConfig> config,
                 const std::shared_ptr<const Directory>& directory, bool discovery);

  ShardNamespace* at(std::uint32_t nsid) const noexcept {
    return nsid - 1 < namespaces_.size() ? namespaces_[nsid - 1].get() : nullptr;
  }
  /// Puts `space` (null: nothing) in the place and answers what was there before, which has to be retired.
  std::unique_ptr<ShardNamespace> replace(std::uint32_t nsid, std::unique_ptr<ShardNamespace> space);
  void configure(std::shared_ptr<const SubsystemConfig> config) { config_ = std::move(config); }

  std::string_view nqn() const override { return config_->nqn; }
  std::string_view serial() const override { return config_->serial; }
  std::string_view model() const override { return config_->model; }
  std::string_view firmware() const override { return config_->firmware; }
  bool discovery() const override { return discovery_; }
  const nvme::ControllerLimits& limits() const override { return config_->limits; }
  std::uint32_t nsid_max() const override { return config_->nsid_max; }
  const nvme::NamespaceView* find(std::uint32_t nsid) const override;
  std::uint32_t next_nsid(std::uint32_t nsid) const override;
  bool host_allowed(std::string_view host_nqn) const override;
  /// By what a host that is allowed has to prove itself; null: by nothing. A host that is not known is asked
  /// for proof as one that is, and fails as one with a wrong secret: nobody learns who is known.
  const nvme::AuthSecrets* secrets_of(std::string_view host_nqn) const;
  std::uint64_t paths(std::string_view host_nqn, std::vector<nvme::PathView>& out) const override;

 private:
  std::shared_ptr<const SubsystemConfig> config_;
  const std::shared_ptr<const Directory>& directory_;
  std::vector<std::unique_ptr<ShardNamespace>> namespaces_;
  bool discovery_;
};

}  // namespace netstor::nvmf
