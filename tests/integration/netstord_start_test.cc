// SPDX-License-Identifier: Apache-2.0
// How netstord starts, what it says, what it refuses, how it ends, and what it costs while nobody asks.

#include "tests/integration/netstord_process.h"

#include <netstor/volume.h>

#include <nlohmann/json.hpp>

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace netstor {
namespace {

using nlohmann::json;

class Netstord : public ::testing::Test {
 protected:
  /// Runs one that is to be refused.
  void expect_refusal(const std::vector<std::string>& arguments, int exit, const std::string& words,
                      bool with_defaults = true) {
    ServerProcess server(folder, arguments, with_defaults);
    EXPECT_EQ(server.wait(), exit) << server.error_text();
    EXPECT_NE(server.error_text().find(words), std::string::npos) << server.error_text();
  }
  std::string volume_json(const std::string& name = "default") const {
    return folder / ("state/volumes/" + name + "/volume.json");
  }
  ServerFolder folder;
};

TEST_F(Netstord, NeedsNoConfigurationAndSaysHowToUseIt) {
  ServerProcess server(folder, {});
  ASSERT_TRUE(server.wait_ready());
  const std::string report = server.out_text();
  for (const std::string& words : {server.uri(), std::string("1 GiB"), folder / "state",
                                   std::string("Ctrl-C"), "kill " + std::to_string(server.pid())}) {
    EXPECT_NE(report.find(words), std::string::npos) << words << " is not in:\n" << report;
  }
  EXPECT_EQ(server.kill(SIGTERM), 0) << server.error_text();
}

TEST_F(Netstord, ReportsToPrograms) {
  ServerProcess server(folder, {"--json", "--volume", "a=2MiB,block=512", "--volume", "b=1GiB,store=null",
                                "--volume", "c=4MiB,store=memory,nqn=nqn.2020-01.org.example:c", "--shards",
                                "2", "--allow-host", "nqn.2020-01.org.example:host"});
  ASSERT_TRUE(server.wait_ready());
  const json report = json::parse(server.out_text(), nullptr, false);
  ASSERT_TRUE(report.is_object()) << server.out_text();
  EXPECT_EQ(report["pid"], server.pid());
  EXPECT_EQ(report["shards"], 2);
  EXPECT_EQ(report["allowed_hosts"], json::array({"nqn.2020-01.org.example:host"}));
  EXPECT_EQ(report["listen"][0]["port"], server.port());
  ASSERT_EQ(report["volumes"].size(), 3U);
  EXPECT_EQ(report["volumes"][0]["block_bytes"], 512);
  EXPECT_EQ(report["volumes"][0]["uris"][0], server.uri("a"));
  EXPECT_EQ(report["volumes"][1]["store"], "null");
  EXPECT_EQ(report["volumes"][1]["size_bytes"], 1 << 30);
  EXPECT_EQ(report["volumes"][2]["nqn"], "nqn.2020-01.org.example:c");
  EXPECT_EQ(report["volumes"][2]["created"], true);
  EXPECT_EQ(server.kill(SIGINT), 0) << server.error_text();
}

TEST_F(Netstord, TellsScriptsItsPorts) {
  const std::string file = folder / "ports";
  std::ofstream(file) << "stale";
  ServerProcess server(folder, {"--listen", "[::1]:0", "--port-file", file});
  if (!server.wait_ready()) GTEST_SKIP() << "no IPv6 loopback on this machine";
  EXPECT_NE(server.port(0), 0);
  EXPECT_NE(server.port(0), server.port(1));
  EXPECT_EQ(file_text(file), std::to_string(server.port(0)) + "\n" + std::to_string(server.port(1)) + "\n");
}

TEST_F(Netstord, ServesWhatItServedBefore) {
  {
    ServerProcess server(folder, {"--volume", "data=2MiB"});
    ASSERT_TRUE(server.wait_ready());
    EXPECT_EQ(server.kill(SIGTERM), 0);
  }
  ServerProcess server(folder, {"--json", "--volume", "more=1MiB"});
  ASSERT_TRUE(server.wait_ready());
  const json report = json::parse(server.out_text(), nullptr, false);
  ASSERT_EQ(report["volumes"].size(), 2U);
  EXPECT_EQ(report["volumes"][0]["name"], "data");
  EXPECT_EQ(report["volumes"][0]["created"], false);
  EXPECT_EQ(report["volumes"][1]["created"], true);
}

TEST_F(Netstord, RefusesASecondServerOnTheSameState) {
  ServerProcess first(folder, {});
  ASSERT_TRUE(first.wait_ready());
  ServerFolder other;
  ServerProcess second(other, {"--state", folder / "state", "--listen", "127.0.0.1:0"}, false);
  EXPECT_EQ(second.wait(), 3);
  EXPECT_NE(second.error_text().find("process " + std::to_string(first.pid())), std::string::npos)
      << second.error_text();
}

TEST_F(Netstord, RefusesAnAddressThatIsTaken) {
  ServerProcess first(folder, {});
  ASSERT_TRUE(first.wait_ready());
  ServerFolder other;
  ServerProcess second(
      other, {"--state", other / "state", "--listen", "127.0.0.1:" + std::to_string(first.port())}, false);
  EXPECT_EQ(second.wait(), 4);
  EXPECT_NE(second.error_text().find(":0 takes a free port"), std::string::npos) << second.error_text();
}

TEST_F(Netstord, ServesBucketsOnAnotherPortWhenTheUsualOneIsTaken) {
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(9000);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // It may be taken already, which does as well.
  static_cast<void>(::bind(other, reinterpret_cast<const sockaddr*>(&at), sizeof at));
  static_cast<void>(::listen(other, 1));
  ServerProcess server(folder, {"--bucket", "photos"});
  ASSERT_TRUE(server.wait_ready());
  EXPECT_NE(server.port(1), 9000);
  EXPECT_TRUE(server.logs("127.0.0.1:9000 is taken")) << server.error_text();
  ::close(other);
  const ServerFolder chosen;
  expect_refusal({"--state", chosen / "state", "--listen", "127.0.0.1:0", "--s3-listen",
                  "127.0.0.1:" + std::to_string(server.port(1))},
                 4, "--s3-listen ADDR:0", false);
}

TEST_F(Netstord, RefusesWhatItDoesNotUnderstand) {
  expect_refusal({"--volume", "UPPER=1GiB"}, 2, "UPPER");
  expect_refusal({"--volume", "nosize"}, 2, "expected NAME=SIZE");
  expect_refusal({"--volume", "v=1GiB,store=tape"}, 2, "file, memory or null");
  expect_refusal({"--volume", "v=1GiB,block=1024"}, 2, "512 or 4096");
  expect_refusal({"--volume", "v=1GiB,nqn=x"}, 2, "NQN");
  expect_refusal({"--volume", "v=1GiB,colour=red"}, 2, "colour");
  expect_refusal({"--volume", "v=512"}, 2, "1MiB");
  expect_refusal({"--volume", "v=1GiB", "--volume", "v=1GiB"}, 2, "twice");
  expect_refusal({"--listen", "127.0.0.1:65536"}, 2, "65536");
  expect_refusal({"--listen", ":4420"}, 2, "expected ADDR");
  expect_refusal({"--allow-host", "not an nqn"}, 2, "NQN");
  expect_refusal({"--shards", "0"}, 2, "--shards");
  expect_refusal({"--io-driver", "magic"}, 2, "--io-driver");
  expect_refusal({"--max-memory", "1KiB"}, 2, "--max-memory");
  expect_refusal({"--no-such-thing"}, 2, "--no-such-thing");
}

TEST_F(Netstord, HelpsAndTellsItsVersion) {
  for (const char* flag : {"--help", "--version"}) {
    ServerProcess server(folder, {flag}, false);
    EXPECT_EQ(server.wait(), 0);
    EXPECT_NE(server.out_text().find("netstord"), std::string::npos);
  }
}

TEST_F(Netstord, RefusesAVolumeThatIsOtherThanAsked) {
  {
    ServerProcess server(folder, {"--volume", "v=2MiB,block=512"});
    ASSERT_TRUE(server.wait_ready());
    EXPECT_EQ(server.kill(SIGTERM), 0);
  }
  const std::string before = file_text(volume_json("v"));
  expect_refusal({"--volume", "new=1MiB", "--volume", "v=3MiB"}, 3, "has the size 2 MiB");
  expect_refusal({"--volume", "v=2MiB,store=memory"}, 3, "has store file");
  expect_refusal({"--volume", "v=2MiB,block=4096"}, 3, "has blocks of 512");
  EXPECT_EQ(file_text(volume_json("v")), before);
  EXPECT_FALSE(std::filesystem::exists(folder / "state/volumes/new"))
      << "a refused command line changes nothing";
  ServerProcess server(folder, {"--volume", "v=2MiB"});
  EXPECT_TRUE(server.wait_ready());
}

TEST_F(Netstord, RefusesADamagedStateAndTouchesNothing) {
  {
    ServerProcess server(folder, {});
    ASSERT_TRUE(server.wait_ready());
    EXPECT_EQ(server.kill(SIGTERM), 0);
  }
  std::ofstream(volume_json(), std::ios::trunc) << "{ half of it";
  expect_refusal({"--volume", "new=1MiB"}, 3, "volumes/default/volume.json");
  EXPECT_EQ(file_text(volume_json()), "{ half of it");
  EXPECT_FALSE(std::filesystem::exists(folder / "state/volumes/new"));
}

TEST_F(Netstord, RunsOnThePosixDriver) {
  ServerProcess server(folder, {"--json", "--io-driver", "posix"});
  ASSERT_TRUE(server.wait_ready());
  EXPECT_EQ(json::parse(server.out_text(), nullptr, false)["io_driver"]["name"], "posix");
  EXPECT_EQ(server.kill(SIGTERM), 0) << server.error_text();
}

TEST_F(Netstord, StopsAlthoughAStrangerHoldsAConnection) {
  ServerProcess server(folder, {"--grace-s", "1"});
  ASSERT_TRUE(server.wait_ready());
  const int stranger = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(server.port()));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(stranger, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  const int status = server.kill(SIGTERM);
  EXPECT_EQ(status, 0) << server.error_text();
  ::close(stranger);
}

class Stranger {
 public:
  explicit Stranger(int port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  ~Stranger() { ::close(fd_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;
  void send(const std::string& bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

 private:
  int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

TEST_F(Netstord, LogsConnectionsBeyondItsLimit) {
  ServerProcess server(folder, {"--max-connections", "1", "--shards", "1"});
  ASSERT_TRUE(server.wait_ready());
  const Stranger first(server.port());
  const Stranger second(server.port());
  EXPECT_TRUE(server.logs("refused, a shard has its 1 connections already")) << server.error_text();
}

TEST_F(Netstord, LogsHostsThatBreakTheProtocol) {
  ServerProcess server(folder, {});
  ASSERT_TRUE(server.wait_ready());
  Stranger stranger(server.port());
  stranger.send(std::string(256, '\xff'));
  EXPECT_TRUE(server.logs(": broke NVMe/TCP and was disconnected: ")) << server.error_text();
}

TEST_F(Netstord, LogsThatItCannotAccept) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer asks a pipe whether memory is an object, and cannot without descriptors";
#endif
  for (const std::size_t door : {0u, 1u}) {
    const ServerFolder own;
    ServerProcess server(own, {"--io-driver", "posix", "--s3-listen", "127.0.0.1:0"});
    ASSERT_TRUE(server.wait_ready());
    const rlimit none{.rlim_cur = 3, .rlim_max = 3};
    ASSERT_EQ(::prlimit(server.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
    const Stranger stranger(server.port(door));
    EXPECT_TRUE(server.logs("accept on 127.0.0.1:" + std::to_string(server.port(door))))
        << server.error_text();
  }
}

/// Clock ticks that a process has used so far.
std::uint64_t ticks_of(pid_t pid) {
  const std::string stat = file_text("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream words(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) words >> skipped;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  words >> user >> system;
  return user + system;
}

std::uint64_t resident_kib_of(pid_t pid) {
  std::istringstream lines(file_text("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("VmRSS:")) return std::stoull(line.substr(6));
  }
  return ~std::uint64_t{0};
}

TEST_F(Netstord, CostsLittleWhileNobodyAsks) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory and time would be measured";
#endif
  ServerProcess server(folder, {"--shards", "4", "--volume", "file=1TiB", "--volume",
                                "ram=64GiB,store=memory", "--volume", "null=1TiB,store=null"});
  ASSERT_TRUE(server.wait_ready());
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const std::uint64_t before = ticks_of(server.pid());
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const std::uint64_t used = ticks_of(server.pid()) - before;
  RecordProperty("idle_ticks_in_2_s", std::to_string(used));
  RecordProperty("idle_resident_kib", std::to_string(resident_kib_of(server.pid())));
  // Of at least 200 ticks. None is what is expected; two are the system's own business.
  EXPECT_LE(used, 2U);
  EXPECT_LT(resident_kib_of(server.pid()), 64U * 1024);
}

TEST_F(Netstord, CostsNothingWithAClientThatDoesNotAsk) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory and time would be measured";
#endif
  ServerProcess server(folder, {});
  ASSERT_TRUE(server.wait_ready());
  Runtime runtime = *Runtime::start();
  const Volume volume = Volume::open(runtime, server.uri()).get().value();
  Buffer block = *Buffer::allocate(4096);
  ASSERT_TRUE(volume.read(0, block.bytes()).get());
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const std::uint64_t servers = ticks_of(server.pid());
  const std::uint64_t clients = ticks_of(::getpid());
  std::this_thread::sleep_for(std::chrono::seconds(2));
  // Of at least 200 ticks each; a shard that polled would take them all.
  EXPECT_LE(ticks_of(server.pid()) - servers, 2U);
  EXPECT_LE(ticks_of(::getpid()) - clients, 2U);
  EXPECT_LT(resident_kib_of(server.pid()), 64U * 1024) << "with its defaults, one volume";
}

}  // namespace
}  // namespace netstor
