// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the tests of who may come share: secrets of one number, files that only their owner reads, and data
// that goes to a volume and back.

#include <netstor/task.h>
#include <netstor/volume.h>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/wire/fabrics/auth_secret.h"

namespace netstor {

inline constexpr const char* kHost = "nqn.2026-01.org.example:host";

inline std::string secret_text(int number, nvme::AuthHash transform = nvme::AuthHash::sha256) {
  nvme::AuthSecret secret;
  secret.transform = transform;
  secret.size = 32;
  secret.bytes.fill(std::byte{static_cast<unsigned char>(number)});
  return nvme::format_auth_secret(secret);
}

inline void write_secret(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  std::filesystem::permissions(path,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

/// Writes and reads back from each shard: it has a queue of its own, which was let in on its own.
inline void expect_round_trips(Runtime& runtime, Volume& volume, std::size_t bytes) {
  Buffer out = *Buffer::allocate(bytes);
  Buffer in = *Buffer::allocate(bytes);
  for (unsigned shard = 0; shard < runtime.shards(); ++shard) {
    for (std::size_t i = 0; i < bytes; ++i) out.bytes()[i] = static_cast<std::byte>(i * 7 / 5 + shard);
    const auto moved = runtime.shard(shard)
                           .run_on([&]() -> Task<void> {
                             auto writing = volume.write(0, out.bytes());
                             NETSTOR_CHECK(co_await std::move(writing));
                             auto reading = volume.read(0, in.bytes());
                             NETSTOR_CHECK(co_await std::move(reading));
                             co_return ok();
                           })
                           .get();
    ASSERT_TRUE(moved) << moved.error();
    EXPECT_EQ(std::memcmp(out.bytes().data(), in.bytes().data(), bytes), 0);
  }
}

}  // namespace netstor
