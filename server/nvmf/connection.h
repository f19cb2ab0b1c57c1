// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection of a host: the queue pair, and what its requests need. On one shard from accept to end. The
// queue knows the protocol; here is who does the work:
//
//   connection.cc        begin, end and drain
//   tcp_connection.cc    NVMe/TCP: link to queue and back; tcp_connection_tls.cc: the handshake of TLS
//   rdma_connection.cc   NVMe/RDMA: messages to queue and back
//   connection_io.cc     I/O commands to the store and back
//   connection_admin.cc  Connect, admin commands, events, keep alive
//   connection_auth.cc   a host that has to prove who it is, before anything else
//   connection_count.cc  what is counted of every command
//
// The end: end() closes the link below; when it is closed the queue is abandoned; when the last request has
// come back from the store and nobody holds the connection any more, the shard frees it.

#include <netstor/task.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/proto/nvme/controller.h"
#include "lib/proto/nvme/target_core.h"
#include "server/nvmf/io_request.h"
#include "server/nvmf/shard_subsystem.h"

namespace netstor::nvmf {

class TargetShard;
struct HostedController;

/// A connection as an operator sees it. Names are empty until the host has connected a queue.
struct ConnectionFacts {
  unsigned shard = 0;
  std::uint64_t id = 0;  ///< on its shard, never used again
  std::string peer = {};
  std::string host_nqn = {};
  std::string subsystem_nqn = {};
  std::uint16_t cntlid = 0;
  std::uint16_t qid = 0;
  bool authenticated = false;  ///< the host proved who it is
};

class Connection : public nvme::TargetOwner {
 public:
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start(TlsUse tls);
  std::uint64_t id() const noexcept { return id_; }
  /// Closes, whatever is under way. What was accepted by a store is still done there.
  void end();
  /// Takes no further command, answers those that it has, then closes; at `deadline` in any case.
  void drain(Time deadline);
  /// The shard's pool has chunks again; false when that was not enough for the first that waits.
  bool memory_freed();
  bool waits_for_memory() const noexcept { return first_waiting_ != nullptr || queue_.waits_for_buffers(); }
  bool uses(const ShardNamespace& space) const noexcept;
  ConnectionFacts facts() const;
  /// The admin queue's controller has something to tell.
  void tell_events();

  virtual std::string_view peer() const noexcept = 0;

  Connection* next_waiting = nullptr;  ///< the shard's: connections that wait for memory, in order
  bool is_waiting = false;

 protected:
  Connection(TargetShard& shard, std::uint64_t id, nvme::TargetCore& queue);

  // What carries the connection does these.
  virtual void begin(TlsUse tls) = 0;
  /// No Connect came in time.
  virtual void never_began() {}
  /// Why the host may not connect by the names that its Connect says, for what it showed below, or did not;
  /// nothing: it may.
  virtual std::optional<TlsRefusal> refusal_of_tls(const nvme::ConnectData& data) = 0;
  /// Hands what the queue has to say to the link. From the run queue; not when the connection is closing.
  virtual void flush() = 0;
  /// link_closed() when the link has let go of everything.
  virtual void close_link() = 0;
  /// Takes no more from the host.
  virtual bool busy_sending() const noexcept { return false; }
  /// What a read sends must not change under way, so that it cannot be sent from where the store keeps it.
  virtual bool reads_are_copied() const noexcept = 0;
  /// Of the data that commands may bring along; the subsystem `offered` as much on I/O queues.
  virtual std::uint32_t in_capsule_bytes(bool admin, std::uint32_t offered) const noexcept = 0;

  /// Data lies in the host's memory, under keys.
  virtual bool keyed_data() const noexcept { return false; }
  /// What Connect says is what the connection was made for.
  virtual bool fits(const nvme::Connect&) const noexcept { return true; }

  // And uses these.
  TargetShard& shard() noexcept { return shard_; }
  void schedule_flush() noexcept;
  /// Some of the answers have left.
  void answers_left();
  void link_closed();
  /// Only the host's own end is waited for, for a moment.
  void linger();
  bool lingering() const noexcept { return lingering_; }
  bool draining() const noexcept { return draining_; }
  bool closing() const noexcept { return closing_; }
  /// " on NQN", or nothing before Connect.
  std::string on_subsystem() const;

 private:
  void finish_if_idle();
  void on_timer();
  void arm_timer();

  // TargetOwner
  void connect(nvme::TargetRequest& request, const nvme::Connect& connect,
               const nvme::ConnectData& data) override;
  nvme::Status admit(nvme::TargetRequest& request) override;
  bool buffer(nvme::TargetRequest& request) override;
  void execute(nvme::TargetRequest& request) override;
  void release(nvme::TargetRequest& request) noexcept override;

  // connection_admin.cc
  void connect_admin(nvme::TargetRequest& request, const nvme::Connect& connect,
                     const nvme::ConnectData& data);
  Task<void> connect_io(nvme::TargetRequest& request, nvme::Connect connect, nvme::ConnectData data);
  void become(nvme::TargetRequest& request, const nvme::Connect& connect, std::uint16_t cntlid,
              ShardSubsystem& subsystem, std::string_view host_nqn);
  void execute_admin(nvme::TargetRequest& request);
  void obey(nvme::PropertyEffect effect);
  Task<void> write_back();
  void drop_events();
  void warn_of_refusal(const nvme::ConnectData& data, nvme::Status status, std::string_view more = {});

  // connection_auth.cc
  bool let_in() const noexcept { return examiner_ == nullptr || authenticated_; }
  void begin_authentication(const ShardSubsystem& subsystem, std::string_view host_nqn);
  nvme::Status admit_authentication(nvme::TargetRequest& request);
  void authenticate(nvme::TargetRequest& request);
  Task<void> examine(nvme::TargetRequest& request);
  void tell_of_examination();
  void tell_of_no_end();
  void tell_of_failure(std::string_view why);
  void tell_of_no_authentication();

  // connection_count.cc
  void begin_count(const nvme::TargetRequest& request);
  void end_count(const nvme::TargetRequest& request);
  void tell_of_slow(const nvme::TargetRequest& request, Duration took);

  // connection_io.cc
  void read(nvme::TargetRequest& request, IoRequest& io);
  void write(nvme::TargetRequest& request, IoRequest& io);
  void payload_to_memory(nvme::TargetRequest& request, IoRequest& io);
  void compare_and_write(nvme::TargetRequest& second);
  void simple(DeviceVerb verb, nvme::TargetRequest& request, IoRequest& io);
  void start_deallocate(nvme::TargetRequest& request, IoRequest& io);
  bool deallocate_step(nvme::TargetRequest& request, IoRequest& io);
  void flush_step(IoRequest& io);
  void submit(IoRequest& io);
  void submit_waiting(ShardNamespace& space);
  void stored(IoRequest& io);
  bool next_step(IoRequest& io);
  void warn_of_store(const OpResult& result, DeviceVerb verb, std::uint64_t offset, std::uint64_t length);
  void wait_for_memory(IoRequest& io);
  std::byte* own_memory(const nvme::TargetRequest& request);
  bool take_chunks(IoRequest& io, std::uint64_t bytes);

  TargetShard& shard_;
  nvme::TargetCore& queue_;
  const std::uint64_t id_;
  std::unique_ptr<IoRequest[]> io_;  // one for each node of the queue
  ShardSubsystem* subsystem_ = nullptr;
  HostedController* hosted_ = nullptr;                // on admin queues
  std::unique_ptr<nvme::DhChapController> examiner_;  // of hosts that have to prove who they are
  bool examining_ = false;                            // the examiner is the helper thread's
  bool examined_ = false;                             // the host said something to the examiner
  bool failure_told_ = false;
  bool authenticated_ = false;
  Time authentication_deadline_ = Time::max();
  std::uint16_t qid_ = 0;
  std::uint16_t cntlid_ = 0;
  std::string host_nqn_;
  bool flush_scheduled_ = false;
  bool closing_ = false;
  bool link_closed_ = false;
  bool draining_ = false;
  bool lingering_ = false;
  bool stable_reads_ = false;           // reads_are_copied()
  unsigned holds_ = 0;                  // coroutines that will come back
  IoRequest* first_waiting_ = nullptr;  // reads that wait for memory
  IoRequest* last_waiting_ = nullptr;
  net::Mapping own_memory_;  // in-capsule data of stores that cannot take it at once; made when first needed
  std::vector<nvme::TargetRequest*> events_;  // held Asynchronous Event Requests

  struct Self : detail::Runnable {
    Connection* connection = nullptr;
  };
  struct SelfTimer : detail::Timer {
    Connection* connection = nullptr;
  };
  Self flush_task_;
  SelfTimer alarm_;
  Time drain_deadline_ = Time::max();
};

}  // namespace netstor::nvmf
