// SPDX-License-Identifier: Apache-2.0
// TLS by pre-shared keys, without a network: two of our machines, and OpenSSL as a peer that is none of ours.

#include "tests/unit/tls_certificates.h"
#include "tests/unit/tls_end.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

namespace netstor::tls {
namespace {

constexpr std::string_view kName = "NVMe1R01 host subsystem digest";

PreSharedKey key_of(int fill, std::string_view identity = kName, Hash hash = Hash::sha256) {
  PreSharedKey key;
  key.identity = identity;
  key.hash = hash;
  key.key.assign(hash == Hash::sha384 ? 48 : 32, static_cast<std::byte>(fill));
  return key;
}

std::shared_ptr<const Context> context(Role role) {
  return Context::make({.role = role, .pre_shared_keys = true}).value();
}

/// Knows one key.
struct OneKey final : KeyFinder {
  explicit OneKey(PreSharedKey key) : known(std::move(key)) {}
  bool find(std::string_view identity, PreSharedKey& key) override {
    asked.emplace_back(identity);
    key.hash = known.hash;
    if (identity != known.identity) return false;
    key.key = known.key;
    return true;
  }
  PreSharedKey known;
  std::vector<std::string> asked;
};

void talk(End& near, End& far) {
  for (bool moved = true; moved;) {
    near.turn();
    far.turn();
    moved = carry(near, far, SIZE_MAX, {});
    moved = carry(far, near, SIZE_MAX, {}) || moved;
  }
}

class TlsKeys : public testing::Test {
 protected:
  void connect(PreSharedKey ours, PreSharedKey theirs) {
    finder.emplace(std::move(theirs));
    near.emplace(std::make_unique<Session>(context(Role::client), std::move(ours)));
    far.emplace(std::make_unique<Session>(context(Role::server), *finder));
    talk(*near, *far);
  }
  std::optional<OneKey> finder;
  std::optional<End> near;
  std::optional<End> far;
};

TEST_F(TlsKeys, CarryBytesBothWays) {
  for (const Hash hash : {Hash::sha256, Hash::sha384}) {
    connect(key_of(1, kName, hash), key_of(1, kName, hash));
    ASSERT_TRUE(near->session->established()) << near->session->failure().text;
    ASSERT_TRUE(far->session->established()) << far->session->failure().text;
    EXPECT_EQ(far->session->identity(), kName);
    EXPECT_TRUE(far->session->proved_by(key_of(1, kName, hash).key));
    EXPECT_FALSE(far->session->proved_by(key_of(2, kName, hash).key));
    EXPECT_EQ(near->session->version(), "TLSv1.3");
    EXPECT_EQ(near->session->cipher(),
              hash == Hash::sha384 ? "TLS_AES_256_GCM_SHA384" : "TLS_AES_128_GCM_SHA256");
    const std::string there(300'000, 'a'), back(200'000, 'b');
    near->writing = there;
    far->writing = back;
    talk(*near, *far);
    EXPECT_TRUE(far->got == there);
    EXPECT_TRUE(near->got == back);
    near->session->end();
    talk(*near, *far);
    EXPECT_TRUE(far->ended);
  }
}

TEST_F(TlsKeys, AWrongOneAndAnUnknownOneLookAlike) {
  std::vector<Failure> seen, noticed;
  for (const char* const name : {"NVMe1R01 host subsystem digest", "NVMe1R01 nobody subsystem digest"}) {
    for (const Hash hash : {Hash::sha256, Hash::sha384}) {
      connect(key_of(2, name, hash), key_of(1, kName, hash));
      EXPECT_TRUE(near->failed());
      EXPECT_TRUE(far->failed());
      EXPECT_FALSE(far->session->established());
      EXPECT_TRUE(far->session->key_offered());
      seen.push_back(near->session->failure());
      noticed.push_back(far->session->failure());
    }
  }
  for (const Failure& each : seen) {
    EXPECT_EQ(each.kind, ErrorKind::permission_denied) << each.text;
    EXPECT_EQ(each.native, seen[0].native);
    EXPECT_EQ(each.text, seen[0].text);
  }
  for (const Failure& each : noticed) {
    EXPECT_EQ(each.kind, ErrorKind::permission_denied) << each.text;
    EXPECT_EQ(each.text, noticed[0].text);
  }
}

TEST_F(TlsKeys, HaveOneHash) {
  connect(key_of(1, kName, Hash::sha256), key_of(1, kName, Hash::sha384));
  EXPECT_TRUE(near->failed());
  EXPECT_TRUE(far->failed());
}

TEST_F(TlsKeys, AClientOfCertificatesIsTurnedAway) {
  finder.emplace(key_of(1));
  near.emplace(std::make_unique<Session>(Context::make({}).value(), "localhost"));
  far.emplace(std::make_unique<Session>(context(Role::server), *finder));
  talk(*near, *far);
  EXPECT_TRUE(far->failed());
  EXPECT_FALSE(far->session->key_offered());
  EXPECT_EQ(far->session->failure().kind, ErrorKind::permission_denied) << far->session->failure().text;
  EXPECT_TRUE(finder->asked.empty());
}

TEST_F(TlsKeys, AServerOfCertificatesIsNotBelieved) {
  Certificates certificates;
  certificates.make({.name = "server"});
  near.emplace(std::make_unique<Session>(context(Role::client), key_of(1)));
  far.emplace(std::make_unique<Session>(Context::make({.role = Role::server,
                                                       .certificate_file = certificates.certificate("server"),
                                                       .key_file = certificates.key("server")})
                                            .value(),
                                        ""));
  talk(*near, *far);
  EXPECT_TRUE(near->failed());
  EXPECT_FALSE(near->session->established());
  EXPECT_EQ(near->session->failure().kind, ErrorKind::permission_denied) << near->session->failure().text;
}

TEST_F(TlsKeys, PlainBytesAreToldApart) {
  OneKey keys(key_of(1));
  End server(std::make_unique<Session>(context(Role::server), keys));
  const std::string icreq(128, '\0');
  std::memcpy(server.session->space().data(), icreq.data(), icreq.size());
  server.session->received(icreq.size());
  server.turn();
  EXPECT_TRUE(server.failed());
  EXPECT_EQ(server.session->failure().kind, ErrorKind::protocol) << server.session->failure().text;
}

/// OpenSSL's own client, which offers what we never would.
class OddClient : public testing::Test {
 protected:
  void offer(const char* suites) {
    handle.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_ciphersuites(handle.get(), suites);
    SSL_CTX_set_psk_use_session_callback(handle.get(), &OddClient::use_key);
    ssl.reset(SSL_new(handle.get()));
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl.get());
  }
  static int use_key(SSL* of, const EVP_MD*, const unsigned char** id, std::size_t* size,
                     SSL_SESSION** session) {
    const unsigned char number[] = {0x13, 0x02};
    const std::string key(48, '\1');
    *session = SSL_SESSION_new();
    SSL_SESSION_set1_master_key(*session, reinterpret_cast<const unsigned char*>(key.data()), key.size());
    SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(of, number));
    SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION);
    *id = reinterpret_cast<const unsigned char*>(kName.data());
    *size = kName.size();
    return 1;
  }
  void talk(End& server) {
    for (int i = 0; i < 10; ++i) {
      SSL_do_handshake(ssl.get());
      const auto in = server.session->space();
      const int size =
          in.empty() ? 0 : BIO_read(SSL_get_wbio(ssl.get()), in.data(), static_cast<int>(in.size()));
      if (size > 0) server.session->received(static_cast<std::size_t>(size));
      server.turn();
      const auto out = server.session->to_send();
      if (!out.empty()) BIO_write(SSL_get_rbio(ssl.get()), out.data(), static_cast<int>(out.size()));
      server.session->sent(out.size());
    }
  }
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> handle{nullptr, &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, &SSL_free};
};

// The server would choose the other suite, which the key does not go with.
TEST_F(OddClient, GetsTheSuiteOfItsKey) {
  OneKey keys(key_of(1, kName, Hash::sha384));
  End server(std::make_unique<Session>(context(Role::server), keys));
  offer("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  talk(server);
  ASSERT_TRUE(server.session->established()) << server.session->failure().text;
  EXPECT_EQ(server.session->cipher(), "TLS_AES_256_GCM_SHA384");
}

TEST_F(OddClient, MayBeAskedToSayHelloAgain) {
  OneKey keys(key_of(1, kName, Hash::sha384));
  End server(std::make_unique<Session>(context(Role::server), keys));
  offer("TLS_AES_256_GCM_SHA384");
  SSL_set1_groups_list(ssl.get(), "ffdhe2048:P-256");  // a share of the first is sent
  talk(server);
  EXPECT_TRUE(server.session->established()) << server.session->failure().text;
}

TEST_F(OddClient, WithoutTheSuiteOfItsKeyIsRefused) {
  OneKey keys(key_of(1, kName, Hash::sha256));
  End server(std::make_unique<Session>(context(Role::server), keys));
  offer("TLS_AES_256_GCM_SHA384");
  talk(server);
  EXPECT_TRUE(server.failed());
}

TEST_F(OddClient, GetsAnEphemeralKeyWhateverItAllows) {
  OneKey keys(key_of(1, kName, Hash::sha384));
  End server(std::make_unique<Session>(context(Role::server), keys));
  offer("TLS_AES_256_GCM_SHA384");
  // Servers that allow both take the exchange all the same; ours has to.
  SSL_set_options(ssl.get(), SSL_OP_ALLOW_NO_DHE_KEX);
  talk(server);
  ASSERT_TRUE(server.session->established()) << server.session->failure().text;
  EXPECT_NE(SSL_get_negotiated_group(ssl.get()), NID_undef);
}

}  // namespace
}  // namespace netstor::tls
