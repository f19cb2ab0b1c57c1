// SPDX-License-Identifier: Apache-2.0
// Where the S3 client finds its settings: the shared AWS files as the environment names them.

#include "lib/object/credentials.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace netstor::object {
namespace {

/// Both files, and nothing else of the environment that says who we are.
class SharedFiles : public testing::Test {
 protected:
  SharedFiles() {
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE",
                             "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"}) {
      ::unsetenv(name);
    }
    use("/dev/null", "/dev/null");
  }
  static void use(const std::string& config, const std::string& credentials) {
    ::setenv("AWS_CONFIG_FILE", config.c_str(), 1);
    ::setenv("AWS_SHARED_CREDENTIALS_FILE", credentials.c_str(), 1);
  }
};

TEST_F(SharedFiles, NullDeviceIsAnEmptyFile) {
  const auto around = look_around({});
  ASSERT_TRUE(around.ok()) << around.error();
  EXPECT_EQ(around->region, "us-east-1");
  const auto found = find_credentials({});
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().kind(), ErrorKind::permission_denied);
}

TEST_F(SharedFiles, FolderIsRefused) {
  use("/tmp", "/dev/null");
  const auto around = look_around({});
  ASSERT_FALSE(around.ok());
  EXPECT_EQ(around.error().kind(), ErrorKind::invalid_argument);
}

TEST_F(SharedFiles, OneByteMoreThanTheLimitIsRefused) {
  const std::string path = (std::filesystem::temp_directory_path() / "netstor-large-config").string();
  std::ofstream(path) << "[default]\nregion = here\n" << std::string((1 << 20) - 25, '#');
  use(path, "/dev/null");
  const auto whole = look_around({});
  std::ofstream(path, std::ios::app) << "###";
  const auto more = look_around({});
  std::filesystem::remove(path);
  ASSERT_TRUE(whole.ok()) << whole.error();
  EXPECT_EQ(whole->region, "here");
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().kind(), ErrorKind::invalid_argument);
}

}  // namespace
}  // namespace netstor::object
