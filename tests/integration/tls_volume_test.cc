// SPDX-License-Identifier: Apache-2.0
// Volumes over TLS, both real ends: netstord with a file of keys, and volumes opened with keys, right and
// wrong.

#include "tests/integration/netstord_process.h"
#include "tests/integration/secrets.h"

#include <netstor/metrics.h>
#include <netstor/volume.h>

#include "lib/base/encoding.h"
#include "lib/wire/fabrics/tls_key.h"

namespace netstor {
namespace {

std::string key_text(int number, std::size_t size = 32, nvme::AuthHash transform = nvme::AuthHash::sha256) {
  nvme::TlsKey key;
  key.transform = transform;
  key.size = size;
  key.bytes.fill(std::byte{static_cast<unsigned char>(number)});
  return nvme::format_tls_key(key);
}

class TlsVolume : public ::testing::Test {
 protected:
  TlsVolume() : keys(folder / "tls-keys") {}
  void start(const std::string& lines, std::vector<std::string> more = {}) {
    write_secret(keys, lines);
    more.insert(more.end(), {"--tls-keys", keys, "--volume", "default=1MiB,store=memory"});
    server.emplace(folder, more);
    ASSERT_TRUE(server->wait_ready());
    RuntimeOptions with;
    with.shards = 2;
    runtime.emplace(*Runtime::start(with));
  }
  static VolumeOptions with_key(const std::string& key, const char* host = kHost) {
    VolumeOptions options;
    options.host_nqn = host;
    options.tls_key = key;
    return options;
  }
  Result<Volume> open(const VolumeOptions& options) {
    return Volume::open(*runtime, server->uri(), options).get();
  }
  void expect_denied(const VolumeOptions& options) {
    const auto opened = open(options);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind(), ErrorKind::permission_denied) << opened.error();
    EXPECT_EQ(opened.error().text().find("NVMeTLSkey"), std::string::npos) << "a key in an error";
  }
  void round_trip(const VolumeOptions& options) {
    auto volume = open(options);
    ASSERT_TRUE(volume) << volume.error();
    EXPECT_EQ(volume->info().description.find("TLS 1.3") != std::string::npos, !options.tls_key.empty());
    expect_round_trips(*runtime, *volume, std::size_t{300} * 1024);
    EXPECT_TRUE(volume->close().get());
  }

  ServerFolder folder;
  std::string keys;
  std::optional<ServerProcess> server;
  std::optional<Runtime> runtime;
};

TEST_F(TlsVolume, CarriesBlocks) {
  start(std::string("# who may come\n") + kHost + " " + key_text(1) + "\nnqn.2026-01.org.example:b " +
        key_text(2, 48, nvme::AuthHash::sha384) + "\nnqn.2026-01.org.example:c " +
        key_text(3, 32, nvme::AuthHash::none) + "\nnqn.2026-01.org.example:d " + key_text(4) +
        " old-libnvme\n");
  round_trip(with_key(key_text(1)));
  round_trip(with_key(key_text(2, 48, nvme::AuthHash::sha384), "nqn.2026-01.org.example:b"));
  round_trip(with_key(key_text(3, 32, nvme::AuthHash::none), "nqn.2026-01.org.example:c"));
  round_trip(with_key(key_text(4), "nqn.2026-01.org.example:d"));  // the third form that a host tries
}

TEST_F(TlsVolume, RefusesTheRest) {
  start(std::string(kHost) + " " + key_text(1) + "\n");
  expect_denied(with_key(key_text(2)));
  EXPECT_TRUE(server->logs("host " + std::string(kHost) +
                           " was not let in: TLS: the peer does not hold the key that it named"));
  expect_denied(with_key(key_text(1), "nqn.2026-01.org.example:other"));
  const auto plain = open(with_key({}));
  ASSERT_FALSE(plain) << "without TLS";
  const auto garbled = open(with_key("NVMeTLSkey-1:01:no:"));
  ASSERT_FALSE(garbled);
  EXPECT_EQ(garbled.error().kind(), ErrorKind::invalid_argument) << garbled.error();
  EXPECT_NE(garbled.error().text().find("VolumeOptions::tls_key"), std::string::npos) << garbled.error();
  EXPECT_EQ(server->error_text().find("NVMeTLSkey"), std::string::npos) << "a key in the log";
  round_trip(with_key(key_text(1)));
}

TEST_F(TlsVolume, IsOfferedBesidePlainNvmeTcp) {
  start(std::string(kHost) + " " + key_text(1) + "\n", {"--tls", "offered"});
  round_trip(with_key(key_text(1)));
  round_trip(with_key({}, "nqn.2026-01.org.example:other"));
  expect_denied(with_key({}));  // a host that has a key has to use it
  expect_denied(with_key(key_text(2)));
}

TEST_F(TlsVolume, AndAuthenticationOnOneConnection) {
  const std::string secrets = folder / "host-keys";
  write_secret(secrets, std::string(kHost) + " " + secret_text(1) + " " + secret_text(2) + "\n");
  start(std::string(kHost) + " " + key_text(1) + "\n", {"--host-keys", secrets});
  VolumeOptions both = with_key(key_text(1));
  both.host_secret = secret_text(1);
  both.controller_secret = secret_text(2);
  round_trip(both);
  expect_denied(with_key(key_text(1)));
  both.host_secret = secret_text(3);
  expect_denied(both);
  both.host_secret = secret_text(1);
  both.tls_key = key_text(2);
  expect_denied(both);
}

TEST_F(TlsVolume, DiscoverySaysThatItIsAskedFor) {
  start(std::string(kHost) + " " + key_text(1) + "\n");
  const std::string service = "nvme+tcp://127.0.0.1:" + std::to_string(server->port());
  const auto found = discover(*runtime, service, with_key(key_text(1))).get();
  ASSERT_TRUE(found) << found.error();
  ASSERT_EQ(found->size(), 2u);
  for (const DiscoveredSubsystem& each : *found) EXPECT_TRUE(each.tls_required) << each.nqn;
  EXPECT_FALSE(discover(*runtime, service).get());
}

// Right ones and wrong ones, as text, as bytes and in hexadecimal, at the level that says most.
TEST_F(TlsVolume, SecretsShowUpNowhere) {
  const std::string secrets = folder / "host-keys";
  write_secret(secrets, std::string(kHost) + " " + secret_text(0xA1) + " " + secret_text(0xA2) + "\n");
  start(std::string(kHost) + " " + key_text(0xA3) + "\n",
        {"--host-keys", secrets, "--log-level", "debug", "--json"});
  std::string said = file_text("/proc/" + std::to_string(server->pid()) + "/cmdline");
  for (const int key : {0xA3, 0xA4}) {
    for (const int secret : {0xA1, 0xA4}) {
      VolumeOptions options = with_key(key_text(key));
      options.host_secret = secret_text(secret);
      options.controller_secret = secret_text(secret + 1);
      auto volume = open(options);
      said += volume ? volume->info().description + volume->uri() : volume.error().to_string();
      EXPECT_EQ(volume.ok(), key == 0xA3 && secret == 0xA1);
      if (volume) volume->close().get().value();
    }
  }
  EXPECT_EQ(server->kill(SIGTERM), 0);
  said += server->out_text() + server->error_text();
  for (const int number : {0xA1, 0xA2, 0xA3, 0xA4, 0xA5}) {
    const std::string bytes(8, static_cast<char>(number));
    for (const std::string& each : {bytes, to_hex(std::as_bytes(std::span(bytes))),
                                    to_base64(std::as_bytes(std::span(bytes).first(6)))}) {
      EXPECT_EQ(said.find(each), std::string::npos) << "a secret in: " << said;
    }
  }
  EXPECT_NE(said.find("TLS"), std::string::npos);
}

TEST_F(TlsVolume, RefusesFilesThatAreNotKeptSecretOrAreNone) {
  const auto refusal = [this] {
    ServerProcess process(folder, {"--tls-keys", keys});
    EXPECT_EQ(process.wait(), 2);
    EXPECT_EQ(process.error_text().find("NVMeTLSkey-1:0"), std::string::npos) << process.error_text();
    return process.error_text();
  };
  EXPECT_NE(refusal().find("No such file"), std::string::npos);
  write_secret(keys, std::string(kHost) + " " + key_text(1));
  std::filesystem::permissions(keys, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  EXPECT_NE(refusal().find("chmod 600"), std::string::npos);
  for (const auto& [lines, words] : std::vector<std::pair<std::string, std::string>>{
           {"\n", "names no host"},
           {"not-an-nqn " + key_text(1), "line 1"},
           {std::string("\n") + kHost, "line 2"},
           {std::string(kHost) + " NVMeTLSkey-1:00:AAAA:", "base64"},
           {std::string(kHost) + " " + key_text(1) + " new-libnvme", "expected HOST-NQN KEY"},
           {std::string(kHost) + " " + key_text(1) + "\n" + kHost + " " + key_text(2), "already"}}) {
    std::filesystem::remove(keys);
    write_secret(keys, lines);
    EXPECT_NE(refusal().find(words), std::string::npos) << lines;
  }
}

}  // namespace
}  // namespace netstor
