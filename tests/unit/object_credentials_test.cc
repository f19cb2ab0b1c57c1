// SPDX-License-Identifier: Apache-2.0
// Where the S3 client finds its settings: the shared AWS files as the environment names them.

#include "lib/object/credential_cache.h"
#include "lib/object/credentials.h"
#include "lib/object/proxy.h"

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
    for (const char* name :
         {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION",
          "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
          "AWS_CONTAINER_CREDENTIALS_FULL_URI"}) {
      ::unsetenv(name);
    }
    ::setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
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
  const auto found = find_source({});
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

TEST_F(SharedFiles, RelativeUriIsOfTheContainersOwnAddress) {
  ::setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1", 1);
  const auto found = find_source({});
  ::unsetenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  ASSERT_TRUE(found.ok()) << found.error();
  const auto* container = std::get_if<ContainerSource>(&found->what);
  ASSERT_NE(container, nullptr);
  EXPECT_EQ(container->url, "http://169.254.170.2/v2/credentials/1");
}

TEST(ContainerUrl, HttpIsForThisMachineAndContainersServices) {
  for (const char* url :
       {"http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]:9/", "https://keys.example/x",
        "http://169.254.170.2/x", "http://169.254.170.23/x", "http://[fd00:ec2::23]/x"}) {
    EXPECT_TRUE(check_container_url(url).ok()) << url;
  }
  for (const char* url :
       {"http://keys.example/", "http://127.keys.example", "http://10.0.0.1/", "file:///x", "x"}) {
    EXPECT_FALSE(check_container_url(url).ok()) << url;
  }
}

TEST(Renewal, ComesFiveMinutesBeforeTheEndOrInTheLastQuarter) {
  const WallTime now(std::chrono::hours(1000));
  using std::chrono::minutes;
  EXPECT_EQ(renewal_time(now, now + minutes(60)), now + minutes(55));
  EXPECT_EQ(renewal_time(now, now + minutes(4)), now + minutes(3));
  EXPECT_EQ(renewal_time(now, now - minutes(4)), now - minutes(4));
}

std::string proxy_of(const std::string& url, const std::string& none, const std::string& host,
                     std::uint16_t port = 80) {
  const auto proxy = proxy_for({.http = url, .https = {}, .none = none}, false, host, port);
  if (!proxy) return "error: " + proxy.error().text();
  return *proxy ? (*proxy)->host + ":" + std::to_string((*proxy)->port) : "";
}

TEST(Proxies, AreChosenByTheEndpoint) {
  EXPECT_EQ(proxy_of("", "", "a.example"), "");
  EXPECT_EQ(proxy_of("http://p:3128", "", "a.example"), "p:3128");
  EXPECT_EQ(proxy_of("p:3128/", "", "a.example"), "p:3128");
  EXPECT_EQ(proxy_of("http://[::2]:1", "", "a.example"), "::2:1");
  EXPECT_EQ(proxy_of("p", "", "a.example"), "p:80");
  for (const char* none :
       {"*", "a.example", "x, A.Example", "example", ".example", "*.example", "a.example:80"}) {
    EXPECT_EQ(proxy_of("p", none, "a.example"), "") << none;
  }
  for (const char* none : {"b.example", "ample", "a.example:81", "a.example.com", ",", ".a.example.x"}) {
    EXPECT_EQ(proxy_of("p", none, "a.example"), "p:80") << none;
  }
  EXPECT_EQ(proxy_of("p", "::2", "::2"), "");
  EXPECT_EQ(proxy_of("p", "[::2]:80", "::2"), "");
  for (const char* self : {"localhost", "127.0.0.1", "127.9.9.9", "::1", "LOCALHOST"}) {
    EXPECT_EQ(proxy_of("p", "", self), "") << self;
  }
  EXPECT_EQ(proxy_of("p", "", "127.example"), "p:80");
}

TEST(Proxies, ErrorsHaveNoPassword) {
  for (const char* url : {"socks5://me:the-password@p:1", "http://me:the-password@p:x",
                          "http://me:the-password@", "http://me:the-%pas@p", "https://me:the-password@p"}) {
    const std::string text = proxy_of(url, "", "a.example");
    EXPECT_TRUE(text.starts_with("error: ")) << url;
    EXPECT_EQ(text.find("the-"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace netstor::object
