// SPDX-License-Identifier: Apache-2.0
//
// The version that the headers state and the one that the library carries.
#include <netstor/version.h>

#include <gtest/gtest.h>

#include <string>

namespace netstor {
namespace {

TEST(Version, StringIsTheThreeNumbers) {
  EXPECT_EQ(std::string(kVersion), std::to_string(NETSTOR_VERSION_MAJOR) + "." +
                                       std::to_string(NETSTOR_VERSION_MINOR) + "." +
                                       std::to_string(NETSTOR_VERSION_PATCH));
}

TEST(Version, LibraryWasBuiltFromTheseHeaders) { EXPECT_STREQ(linked_version(), kVersion); }

}  // namespace
}  // namespace netstor
