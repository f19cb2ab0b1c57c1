// SPDX-License-Identifier: Apache-2.0
// Hosts that have to prove who they are, over both real ends: netstord with a file of keys, and volumes
// opened with secrets, right and wrong.

#include "tests/integration/netstord_process.h"
#include "tests/integration/secrets.h"

#include <netstor/volume.h>

namespace netstor {
namespace {

class Authentication : public ::testing::Test {
 protected:
  Authentication() : keys(folder / "host-keys") {}
  void start(const std::string& lines, std::vector<std::string> more = {}) {
    write_secret(keys, lines);
    more.insert(more.end(), {"--host-keys", keys, "--volume", "default=1MiB,store=memory"});
    server.emplace(folder, more);
    ASSERT_TRUE(server->wait_ready());
    RuntimeOptions with;
    with.shards = 2;
    runtime.emplace(*Runtime::start(with));
  }
  Result<Volume> open(const std::string& secret, const std::string& own = {}, const char* host = kHost) {
    VolumeOptions options;
    options.host_nqn = host;
    options.host_secret = secret;
    options.controller_secret = own;
    return Volume::open(*runtime, server->uri(), options).get();
  }
  void expect_denied(const Result<Volume>& opened, const std::string& words) {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind(), ErrorKind::permission_denied) << opened.error();
    EXPECT_NE(opened.error().text().find(words), std::string::npos) << opened.error();
    EXPECT_EQ(opened.error().text().find("DHHC"), std::string::npos) << "a secret in an error";
  }

  ServerFolder folder;
  std::string keys;
  std::optional<ServerProcess> server;
  std::optional<Runtime> runtime;
};

TEST_F(Authentication, LetsInWhoHoldsTheSecret) {
  start(std::string("# who may come\n\n") + kHost + " " + secret_text(1) + "\n");
  auto volume = open(secret_text(1));
  ASSERT_TRUE(volume) << volume.error();
  expect_round_trips(*runtime, *volume, 8192);
  EXPECT_TRUE(volume->close().get());
}

TEST_F(Authentication, ProvesTheServerToo) {
  start(std::string(kHost) + " " + secret_text(1) + " " + secret_text(2, nvme::AuthHash::none) + "\n");
  auto volume = open(secret_text(1), secret_text(2, nvme::AuthHash::none));
  ASSERT_TRUE(volume) << volume.error();
  EXPECT_TRUE(volume->close().get());
  expect_denied(open(secret_text(1), secret_text(3)), "the controller was not believed");
}

TEST_F(Authentication, RefusesTheRest) {
  start(std::string(kHost) + " " + secret_text(1) + "\n");
  expect_denied(open(secret_text(2)), "the controller refused host nqn.2026-01.org.example:host");
  EXPECT_TRUE(server->logs(
      "host nqn.2026-01.org.example:host did not authenticate to nqn.2026-01.io.netstor:default"));
  expect_denied(open({}), "host_secret is empty");
  expect_denied(open(secret_text(1), secret_text(2)), "");  // this server has nothing to prove itself by
  expect_denied(open(secret_text(1), {}, "nqn.2026-01.org.example:other"), "");
  EXPECT_EQ(server->error_text().find("DHHC"), std::string::npos) << "a secret in the log";
  const auto garbled = open("DHHC-1:00:not-one:");
  ASSERT_FALSE(garbled);
  EXPECT_EQ(garbled.error().kind(), ErrorKind::invalid_argument) << garbled.error();
  auto right = open(secret_text(1));
  EXPECT_TRUE(right) << right.error();
}

TEST_F(Authentication, IsAskedForByTheHostWhoExpectsIt) {
  start(std::string(kHost) + " " + secret_text(1) + "\n");
  ServerFolder other;
  ServerProcess open_to_all(other, {"--volume", "default=1MiB,store=memory"});
  ASSERT_TRUE(open_to_all.wait_ready());
  VolumeOptions options;
  options.host_secret = secret_text(1);
  auto without = Volume::open(*runtime, open_to_all.uri(), options).get();
  ASSERT_TRUE(without) << without.error();
  EXPECT_TRUE(without->close().get());
  options.controller_secret = secret_text(2);
  EXPECT_FALSE(Volume::open(*runtime, open_to_all.uri(), options).get()) << "it has proved nothing";
}

TEST_F(Authentication, RefusesFilesThatAreNotKeptSecretOrAreNone) {
  const auto refusal = [this] {
    ServerProcess process(folder, {"--host-keys", keys});
    EXPECT_EQ(process.wait(), 2);
    EXPECT_EQ(process.error_text().find("DHHC-1:0"), std::string::npos) << process.error_text();
    return process.error_text();
  };
  EXPECT_NE(refusal().find("No such file"), std::string::npos);
  write_secret(keys, std::string(kHost) + " " + secret_text(1));
  std::filesystem::permissions(keys, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  EXPECT_NE(refusal().find("chmod 600"), std::string::npos);
  for (const auto& [lines, words] : std::vector<std::pair<std::string, std::string>>{
           {"", "names no host"},
           {"not-an-nqn " + secret_text(1), "line 1"},
           {std::string("\n") + kHost, "line 2"},
           {std::string(kHost) + " DHHC-1:00:AAAA:", "base64"},
           {std::string(kHost) + " " + secret_text(1) + " " + secret_text(1) + " more", "expected HOST-NQN"},
           {std::string(kHost) + " " + secret_text(1) + "\n" + kHost + " " + secret_text(2), "already"}}) {
    std::filesystem::remove(keys);
    write_secret(keys, lines);
    EXPECT_NE(refusal().find(words), std::string::npos) << lines;
  }
}

}  // namespace
}  // namespace netstor
