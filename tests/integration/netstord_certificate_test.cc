// SPDX-License-Identifier: Apache-2.0
// netstord's certificate for buckets as an operator gets it wrong: the start says what it is.

#include "tests/integration/netstord_process.h"
#include "tests/unit/tls_certificates.h"

namespace netstor {
namespace {

class CertificateFiles : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = new tls::Certificates;
    made_->make({.name = "right"});
    made_->make({.name = "other"});
    made_->make({.name = "expired", .valid_from = -7200, .valid_to = -3600});
    for (const char* const name : {"right", "other", "expired"}) {
      std::filesystem::permissions(made_->key(name), std::filesystem::perms::owner_read);
    }
  }
  static void TearDownTestSuite() { delete made_; }
  std::string refusal(const std::string& certificate, const std::string& key) {
    ServerProcess process(folder, words(certificate, key));
    EXPECT_EQ(process.wait(), 3);
    return process.error_text();
  }
  static std::vector<std::string> words(const std::string& certificate, const std::string& key) {
    return {"--volume",  "a=1MiB,store=memory", "--s3-listen", "127.0.0.1:0",
            "--s3-cert", certificate,           "--s3-key",    key};
  }
  ServerFolder folder;
  inline static tls::Certificates* made_ = nullptr;
};

TEST_F(CertificateFiles, OfAnotherKey) {
  const std::string said = refusal(made_->certificate("right"), made_->key("other"));
  EXPECT_NE(said.find("key values mismatch"), std::string::npos) << said;
  EXPECT_NE(said.find("other.key"), std::string::npos) << said;
}

TEST_F(CertificateFiles, WithAKeyThatOthersCanRead) {
  const std::string open = folder / "open.key";
  std::filesystem::copy_file(made_->key("right"), open);
  std::filesystem::permissions(open, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  const std::string said = refusal(made_->certificate("right"), open);
  EXPECT_NE(said.find("chmod 600"), std::string::npos) << said;
}

TEST_F(CertificateFiles, ThatAreNotThere) {
  EXPECT_NE(refusal(folder / "none", made_->key("right")).find("none"), std::string::npos);
  EXPECT_NE(refusal(made_->certificate("right"), folder / "none").find("none"), std::string::npos);
}

TEST_F(CertificateFiles, ThatHaveExpiredAreServedAndToldOf) {
  ServerProcess process(folder, words(made_->certificate("expired"), made_->key("expired")));
  ASSERT_TRUE(process.wait_ready());
  EXPECT_TRUE(process.logs("the certificate expired at "));
  EXPECT_EQ(process.kill(SIGTERM), 0);
}

}  // namespace
}  // namespace netstor
