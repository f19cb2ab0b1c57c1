// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/target.h"

#include "tests/sim/pattern.h"
#include "transports/sim/disk.h"

#include <array>
#include <utility>

namespace netstor::sim {

namespace {

class DiskTarget final : public Target {
 public:
  explicit DiskTarget(World& world) : disk_(world.disk("volume", kVolumeBlocks * kPatternBytes)) {}
  std::string uri() const override { return "sim://volume"; }
  Disk& disk() override { return disk_; }

 private:
  Disk& disk_;
};

}  // namespace

std::optional<Defect> defect_of(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Defect>, 5> kDefects = {{
      {"acknowledge-before-store", Defect::acknowledge_before_store},
      {"ignore-flush", Defect::ignore_flush},
      {"misplace", Defect::misplace},
      {"complete-twice", Defect::complete_twice},
      {"forget", Defect::forget},
  }};
  for (const auto& [known, defect] : kDefects) {
    if (known == name) return defect;
  }
  return std::nullopt;
}

std::unique_ptr<Target> make_disk_target(World& world) { return std::make_unique<DiskTarget>(world); }

}  // namespace netstor::sim
