// SPDX-License-Identifier: Apache-2.0
// The keys file of the S3 endpoint.

#include "server/s3/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace netstor::s3server {
namespace {

constexpr std::string_view kSecret = "aws_secret_access_key = a-secret-long-enough\n";

Result<Keys> keys(const std::string& allow) {
  return Keys::parse(
      "[u]\naws_access_key_id = ID\n" + std::string(kSecret) + "netstor_allow = " + allow + "\n", "f");
}

TEST(S3Keys, GrantsWhatIsSaidAndNoMore) {
  const Keys all = keys("r:photos/2024/ wl:logs-* rwl:mine").value();
  const User& user = *all.find("ID");
  EXPECT_TRUE(user.may(Right::read, "photos", "2024/a"));
  EXPECT_FALSE(user.may(Right::read, "photos", "2025/a"));
  EXPECT_FALSE(user.may(Right::read, "photos", ""));
  EXPECT_FALSE(user.may(Right::write, "photos", "2024/a"));
  EXPECT_FALSE(user.may(Right::read, "photos2", "2024/a"));
  EXPECT_TRUE(user.may(Right::write, "logs-1", ""));
  EXPECT_FALSE(user.may(Right::read, "logs-1", "a"));
  EXPECT_FALSE(user.may(Right::write, "log", "a"));
  EXPECT_TRUE(user.may(Right::list, "mine", ""));
  EXPECT_TRUE(user.knows("photos"));
  EXPECT_FALSE(user.knows("other"));
  EXPECT_EQ(all.find("id"), nullptr);
}

TEST(S3Keys, RefusesWhatItDoesNotUnderstandWithoutTellingTheSecret) {
  for (const char* allow : {"x:a", "rr:a", "r:", "r", ":a", "r:a*b", "r:%zz"}) {
    const auto refused = keys(allow);
    ASSERT_FALSE(refused.ok()) << allow;
    EXPECT_NE(refused.error().text().find("f, line 4"), std::string::npos) << refused.error().text();
  }
  for (const char* text :
       {"[u]\naws_access_key_id = ID\naws_secret_access_key = short\nnetstor_allow = r:a\n",
        "[u]\naws_access_key_id = ID\naws_secret_access_key = a-secret-long-enough\n",
        "[u]\naws_secret_access_key = a-secret-long-enough\nnetstor_allow = r:a\n",
        "aws_access_key_id = ID\n", "[u\n", "[u]\nnothing\n", "[u]\na = 1\na = 2\n"}) {
    const auto refused = Keys::parse(text, "f");
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().text().find("a-secret"), std::string::npos);
    EXPECT_EQ(refused.error().text().find("short"), std::string::npos);
  }
}

TEST(S3Keys, KnowsEveryNameThatIsOurs) {
  const auto misspelt = keys("r:a\nnetstor_untill = 2001-01-01T00:00:00Z");
  ASSERT_FALSE(misspelt.ok());
  EXPECT_NE(misspelt.error().text().find("f, line 5"), std::string::npos) << misspelt.error().text();
  EXPECT_TRUE(keys("r:a\nregion = here\nendpoint_url = http://there").ok());
}

TEST(S3Keys, TwoSectionsDoNotShareAnId) {
  const std::string one = "[u]\naws_access_key_id = ID\n" + std::string(kSecret) + "netstor_allow = r:a\n";
  EXPECT_FALSE(Keys::parse(one + one, "f").ok());
}

class S3KeysFile : public ::testing::Test {
 protected:
  S3KeysFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "keys-XXXXXX").string();
    folder = ::mkdtemp(pattern.data());
    path = folder + "/s3-keys";
  }
  ~S3KeysFile() override { std::filesystem::remove_all(folder); }
  std::string folder;
  std::string path;
};

TEST_F(S3KeysFile, ANewOneIsItsOwnersAlone) {
  ASSERT_TRUE(Keys::make(path).ok());
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  const auto read = Keys::read(path);
  ASSERT_TRUE(read.ok()) << read.error();
  EXPECT_EQ(read->size(), 1u);
  EXPECT_EQ(Keys::make(path).error().kind(), ErrorKind::already_exists);
}

TEST_F(S3KeysFile, OthersMustNotReadIt) {
  ASSERT_TRUE(Keys::make(path).ok());
  for (const mode_t mode : {0640, 0604, 0620}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(Keys::read(path).error().kind(), ErrorKind::permission_denied);
  }
  EXPECT_EQ(Keys::read(folder + "/none").error().kind(), ErrorKind::not_found);
  EXPECT_EQ(Keys::read(folder).error().kind(), ErrorKind::invalid_argument);
}

// systemd's copies: 0440, where the group's bits are those of the access list's mask.
TEST_F(S3KeysFile, OfACredentialTheGroupMayRead) {
  const std::string credentials = folder + "/credentials";
  ASSERT_TRUE(std::filesystem::create_directory(credentials));
  const std::string inside = credentials + "/keys", link = credentials + "/link";
  for (const std::string& each : {path, inside}) {
    ASSERT_TRUE(Keys::make(each).ok());
    ASSERT_EQ(::chmod(each.c_str(), 0440), 0);
  }
  std::filesystem::create_symlink(path, link);
  const auto kind = [&](const std::string& file, const std::string& where) {
    const auto read = Keys::read(file, where);
    return read ? std::nullopt : std::optional(read.error().kind());
  };
  EXPECT_EQ(kind(inside, credentials), std::nullopt);
  EXPECT_EQ(kind(credentials + "/../credentials/keys", credentials), std::nullopt);
  for (const std::string& where : {std::string(), folder}) {
    EXPECT_EQ(kind(inside, where), ErrorKind::permission_denied) << where;
  }
  EXPECT_EQ(kind(path, credentials), ErrorKind::permission_denied);
  EXPECT_EQ(kind(link, credentials), ErrorKind::permission_denied);
  for (const mode_t mode : {0460, 0450, 0444, 0404}) {
    ASSERT_EQ(::chmod(inside.c_str(), mode), 0);
    EXPECT_EQ(kind(inside, credentials), ErrorKind::permission_denied) << mode;
  }
}

}  // namespace
}  // namespace netstor::s3server
