// SPDX-License-Identifier: Apache-2.0
// netstord: serves volumes over NVMe/TCP and buckets over S3. Builds every part by name, in order, waits for
// a signal, and takes everything down in the opposite order.

#include "server/control/service.h"
#include "server/netstord_allocations.h"
#include "server/netstord_buckets.h"
#include "server/netstord_hosts.h"
#include "server/netstord_notify.h"
#include "server/netstord_options.h"
#include "server/netstord_reload.h"
#include "server/netstord_report.h"
#include "server/netstord_sight.h"
#include "server/netstord_volumes.h"
#include "server/nvmf/target.h"
#include "server/store/safe_file.h"

#include <netstor/capabilities.h>

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <future>
#include <iostream>
#include <thread>

namespace netstor::server {
namespace {

// How much longer than --grace-s the whole stop may take, before the process ends without it.
constexpr Duration kStopMargin = std::chrono::seconds(5);
// How long a reload is waited for, by the thread that takes signals.
constexpr Duration kReloadPatience = std::chrono::seconds(3);

/// What ended a start: the status, after the reason was printed.
struct Failure {
  Exit exit;
};

/// Here, and not where it is used, because only the program itself may read the environment.
Result<std::string> default_state() {
  if (::geteuid() == 0) return std::string("/var/lib/netstord");
  // XDG Base Directory Specification: a relative path there is to be ignored.
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/') {
    return std::string(state) + "/netstord";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') {
    return std::string(home) + "/.local/state/netstord";
  }
  return Error(ErrorKind::not_found,
               "no place for the server's state: neither XDG_STATE_HOME nor HOME is set; "
               "say --state DIR");
}

/// A connection is a descriptor, and the usual soft limit of 1,024 is for programs that select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

sigset_t own_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

/// Before any thread is made, so that they all inherit it and only wait_for_signal() sees them.
void hold_signals() {
  const sigset_t set = own_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit on files is an error of that write alone
}

int wait_for_signal() {
  const sigset_t set = own_signals();
  int signal = 0;
  while (::sigwait(&set, &signal) != 0) {
  }
  if (signal == SIGHUP) return signal;
  // The next one ends the process at once.
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return signal;
}

class Server {
 public:
  explicit Server(ServerOptions options) : options_(std::move(options)) {}
  ~Server() { static_cast<void>(stop(Duration::zero())); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Every part by name, in order.
  std::optional<Failure> start();
  Exit stop(Duration grace);
  /// On SIGHUP. What is broken changes nothing.
  void reload(int argc, char** argv, const ParsedOptions& started);

 private:
  void apply(Reread fresh, std::uint64_t number);
  std::optional<Failure> listen_metrics();
  std::optional<Failure> open_state();
  std::optional<Failure> start_runtime();
  std::optional<Failure> start_target();
  std::optional<Failure> start_buckets();
  nvmf::TlsUse tls_use() const;
  std::optional<Failure> serve();
  std::optional<Failure> start_admin();
  std::optional<Failure> listen();
  std::optional<Failure> listen_s3();
  Failure cannot_listen(const Error& error, std::string_view flag) const;
  std::optional<Failure> announce();
  std::optional<Failure> discard_leftovers();
  void show();
  std::vector<SightSources::Volume> volumes_shown();
  [[noreturn]] void end_without(const std::string& what);
  void end_admin(Duration grace);
  bool apply_to_shards(const Reread& fresh);
  bool sync_volumes();
  Failure failed(Exit exit, const Error& error, std::string_view hint = {}) const;

  // Taken down from the last to the first.
  ServerOptions options_;
  std::optional<store::StateDirectory> state_;
  std::unique_ptr<control::Manager> manager_;
  control::FileKeys host_keys_;  // as of the start; those of buckets are buckets_'s
  std::optional<Runtime> runtime_;
  net::Warnings warnings_{log_warning};
  std::unique_ptr<nvmf::Target> target_;
  BucketServer buckets_;
  Sight sight_;
  std::unique_ptr<control::Service> admin_;
  std::future<void> reload_;  // the last one, which may wait for a shard still
  Report report_;
  std::jthread leftovers_;  // gives the disk back what removed volumes took
};

Failure Server::failed(Exit exit, const Error& error, std::string_view hint) const {
  std::cerr << "netstord: " << error.text() << hint << '\n';
  return {exit};
}

std::optional<Failure> Server::start() {
  for (const auto step :
       {&Server::listen_metrics, &Server::open_state, &Server::start_runtime, &Server::start_target,
        &Server::start_buckets, &Server::serve, &Server::start_admin, &Server::listen, &Server::listen_s3,
        &Server::announce, &Server::discard_leftovers}) {
    if (auto failure = (this->*step)()) return failure;
  }
  return std::nullopt;
}

// First, so that the reason can be asked for while the rest takes its time.
std::optional<Failure> Server::listen_metrics() {
  if (!options_.metrics_listen) return std::nullopt;
  auto address = sight_.listen(*options_.metrics_listen);
  if (!address) return cannot_listen(address.error(), "--metrics-listen");
  report_.metrics = *address;
  return std::nullopt;
}

std::optional<Failure> Server::open_state() {
  if (!options_.port_file.empty()) ::unlink(options_.port_file.c_str());  // of an earlier run
  auto state = store::StateDirectory::open(options_.state);
  if (!state) return failed(Exit::state, state.error());
  state_.emplace(*std::move(state));
  auto volumes = prepare_volumes(*state_, options_);
  if (!volumes) {
    const bool asked_wrongly = volumes.error().kind() == ErrorKind::invalid_argument;
    return failed(asked_wrongly ? Exit::usage : Exit::state, volumes.error());
  }
  auto manager = control::Manager::open(*state_, *std::move(volumes));
  if (!manager) return failed(Exit::state, manager.error());
  manager_ = *std::move(manager);
  for (const std::string& warning : warnings_about(manager_->served())) spdlog::warn("{}", warning);
  if (options_.s3_listen.empty()) return std::nullopt;
  if (auto opened = buckets_.open(state_->path(), options_); !opened)
    return failed(Exit::state, opened.error());
  if (!buckets_.complaint().empty()) spdlog::warn("{}", buckets_.complaint());
  return std::nullopt;
}

std::optional<Failure> Server::start_runtime() {
  auto runtime = Runtime::start({.shards = options_.shards,
                                 .poll_budget = std::chrono::microseconds(options_.poll_budget_us),
                                 .io_driver = options_.io_driver});
  if (!runtime) {
    return failed(runtime.error().kind() == ErrorKind::unsupported ? Exit::driver : Exit::failed,
                  runtime.error());
  }
  runtime_.emplace(*std::move(runtime));
  return std::nullopt;
}

std::optional<Failure> Server::start_target() {
  auto keys = read_keys(options_);
  if (!keys) return failed(Exit::usage, keys.error());
  host_keys_ = *std::move(keys);
  nvmf::TargetConfig config;
  if (!host_keys_.tls_keys.empty()) {
    auto tls = tls::Context::make({.role = tls::Role::server, .pre_shared_keys = true});
    if (!tls) return failed(Exit::failed, tls.error());
    config.tls = *std::move(tls);
  }
  config.connections_max = (options_.connections_max + options_.shards - 1) / options_.shards;
  config.warnings = &warnings_;
  config.slow_limit = slow_limit_of(options_);
  if (options_.memory_bytes) config.buffer_bytes = *options_.memory_bytes / options_.shards;
  auto target = nvmf::Target::start(*runtime_, config);
  if (!target) {
    const bool asked_wrongly = target.error().kind() == ErrorKind::invalid_argument;
    return failed(asked_wrongly ? Exit::usage : Exit::failed, target.error(),
                  asked_wrongly ? " a shard: raise --max-memory or lower --shards" : "");
  }
  target_ = *std::move(target);
  return std::nullopt;
}

std::optional<Failure> Server::start_buckets() {
  if (!buckets_.opened()) return std::nullopt;
  if (auto started =
          buckets_.start(*runtime_, options_, warnings_, manager_->keys_with(buckets_.file_keys()));
      !started) {
    const bool asked_wrongly = started.error().kind() == ErrorKind::invalid_argument;
    return failed(asked_wrongly ? Exit::usage : Exit::failed, started.error(),
                  asked_wrongly ? " a shard: raise --max-memory or lower --shards" : "");
  }
  return std::nullopt;
}

nvmf::TlsUse Server::tls_use() const {
  if (host_keys_.tls_keys.empty()) return nvmf::TlsUse::none;
  return options_.tls_required ? nvmf::TlsUse::required : nvmf::TlsUse::offered;
}

std::optional<Failure> Server::serve() {
  control::Serving serving{.target = target_.get(),
                           .runtime = &*runtime_,
                           .endpoint = buckets_.endpoint(),
                           .objects = buckets_.objects(),
                           .hosts = options_.allowed_hosts,
                           .tls = tls_use(),
                           .keys = host_keys_};
  if (buckets_.started()) serving.keys.access = buckets_.file_keys();
  if (auto served = manager_->serve(std::move(serving)); !served) return failed(Exit::state, served.error());
  return std::nullopt;
}

std::optional<Failure> Server::start_admin() {
  const bool asked = !options_.admin_socket.empty() || options_.admin_listen;
  control::ServiceOptions service{
      .socket = options_.admin_socket.empty() ? state_->path() + "/admin.sock" : options_.admin_socket,
      .listen = options_.admin_listen,
      .certificate_file = options_.admin_certificate,
      .key_file = options_.admin_key,
      .client_ca_file = options_.admin_client_ca,
      .credentials = options_.credentials,
      .state = state_->path(),
      .io_driver = std::string(runtime_->io_driver()),
      .shards = options_.shards,
      .shutdown = [] { ::kill(::getpid(), SIGTERM); }};
  if (options_.admin_socket == "none") service.socket.clear();
  if (service.socket.empty() && !service.listen) return std::nullopt;
  report_.admin_socket = service.socket;
  auto started = control::Service::start(*manager_, std::move(service));
  if (started) {
    admin_ = *std::move(started);
    report_.admin_listening = admin_->listening();
    return std::nullopt;
  }
  if (asked) {
    const bool wrong = started.error().kind() == ErrorKind::invalid_argument;
    return failed(wrong ? Exit::usage : Exit::listen, started.error());
  }
  // Nobody asked for it, and volumes can be served without.
  report_.admin_socket.clear();
  spdlog::warn("no admin service: {}", started.error().text());
  return std::nullopt;
}

Failure Server::cannot_listen(const Error& error, std::string_view flag) const {
  const bool taken = error.kind() == ErrorKind::already_exists;
  return failed(
      Exit::listen, error,
      taken ? "; is another netstord running? " + std::string(flag) + " ADDR:0 takes a free port" : "");
}

std::optional<Failure> Server::listen_s3() {
  for (const Address& asked : options_.s3_listen) {
    auto address = buckets_.listen(asked);
    if (!address && !options_.s3_listen_chosen && address.error().kind() == ErrorKind::already_exists) {
      // Many a program uses this port; nobody said that it has to be this one.
      address = buckets_.listen({.host = asked.host, .port = 0});
      if (address)
        spdlog::warn("{} is taken: buckets are served on port {}", to_string(asked), address->port);
    }
    if (!address) return cannot_listen(address.error(), "--s3-listen");
    report_.s3_listening.push_back(*address);
    report_.s3_reachable.push_back(
        {.host = reachable_host(asked.host, options_.advertise), .port = address->port});
  }
  if (options_.s3_listen_rdma) {
    auto address = buckets_.listen_rdma(*options_.s3_listen_rdma);
    if (!address) return cannot_listen(address.error(), "--s3-listen-rdma");
    if (address->port != 0) report_.s3_rdma = *address;
  }
  return std::nullopt;
}

std::optional<Failure> Server::listen() {
  for (const Address& asked : options_.listen) {
    const std::string reachable = reachable_host(asked.host, options_.advertise);
    auto address = target_->listen({.address = asked, .tls = tls_use(), .advertised_host = reachable}).get();
    if (!address) return cannot_listen(address.error(), "--listen");
    report_.listening.push_back(*address);
    report_.reachable.push_back({.host = reachable, .port = address->port});
    manager_->add_flag_listener({.host = address->host, .port = address->port, .advertise = reachable});
  }
  for (const Address& asked : options_.listen_rdma) {
    const std::string reachable = reachable_host(asked.host, options_.advertise);
    auto address = target_->listen({.address = asked, .advertised_host = reachable, .rdma = true}).get();
    if (!address) return cannot_listen(address.error(), "--listen-rdma");
    report_.rdma_listening.push_back(*address);
    report_.rdma_reachable.push_back({.host = reachable, .port = address->port});
  }
  // Those that operators added: a start is not refused for an address that went away meanwhile.
  for (const std::string& failure : manager_->listen())
    spdlog::error("a listener is not served: {}", failure);
  return std::nullopt;
}

std::optional<Failure> Server::announce() {
  report_.state = state_->path();
  report_.io_driver = runtime_->io_driver();
  if (options_.io_driver == IoDriver::automatic && report_.io_driver != "uring") {
    for (const Capability& capability : capabilities()) {
      if (capability.name == "driver.uring") report_.io_driver_why = "no uring: " + capability.reason;
    }
  }
  report_.shards = options_.shards;
  report_.allowed_hosts = options_.allowed_hosts;
  if (!host_keys_.tls_keys.empty()) report_.tls = options_.tls_required ? "required" : "offered";
  report_.volumes = &manager_->served();
  if (buckets_.started()) {
    report_.buckets = buckets_.names();
    report_.keys_file = buckets_.keys_file();
    report_.keys_made = buckets_.keys_made();
    report_.s3_tls = buckets_.secure();
  }
  show();
  std::cout << (options_.json ? json_of(report_) : text_of(report_)) << std::flush;
  const std::string ports = ports_of(report_);
  if (!options_.port_file.empty()) {
    if (auto written = store::replace_file(options_.port_file, ports); !written) {
      return failed(Exit::failed, written.error());
    }
  }
  if (options_.ready_fd >= 0) {
    const auto wanted = static_cast<ssize_t>(ports.size());
    if (::write(options_.ready_fd, ports.data(), ports.size()) != wanted) {
      return failed(Exit::failed, Error::system(errno, "--ready-fd " + std::to_string(options_.ready_fd)));
    }
    ::close(options_.ready_fd);
  }
  return std::nullopt;
}

// Last: it may take long, and what cannot be removed is no reason not to serve.
std::optional<Failure> Server::discard_leftovers() {
  leftovers_ = std::jthread([folders = manager_->take_leftovers()](const std::stop_token& stop) {
    for (const std::string& folder : folders) {
      if (auto gone = store::StateDirectory::discard(folder, stop); !gone)
        spdlog::error("{}; the next start tries again", gone.error().text());
    }
  });
  return std::nullopt;
}

std::vector<SightSources::Volume> Server::volumes_shown() {
  std::vector<SightSources::Volume> shown;
  for (const store::VolumeRecord& record : manager_->volume_records()) {
    shown.push_back({.name = record.identity.name,
                     .uuid = std::bit_cast<std::array<std::byte, 16>>(record.identity.uuid),
                     .size_bytes = record.size_bytes,
                     .data_path = record.data_path});
  }
  return shown;
}

void Server::show() {
  sight_.ready({.runtime = &*runtime_,
                .target = target_.get(),
                .endpoint = buckets_.endpoint(),
                .objects = buckets_.objects(),
                .warnings = &warnings_,
                .state = state_->path(),
                .volumes = [this] { return volumes_shown(); },
                .draining = [this] { return manager_->draining(); },
                .thread_allocations = thread_allocations});
}

bool Server::sync_volumes() {
  const std::vector<std::string> failed = manager_->sync();
  for (const std::string& line : failed) spdlog::error("{}", line);
  return failed.empty();
}

void Server::reload(int argc, char** argv, const ParsedOptions& started) {
  const std::uint64_t number = sight_.reload_begun();
  auto fresh = reread(argc, argv, default_state(), started);
  if (!fresh) {
    spdlog::error("SIGHUP: nothing was changed: {}", fresh.error().text());
    return sight_.reload_ended(number, false);
  }
  std::string rest;
  for (const std::string& key : fresh->needs_restart) rest += (rest.empty() ? "" : ", ") + key;
  const std::string complaint = std::move(fresh->complaint);
  apply(*std::move(fresh), number);
  if (!complaint.empty()) spdlog::warn("SIGHUP: {}", complaint);
  if (!rest.empty()) spdlog::warn("SIGHUP: changed, but needs a restart: {}", rest);
}

/// A shard that does not answer is waited for no longer than kReloadPatience; it follows when it answers.
void Server::apply(Reread fresh, std::uint64_t number) {
  if (reload_.valid() && reload_.wait_for(Duration::zero()) == std::future_status::timeout) {
    spdlog::error("SIGHUP: nothing was changed: a shard does not answer to the reload before");
    return sight_.reload_ended(number, false);
  }
  set_log_level(fresh.options.log_level);
  reload_ = std::async(std::launch::async, [this, number, fresh = std::move(fresh)] {
    sight_.reload_ended(number, apply_to_shards(fresh) && fresh.needs_restart.empty());
  });
  if (reload_.wait_for(kReloadPatience) == std::future_status::timeout)
    spdlog::error("SIGHUP: a shard does not answer: what was reread is not in force yet");
}

/// Waits for all of them, however long that takes. False: not all of it is in force.
bool Server::apply_to_shards(const Reread& fresh) {
  const Duration slow = slow_limit_of(fresh.options);
  std::vector<Future<void>> parts;
  parts.push_back(target_->set_slow_limit(slow));
  if (s3server::Endpoint* const endpoint = buckets_.endpoint(); endpoint != nullptr) {
    parts.push_back(endpoint->set_slow_limit(slow));
    if (fresh.tls) parts.push_back(endpoint->set_tls(fresh.tls));
  }
  std::vector<Result<void>> results;
  for (Future<void>& part : parts) results.push_back(part.get());
  results.push_back(manager_->renew_file_keys(fresh.keys));
  bool good = true;
  for (const Result<void>& result : results) {
    good = good && result;
    if (!result) spdlog::error("SIGHUP: {}", result.error().text());
  }
  if (good) spdlog::info("SIGHUP: reread log level, slow limit, TLS certificate and files of keys");
  return good;
}

// Something below never answers, a disk perhaps. What can be saved is; then the process goes without it.
void Server::end_without(const std::string& what) {
  spdlog::error("{}; ending all the same", what);
  sync_volumes();
  std::_Exit(static_cast<int>(Exit::unfinished));
}

/// A call under way may wait for a shard that waits for such a disk.
void Server::end_admin(Duration grace) {
  if (admin_ == nullptr) return;
  std::promise<void> ended;
  std::thread ending([this, &ended] {
    admin_.reset();
    ended.set_value();
  });
  if (ended.get_future().wait_for(grace + kStopMargin) == std::future_status::timeout)
    end_without("a call of the admin service is still under way");
  ending.join();
}

Exit Server::stop(Duration grace) {
  sight_.not_ready("stopping");
  leftovers_.request_stop();  // what it leaves is the next start's
  end_admin(grace);
  if (reload_.valid() && reload_.wait_for(kStopMargin) == std::future_status::timeout)
    end_without("a reload is still under way");
  if (target_ == nullptr) {
    if (!sight_.quiet()) end_without("a page of the metrics is still being made");
    return Exit::stopped;
  }
  std::vector<Future<void>> parts;
  parts.push_back(target_->stop(grace));
  if (buckets_.started()) parts.push_back(buckets_.stop(grace));
  const auto deadline = std::chrono::steady_clock::now() + grace + kStopMargin;
  const auto ready = [&parts] { return std::ranges::all_of(parts, [](auto& part) { return part.ready(); }); };
  while (!ready() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (!ready()) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(grace + kStopMargin).count();
    end_without("not everything ended within " + std::to_string(seconds) + " s");
  }
  bool stopped = true;
  for (Future<void>& part : parts) {
    const auto ended = part.get();
    stopped = stopped && ended;
    if (!ended) spdlog::warn("stopping: {}", ended.error().text());
  }
  if (!sight_.quiet()) end_without("a shard does not answer");
  buckets_.release();
  target_.reset();
  return sync_volumes() && stopped ? Exit::stopped : Exit::unfinished;
}

int run(int argc, char** argv) {
  ParsedOptions parsed = parse_options(argc, argv, default_state());
  if (parsed.exit) return *parsed.exit;
  if (const char* const folder = std::getenv("CREDENTIALS_DIRECTORY")) parsed.options.credentials = folder;
  start_log(parsed.options.log_level, parsed.options.log_format);
  hold_signals();
  raise_descriptor_limit();
  const char* const socket = std::getenv("NOTIFY_SOCKET");
  const ServiceManager manager(socket != nullptr ? socket : "");
  Server server(parsed.options);
  if (const auto failure = server.start()) return static_cast<int>(failure->exit);
  spdlog::info("serving");
  manager.ready("serving");
  int signal = wait_for_signal();
  for (; signal == SIGHUP; signal = wait_for_signal()) {
    manager.reloading();
    server.reload(argc, argv, parsed);
    manager.ready("serving");
  }
  manager.stopping();
  spdlog::info("{}: stopping, for at most {} s; once more to end at once",
               signal == SIGTERM ? "SIGTERM" : "SIGINT", parsed.options.grace_s);
  const Exit exit = server.stop(std::chrono::seconds(parsed.options.grace_s));
  spdlog::info("stopped");
  return static_cast<int>(exit);
}

}  // namespace
}  // namespace netstor::server

int main(int argc, char** argv) {
  try {
    return netstor::server::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "netstord: " << error.what() << '\n';
    return static_cast<int>(netstor::server::Exit::failed);
  }
}
