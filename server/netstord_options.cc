// SPDX-License-Identifier: Apache-2.0
// See netstord_options.h.

#include "server/netstord_options.h"

#include "server/netstord_config.h"
#include "server/s3/route.h"

#include <netstor/uri.h>
#include <netstor/version.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <thread>

namespace netstor::server {

namespace {

constexpr std::uint16_t kPort = 4420;
constexpr std::uint16_t kS3Port = 9000;
constexpr std::uint16_t kS3RdmaPort = 9001;
constexpr std::uint16_t kMetricsPort = 9420;
constexpr std::uint16_t kAdminPort = 4430;
constexpr unsigned kShardsByDefault = 4;

constexpr const char* kAbout =
    "netstord serves volumes over NVMe/TCP and buckets over S3.\n\n"
    "Without options it serves every volume of its state directory on 127.0.0.1:4420 and every bucket on\n"
    "127.0.0.1:9000. Where there is no volume yet it makes one: 'default', 1 GiB, thin.";

constexpr const char* kMore =
    "Examples:\n"
    "  netstord                                          a volume of 1 GiB, for this machine only\n"
    "  netstord --listen 0.0.0.0 --allow-host NQN        for one host on the network\n"
    "  netstord --volume data=100GiB --volume ram=4GiB,store=memory\n"
    "  netstord --bucket photos --bucket public,anonymous=read+list\n"
    "  netstord --listen 127.0.0.1:0 --port-file port    for scripts: any free port, written to a file\n\n"
    "Left alone, NVMe/TCP neither encrypts nor proves who a host is: --allow-host goes by what hosts say of\n"
    "themselves. --tls-keys encrypts and proves both ends, --host-keys proves a host; without either, listen "
    "only\n"
    "on networks that you trust.\n\n"
    "S3 requests are signed with a key of the keys file, or the bucket grants anonymous access. --s3-cert "
    "encrypts\n"
    "what they carry.\n\n"
    "SIGTERM or SIGINT (Ctrl-C) stops the server: commands under way are answered, files are flushed. A "
    "second\n"
    "signal ends it at once.\n\n"
    "Exit status: 0 stopped by a signal; 1 could not start; 2 wrong options; 3 the state directory or a "
    "volume;\n"
    "4 an address to listen on; 5 the I/O driver; 6 stopped, but not everything was answered or flushed.";

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

Error bad_listen(std::string_view flag, std::string_view text) {
  return {ErrorKind::invalid_argument, std::string(flag) + " " + std::string(text) +
                                           ": expected ADDR or ADDR:PORT, IPv6 in brackets, PORT 0 to 65535"};
}

Result<void> set_volume_option(VolumeFlag& flag, std::string_view key, std::string_view value) {
  const std::string of = "--volume " + flag.name + ": ";
  if (key == "store") {
    flag.kind = store::store_kind(value);
    if (!flag.kind) return Error(ErrorKind::invalid_argument, of + "store= takes file, memory or null");
  } else if (key == "block") {
    if (value != "512" && value != "4096") {
      return Error(ErrorKind::invalid_argument, of + "block= takes 512 or 4096");
    }
    flag.block_bytes = value == "512" ? 512 : 4096;
  } else if (key == "nqn") {
    if (auto good = store::check_nqn(value); !good) return std::move(good).error().with_context(of + "nqn=");
    flag.nqn = value;
  } else {
    return Error(ErrorKind::invalid_argument,
                 of + "'" + std::string(key) + "' is none of store=, block=, nqn=");
  }
  return {};
}

void add_volume_options(CLI::App& app, ServerOptions& options, std::vector<std::string>& texts) {
  app.add_option("--state", options.state,
                 "Where volumes and their identities are kept, one server at a time")
      ->type_name("DIR");
  app.add_option(
         "--volume", texts,
         "Serve this volume; make it when it is not there. NAME=SIZE[,store=file|memory|null]"
         "[,block=512|4096][,nqn=NQN]; defaults: store=file, block=4096, nqn.2026-01.io.netstor:NAME. "
         "May be repeated; the volumes of the state directory are served too")
      ->type_name("SPEC")
      ->take_all();
}

void add_network_options(CLI::App& app, ServerOptions& options, std::vector<std::string>& listen,
                         std::vector<std::string>& listen_rdma) {
  app.add_option(
         "--listen", listen,
         "Listen here: ADDR[:PORT], IPv6 in brackets; port 0: one that is free. Default 127.0.0.1:4420; "
         "0.0.0.0 or [::] for every network of the machine. May be repeated")
      ->type_name("ADDR")
      ->take_all();
  app.add_option(
         "--listen-rdma", listen_rdma,
         "Serve volumes over NVMe/RDMA here, as --listen; the address has to be one of an RDMA device. "
         "Without --listen nothing is served over TCP then. May be repeated")
      ->type_name("ADDR")
      ->take_all();
  app.add_option("--advertise", options.advertise,
                 "The numeric address that discovery and the report name where --listen has 0.0.0.0 or [::]; "
                 "default: the machine's first one")
      ->type_name("ADDR");
  app.add_option("--allow-host", options.allowed_hosts,
                 "Let only this host connect. May be repeated. Default: all")
      ->type_name("NQN")
      ->take_all()
      ->check([](const std::string& nqn) {
        auto good = store::check_nqn(nqn);
        return good ? std::string() : good.error().text();
      });
  app.add_option(
         "--host-keys", options.host_keys,
         "Hosts that have to prove who they are (DH-HMAC-CHAP), and by what; others are refused. A line "
         "each: "
         "HOST-NQN SECRET [CONTROLLER-SECRET] [until=TIME], as `nvme gen-dhchap-key` makes them; its mode "
         "has "
         "to be 0600")
      ->type_name("FILE");
  app.add_option("--tls-keys", options.tls_keys,
                 "Serve volumes over TLS 1.3, to hosts by pre-shared keys. A line each: HOST-NQN KEY "
                 "[until=TIME], as `nvme gen-tls-key` makes them; its mode has to be 0600")
      ->type_name("FILE");
  app.add_option_function<std::string>(
         "--tls", [&options](const std::string& use) { options.tls_required = use == "required"; },
         "With --tls-keys: required, or offered: hosts without a key may connect without TLS. Default: "
         "required")
      ->type_name("USE")
      ->check(CLI::IsMember({"required", "offered"}).description(""));
  app.add_option("--max-connections", options.connections_max, "Connections in all; further ones are closed")
      ->type_name("N")
      ->check(CLI::Range(1U, 1'000'000U))
      ->capture_default_str();
}

void add_bucket_options(CLI::App& app, ServerOptions& options, std::vector<std::string>& listen,
                        std::string& listen_rdma, std::vector<std::string>& buckets) {
  app.add_option("--s3-listen", listen,
                 "Serve buckets here, as --listen. Default 127.0.0.1:9000, or a free port when somebody else "
                 "has that "
                 "one; nothing when --listen is given and no --bucket. May be repeated")
      ->type_name("ADDR")
      ->take_all();
  app.add_option(
         "--s3-listen-rdma", listen_rdma,
         "Move the payload of buckets by RDMA, too, for clients that can: ADDR[:PORT], port 9001 unless "
         "said. The address has to be one of an RDMA device; 0.0.0.0 or [::]: each that clients reach "
         "by HTTP")
      ->type_name("ADDR");
  app.add_option(
         "--bucket", buckets,
         "Make this bucket when it is not there: NAME[,anonymous=none|read|list|write, several with +]: "
         "what may be done without a key. May be repeated; the buckets there are served too")
      ->type_name("SPEC")
      ->take_all();
  app.add_option(
         "--s3-keys", options.s3_keys,
         "Who may do what; its mode has to be 0600. Default: s3-keys of the state directory, made when "
         "it is not there")
      ->type_name("FILE");
  app.add_option("--s3-domain", options.s3_domain,
                 "Take BUCKET.DOMAIN as Host, too: buckets by virtual host beside the path")
      ->type_name("DOMAIN");
  app.add_option("--s3-cert", options.s3_certificate,
                 "Serve buckets over TLS alone (https), with this certificate and its chain (PEM)")
      ->type_name("FILE");
  app.add_option("--s3-key", options.s3_certificate_key, "The certificate's key (PEM, without a passphrase)")
      ->type_name("FILE");
}

void add_engine_options(CLI::App& app, ServerOptions& options, std::string& memory) {
  app.add_option("--shards", options.shards,
                 "Threads, each with its own connections. Default: the CPUs, at most 4")
      ->type_name("N")
      ->check(CLI::Range(1U, 256U));
  app.add_option_function<std::string>(
         "--io-driver",
         [&options](const std::string& name) {
           options.io_driver = name == "uring"   ? IoDriver::uring
                               : name == "posix" ? IoDriver::posix
                                                 : IoDriver::automatic;
         },
         "auto, uring or posix; auto: the best that works here")
      ->type_name("NAME")
      ->check([](const std::string& name) {
        return name == "auto" || name == "uring" || name == "posix"
                   ? std::string()
                   : "there is no " + name + ": auto, uring or posix";
      })
      ->default_str("auto");
  app.add_option("--poll-budget-us", options.poll_budget_us,
                 "How long an idle shard looks for work before it sleeps; more is less latency and more CPU")
      ->type_name("US")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--max-memory", memory,
                 "Memory for data under way, over all shards, for volumes and for buckets each; taken when "
                 "needed. Default: 64MiB a shard")
      ->type_name("SIZE");
}

void add_admin_options(CLI::App& app, ServerOptions& options, std::string& listen) {
  app.add_option("--admin-socket", options.admin_socket,
                 "Where `netstor admin` reaches this server: a Unix socket, mode 0600, or none. Default: "
                 "admin.sock of the state directory")
      ->type_name("PATH");
  app.add_option(
         "--admin-listen", listen,
         "And by TCP: ADDR[:PORT], port 4430 unless said. Needs the three files below: operators prove "
         "who they are by a certificate")
      ->type_name("ADDR");
  app.add_option("--admin-cert", options.admin_certificate, "The server's certificate and its chain (PEM)")
      ->type_name("FILE");
  app.add_option("--admin-key", options.admin_key,
                 "The certificate's key (PEM, without a passphrase); its mode has to be 0600")
      ->type_name("FILE");
  app.add_option("--admin-client-ca", options.admin_client_ca,
                 "Who may have signed operators' certificates (PEM)")
      ->type_name("FILE");
}

void add_process_options(CLI::App& app, ServerOptions& options) {
  app.add_flag("--json", options.json, "Print the start-up report as one line of JSON");
  app.add_option("--port-file", options.port_file,
                 "When ready, write the ports to FILE, a line each, in the order of --listen, --listen-rdma, "
                 "--s3-listen, "
                 "--s3-listen-rdma and --metrics-listen")
      ->type_name("FILE");
  app.add_option("--ready-fd", options.ready_fd,
                 "When ready, write the same to this open descriptor and close it")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--grace-s", options.grace_s, "How long stopping waits for commands under way")
      ->type_name("S")
      ->check(CLI::Range(0U, 3600U))
      ->capture_default_str();
}

void add_sight_options(CLI::App& app, ServerOptions& options, std::string& metrics) {
  app.add_option(
         "--metrics-listen", metrics,
         "Serve /metrics (Prometheus), /connections, /healthz and /readyz over HTTP here: ADDR[:PORT]; port "
         "9420 when none is said. Whoever reaches it reads the names of volumes, buckets and hosts, and who "
         "is connected. Default: nowhere")
      ->type_name("ADDR");
  app.add_option("--slow-ms", options.slow_ms,
                 "Log requests that took this long, with where the time went; 0: none. At most one line a "
                 "second, which says how many were left out")
      ->type_name("MS")
      ->check(CLI::Range(0U, 3'600'000U))
      ->capture_default_str();
  app.add_option("--log-level", options.log_level,
                 "debug, info, warning, error or off; the log goes to stderr")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}).description(""))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--log-format",
         [&options](const std::string& name) {
           options.log_format = name == "json" ? LogFormat::json : LogFormat::text;
         },
         "text for people, json for programs: an object a line with time, level, event and message")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->default_str("text");
}

}  // namespace

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

Result<BucketFlag> parse_bucket(std::string_view text) {
  const std::size_t comma = text.find(',');
  BucketFlag flag{.name = std::string(text.substr(0, comma)), .anonymous = std::nullopt};
  const std::string of = "--bucket " + flag.name + ": ";
  if (!s3server::valid_bucket_name(flag.name))
    return Error(ErrorKind::invalid_argument,
                 of + "expected 3 to 63 of a-z, 0-9, dots and dashes, letters or digits at both ends");
  if (comma == std::string_view::npos) return flag;
  constexpr std::string_view kAnonymous = "anonymous=";
  std::string_view rest = text.substr(comma + 1);
  const Error wrong(ErrorKind::invalid_argument,
                    of + "expected anonymous=none, read, list or write; several with +");
  if (!rest.starts_with(kAnonymous)) return wrong;
  rest.remove_prefix(kAnonymous.size());
  flag.anonymous.emplace();
  for (bool more = rest != "none"; more;) {
    const std::size_t plus = rest.find('+');
    const std::string_view word = rest.substr(0, plus);
    if (word == "read")
      flag.anonymous->read = true;
    else if (word == "list")
      flag.anonymous->list = true;
    else if (word == "write")
      flag.anonymous->write = true;
    else
      return wrong;
    more = plus != std::string_view::npos;
    if (more) rest.remove_prefix(plus + 1);
  }
  return flag;
}

Result<Address> parse_listen(std::string_view text, std::string_view flag, std::uint16_t default_port) {
  Address address{.host = {}, .port = default_port};
  std::string_view host = text;
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return bad_listen(flag, text);
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return bad_listen(flag, text);
    if (!rest.empty()) port = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  if (host.empty() || host.find('/') != std::string_view::npos) return bad_listen(flag, text);
  if (port) {
    const auto number = parse_port(*port);
    if (!number) return bad_listen(flag, text);
    address.port = *number;
  }
  address.host = host;
  return address;
}

Result<VolumeFlag> parse_volume(std::string_view text) {
  const auto equals = text.find('=');
  const auto comma = std::min(text.find(','), text.size());
  if (equals == std::string_view::npos || equals > comma) {
    return Error(ErrorKind::invalid_argument,
                 "--volume " + std::string(text) + ": expected NAME=SIZE, for example data=100GiB");
  }
  VolumeFlag flag;
  flag.name = text.substr(0, equals);
  if (auto good = store::check_volume_name(flag.name); !good)
    return std::move(good).error().with_context("--volume");
  auto size = parse_size(text.substr(equals + 1, comma - equals - 1));
  if (!size) return std::move(size).error().with_context("--volume " + flag.name);
  flag.size_bytes = *size;
  for (std::string_view rest = text.substr(comma); !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view option = rest.substr(0, rest.find(','));
    rest.remove_prefix(option.size());
    const auto at = std::min(option.find('='), option.size());
    NETSTOR_CHECK_RETURN(
        set_volume_option(flag, option.substr(0, at), option.substr(std::min(at + 1, option.size()))));
  }
  NETSTOR_CHECK_RETURN(store::check_spec({.name = flag.name,
                                          .nqn = flag.nqn.value_or(""),
                                          .kind = flag.kind.value_or(store::StoreKind::file),
                                          .size_bytes = flag.size_bytes,
                                          .block_bytes = flag.block_bytes.value_or(4096)}));
  return flag;
}

ParsedOptions parse_options(int argc, char** argv, const Result<std::string>& default_state,
                            std::ostream& out, std::ostream& errors) {
  ParsedOptions parsed;
  ServerOptions& options = parsed.options;
  options.shards = std::clamp(std::thread::hardware_concurrency(), 1U, kShardsByDefault);
  CLI::App app(kAbout, "netstord");
  app.footer(kMore);
  app.set_version_flag("--version", "netstord " + std::string(linked_version()));
  std::vector<std::string> listen;
  std::vector<std::string> listen_rdma;
  std::vector<std::string> volumes;
  std::vector<std::string> s3_listen;
  std::string s3_listen_rdma;
  std::vector<std::string> buckets;
  std::string memory;
  std::string metrics;
  std::string admin_listen;
  add_volume_options(app, options, volumes);
  add_network_options(app, options, listen, listen_rdma);
  add_bucket_options(app, options, s3_listen, s3_listen_rdma, buckets);
  add_admin_options(app, options, admin_listen);
  add_engine_options(app, options, memory);
  add_process_options(app, options);
  add_sight_options(app, options, metrics);
  bool print = false;
  add_config(app, print);
  try {
    app.parse(argc, argv);
    // Thrown, so that CLI11 says it in its own words and with its hint at --help.
    const auto checked = [](auto result) {
      if (!result) throw CLI::ValidationError(result.error().text());
      return *std::move(result);
    };
    for (const std::string& text : listen) options.listen.push_back(checked(parse_listen(text)));
    for (const std::string& text : listen_rdma)
      options.listen_rdma.push_back(checked(parse_listen(text, "--listen-rdma")));
    for (const std::string& text : volumes) options.volumes.push_back(checked(parse_volume(text)));
    for (const std::string& text : s3_listen)
      options.s3_listen.push_back(checked(parse_listen(text, "--s3-listen", kS3Port)));
    if (!s3_listen_rdma.empty())
      options.s3_listen_rdma = checked(parse_listen(s3_listen_rdma, "--s3-listen-rdma", kS3RdmaPort));
    if (!admin_listen.empty())
      options.admin_listen = checked(parse_listen(admin_listen, "--admin-listen", kAdminPort));
    for (const std::string& text : buckets) options.buckets.push_back(checked(parse_bucket(text)));
    if (!metrics.empty())
      options.metrics_listen = checked(parse_listen(metrics, "--metrics-listen", kMetricsPort));
    if (!memory.empty()) options.memory_bytes = checked(parse_size(memory));
    if (print) {
      out << config_text(app) << std::flush;
      parsed.exit = 0;
    }
    if (options.state.empty() && !print) options.state = checked(default_state);
  } catch (const CLI::ParseError& error) {
    // CLI11's own numbers are many; a script needs one.
    parsed.exit = app.exit(error, out, errors) == 0 ? 0 : static_cast<int>(Exit::usage);
  }
  for (const CLI::Option* each : app.get_options()) {
    if (each->get_configurable() && each->count() != 0)
      parsed.given[each->get_lnames().front()] = each->results();
  }
  const bool chosen = !options.listen.empty() || !options.listen_rdma.empty();
  if (options.s3_listen.empty() && (!chosen || !options.buckets.empty() || options.s3_listen_rdma)) {
    options.s3_listen.push_back({.host = "127.0.0.1", .port = kS3Port});
    options.s3_listen_chosen = false;
  }
  if (!chosen) options.listen.push_back({.host = "127.0.0.1", .port = kPort});
  return parsed;
}

}  // namespace netstor::server
