// SPDX-License-Identifier: Apache-2.0
// netstor admin bucket, key

#include "tools/netstor/admin_parts.h"

#include "tools/netstor/failure.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <sstream>

namespace netstor::tool {

namespace {

using nlohmann::ordered_json;

void show_buckets(const ordered_json& rows) {
  const Column access{.title = "WITHOUT A KEY", .cell = [](const ordered_json& row) {
                        std::string text;
                        for (const char* right : {"read", "list", "write"}) {
                          if (!row["anonymous"][right].get<bool>()) continue;
                          text += (text.empty() ? "" : "+") + std::string(right);
                        }
                        return text.empty() ? std::string("none") : text;
                      }};
  print_table(rows, {text_column("NAME", "name"), access}, "no buckets");
}

void show_keys(const ordered_json& rows) {
  print_table(
      rows,
      {text_column("ID", "id"), text_column("NAME", "name"), flag_column("ENABLED", "enabled", "yes", "no"),
       flag_column("FROM", "kept", "state", "keys file"), until_column(), text_column("RIGHTS", "rights")},
      "no access keys");
}

/// "none", "read", "read+list".
void set_access(v1::Anonymous& access, const std::string& text) {
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, '+');) {
    if (word == "read") {
      access.set_read(true);
    } else if (word == "list") {
      access.set_list(true);
    } else if (word == "write") {
      access.set_write(true);
    } else if (word != "none") {
      throw CLI::ValidationError("--anonymous", "expected none, read, list or write; several with +");
    }
  }
}

// ---- A file of credentials: the form of AWS's, which all clients read.

struct Credentials {
  std::string id;
  std::string secret;
};

/// One of `letters` for each place, each as likely.
std::string random_text(std::string_view letters, std::size_t size) {
  std::string text;
  const std::size_t fair = 256 / letters.size() * letters.size();
  while (text.size() < size) {
    std::array<unsigned char, 64> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) continue;
    for (const unsigned char each : bytes) {
      if (each < fair && text.size() < size) text.push_back(letters[each % letters.size()]);
    }
  }
  return text;
}

Credentials new_credentials(const std::string& id) {
  constexpr std::string_view kIdLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return {.id = id.empty() ? "NSTR" + random_text(kIdLetters, 16) : id, .secret = random_text(kLetters, 40)};
}

Result<Credentials> read_credentials(const std::string& path) {
  NETSTOR_CHECK_RETURN(read_secret(path));  // its mode
  std::ifstream file(path);
  Credentials found;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, equals, value;
    if (!(words >> name >> equals >> value) || equals != "=") continue;
    if (name == "aws_access_key_id") found.id = value;
    if (name == "aws_secret_access_key") found.secret = value;
  }
  if (!found.id.empty() && !found.secret.empty()) return found;
  return Error(ErrorKind::invalid_argument,
               path + ": expected lines aws_access_key_id = … and aws_secret_access_key = …");
}

/// Fails where the file is there.
Result<void> write_credentials(const std::string& path, const Credentials& credentials) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return Error::system(errno, "make " + path);
  const std::string text = "[default]\naws_access_key_id = " + credentials.id +
                           "\naws_secret_access_key = " + credentials.secret + "\n";
  const bool good =
      ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (good) return ok();
  ::unlink(path.c_str());
  return Error::system(error, "write " + path);
}

bool there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

constexpr const char* kFileText =
    "A credentials file, mode 0600: read when it is there, otherwise made with a new secret";

void add_create(CLI::App& group, Command& command) {
  auto [verb, call] = admin_verb<v1::CreateKeyRequest, v1::Key>(
      group, command, "create", "CreateKey", "Make an access key",
      "  netstor admin key create backup --rights rwl:backups --file backup.key\n"
      "  AWS_SHARED_CREDENTIALS_FILE=backup.key netstor ls s3://backups\n"
      "Rights are RIGHTS:BUCKET[/PREFIX], r read, w write, l list; * ends a bucket's name:\n"
      "  --rights 'rwl:logs-* r:photos/2026/'");
  add_text(*verb, "NAME", "Whose it is", [call = call](auto& text) {
    call->request.set_name(text);
  })->required();
  add_text(*verb, "--rights", "What may be done with it",
           [call = call](auto& text) { call->request.set_rights(text); })
      ->type_name("TEXT")
      ->required();
  add_time(*verb, "--until", "When it holds no longer, as 2026-12-31T23:59:59Z (default: for good)",
           [call = call](std::int64_t ms) { call->request.set_until_ms(ms); });
  auto path = std::make_shared<std::string>();
  verb->add_option("--file", *path, kFileText)->type_name("FILE")->required();
  call->prepare = [raw = call.get(), path]() -> Result<void> {
    if (!there(*path)) NETSTOR_CHECK_RETURN(write_credentials(*path, new_credentials("")));
    NETSTOR_TRY_RETURN(const Credentials credentials, read_credentials(*path));
    raw->request.set_id(credentials.id);
    raw->request.set_secret(credentials.secret);
    return ok();
  };
  call->show = [raw = call.get()] { show_keys(ordered_json::array({json_of(raw->answer)})); };
}

template <class Request>
std::pair<CLI::App*, std::shared_ptr<AdminVerb<Request, v1::Key>>> key_verb(CLI::App& group, Command& command,
                                                                            const std::string& name,
                                                                            const std::string& method,
                                                                            const std::string& about,
                                                                            const std::string& examples) {
  auto made = admin_verb<Request, v1::Key>(group, command, name, method, about, examples);
  add_text(*made.first, "ID", "The access key id", [call = made.second](auto& text) {
    call->request.set_id(text);
  })->required();
  made.second->show = [raw = made.second.get()] { show_keys(ordered_json::array({json_of(raw->answer)})); };
  return made;
}

void add_key_changes(CLI::App& group, Command& command) {
  auto [rotate, rotating] = key_verb<v1::RotateKeyRequest>(
      group, command, "rotate", "RotateKey", "Give an access key another secret; the old one holds no longer",
      "  netstor admin key rotate NSTR7K2M --file backup-new.key");
  add_time(*rotate, "--until", "When it holds no longer, as 2026-12-31T23:59:59Z (default: as it was)",
           [call = rotating](std::int64_t ms) { call->request.set_until_ms(ms); });
  auto path = std::make_shared<std::string>();
  rotate->add_option("--file", *path, kFileText)->type_name("FILE")->required();
  rotating->prepare = [raw = rotating.get(), path]() -> Result<void> {
    if (!there(*path)) NETSTOR_CHECK_RETURN(write_credentials(*path, new_credentials(raw->request.id())));
    NETSTOR_TRY_RETURN(const Credentials credentials, read_credentials(*path));
    if (credentials.id != raw->request.id()) {
      return usage_error(*path + " is of the access key " + credentials.id + ", not of " + raw->request.id(),
                         "name a file that is not there: it is made");
    }
    raw->request.set_secret(credentials.secret);
    return ok();
  };
  rotating->show = [raw = rotating.get(), path] {
    show_keys(ordered_json::array({json_of(raw->answer)}));
    if (!raw->answer.unchanged()) return;
    std::cerr << "netstor: " << *path << " has the secret that the key had already: it is as it was\n"
              << "hint: name a file that is not there, and it is made with a new secret\n";
  };
  auto [grant, granting] = key_verb<v1::SetKeyRightsRequest>(
      group, command, "set-rights", "SetKeyRights", "Say anew what may be done with an access key",
      "  netstor admin key set-rights NSTR7K2M 'rl:photos'");
  add_text(*grant, "RIGHTS", "", [call = granting](auto& text) {
    call->request.set_rights(text);
  })->required();
  key_verb<v1::SetKeyEnabledRequest>(group, command, "disable", "SetKeyEnabled",
                                     "Refuse an access key, until it is enabled again",
                                     "  netstor admin key disable NSTR7K2M");
  auto [enable, enabling] =
      key_verb<v1::SetKeyEnabledRequest>(group, command, "enable", "SetKeyEnabled",
                                         "Take an access key again", "  netstor admin key enable NSTR7K2M");
  static_cast<void>(enable);
  enabling->request.set_enabled(true);
}

}  // namespace

void add_admin_bucket(CLI::App& admin, Command& command) {
  CLI::App* const group = admin.add_subcommand("bucket", "Make and remove buckets");
  group->require_subcommand(1);
  auto [create, creating] = admin_verb<v1::CreateBucketRequest, v1::Bucket>(
      *group, command, "create", "CreateBucket", "Make a bucket",
      "  netstor admin bucket create photos\n  netstor admin bucket create public --anonymous read+list");
  add_text(*create, "NAME", "", [call = creating](auto& text) { call->request.set_name(text); })->required();
  add_text(*create, "--anonymous", "What may be done without a key: none, read, list, write; several with +",
           [call = creating](auto& text) { set_access(*call->request.mutable_anonymous(), text); })
      ->type_name("RIGHTS");
  creating->show = [raw = creating.get()] { show_buckets(ordered_json::array({json_of(raw->answer)})); };

  auto [list, listing] = admin_verb<v1::ListBucketsRequest, v1::ListBucketsResponse>(
      *group, command, "list", "ListBuckets", "What buckets there are", "  netstor admin bucket list");
  listing->show = [raw = listing.get()] { show_buckets(json_of(raw->answer)["buckets"]); };

  auto [remove, removing] = admin_verb<v1::DeleteBucketRequest, v1::DeleteBucketResponse>(
      *group, command, "delete", "DeleteBucket", "Remove an empty bucket",
      "  netstor admin bucket delete photos");
  add_text(*remove, "NAME", "", [call = removing](auto& text) { call->request.set_name(text); })->required();
  removing->show = [raw = removing.get()] { std::cout << "deleted " << raw->request.name() << '\n'; };
}

void add_admin_key(CLI::App& admin, Command& command) {
  CLI::App* const group = admin.add_subcommand("key", "Access keys of buckets");
  group->require_subcommand(1);
  add_create(*group, command);
  add_key_changes(*group, command);
  auto [list, listing] = admin_verb<v1::ListKeysRequest, v1::ListKeysResponse>(
      *group, command, "list", "ListKeys", "What access keys there are; never a secret",
      "  netstor admin key list");
  listing->show = [raw = listing.get()] { show_keys(json_of(raw->answer)["keys"]); };
  auto [remove, removing] = admin_verb<v1::DeleteKeyRequest, v1::DeleteKeyResponse>(
      *group, command, "delete", "DeleteKey", "Forget an access key", "  netstor admin key delete NSTR7K2M");
  add_text(*remove, "ID", "", [call = removing](auto& text) { call->request.set_id(text); })->required();
  removing->show = [raw = removing.get()] { std::cout << "deleted " << raw->request.id() << '\n'; };
}

}  // namespace netstor::tool
