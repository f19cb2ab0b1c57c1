// SPDX-License-Identifier: Apache-2.0
// Keys of NVMe/TCP over TLS: their text, the identity on the wire, and what is derived from them.

#include <gtest/gtest.h>

#include "lib/base/encoding.h"
#include "lib/proto/nvme/tls_psk.h"

namespace netstor::nvme {
namespace {

// As `nvme gen-tls-key` printed them.
constexpr const char* kKey256 = "NVMeTLSkey-1:01:KqVK4UI4HrS4O13jcceidYAAFipMafpTIye0mBjCp3bNtz5I:";
constexpr const char* kKey384 =
    "NVMeTLSkey-1:02:uMaktjArdS708Yp1bhWs94UtOMhk0V4U2eEzCrGoUi5e84sQGOsaXhBEVFOY27YpYwIdeg==:";

TlsKey key_of(std::string_view hex, AuthHash transform = AuthHash::none) {
  TlsKey key;
  key.transform = transform;
  key.size = hex.size() / 2;
  EXPECT_TRUE(decode_hex(hex, std::span(key.bytes).first(key.size)));
  return key;
}

TEST(TlsKey, IsWhatTheKernelsToolsMake) {
  for (const auto& [text, size, hash] :
       {std::tuple(kKey256, 32u, AuthHash::sha256), std::tuple(kKey384, 48u, AuthHash::sha384)}) {
    const auto key = parse_tls_key(text);
    ASSERT_TRUE(key) << key.error();
    EXPECT_EQ(key->size, size);
    EXPECT_EQ(key->transform, hash);
    EXPECT_EQ(key->usual_hash(), hash);
    EXPECT_EQ(format_tls_key(*key), text);
  }
}

TEST(TlsKey, RefusesTheRestWithoutRepeatingIt) {
  std::string changed = kKey256;
  changed[30] = changed[30] == 'A' ? 'B' : 'A';
  std::string other_hash = kKey256;
  other_hash[14] = '2';
  std::string no_hash = kKey256;
  no_hash[14] = '3';
  for (const std::string& text :
       {std::string(), std::string("NVMeTLSkey-1:"), std::string("NVMeTLSkey-1:01:AAAA:"), changed,
        other_hash, no_hash, std::string(kKey256) + " ", std::string(kKey256).substr(1),
        std::string("DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:")}) {
    const auto key = parse_tls_key(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().kind(), ErrorKind::invalid_argument);
    const std::string part = text.size() > 26 ? text.substr(18, 8) : "NVMeTLSkey-1:01";
    EXPECT_EQ(key.error().text().find(part), std::string::npos) << key.error();
  }
  EXPECT_TRUE(parse_tls_key(format_tls_key(key_of(std::string(64, '7'))))) << "used as it is";
  EXPECT_TRUE(parse_tls_key(format_tls_key(key_of(std::string(96, '7')))));
}

TEST(TlsIdentity, IsReadAsItIsWritten) {
  for (const char* const text :
       {"NVMe0R01 nqn.2014-08.org.example:h nqn.2014-08.org.example:s", "NVMe1R02 h s Zm9v"}) {
    const auto identity = parse_tls_identity(text);
    ASSERT_TRUE(identity) << text;
    EXPECT_EQ(format_tls_identity(*identity), text);
  }
  const auto identity = parse_tls_identity("NVMe1R02 h s Zm9v");
  EXPECT_EQ(*identity, (TlsIdentity{1, AuthHash::sha384, "h", "s", "Zm9v"}));
}

TEST(TlsIdentity, RefusesWhatIsNone) {
  for (const std::string& text :
       {std::string(), std::string("NVMe0R01"), std::string("NVMe0R01 "), std::string("NVMe0R01 h"),
        std::string("NVMe0R01 h s more"), std::string("NVMe0R01 h s "), std::string("NVMe0R01  h s"),
        std::string("NVMe1R01 h s"), std::string("NVMe1R01 h s d d"), std::string("NVMe2R01 h s d"),
        std::string("NVMe0R03 h s"), std::string("NVMe0G01 h s"), std::string("Client_identity"),
        "NVMe0R01 " + std::string(224, 'h') + " s", "NVMe0R01 h " + std::string(2000, 's'),
        std::string("NVMe0R01 h\0 s", 13)}) {
    EXPECT_FALSE(parse_tls_identity(text)) << text;
  }
}

// The vectors of Linux's own tests (drivers/nvme/common/tests/auth_kunit.c): of a PSK that is used as it is.
TEST(TlsPsk, IsLinuxs) {
  const auto of256 =
      derive_tls_psk(key_of("1733c59fa7f48fcf37f5f26fc4ff0268ad4f78e030f4f3b0bfd1d47e7bb1447a"),
                     {1, AuthHash::sha256, "hostnqn", "subsysnqn"});
  ASSERT_TRUE(of256);
  EXPECT_EQ(of256->identity, "NVMe1R01 hostnqn subsysnqn OldoKuTfKddMuyCznAZojkWD7P4D9/AtzDzLimtOxqI=");
  EXPECT_EQ(to_hex(of256->key), "3c17da628474a04d2247c4cab47968c915388193f7c071bd9489cc3666cd7cc8");
  const auto of384 = derive_tls_psk(key_of("f14b2dd3234c459694d3bc63f8968bd6b37c2c6de849e22e11874900"
                                           "1ce4bbe8640b9e3a748cb11ce4b1d71d359cce39"),
                                    {1, AuthHash::sha384, "hostnqn", "subsysnqn"});
  ASSERT_TRUE(of384);
  EXPECT_EQ(of384->identity,
            "NVMe1R02 hostnqn subsysnqn cffMWk8TSS7HOQebjgYEIkrPrjWPV4JE5cdPB8WhEvY4JBW5YynKyv66XscN4A9n");
  EXPECT_EQ(
      to_hex(of384->key),
      "2774753233537b3fa50eb7d16a8e43457d85f4906c005b2236616c5d80939d0898fff15bb8b77119d2be0aac423e7590");
}

// Computed apart from this code, by the RFCs' words.
TEST(TlsPsk, OfConfiguredKeys) {
  TlsIdentity names{0, AuthHash::sha256, "nqn.2014-08.org.example:h", "nqn.2014-08.org.example:s"};
  const auto derive = [&names](const char* key) { return *derive_tls_psk(*parse_tls_key(key), names); };
  EXPECT_EQ(to_hex(derive(kKey256).key), "d415cf882ebc5e3b9c95c3b612ce01f9fc0b9e73cdf6aa0bbd84da772c5aeb8c");
  names.version = 1;
  EXPECT_TRUE(derive(kKey256).identity.ends_with(" iEQOQRAYtu0Oo5VE5Hf5TDIsZPSfzXZnIY19hCV4lo4="));
  EXPECT_EQ(to_hex(derive(kKey256).key), "1e81bc66c43afbb74c382011f733665c97d3604c94f8467c89c2eaa9481711d1");
  names.hash = AuthHash::sha384;
  EXPECT_TRUE(derive(kKey384).identity.ends_with(
      " /XygTktbycVlYlOgeaG7eo0qb8Ib61rvEzxZ23Ac5rQQwy4+H3N772F0fznhkIP5"));
  EXPECT_EQ(
      to_hex(derive(kKey384).key),
      "4c3e3645185f178651492432cfddd3414ad708f8facd71fe5955b8a4ac82beb7c9eab99bcb8a382b1273ba6a8a1218d9");
  names.version = 0;
  EXPECT_EQ(
      to_hex(derive(kKey384).key),
      "202a0a7528c9eab78af0edd31873e5c84434b658c5e4224fd3e859a5f191e490975e7b4f657620a07319e34b88af3e59");
}

TEST(TlsPsk, IsBoundToBothNamesAndTheForm) {
  const auto derive = [](const TlsIdentity& names, TlsDerivation how = TlsDerivation::standard) {
    return to_hex(derive_tls_psk(*parse_tls_key(kKey256), names, how)->key);
  };
  const TlsIdentity names{0, AuthHash::sha256, "nqn.2014-08.org.example:h", "nqn.2014-08.org.example:s"};
  std::vector<TlsIdentity> others(4, names);
  others[0].host_nqn += "x";
  others[1].subsystem_nqn += "x";
  others[2].version = 1;
  others[3].hash = AuthHash::sha384;
  for (const TlsIdentity& other : others) EXPECT_NE(derive(other), derive(names));
  EXPECT_NE(derive(names, TlsDerivation::old_libnvme), derive(names));
}

TEST(TlsPsk, LongNamesNeedTheNewerForm) {
  const TlsIdentity names{0, AuthHash::sha256, std::string(200, 'h'), std::string(200, 's')};
  EXPECT_FALSE(derive_tls_psk(*parse_tls_key(kKey256), names));
  TlsIdentity newer = names;
  newer.version = 1;
  EXPECT_TRUE(derive_tls_psk(*parse_tls_key(kKey256), newer));
}

}  // namespace
}  // namespace netstor::nvme
