// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection of a host: a link, the queue pair that speaks over it, and what its requests need. On one
// shard from accept to end. The queue knows the protocol; here is who does the work:
//
//   connection.cc        link to queue and back, one receive and one send in flight, end and drain
//   connection_io.cc     I/O commands to the store and back
//   connection_admin.cc  Connect, admin commands, events, keep alive
//   connection_tls.cc    the handshake of TLS, and whose key it was
//   connection_auth.cc   a host that has to prove who it is, before anything else
//   connection_count.cc  what is counted of every command
//
// The end: end() closes the link; when it is closed the queue is abandoned; when the last request has come
// back from the store and nobody holds the connection any more, the shard frees it.

#include <netstor/ext/link.h>
#include <netstor/task.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/proto/nvme/controller.h"
#include "lib/proto/nvme/target_queue.h"
#include "server/nvmf/io_request.h"
#include "server/nvmf/shard_subsystem.h"
#include "transports/tls_link.h"

namespace netstor::nvmf {

class TargetShard;
struct HostedController;

class Connection final : public nvme::tcp::TargetOwner {
 public:
  Connection(TargetShard& shard, std::uint64_t id, std::unique_ptr<Link> link);
  ~Connection();

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
  /// The admin queue's controller has something to tell.
  void tell_events();

  Connection* next_waiting = nullptr;  ///< the shard's: connections that wait for memory, in order
  bool is_waiting = false;

 private:
  // connection.cc
  void receive();
  void receive_rest();
  void received();
  void schedule_flush() noexcept;
  void flush();
  void was_sent();
  void after_queue();
  void closed();
  void finish_if_idle();
  void on_timer();
  void arm_timer();
  void warn_of_protocol();

  // TargetOwner
  void connect(nvme::tcp::TargetRequest& request, const nvme::Connect& connect,
               const nvme::ConnectData& data) override;
  nvme::Status admit(nvme::tcp::TargetRequest& request) override;
  bool buffer(nvme::tcp::TargetRequest& request) override;
  void execute(nvme::tcp::TargetRequest& request) override;
  void release(nvme::tcp::TargetRequest& request) noexcept override;
  void data_digest_wrong(const nvme::tcp::TargetRequest& request) override;

  // connection_admin.cc
  void connect_admin(nvme::tcp::TargetRequest& request, const nvme::Connect& connect,
                     const nvme::ConnectData& data);
  Task<void> connect_io(nvme::tcp::TargetRequest& request, nvme::Connect connect, nvme::ConnectData data);
  void become(nvme::tcp::TargetRequest& request, const nvme::Connect& connect, std::uint16_t cntlid,
              ShardSubsystem& subsystem, std::string_view host_nqn);
  void execute_admin(nvme::tcp::TargetRequest& request);
  void obey(nvme::PropertyEffect effect);
  Task<void> write_back();
  void drop_events();
  void warn_of_refusal(const nvme::ConnectData& data, nvme::Status status);

  // connection_auth.cc
  bool let_in() const noexcept { return examiner_ == nullptr || authenticated_; }
  void begin_authentication(const ShardSubsystem& subsystem, std::string_view host_nqn);
  nvme::Status admit_authentication(nvme::tcp::TargetRequest& request);
  void authenticate(nvme::tcp::TargetRequest& request);
  Task<void> examine(nvme::tcp::TargetRequest& request);
  void tell_of_examination();

  // connection_count.cc
  void begin_count(const nvme::tcp::TargetRequest& request);
  void end_count(const nvme::tcp::TargetRequest& request);
  void tell_of_slow(const nvme::tcp::TargetRequest& request, Duration took);

  // connection_tls.cc
  void look_at_first_byte();
  void saw_first_byte();
  void begin_tls();
  void tell_of_handshake();
  bool fits_key(const nvme::ConnectData& data) const;

  // connection_io.cc
  void read(nvme::tcp::TargetRequest& request, IoRequest& io);
  void write(nvme::tcp::TargetRequest& request, IoRequest& io);
  void payload_to_memory(nvme::tcp::TargetRequest& request, IoRequest& io);
  void compare_and_write(nvme::tcp::TargetRequest& second);
  void simple(DeviceVerb verb, nvme::tcp::TargetRequest& request, IoRequest& io);
  void start_deallocate(nvme::tcp::TargetRequest& request, IoRequest& io);
  bool deallocate_step(nvme::tcp::TargetRequest& request, IoRequest& io);
  void flush_step(IoRequest& io);
  void submit(IoRequest& io);
  void submit_waiting(ShardNamespace& space);
  void stored(IoRequest& io);
  bool next_step(IoRequest& io);
  void warn_of_store(const OpResult& result, DeviceVerb verb, std::uint64_t offset, std::uint64_t length);
  void wait_for_memory(IoRequest& io);
  std::byte* own_memory(const nvme::tcp::TargetRequest& request);
  bool take_chunks(IoRequest& io, std::uint64_t bytes);

  TargetShard& shard_;
  nvme::tcp::TargetQueue queue_;
  std::unique_ptr<Link> link_;
  TlsLink* tls_ = nullptr;  // link_, when it is one
  const std::uint64_t id_;
  std::unique_ptr<IoRequest[]> io_;  // one for each node of the queue
  ShardSubsystem* subsystem_ = nullptr;
  HostedController* hosted_ = nullptr;                // on admin queues
  std::unique_ptr<nvme::DhChapController> examiner_;  // of hosts that have to prove who they are
  bool examining_ = false;                            // the examiner is the helper thread's
  bool authenticated_ = false;
  Time authentication_deadline_ = Time::max();
  std::uint16_t qid_ = 0;
  bool sending_ = false;
  bool receiving_ = false;
  bool flush_scheduled_ = false;
  bool closing_ = false;
  bool link_closed_ = false;
  bool draining_ = false;
  bool lingering_ = false;          // a TermReq was sent: read to the end, so that it is not lost in a reset
  bool stable_reads_ = false;       // data digests: what is sent must not change under the sum
  std::uint64_t copied_bytes_ = 0;  // of the queue's, in the shard's counter already
  unsigned holds_ = 0;              // coroutines that will come back
  IoRequest* first_waiting_ = nullptr;  // reads that wait for memory
  IoRequest* last_waiting_ = nullptr;
  net::Mapping own_memory_;  // in-capsule data of stores that cannot take it at once; made when first needed
  std::vector<nvme::tcp::TargetRequest*> events_;  // held Asynchronous Event Requests

  SendOp send_;
  RecvOp recv_;
  Op closed_;
  struct Self : detail::Runnable {
    Connection* connection = nullptr;
  };
  struct SelfTimer : detail::Timer {
    Connection* connection = nullptr;
  };
  Self flush_task_;
  SelfTimer alarm_;
  Time drain_deadline_ = Time::max();
  iovec recv_pieces_[kLinkPiecesMax > 64 ? 64 : kLinkPiecesMax];
  nvme::tcp::SendBatch batch_;
};

}  // namespace netstor::nvmf
