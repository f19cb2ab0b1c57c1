// SPDX-License-Identifier: Apache-2.0
// netstor admin volume

#include "tools/netstor/admin_parts.h"

#include <iostream>

namespace netstor::tool {

namespace {

void show(const std::vector<const v1::Volume*>& volumes) {
  auto rows = nlohmann::ordered_json::array();
  for (const v1::Volume* volume : volumes) rows.push_back(json_of(*volume));
  const Column attached{.title = "ATTACHED", .cell = [](const nlohmann::ordered_json& row) {
                          std::string text;
                          for (const auto& each : row["attachments"]) {
                            if (!text.empty()) text += ", ";
                            text += each["subsystem"].get<std::string>() + "#" + each["nsid"].dump();
                          }
                          return text.empty() ? std::string("-") : text;
                        }};
  print_table(
      rows,
      {text_column("NAME", "name"), size_column("SIZE", "size_bytes"), size_column("USED", "used_bytes"),
       text_column("STORE", "store"), text_column("BLOCK", "block_bytes"), attached},
      "no volumes");
}

void add_create(CLI::App& group, Command& command) {
  auto [verb, call] = admin_verb<v1::CreateVolumeRequest, v1::Volume>(
      group, command, "create", "CreateVolume", "Make a volume and serve it",
      "  netstor admin volume create data 100GiB\n"
      "  netstor admin volume create scratch 4GiB --store memory\n"
      "  netstor admin volume create secret 1TiB --detached      nobody sees it until it is attached");
  add_text(*verb, "NAME", "1 to 64 of a-z 0-9 . _ -", [call = call](auto& text) {
    call->request.set_name(text);
  })->required();
  add_bytes(*verb, "SIZE", "1MiB or more; thin", [call = call](auto size) {
    call->request.set_size_bytes(size);
  })->required();
  add_text(*verb, "--store", "file, memory or null (file)", [call = call](auto& text) {
    call->request.set_store(text == "memory" ? v1::STORE_MEMORY
                            : text == "null" ? v1::STORE_NULL
                                             : v1::STORE_FILE);
  })->check(CLI::IsMember({"file", "memory", "null"}));
  add_number(*verb, "--block", "Bytes of a block: 512 or 4096 (4096)",
             [call = call](auto number) { call->request.set_block_bytes(number); });
  add_text(*verb, "--nqn", "Default: nqn.2026-01.io.netstor:NAME", [call = call](auto& text) {
    call->request.set_nqn(text);
  })->type_name("NQN");
  add_switch(*verb, "--detached", "Serve it only where it is attached",
             [call = call] { call->request.set_detached(true); });
  add_switch(*verb, "--overcommit", "It may be larger than the disk that it lies on",
             [call = call] { call->request.set_overcommit(true); });
  call->show = [raw = call.get()] { show({&raw->answer}); };
}

void add_list(CLI::App& group, Command& command) {
  auto [verb, call] = admin_verb<v1::ListVolumesRequest, v1::ListVolumesResponse>(
      group, command, "list", "ListVolumes", "What volumes there are",
      "  netstor admin volume list\n  netstor admin volume list --json | jq '.volumes[].name'");
  call->show = [raw = call.get()] {
    std::vector<const v1::Volume*> all;
    for (const v1::Volume& volume : raw->answer.volumes()) all.push_back(&volume);
    show(all);
  };
}

void add_get(CLI::App& group, Command& command) {
  auto [verb, call] = admin_verb<v1::GetVolumeRequest, v1::Volume>(group, command, "get", "GetVolume",
                                                                   "One volume, all that is known of it",
                                                                   "  netstor admin volume get data --json");
  add_text(*verb, "NAME", "", [call = call](auto& text) { call->request.set_name(text); })->required();
  call->show = [raw = call.get()] {
    show({&raw->answer});
    std::cout << "nqn     " << raw->answer.nqn() << "\nuuid    " << raw->answer.uuid() << "\nserial  "
              << raw->answer.serial() << '\n';
  };
}

void add_changes(CLI::App& group, Command& command) {
  auto [resize, resizing] = admin_verb<v1::ResizeVolumeRequest, v1::Volume>(
      group, command, "resize", "ResizeVolume", "Make a volume larger, under I/O",
      "  netstor admin volume resize data 200GiB");
  add_text(*resize, "NAME", "", [call = resizing](auto& text) { call->request.set_name(text); })->required();
  add_bytes(*resize, "SIZE", "Not less than it has", [call = resizing](auto size) {
    call->request.set_size_bytes(size);
  })->required();
  add_switch(*resize, "--overcommit", "It may be larger than the disk that it lies on",
             [call = resizing] { call->request.set_overcommit(true); });
  resizing->show = [raw = resizing.get()] { show({&raw->answer}); };

  auto [rename, renaming] = admin_verb<v1::RenameVolumeRequest, v1::Volume>(
      group, command, "rename", "RenameVolume", "Give a volume another name; hosts do not notice",
      "  netstor admin volume rename data archive");
  add_text(*rename, "NAME", "", [call = renaming](auto& text) { call->request.set_name(text); })->required();
  add_text(*rename, "NEW-NAME", "", [call = renaming](auto& text) {
    call->request.set_new_name(text);
  })->required();
  renaming->show = [raw = renaming.get()] { show({&raw->answer}); };

  auto [remove, removing] = admin_verb<v1::DeleteVolumeRequest, v1::DeleteVolumeResponse>(
      group, command, "delete", "DeleteVolume", "Remove a volume and its bytes",
      "  netstor admin volume delete data\n"
      "  netstor admin volume delete data --force      hosts that are connected lose it");
  add_text(*remove, "NAME", "", [call = removing](auto& text) { call->request.set_name(text); })->required();
  add_switch(*remove, "--force", "Even while hosts are connected",
             [call = removing] { call->request.set_force(true); });
  removing->show = [raw = removing.get()] { std::cout << "deleted " << raw->request.name() << '\n'; };
}

}  // namespace

void add_admin_volume(CLI::App& admin, Command& command) {
  CLI::App* const group = admin.add_subcommand("volume", "Make, grow, rename and remove volumes");
  group->require_subcommand(1);
  add_create(*group, command);
  add_list(*group, command);
  add_get(*group, command);
  add_changes(*group, command);
}

}  // namespace netstor::tool
