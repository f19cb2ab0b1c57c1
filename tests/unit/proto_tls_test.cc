// SPDX-License-Identifier: Apache-2.0
// The TLS machine without a network: two of them, and what lies between them in the test's hands.

#include "lib/proto/tls/session.h"
#include "tests/unit/tls_certificates.h"
#include "tests/unit/tls_end.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cstring>
#include <functional>

namespace netstor::tls {
namespace {

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 2654435761U) >> 13);
  return text;
}

class Tls : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = new Certificates;
    made_->make({.name = "ca", .names = ""});
    made_->make({.name = "other-ca", .names = ""});
    made_->make({.name = "server", .issuer = "ca"});
    made_->make({.name = "client", .names = "DNS:client", .issuer = "ca"});
    made_->make({.name = "stranger", .names = "DNS:client", .issuer = "other-ca"});
    made_->make({.name = "wild", .names = "DNS:*.example.test", .issuer = "ca"});
    made_->make({.name = "expired", .issuer = "ca", .valid_from = -7200, .valid_to = -3600});
    made_->make({.name = "future", .issuer = "ca", .valid_from = 3600, .valid_to = 7200});
    made_->make({.name = "alone"});
    made_->encrypt_key("server", "locked");
  }
  static void TearDownTestSuite() {
    delete made_;
    made_ = nullptr;
  }
  static std::string file(const std::string& name) { return made_->certificate(name); }
  static std::shared_ptr<const Context> context(const ContextOptions& options) {
    auto made = Context::make(options);
    EXPECT_TRUE(made.ok()) << made.error();
    return *made;
  }
  static ContextOptions server_options(const std::string& name = "server") {
    return {.role = Role::server, .certificate_file = file(name), .key_file = made_->key(name)};
  }
  static ContextOptions client_options(const std::string& ca = "ca") { return {.ca_file = file(ca)}; }
  void connect(const ContextOptions& client, const ContextOptions& server,
               const std::string& name = "localhost", Resumption* resumption = nullptr) {
    near = std::make_unique<End>(std::make_unique<Session>(context(client), name, resumption));
    far = std::make_unique<End>(std::make_unique<Session>(context(server), ""));
  }
  void connect() { connect(client_options(), server_options()); }
  /// Until nothing moves any more.
  void run(std::size_t step = SIZE_MAX) {
    for (bool moved = true; moved;) {
      near->turn();
      far->turn();
      moved = carry(*near, *far, step, to_far);
      moved = carry(*far, *near, step, to_near) || moved;
    }
  }
  /// Why the client did not believe the server.
  Failure distrusts(const std::string& server, const std::string& name = "localhost",
                    const std::string& ca = "ca") {
    connect(client_options(ca), server_options(server), name);
    run();
    EXPECT_TRUE(near->failed());
    EXPECT_FALSE(near->session->established());
    EXPECT_TRUE(far->failed()) << "the server was not told by an alert";
    EXPECT_EQ(near->session->failure().kind, ErrorKind::permission_denied);
    return near->session->failure();
  }
  static bool says(const Failure& why, std::string_view words) {
    return why.text.find(words) != std::string::npos;
  }

  inline static Certificates* made_ = nullptr;
  std::unique_ptr<End> near;
  std::unique_ptr<End> far;
  std::function<void(std::span<std::byte>)> to_far;
  std::function<void(std::span<std::byte>)> to_near;
};

TEST_F(Tls, CarriesBytesBothWaysAndEnds) {
  connect();
  const std::string there = pattern(1'000'000);
  const std::string back = pattern(700'001);
  near->writing = there;
  far->writing = back;
  run();
  EXPECT_TRUE(far->got == there);
  EXPECT_TRUE(near->got == back);
  EXPECT_EQ(near->session->version(), "TLSv1.3");
  EXPECT_EQ(near->session->cipher(), "TLS_AES_128_GCM_SHA256");
  near->session->end();
  run();
  EXPECT_TRUE(far->ended);
  EXPECT_FALSE(near->ended);
  far->session->end();
  run();
  EXPECT_TRUE(near->ended);
}

TEST_F(Tls, MeansTheSameSplitAtEveryByte) {
  for (const std::size_t step : {1, 2, 5, 6, 17, 100}) {
    connect();
    const std::string there = pattern(40'000);
    near->writing = far->writing = there;
    run(step);
    EXPECT_TRUE(far->got == there && near->got == there) << step;
  }
}

TEST_F(Tls, StopsWritingWhenNothingIsSentAndGoesOn) {
  connect();
  run();
  const std::string there = pattern(10 * Session::kBufferBytes);
  near->writing = there;
  near->turn();
  EXPECT_LE(near->session->to_send().size(), Session::kBufferBytes);
  const std::size_t left = near->writing.size();
  EXPECT_GT(left, 8 * Session::kBufferBytes);
  near->turn();
  EXPECT_EQ(near->writing.size(), left);
  run();
  EXPECT_TRUE(far->got == there);
}

TEST_F(Tls, TakesUpTheLastSession) {
  Resumption resumption;
  connect(client_options(), server_options(), "localhost", &resumption);
  const auto client = context(client_options());
  const auto server = context(server_options());
  const auto pair = [&] {
    near = std::make_unique<End>(std::make_unique<Session>(client, "localhost", &resumption));
    far = std::make_unique<End>(std::make_unique<Session>(server, ""));
    run();
    const bool resumed = near->session->resumed();
    near->session->end();
    far->session->end();
    run();
    return resumed;
  };
  EXPECT_FALSE(pair());
  EXPECT_TRUE(pair());
  EXPECT_TRUE(pair());
}

TEST_F(Tls, MakesNewKeysAfterManyBytes) {
  ContextOptions often = client_options();
  often.rekey_bytes = 100'000;
  connect(often, server_options());
  const std::string there = pattern(3'000'000);
  near->writing = far->writing = there;
  run();
  EXPECT_TRUE(far->got == there && near->got == there);
}

TEST_F(Tls, ChecksTheName) {
  for (const std::string name : {"localhost", "LOCALHOST", "localhost.", "127.0.0.1"}) {
    connect(client_options(), server_options(), name);
    run();
    EXPECT_TRUE(near->session->established()) << name << near->session->failure().text;
  }
  connect(client_options(), server_options("wild"), "a.example.test");
  run();
  EXPECT_TRUE(near->session->established()) << near->session->failure().text;
  EXPECT_TRUE(says(distrusts("wild", "a.b.example.test"), "is for *.example.test, not for a.b.example.test"));
  EXPECT_TRUE(says(distrusts("server", "remotehost"), "is for localhost, 127.0.0.1, not for remotehost"));
  EXPECT_TRUE(says(distrusts("server", "127.0.0.2"), "not for 127.0.0.2"));
  EXPECT_TRUE(says(distrusts("server", "::1"), "not for ::1"));
}

TEST_F(Tls, SaysWhatIsWrongWithTheCertificate) {
  EXPECT_TRUE(says(distrusts("expired"), "certificate expired at 20")) << near->session->failure().text;
  EXPECT_TRUE(says(distrusts("future"), "is not valid before")) << near->session->failure().text;
  EXPECT_TRUE(says(distrusts("alone"), "is self-signed")) << near->session->failure().text;
  const Failure unknown = distrusts("server", "localhost", "other-ca");
  EXPECT_TRUE(says(unknown, "issued by '/CN=ca', an unknown CA")) << unknown.text;
  EXPECT_TRUE(says(unknown, "ca_file")) << unknown.text;
  EXPECT_EQ(unknown.native, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
}

TEST_F(Tls, TrustsASelfSignedCertificateThatIsNamed) {
  connect(client_options("alone"), server_options("alone"));
  run();
  EXPECT_TRUE(near->session->established()) << near->session->failure().text;
}

TEST_F(Tls, TheSystemsStoreDoesNotKnowOurCa) {
  connect(ContextOptions{}, server_options());
  run();
  EXPECT_TRUE(near->failed());
  EXPECT_EQ(near->session->failure().kind, ErrorKind::permission_denied) << near->session->failure().text;
}

TEST_F(Tls, AsksClientsForTheirCertificate) {
  ContextOptions server = server_options();
  server.ca_file = file("ca");
  ContextOptions client = client_options();
  const auto refused = [&] {
    connect(client, server);
    run();
    EXPECT_TRUE(far->failed());
    EXPECT_TRUE(near->failed());
    EXPECT_EQ(near->session->failure().kind, ErrorKind::permission_denied) << near->session->failure().text;
    return near->session->failure();
  };
  EXPECT_TRUE(says(refused(), "client_certificate_file"));
  client.certificate_file = file("stranger");
  client.key_file = made_->key("stranger");
  EXPECT_TRUE(says(refused(), "does not know the CA of our certificate")) << near->session->failure().text;
  client.certificate_file = file("client");
  client.key_file = made_->key("client");
  connect(client, server);
  run();
  EXPECT_TRUE(far->session->established()) << far->session->failure().text;
}

TEST_F(Tls, SaysWhichFileIsWrong) {
  const auto error = [](const ContextOptions& options) {
    const auto made = Context::make(options);
    EXPECT_FALSE(made.ok());
    return made.ok() ? std::string() : made.error().text();
  };
  EXPECT_NE(error({.ca_file = "/nowhere/ca.pem"}).find("/nowhere/ca.pem: no PEM file"), std::string::npos);
  ContextOptions options = client_options();
  options.certificate_file = file("client");
  EXPECT_NE(error(options).find("belong together"), std::string::npos);
  options.key_file = made_->key("server");
  EXPECT_NE(error(options).find("key values mismatch"), std::string::npos) << error(options);
  options.certificate_file = file("server");
  options.key_file = made_->key("locked");
  EXPECT_NE(error(options).find("passphrase"), std::string::npos) << error(options);
  EXPECT_NE(error({.role = Role::server}).find("belong together"), std::string::npos);
}

TEST_F(Tls, StreamThatIsCutOffIsAnErrorNotAnEnd) {
  connect();
  run();
  near->session->peer_closed();
  near->turn();
  EXPECT_TRUE(near->failed());
  EXPECT_FALSE(near->ended);
  EXPECT_EQ(near->session->failure().kind, ErrorKind::disconnected);
  EXPECT_TRUE(says(near->session->failure(), "cut off")) << near->session->failure().text;
}

TEST_F(Tls, HandshakeThatIsCutOffAnywhereIsAnError) {
  for (std::size_t after = 0; after < 1200; after += 37) {
    connect();
    std::size_t left = after;
    near->turn();
    carry(*near, *far, SIZE_MAX, {});
    far->turn();
    while (left > 0 && carry(*far, *near, std::min<std::size_t>(left, 11), {})) {
      left -= std::min<std::size_t>(left, 11);
      near->turn();
    }
    if (near->session->established()) continue;
    near->session->peer_closed();
    near->turn();
    EXPECT_TRUE(near->failed()) << after;
    EXPECT_EQ(near->session->failure().kind, ErrorKind::disconnected) << near->session->failure().text;
  }
}

TEST_F(Tls, RecordThatWasAlteredIsRefused) {
  connect();
  run();
  to_near = [](std::span<std::byte> bytes) { bytes[bytes.size() / 2] ^= std::byte{1}; };
  const std::string text = pattern(1000);
  far->writing = text;
  run();
  EXPECT_TRUE(near->failed());
  EXPECT_TRUE(near->got.empty());
  EXPECT_EQ(near->session->failure().kind, ErrorKind::protocol);
  EXPECT_TRUE(says(near->session->failure(), "altered")) << near->session->failure().text;
}

TEST_F(Tls, PlainHttpIsToldApart) {
  connect();
  near->turn();
  constexpr std::string_view kAnswer = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
  std::memcpy(near->session->space().data(), kAnswer.data(), kAnswer.size());
  near->session->received(kAnswer.size());
  near->turn();
  EXPECT_TRUE(near->failed());
  EXPECT_EQ(near->session->failure().kind, ErrorKind::protocol);
  EXPECT_TRUE(says(near->session->failure(), "plain HTTP")) << near->session->failure().text;
  connect();
  constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
  std::memcpy(far->session->space().data(), kRequest.data(), kRequest.size());
  far->session->received(kRequest.size());
  far->turn();
  EXPECT_TRUE(says(far->session->failure(), "plain HTTP")) << far->session->failure().text;
}

/// OpenSSL itself as a peer that this library would never be.
class OddServer : public Tls {
 protected:
  void serve(int least, int most) {
    handle_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_min_proto_version(handle_.get(), least);
    SSL_CTX_set_max_proto_version(handle_.get(), most);
    SSL_CTX_set_cipher_list(handle_.get(), "DEFAULT@SECLEVEL=0");
    SSL_CTX_use_certificate_chain_file(handle_.get(), file("server").c_str());
    SSL_CTX_use_PrivateKey_file(handle_.get(), made_->key("server").c_str(), SSL_FILETYPE_PEM);
    ssl_.reset(SSL_new(handle_.get()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_.get());
    near = std::make_unique<End>(std::make_unique<Session>(context(client_options()), "localhost"));
  }
  void talk() {
    for (int i = 0; i < 20; ++i) {
      near->turn();
      const auto out = near->session->to_send();
      if (!out.empty()) BIO_write(SSL_get_rbio(ssl_.get()), out.data(), static_cast<int>(out.size()));
      near->session->sent(out.size());
      char some[1000];
      const int got = SSL_read(ssl_.get(), some, sizeof some);
      if (got > 0) heard_.append(some, static_cast<std::size_t>(got));
      const auto in = near->session->space();
      if (in.empty()) continue;
      const int size = BIO_read(SSL_get_wbio(ssl_.get()), in.data(), static_cast<int>(in.size()));
      if (size > 0) near->session->received(static_cast<std::size_t>(size));
    }
  }
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> handle_{nullptr, &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, &SSL_free};
  std::string heard_;
};

TEST_F(OddServer, WithTls11AloneIsRefused) {
  serve(TLS1_VERSION, TLS1_1_VERSION);
  talk();
  EXPECT_TRUE(near->failed());
  EXPECT_EQ(near->session->failure().kind, ErrorKind::unsupported) << near->session->failure().text;
  EXPECT_TRUE(says(near->session->failure(), "no TLS 1.2 or 1.3")) << near->session->failure().text;
}

TEST_F(OddServer, WithTls12IsSpokenToAndMayNotRenegotiate) {
  serve(TLS1_2_VERSION, TLS1_2_VERSION);
  near->writing = "before";
  talk();
  ASSERT_TRUE(near->session->established()) << near->session->failure().text;
  EXPECT_EQ(near->session->version(), "TLSv1.2");
  EXPECT_EQ(heard_, "before");
  const std::string finished = [&] {
    char text[64];
    return std::string(text, SSL_get_finished(ssl_.get(), text, sizeof text));
  }();
  SSL_renegotiate(ssl_.get());
  SSL_do_handshake(ssl_.get());
  near->writing = "after";
  talk();
  char text[64];
  EXPECT_EQ(std::string(text, SSL_get_finished(ssl_.get(), text, sizeof text)), finished)
      << "a second handshake was had";
}

}  // namespace
}  // namespace netstor::tls
