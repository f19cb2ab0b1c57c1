// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the admin verbs share: options into messages, answers as tables or as JSON.

#include "server/control/admin.pb.h"
#include "tools/netstor/admin_client.h"
#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace netstor::tool {

namespace v1 = netstor::admin::v1;

/// The groups of `netstor admin`, each in a file of its own or with its like.
void add_admin_volume(CLI::App& admin, Command& command);
void add_admin_subsystem(CLI::App& admin, Command& command);
void add_admin_listener(CLI::App& admin, Command& command);
void add_admin_host(CLI::App& admin, Command& command);
void add_admin_connection(CLI::App& admin, Command& command);
void add_admin_bucket(CLI::App& admin, Command& command);
void add_admin_key(CLI::App& admin, Command& command);
void add_admin_server(CLI::App& admin, Command& command);

/// Every field, in the order of the .proto and by its name there; an enum's value is its last word.
nlohmann::ordered_json json_of(const google::protobuf::Message& message);

/// A column of a table: its title, and a cell from the JSON of a row.
struct Column {
  std::string title;
  std::function<std::string(const nlohmann::ordered_json& row)> cell;
  char alignment = 'l';
};
Column text_column(std::string title, std::string field);
Column size_column(std::string title, std::string field);
/// Of a key: "until_ms" and "expired".
Column until_column();
Column flag_column(std::string title, std::string field, std::string yes, std::string no);
void print_table(const nlohmann::ordered_json& rows, const std::vector<Column>& columns,
                 std::string_view none);

/// One verb: how it is asked, and how its answer is shown to people.
template <class Request, class Answer>
struct AdminVerb {
  AdminPlace place;
  bool json = false;
  Request request;
  Answer answer;
  std::function<Result<void>()> prepare = [] { return ok(); };  ///< before the call
  std::function<void()> show;                                   ///< without --json
};

CLI::App* add_admin_verb(CLI::App& group, const std::string& name, const std::string& about,
                         const std::string& examples, AdminPlace& place, bool& json);
Result<void> print_json(const google::protobuf::Message& answer);

/// Adds the verb; `method` is the call that it makes. The caller adds options to `.first` and fills in
/// `show`.
template <class Request, class Answer>
std::pair<CLI::App*, std::shared_ptr<AdminVerb<Request, Answer>>> admin_verb(
    CLI::App& group, Command& command, const std::string& name, const std::string& method,
    const std::string& about, const std::string& examples) {
  auto verb = std::make_shared<AdminVerb<Request, Answer>>();
  CLI::App* const app = add_admin_verb(group, name, about, examples, verb->place, verb->json);
  app->callback([verb, method, &command] {
    command.run = [verb, method]() -> Result<void> {
      NETSTOR_CHECK_RETURN(verb->prepare());
      NETSTOR_CHECK_RETURN(call_admin(verb->place, method, verb->request, verb->answer));
      if (verb->json) return print_json(verb->answer);
      verb->show();
      return ok();
    };
  });
  return {app, verb};
}

/// An option or a positional that sets a string of a message; refuses what is no UTF-8.
CLI::Option* add_text(CLI::App& verb, const std::string& name, const std::string& about,
                      std::function<void(const std::string&)> set);
CLI::Option* add_bytes(CLI::App& verb, const std::string& name, const std::string& about,
                       std::function<void(std::uint64_t)> set);
CLI::Option* add_number(CLI::App& verb, const std::string& name, const std::string& about,
                        std::function<void(std::uint32_t)> set);
/// A time as 2026-12-31T23:59:59Z; sets milliseconds since 1970.
CLI::Option* add_time(CLI::App& verb, const std::string& name, const std::string& about,
                      std::function<void(std::int64_t)> set);
CLI::Option* add_switch(CLI::App& verb, const std::string& name, const std::string& about,
                        std::function<void()> set);

}  // namespace netstor::tool
