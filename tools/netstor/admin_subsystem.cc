// SPDX-License-Identifier: Apache-2.0
// netstor admin subsystem, listener, host, connection

#include "tools/netstor/admin_parts.h"

#include <iostream>

namespace netstor::tool {

namespace {

using nlohmann::ordered_json;

template <class Messages>
ordered_json rows_of(const Messages& messages) {
  auto rows = ordered_json::array();
  for (const auto& message : messages) rows.push_back(json_of(message));
  return rows;
}

void show_subsystems(const ordered_json& rows) {
  const Column namespaces{.title = "NAMESPACES", .cell = [](const ordered_json& row) {
                            std::string text;
                            for (const auto& each : row["namespaces"]) {
                              if (!text.empty()) text += ", ";
                              text += each["nsid"].dump() + "=" + each["volume"].get<std::string>();
                            }
                            return text.empty() ? std::string("-") : text;
                          }};
  const Column hosts{.title = "HOSTS", .cell = [](const ordered_json& row) {
                       if (row["any_host"].get<bool>()) return std::string("any");
                       std::string text;
                       for (const auto& each : row["allowed_hosts"]) {
                         if (!text.empty()) text += ", ";
                         text += each.get<std::string>();
                       }
                       return text.empty() ? std::string("nobody") : text;
                     }};
  print_table(rows,
              {text_column("NQN", "nqn"), text_column("SERIAL", "serial"), namespaces,
               text_column("CONNECTIONS", "connections"),
               flag_column("AUTHENTICATION", "only_authenticated", "required", "-"), hosts},
              "no subsystems");
}

/// A verb that answers a subsystem.
template <class Request>
std::pair<CLI::App*, std::shared_ptr<AdminVerb<Request, v1::Subsystem>>> subsystem_verb(
    CLI::App& group, Command& command, const std::string& name, const std::string& method,
    const std::string& about, const std::string& examples) {
  auto made = admin_verb<Request, v1::Subsystem>(group, command, name, method, about, examples);
  made.second->show = [raw = made.second.get()] {
    show_subsystems(ordered_json::array({json_of(raw->answer)}));
  };
  return made;
}

template <class Call>
void add_subsystem_option(CLI::App& verb, const Call& call) {
  add_text(verb, "SUBSYSTEM", "Its NQN", [call = call](auto& text) {
    call->request.set_subsystem(text);
  })->required();
}

void add_create(CLI::App& group, Command& command) {
  auto [verb, call] = subsystem_verb<v1::CreateSubsystemRequest>(
      group, command, "create", "CreateSubsystem", "Make a subsystem, without namespaces",
      "  netstor admin subsystem create nqn.2026-01.com.example:db --host HOST-NQN --host OTHER-NQN\n"
      "  netstor admin subsystem create nqn.2026-01.com.example:db --no-host");
  add_text(*verb, "NQN", "nqn.YYYY-MM.DOMAIN:WHAT", [call = call](auto& text) {
    call->request.set_nqn(text);
  })->required();
  add_text(*verb, "--serial", "1 to 20 printable characters (a random one)", [call = call](auto& text) {
    call->request.set_serial(text);
  })->type_name("TEXT");
  verb->add_option_function<std::vector<std::string>>(
          "--host",
          [call = call](const std::vector<std::string>& hosts) {
            for (const std::string& host : hosts) call->request.add_allowed_hosts(host);
          },
          "Let only this host connect. May be repeated. Default: any")
      ->type_name("NQN")
      ->take_all();
  add_switch(*verb, "--no-host", "Let nobody connect, until a host is allowed",
             [call = call] { call->request.set_no_host(true); });
}

void add_namespaces(CLI::App& group, Command& command) {
  auto [attach, attaching] = subsystem_verb<v1::AttachNamespaceRequest>(
      group, command, "attach", "AttachNamespace", "Make a volume a namespace of a subsystem",
      "  netstor admin subsystem attach nqn.2026-01.com.example:db data\n"
      "  netstor admin subsystem attach nqn.2026-01.com.example:db data --nsid 7");
  add_subsystem_option(*attach, attaching);
  add_text(*attach, "VOLUME", "", [call = attaching](auto& text) {
    call->request.set_volume(text);
  })->required();
  add_number(*attach, "--nsid", "1 to 64 (the lowest free one)",
             [call = attaching](auto number) { call->request.set_nsid(number); });

  auto [detach, detaching] = subsystem_verb<v1::DetachNamespaceRequest>(
      group, command, "detach", "DetachNamespace", "Take a namespace from a subsystem; the volume stays",
      "  netstor admin subsystem detach nqn.2026-01.com.example:db 7");
  add_subsystem_option(*detach, detaching);
  add_number(*detach, "NSID", "", [call = detaching](auto number) {
    call->request.set_nsid(number);
  })->required();
}

void add_host_verbs(CLI::App& group, Command& command) {
  auto [allow, allowing] = subsystem_verb<v1::AllowHostRequest>(
      group, command, "allow", "AllowHost",
      "Let a host connect to a subsystem; the first makes it the only one",
      "  netstor admin host allow nqn.2026-01.io.netstor:data nqn.2014-08.org.nvmexpress:uuid:...");
  add_subsystem_option(*allow, allowing);
  add_text(*allow, "HOST", "Its NQN", [call = allowing](auto& text) {
    call->request.set_host(text);
  })->required();

  auto [forbid, forbidding] = subsystem_verb<v1::ForbidHostRequest>(
      group, command, "forbid", "ForbidHost", "Take a host from a subsystem's list",
      "  netstor admin host forbid nqn.2026-01.io.netstor:data HOST-NQN --disconnect");
  add_subsystem_option(*forbid, forbidding);
  add_text(*forbid, "HOST", "Its NQN", [call = forbidding](auto& text) {
    call->request.set_host(text);
  })->required();
  add_switch(*forbid, "--disconnect", "And end what it has connected",
             [call = forbidding] { call->request.set_disconnect(true); });

  auto [any, opening] = subsystem_verb<v1::AllowAnyHostRequest>(
      group, command, "allow-any", "AllowAnyHost", "Drop a subsystem's list of hosts",
      "  netstor admin host allow-any nqn.2026-01.io.netstor:data");
  add_subsystem_option(*any, opening);
}

void show_hosts(const ordered_json& rows) {
  print_table(rows,
              {text_column("HOST", "nqn"), flag_column("KEY", "has_key", "set", "revoked"),
               flag_column("CONTROLLER-KEY", "has_controller_key", "set", "-"), until_column(),
               flag_column("FROM", "kept", "state", "--host-keys")},
              "no host has a key: hosts need not prove who they are");
}

void add_key_verbs(CLI::App& group, Command& command) {
  auto [set, setting] = admin_verb<v1::SetHostKeyRequest, v1::Host>(
      group, command, "set-key", "SetHostKey", "Give a host the key that it has to prove itself by",
      "  netstor admin host set-key HOST-NQN --secret host.key\n"
      "Files are as `nvme gen-dhchap-key` prints them, mode 0600. From the first key on, hosts without one "
      "are\n"
      "refused.");
  add_text(*set, "HOST", "Its NQN", [call = setting](auto& text) {
    call->request.set_nqn(text);
  })->required();
  auto files = std::make_shared<std::pair<std::string, std::string>>();
  set->add_option("--secret", files->first, "A file with the host's secret")->type_name("FILE")->required();
  set->add_option("--controller-secret", files->second, "A file with what the subsystem proves itself by")
      ->type_name("FILE");
  add_time(*set, "--until", "When it holds no longer, as 2026-12-31T23:59:59Z (default: for good)",
           [call = setting](std::int64_t ms) { call->request.set_until_ms(ms); });
  add_switch(*set, "--disconnect", "And end what it has connected by now",
             [call = setting] { call->request.set_disconnect(true); });
  setting->prepare = [raw = setting.get(), files]() -> Result<void> {
    NETSTOR_TRY_RETURN(*raw->request.mutable_secret(), read_secret(files->first));
    NETSTOR_TRY_RETURN(*raw->request.mutable_controller_secret(), read_secret(files->second));
    return ok();
  };
  setting->show = [raw = setting.get()] { show_hosts(ordered_json::array({json_of(raw->answer)})); };

  auto [revoke, revoking] = admin_verb<v1::RevokeHostKeyRequest, v1::Host>(
      group, command, "revoke-key", "RevokeHostKey", "Shut a host out until it gets a key again",
      "  netstor admin host revoke-key HOST-NQN --disconnect");
  add_text(*revoke, "HOST", "Its NQN", [call = revoking](auto& text) {
    call->request.set_nqn(text);
  })->required();
  add_switch(*revoke, "--disconnect", "And end what it has connected",
             [call = revoking] { call->request.set_disconnect(true); });
  revoking->show = [raw = revoking.get()] { show_hosts(ordered_json::array({json_of(raw->answer)})); };

  auto [remove, removing] = admin_verb<v1::DeleteHostRequest, v1::DeleteHostResponse>(
      group, command, "delete", "DeleteHost", "Forget a host's key", "  netstor admin host delete HOST-NQN");
  add_text(*remove, "HOST", "Its NQN", [call = removing](auto& text) {
    call->request.set_nqn(text);
  })->required();
  add_switch(*remove, "--force", "Even the last one, after which no host has to prove who it is",
             [call = removing] { call->request.set_force(true); });
  removing->show = [raw = removing.get()] { std::cout << "deleted " << raw->request.nqn() << '\n'; };

  auto [list, listing] = admin_verb<v1::ListHostsRequest, v1::ListHostsResponse>(
      group, command, "list", "ListHosts", "Hosts that have to prove who they are",
      "  netstor admin host list");
  listing->show = [raw = listing.get()] { show_hosts(rows_of(raw->answer.hosts())); };
}

void show_listeners(const ordered_json& rows) {
  print_table(
      rows,
      {text_column("ADDRESS", "host"), text_column("PORT", "port"), text_column("ADVERTISED", "advertise"),
       flag_column("FROM", "kept", "state", "flag"), text_column("NOT SERVED", "not_served")},
      "nobody can connect: no listeners");
}

}  // namespace

void add_admin_subsystem(CLI::App& admin, Command& command) {
  CLI::App* const group = admin.add_subcommand("subsystem", "What hosts connect to, and its namespaces");
  group->require_subcommand(1);
  add_create(*group, command);
  auto [list, listing] = admin_verb<v1::ListSubsystemsRequest, v1::ListSubsystemsResponse>(
      *group, command, "list", "ListSubsystems", "What subsystems there are",
      "  netstor admin subsystem list");
  listing->show = [raw = listing.get()] { show_subsystems(rows_of(raw->answer.subsystems())); };
  add_namespaces(*group, command);
  auto [remove, removing] = admin_verb<v1::DeleteSubsystemRequest, v1::DeleteSubsystemResponse>(
      *group, command, "delete", "DeleteSubsystem", "Remove a subsystem; volumes stay",
      "  netstor admin subsystem delete nqn.2026-01.com.example:db --force");
  add_text(*remove, "NQN", "", [call = removing](auto& text) { call->request.set_nqn(text); })->required();
  add_switch(*remove, "--force", "Even while hosts are connected",
             [call = removing] { call->request.set_force(true); });
  removing->show = [raw = removing.get()] { std::cout << "deleted " << raw->request.nqn() << '\n'; };
}

void add_admin_host(CLI::App& admin, Command& command) {
  CLI::App* const group = admin.add_subcommand("host", "Which hosts may connect, and how they prove it");
  group->require_subcommand(1);
  add_host_verbs(*group, command);
  add_key_verbs(*group, command);
}

void add_admin_listener(CLI::App& admin, Command& command) {
  CLI::App* const group = admin.add_subcommand("listener", "Addresses where hosts connect");
  group->require_subcommand(1);
  auto [add, adding] = admin_verb<v1::AddListenerRequest, v1::Listener>(
      *group, command, "add", "AddListener", "Listen on one more address, from now on and after each start",
      "  netstor admin listener add 10.0.0.5\n"
      "  netstor admin listener add 0.0.0.0 --port 4421 --advertise 10.0.0.5");
  adding->request.set_port(4420);
  add_text(*add, "ADDRESS", "Numeric", [call = adding](auto& text) {
    call->request.set_host(text);
  })->required();
  add_number(*add, "--port", "0: one that is free (4420)",
             [call = adding](auto number) { call->request.set_port(number); });
  add_text(*add, "--advertise", "What discovery names; needed with 0.0.0.0 and ::",
           [call = adding](auto& text) { call->request.set_advertise(text); })
      ->type_name("ADDRESS");
  adding->show = [raw = adding.get()] { show_listeners(ordered_json::array({json_of(raw->answer)})); };

  auto [remove, removing] = admin_verb<v1::RemoveListenerRequest, v1::RemoveListenerResponse>(
      *group, command, "remove", "RemoveListener", "Stop listening there; connections stay",
      "  netstor admin listener remove 10.0.0.5 --port 4420");
  removing->request.set_port(4420);
  add_text(*remove, "ADDRESS", "", [call = removing](auto& text) {
    call->request.set_host(text);
  })->required();
  add_number(*remove, "--port", "(4420)", [call = removing](auto number) { call->request.set_port(number); });
  removing->show = [raw = removing.get()] { std::cout << "removed " << raw->request.host() << '\n'; };

  auto [list, listing] = admin_verb<v1::ListListenersRequest, v1::ListListenersResponse>(
      *group, command, "list", "ListListeners", "Where hosts can connect", "  netstor admin listener list");
  listing->show = [raw = listing.get()] { show_listeners(rows_of(raw->answer.listeners())); };
}

void add_admin_connection(CLI::App& admin, Command& command) {
  CLI::App* const group = admin.add_subcommand("connection", "Who is connected");
  group->require_subcommand(1);
  auto [list, listing] = admin_verb<v1::ListConnectionsRequest, v1::ListConnectionsResponse>(
      *group, command, "list", "ListConnections", "Every connection of a host",
      "  netstor admin connection list");
  listing->show = [raw = listing.get()] {
    print_table(
        rows_of(raw->answer.connections()),
        {text_column("ID", "id"), text_column("PEER", "peer"), text_column("CONTROLLER", "controller"),
         text_column("QUEUE", "queue"), flag_column("PROVEN", "authenticated", "yes", "-"),
         text_column("SUBSYSTEM", "subsystem"), text_column("HOST", "host")},
        "no connections");
  };
  auto [end, ending] = admin_verb<v1::DisconnectRequest, v1::DisconnectResponse>(
      *group, command, "disconnect", "Disconnect",
      "End connections; hosts may come again if they are allowed",
      "  netstor admin connection disconnect --host HOST-NQN\n"
      "  netstor admin connection disconnect --id 0-17\n"
      "  netstor admin connection disconnect --subsystem NQN --host HOST-NQN      those to which both "
      "applies");
  add_text(*end, "--id", "This one", [call = ending](auto& text) {
    call->request.set_id(text);
  })->type_name("ID");
  add_text(*end, "--host", "Those of this host", [call = ending](auto& text) {
    call->request.set_host(text);
  })->type_name("NQN");
  add_text(*end, "--subsystem", "Those to this subsystem", [call = ending](auto& text) {
    call->request.set_subsystem(text);
  })->type_name("NQN");
  ending->show = [raw = ending.get()] {
    std::cout << "ended " << raw->answer.disconnected() << " connections\n";
  };
}

}  // namespace netstor::tool
