// SPDX-License-Identifier: Apache-2.0
#pragma once
// What netstord shows of itself over HTTP (--metrics-listen):
//
//   /metrics   everything that is counted, as Prometheus reads it
//   /healthz   200: the process is alive, and its shards answer
//   /readyz    200: it serves; 503 with the reason: it starts, drains, stops, or its disk is gone
//
// A scrape asks every shard by mailbox and puts the answers together on the pages' own thread; a shard that
// does not answer within kPatience is left out.

#include <netstor/shard.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "server/net/warnings.h"
#include "server/nvmf/target.h"
#include "server/s3/endpoint.h"
#include "server/sight/families.h"
#include "server/sight/pages.h"
#include "server/store/object_store.h"

namespace netstor::server {

/// What there is to see; all of it outlives quiet(). Null where there is none.
struct SightSources {
  Runtime* runtime = nullptr;
  nvmf::Target* target = nullptr;
  s3server::Endpoint* endpoint = nullptr;
  const store::ObjectStore* objects = nullptr;
  net::Warnings* warnings = nullptr;
  std::string state;
  struct Volume {
    std::string name;
    std::array<std::byte, 16> uuid{};
    std::uint64_t size_bytes = 0;
    std::string data_path;  ///< of a file volume
  };
  std::function<std::vector<Volume>()> volumes;  ///< any thread
  std::function<bool()> draining;                ///< any thread; takes no new clients
  std::uint64_t (*thread_allocations)() noexcept = nullptr;
};

class Sight {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(2);

  Sight();
  ~Sight();
  /// Answers /healthz and /readyz from now on. Errors: what listening answers.
  Result<Address> listen(const Address& address);
  /// Why it does not serve yet, or no longer; told by /readyz.
  void not_ready(std::string reason);
  /// It serves.
  void ready(SightSources sources);
  /// A reload (SIGHUP) begins; answers its number. Any thread.
  std::uint64_t reload_begun();
  /// `good`: all of it is in force. Any thread; several may end out of order, and the last begun counts.
  void reload_ended(std::uint64_t number, bool good);
  /// No scrape is under way any more, and none looks at the sources again. False: one still waits for a
  /// shard; then the process has to end without destroying this, or the sources.
  bool quiet();

 private:
  struct Asked;
  Task<sight::Page> page(std::string_view path);
  Task<sight::Page> metrics();
  Task<sight::Page> health();
  Task<sight::Page> connections();
  sight::Page readiness();
  std::optional<std::string> why_not_ready();
  Task<void> wait_for(std::shared_ptr<Asked> asked);
  SightSources sources();
  std::shared_ptr<Asked> ask();
  std::shared_ptr<Asked> ask_for_connections();
  std::string text_of(Asked& asked);
  std::vector<sight::LoopFacts> loops_of(Asked& asked) const;
  std::vector<sight::VolumeFacts> volumes() const;

  const double started_seconds_;
  std::mutex mutex_;    // of the next four: they are set by the program's own threads
  std::string reason_;  // empty: ready
  SightSources sources_;
  sight::ReloadFacts reloads_;
  std::uint64_t reloads_begun_ = 0;
  std::vector<std::shared_ptr<Asked>> late_;  // questions that nobody waits for any more; the pages' shard's
  std::unique_ptr<sight::Pages> pages_;
};

}  // namespace netstor::server
