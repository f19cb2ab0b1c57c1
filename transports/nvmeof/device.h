// SPDX-License-Identifier: Apache-2.0
#pragma once
// A namespace of a remote controller through one I/O queue of one shard. The device that was opened alone
// also holds the session (the admin queue); those that joined by its ticket do not, and notice its end by the
// end of their own queue.

#include <algorithm>

#include "transports/nvmeof/io_request.h"
#include "transports/nvmeof/session.h"

namespace netstor::nvmeof {

class NvmeofDevice final : public Device, public Connection::Owner, public Session::Owner {
 public:
  static Task<std::unique_ptr<Device>> open(NvmeofPort& port, Target target, const OpenOp& op);
  ~NvmeofDevice() override = default;

  const DeviceLimits& limits() const noexcept override { return terms_.limits; }
  Submit submit(DeviceOp& op) override;
  void cancel(DeviceOp& op) override;
  void close(Op& closed) override;
  void observe(DeviceObserver* observer) noexcept override { observer_ = observer; }
  std::optional<Ticket> share() const override { return terms_.ticket(); }
  std::string identity() const override { return identity_; }
  std::string describe() const override;

 private:
  enum class State : std::uint8_t { opening, live, lost, closing };

  NvmeofDevice(NvmeofPort& port, const Target& target, bool writable);
  Task<void> bring_up(const std::optional<Ticket>& share);
  Task<void> begin_session();
  Task<void> identify_namespace();
  Task<void> open_queue();
  Task<void> end();
  Task<void> refresh();

  void connection_lost(Connection& connection) noexcept override;
  void queue_has_room() noexcept override;
  void session_lost(OpResult why) noexcept override;
  void namespaces_changed() noexcept override;

  Submit submit_pair(DeviceOp& op);
  Submit full(unsigned requests) noexcept;
  /// Of the I/O queue.
  std::uint16_t depth() const noexcept { return std::min(target_.options.queue_depth, terms_.depth_max); }
  IoRequest* take() noexcept;
  void put_back(IoRequest& request) noexcept;
  void done(IoRequest& request) noexcept;
  void complete(DeviceOp& op, OpResult result) noexcept;

  NvmeofPort& port_;
  Target target_;
  Terms terms_;
  State state_ = State::opening;
  const bool writable_;
  bool cancelling_ = false;  // inside of cancel(), where nothing may complete
  bool refreshing_ = false;
  bool refresh_again_ = false;
  bool change_pending_ = false;
  OpResult why_ = OpResult::failure(ErrorKind::disconnected);
  DeviceObserver* observer_ = nullptr;
  IoRequest* free_ = nullptr;
  std::unique_ptr<Connection> io_;
  std::unique_ptr<IoRequest[]> requests_;
  std::unique_ptr<Session> session_;
  std::string identity_;
  Op changed_;  // carries device_changed() into poll()
  Op room_;     // and device_has_room()
  bool room_pending_ = false;
  std::string about_;
};

}  // namespace netstor::nvmeof
