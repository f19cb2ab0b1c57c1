// SPDX-License-Identifier: Apache-2.0
// The service over gRPC: each call to the manager and back. Streams look at the clock, everything else is
// done when it is answered.

#include "server/control/service.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <netstor/version.h>
#include <sched.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <thread>

#include "lib/base/hash.h"
#include "lib/proto/tls/context.h"
#include "lib/wire/http/uri.h"
#include "server/control/admin.grpc.pb.h"
#include "server/control/service_messages.h"
#include "server/store/safe_file.h"

namespace netstor::control {

namespace {

using grpc::ServerContext;
using grpc::ServerWriter;
using grpc::Status;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// No request has a reason to be longer.
constexpr int kRequestBytesMax = 64 << 10;
constexpr int kThreadsMax = 32;
constexpr unsigned kStreamsMax = 12;  // each holds a thread
constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr milliseconds kStep{50};  // how soon a stream sees that it is not wanted any more
constexpr milliseconds kDrainPause{200};
constexpr std::uint32_t kIntervalMin = 100, kIntervalMax = 3'600'000, kInterval = 1'000;

Status answer(const Result<void>& done) { return done ? Status::OK : status_of(done.error()); }

template <class View, class Message>
Status answer(const Result<View>& view, Message& message) {
  if (!view) return status_of(view.error());
  fill(*view, message);
  return Status::OK;
}

template <class View, class Add>
Status answer_all(const Result<std::vector<View>>& views, Add add) {
  if (!views) return status_of(views.error());
  for (const View& view : *views) fill(view, *add());
  return Status::OK;
}

SubsystemRecord record_of(const v1::CreateSubsystemRequest& message) {
  return {.serial = message.serial(),
          .any_host = message.allowed_hosts().empty() && !message.no_host(),
          .hosts = {message.allowed_hosts().begin(), message.allowed_hosts().end()}};
}

class Calls final : public v1::Admin::Service {
 public:
  Calls(Manager& manager, ServiceOptions options)
      : manager_(manager), options_(std::move(options)), started_(std::chrono::system_clock::now()) {}

  void stop() {
    stopping_ = true;
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }

  Status CreateVolume(ServerContext*, const v1::CreateVolumeRequest* in, v1::Volume* out) override {
    const auto request = request_of(*in);
    if (!request) return status_of(request.error());
    return answer(manager_.create_volume(*request), *out);
  }
  Status GetVolume(ServerContext*, const v1::GetVolumeRequest* in, v1::Volume* out) override {
    return answer(manager_.volume(in->name()), *out);
  }
  Status ResizeVolume(ServerContext*, const v1::ResizeVolumeRequest* in, v1::Volume* out) override {
    return answer(manager_.resize_volume(in->name(), in->size_bytes(), in->overcommit()), *out);
  }
  Status RenameVolume(ServerContext*, const v1::RenameVolumeRequest* in, v1::Volume* out) override {
    return answer(manager_.rename_volume(in->name(), in->new_name()), *out);
  }
  Status DeleteVolume(ServerContext*, const v1::DeleteVolumeRequest* in, v1::DeleteVolumeResponse*) override {
    return answer(manager_.delete_volume(in->name(), in->force()));
  }
  Status CreateSubsystem(ServerContext*, const v1::CreateSubsystemRequest* in, v1::Subsystem* out) override {
    return answer(manager_.create_subsystem(in->nqn(), record_of(*in)), *out);
  }
  Status DeleteSubsystem(ServerContext*, const v1::DeleteSubsystemRequest* in,
                         v1::DeleteSubsystemResponse*) override {
    return answer(manager_.delete_subsystem(in->nqn(), in->force()));
  }
  Status AttachNamespace(ServerContext*, const v1::AttachNamespaceRequest* in, v1::Subsystem* out) override {
    return answer(manager_.attach(in->subsystem(), in->volume(), in->nsid()), *out);
  }
  Status DetachNamespace(ServerContext*, const v1::DetachNamespaceRequest* in, v1::Subsystem* out) override {
    return answer(manager_.detach(in->subsystem(), in->nsid()), *out);
  }
  Status AddListener(ServerContext*, const v1::AddListenerRequest* in, v1::Listener* out) override {
    return answer(manager_.add_listener(in->host(), in->port(), in->advertise()), *out);
  }
  Status RemoveListener(ServerContext*, const v1::RemoveListenerRequest* in,
                        v1::RemoveListenerResponse*) override {
    return answer(manager_.remove_listener(in->host(), in->port()));
  }
  Status AllowHost(ServerContext*, const v1::AllowHostRequest* in, v1::Subsystem* out) override {
    return answer(manager_.allow_host(in->subsystem(), in->host()), *out);
  }
  Status ForbidHost(ServerContext*, const v1::ForbidHostRequest* in, v1::Subsystem* out) override {
    return answer(manager_.forbid_host(in->subsystem(), in->host(), in->disconnect()), *out);
  }
  Status AllowAnyHost(ServerContext*, const v1::AllowAnyHostRequest* in, v1::Subsystem* out) override {
    return answer(manager_.allow_any_host(in->subsystem()), *out);
  }
  Status SetHostKey(ServerContext*, const v1::SetHostKeyRequest* in, v1::Host* out) override {
    return answer(manager_.set_host_key(in->nqn(),
                                        {.secret = in->secret(),
                                         .controller_secret = in->controller_secret(),
                                         .until_ms = in->until_ms()},
                                        in->disconnect()),
                  *out);
  }
  Status RevokeHostKey(ServerContext*, const v1::RevokeHostKeyRequest* in, v1::Host* out) override {
    return answer(manager_.revoke_host_key(in->nqn(), in->disconnect()), *out);
  }
  Status DeleteHost(ServerContext*, const v1::DeleteHostRequest* in, v1::DeleteHostResponse*) override {
    return answer(manager_.delete_host(in->nqn(), in->force()));
  }
  Status CreateBucket(ServerContext*, const v1::CreateBucketRequest* in, v1::Bucket* out) override {
    return answer(manager_.create_bucket(in->name(), access_of(*in)), *out);
  }
  Status DeleteBucket(ServerContext*, const v1::DeleteBucketRequest* in, v1::DeleteBucketResponse*) override {
    return answer(manager_.delete_bucket(in->name()));
  }
  Status CreateKey(ServerContext*, const v1::CreateKeyRequest* in, v1::Key* out) override {
    return answer(
        manager_.create_key(
            in->id(),
            {.name = in->name(), .secret = in->secret(), .rights = in->rights(), .until_ms = in->until_ms()}),
        *out);
  }
  Status RotateKey(ServerContext*, const v1::RotateKeyRequest* in, v1::Key* out) override {
    return answer(manager_.rotate_key(in->id(), in->secret(),
                                      in->has_until_ms() ? std::optional(in->until_ms()) : std::nullopt),
                  *out);
  }
  Status SetKeyRights(ServerContext*, const v1::SetKeyRightsRequest* in, v1::Key* out) override {
    return answer(manager_.set_key_rights(in->id(), in->rights()), *out);
  }
  Status SetKeyEnabled(ServerContext*, const v1::SetKeyEnabledRequest* in, v1::Key* out) override {
    return answer(manager_.set_key_enabled(in->id(), in->enabled()), *out);
  }
  Status DeleteKey(ServerContext*, const v1::DeleteKeyRequest* in, v1::DeleteKeyResponse*) override {
    return answer(manager_.delete_key(in->id()));
  }
  Status ListVolumes(ServerContext*, const v1::ListVolumesRequest*, v1::ListVolumesResponse* out) override {
    return answer_all(manager_.volumes(), [out] { return out->add_volumes(); });
  }
  Status ListSubsystems(ServerContext*, const v1::ListSubsystemsRequest*,
                        v1::ListSubsystemsResponse* out) override {
    return answer_all(manager_.subsystems(), [out] { return out->add_subsystems(); });
  }
  Status ListListeners(ServerContext*, const v1::ListListenersRequest*,
                       v1::ListListenersResponse* out) override {
    return answer_all(Result(manager_.listeners()), [out] { return out->add_listeners(); });
  }
  Status ListHosts(ServerContext*, const v1::ListHostsRequest*, v1::ListHostsResponse* out) override {
    return answer_all(Result(manager_.hosts()), [out] { return out->add_hosts(); });
  }
  Status ListBuckets(ServerContext*, const v1::ListBucketsRequest*, v1::ListBucketsResponse* out) override {
    return answer_all(manager_.buckets(), [out] { return out->add_buckets(); });
  }
  Status ListKeys(ServerContext*, const v1::ListKeysRequest*, v1::ListKeysResponse* out) override {
    return answer_all(Result(manager_.keys()), [out] { return out->add_keys(); });
  }
  Status ListConnections(ServerContext*, const v1::ListConnectionsRequest*,
                         v1::ListConnectionsResponse* out) override {
    return answer_all(manager_.connections(), [out] { return out->add_connections(); });
  }

  Status Disconnect(ServerContext*, const v1::DisconnectRequest* in, v1::DisconnectResponse* out) override {
    const auto ended =
        manager_.disconnect({.id = in->id(), .host = in->host(), .subsystem = in->subsystem()});
    if (!ended) return status_of(ended.error());
    out->set_disconnected(static_cast<std::uint32_t>(*ended));
    return Status::OK;
  }

  Status Drain(ServerContext* context, const v1::DrainRequest* in,
               ServerWriter<v1::DrainProgress>* out) override {
    const Stream stream(*this);
    if (!stream) return too_many();
    if (auto begun = manager_.set_draining(true); !begun) return status_of(begun.error());
    const Clock::time_point end = Clock::now() + std::chrono::seconds(in->timeout_s());
    for (;;) {
      const auto load = manager_.load();
      if (!load) return status_of(load.error());
      v1::DrainProgress progress;
      progress.set_connections(connections_of(load->target) + connections_of(load->endpoint));
      progress.set_done(progress.connections() == 0);
      const bool heard = out->Write(progress);
      if (progress.done()) return Status::OK;
      if (in->timeout_s() != 0 && Clock::now() >= end) return Status::OK;
      if (!heard || !wait(*context, kDrainPause)) break;
    }
    if (!stopping_) static_cast<void>(manager_.set_draining(false));
    return {grpc::StatusCode::CANCELLED, "cancelled: connections are taken again"};
  }

  Status Resume(ServerContext*, const v1::ResumeRequest*, v1::ResumeResponse*) override {
    return answer(manager_.set_draining(false));
  }

  Status Shutdown(ServerContext*, const v1::ShutdownRequest*, v1::ShutdownResponse*) override {
    options_.shutdown();
    return Status::OK;
  }

  Status GetServer(ServerContext*, const v1::GetServerRequest*, v1::Server* out) override {
    out->set_version(std::string(linked_version()));
    out->set_pid(::getpid());
    out->set_state(options_.state);
    out->set_shards(options_.shards);
    out->set_io_driver(options_.io_driver);
    out->set_draining(manager_.draining());
    out->set_started_ms(std::chrono::duration_cast<milliseconds>(started_.time_since_epoch()).count());
    return Status::OK;
  }

  Status WatchStatistics(ServerContext* context, const v1::WatchStatisticsRequest* in,
                         ServerWriter<v1::Statistics>* out) override {
    const std::uint32_t interval = in->interval_ms() == 0 ? kInterval : in->interval_ms();
    if (interval < kIntervalMin || interval > kIntervalMax) {
      return status_of({ErrorKind::invalid_argument,
                        "interval_ms: " + std::to_string(interval) + ": expected 100 to 3600000"});
    }
    const Stream stream(*this);
    if (!stream) return too_many();
    Manager::Load before;
    for (std::uint32_t sent = 0;;) {
      auto load = manager_.load();
      if (!load) return status_of(load.error());
      v1::Statistics statistics;
      fill(*load, before, statistics);
      before = *std::move(load);
      if (!out->Write(statistics) || ++sent == in->count()) return Status::OK;
      if (!wait(*context, milliseconds(interval))) return Status::OK;
    }
  }

 private:
  /// A place among the streams; false when all are taken.
  class Stream {
   public:
    explicit Stream(Calls& calls) : calls_(calls), taken_(++calls.streams_ <= kStreamsMax) {}
    ~Stream() { --calls_.streams_; }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    explicit operator bool() const { return taken_; }

   private:
    Calls& calls_;
    bool taken_;
  };

  static Status too_many() {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            "there are " + std::to_string(kStreamsMax) + " streams already: end one first"};
  }

  /// False: the stream is not wanted any more.
  bool wait(const ServerContext& context, milliseconds pause) {
    const Clock::time_point until = Clock::now() + pause;
    std::unique_lock lock(mutex_);
    while (!stopping_ && !context.IsCancelled() && Clock::now() < until) {
      wake_.wait_until(lock, std::min(until, Clock::now() + kStep));
    }
    return !stopping_ && !context.IsCancelled();
  }

  Manager& manager_;
  const ServiceOptions options_;
  const std::chrono::system_clock::time_point started_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_{false};
  std::atomic<unsigned> streams_{0};
};

// ---- Where calls come in.

/// A socket that somebody listens on is not taken over, and what is no socket is not removed.
Result<void> check_socket(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    return Error(ErrorKind::invalid_argument, "the path of the admin socket is too long for this system (" +
                                                  std::to_string(sizeof address.sun_path - 1) + " bytes): " +
                                                  path + "; --admin-socket PATH gives it a shorter one");
  }
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) return ok();
  if (!S_ISSOCK(facts.st_mode)) {
    return Error(ErrorKind::already_exists, path + ": is there and no socket; move it away");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const store::Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return Error::system(errno, "socket");
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return ok();
  return Error(ErrorKind::already_exists, path + ": somebody serves there; is another netstord running?");
}

/// gRPC says only that it could not.
Result<void> check_address(const Address& address) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    size = sizeof v4;
  } else if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    size = sizeof v6;
  } else {
    return Error(ErrorKind::invalid_argument,
                 "--admin-listen " + address.host + ": expected a numeric address");
  }
  const std::string what = "listen on " + listener_name(address.host, address.port);
  const store::Descriptor probe(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  if (probe.get() < 0 || ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
      ::listen(probe.get(), 1) != 0) {
    return Error::system(errno, what);
  }
  return ok();
}

/// A certificate that does not belong to its key is found here, and not by the first operator.
Result<std::shared_ptr<grpc::ServerCredentials>> credentials_of(const ServiceOptions& options) {
  if (options.certificate_file.empty() || options.key_file.empty() || options.client_ca_file.empty()) {
    return Error(
        ErrorKind::invalid_argument,
        "--admin-listen needs --admin-cert, --admin-key and --admin-client-ca: over TCP operators prove "
        "who they are");
  }
  auto checked = tls::Context::make({.role = tls::Role::server,
                                     .ca_file = options.client_ca_file,
                                     .certificate_file = options.certificate_file,
                                     .key_file = options.key_file});
  if (!checked)
    return std::move(checked).error().with_context("--admin-cert, --admin-key, --admin-client-ca");
  NETSTOR_TRY_RETURN(std::string key,
                     store::read_secret_file(options.key_file, kFileBytesMax, options.credentials));
  NETSTOR_TRY_RETURN(std::string certificate,
                     store::read_small_file(options.certificate_file, kFileBytesMax));
  NETSTOR_TRY_RETURN(std::string authority, store::read_small_file(options.client_ca_file, kFileBytesMax));
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = std::move(authority);
  tls.pem_key_cert_pairs.push_back({.private_key = key, .cert_chain = std::move(certificate)});
  auto credentials = grpc::SslServerCredentials(tls);
  wipe(std::as_writable_bytes(std::span(key)));
  wipe(std::as_writable_bytes(std::span(tls.pem_key_cert_pairs[0].private_key)));
  return credentials;
}

/// This thread, and all that it begins, interrupt none that runs (SCHED_BATCH), and a shard that wakes
/// interrupts them (their nice value): it has its core until it sleeps or its share is over. A still lower
/// share, or SCHED_IDLE, would keep operators out just when others keep the cores busy. A system that forbids
/// it serves all the same.
void give_way() {
  constexpr int kNicer = 10;
  const sched_param none{};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &none));
  static_cast<void>(::nice(kNicer));  // of this thread alone: Linux keeps it for each
}

}  // namespace

struct Service::Inside {
  Inside(Manager& manager, ServiceOptions given) : options(given), calls(manager, std::move(given)) {}
  const ServiceOptions options;
  Calls calls;
  std::unique_ptr<grpc::Server> server;
  std::optional<Address> listening;

  Result<void> start();
};

Result<void> Service::Inside::start() {
  grpc::ServerBuilder builder;
  grpc::ResourceQuota quota("admin");
  quota.SetMaxThreads(kThreadsMax);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kRequestBytesMax);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&calls);
  int socket_bound = 1, port = 1;
  if (!options.socket.empty()) {
    NETSTOR_CHECK_RETURN(check_socket(options.socket));
    builder.AddListeningPort("unix:" + http::percent_encoded(options.socket, http::Slash::keep),
                             grpc::InsecureServerCredentials(), &socket_bound);
  }
  if (options.listen) {
    NETSTOR_TRY_RETURN(const auto credentials, credentials_of(options));
    NETSTOR_CHECK_RETURN(check_address(*options.listen));
    builder.AddListeningPort(listener_name(options.listen->host, options.listen->port), credentials, &port);
  }
  // The socket is nobody else's from its first moment on.
  const mode_t before = ::umask(0177);
  std::thread([&] {
    give_way();
    server = builder.BuildAndStart();
  }).join();
  ::umask(before);
  if (server == nullptr || socket_bound == 0 || port == 0) {
    const std::string where = socket_bound == 0 || !options.listen
                                  ? options.socket
                                  : listener_name(options.listen->host, options.listen->port);
    return Error(ErrorKind::permission_denied, where + ": cannot be listened on; is its folder writable?");
  }
  if (options.listen)
    listening = Address{.host = options.listen->host, .port = static_cast<std::uint16_t>(port)};
  return ok();
}

bool Service::available(std::string* why_not) {
  why_not->clear();
  return true;
}

Result<std::unique_ptr<Service>> Service::start(Manager& manager, ServiceOptions options) {
  // What goes wrong is answered; gRPC's own lines would stand in a log that is not theirs.
  gpr_set_log_function([](gpr_log_func_args*) {});
  auto inside = std::make_unique<Inside>(manager, std::move(options));
  NETSTOR_CHECK_RETURN(inside->start());
  return std::unique_ptr<Service>(new Service(std::move(inside)));
}

Service::Service(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}

Service::~Service() {
  constexpr std::chrono::seconds kPatience{2};
  inside_->calls.stop();
  inside_->server->Shutdown(std::chrono::system_clock::now() + kPatience);
  inside_->server->Wait();
}

const std::optional<Address>& Service::listening() const noexcept { return inside_->listening; }

}  // namespace netstor::control
