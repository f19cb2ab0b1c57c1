// SPDX-License-Identifier: Apache-2.0

#include "tools/netstor/admin_parts.h"

#include "tools/netstor/failure.h"
#include "tools/netstor/table.h"

#include <netstor/uri.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iostream>

namespace netstor::tool {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::ordered_json;

constexpr const char* kTimeForm = "%Y-%m-%dT%H:%M:%SZ";

std::string time_text(std::time_t seconds) {
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), kTimeForm, &parts);
  return text.data();
}

/// "STORE_FILE" as "file".
std::string enum_text(const std::string& name) {
  std::string text = name.substr(name.find('_') + 1);
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
  return text;
}

/// `index` -1: of a field that is not repeated.
ordered_json value_of(const Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  const bool one = index < 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return one ? reflection.GetString(message, &field)
                 : reflection.GetRepeatedString(message, &field, index);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return json_of(one ? reflection.GetMessage(message, &field)
                         : reflection.GetRepeatedMessage(message, &field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_text(reflection.GetEnum(message, &field)->name());
    default:
      return nullptr;  // the .proto has no others
  }
}

bool valid_utf8(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace

ordered_json json_of(const Message& message) {
  ordered_json object = ordered_json::object();
  const auto* const type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    if (!field.is_repeated()) {
      object[field.name()] = value_of(message, field, -1);
      continue;
    }
    ordered_json list = ordered_json::array();
    const int count = message.GetReflection()->FieldSize(message, &field);
    for (int k = 0; k < count; ++k) list.push_back(value_of(message, field, k));
    object[field.name()] = std::move(list);
  }
  return object;
}

Result<void> print_json(const Message& answer) {
  std::cout << json_of(answer).dump(2) << '\n';
  return ok();
}

Column text_column(std::string title, std::string field) {
  return {.title = std::move(title), .cell = [field = std::move(field)](const ordered_json& row) {
            const ordered_json& value = row[field];
            if (!value.is_string()) return value.dump();
            return value.get<std::string>().empty() ? std::string("-") : value.get<std::string>();
          }};
}

Column size_column(std::string title, std::string field) {
  return {.title = std::move(title),
          .cell = [field = std::move(field)](
                      const ordered_json& row) { return format_size(row[field].get<std::uint64_t>()); },
          .alignment = 'r'};
}

Column flag_column(std::string title, std::string field, std::string yes, std::string no) {
  return {.title = std::move(title),
          .cell = [field = std::move(field), yes = std::move(yes), no = std::move(no)](
                      const ordered_json& row) { return row[field].get<bool>() ? yes : no; }};
}

Column until_column() {
  return {.title = "UNTIL", .cell = [](const ordered_json& row) -> std::string {
            const auto ms = row["until_ms"].get<std::int64_t>();
            if (ms == 0) return "-";
            return time_text(static_cast<std::time_t>(ms / 1000)) +
                   (row["expired"].get<bool>() ? " (over)" : "");
          }};
}

void print_table(const ordered_json& rows, const std::vector<Column>& columns, std::string_view none) {
  if (rows.empty()) {
    std::cout << none << '\n';
    return;
  }
  std::string alignment;
  std::vector<std::string> titles;
  for (const Column& column : columns) {
    alignment += column.alignment;
    titles.push_back(column.title);
  }
  Table table(alignment);
  table.add(std::move(titles));
  for (const ordered_json& row : rows) {
    std::vector<std::string> cells;
    for (const Column& column : columns) cells.push_back(column.cell(row));
    table.add(std::move(cells));
  }
  table.print(std::cout);
}

CLI::App* add_admin_verb(CLI::App& group, const std::string& name, const std::string& about,
                         const std::string& examples, AdminPlace& place, bool& json) {
  CLI::App* const verb = group.add_subcommand(name, about);
  verb->footer("Examples:\n" + examples);
  verb->add_flag("--json", json, "Print one JSON document");
  verb->add_option("--socket", place.socket,
                   "The server's admin socket (default: admin.sock of the default state directory)")
      ->type_name("PATH");
  verb->add_option("--server", place.server, "Or its address, with the three files below")
      ->type_name("HOST:PORT");
  verb->add_option("--cert", place.certificate, "Our certificate and its chain (PEM)")->type_name("FILE");
  verb->add_option("--key", place.key, "The certificate's key (PEM)")->type_name("FILE");
  verb->add_option("--ca", place.authority, "Who may have signed the server's certificate (PEM)")
      ->type_name("FILE");
  verb->add_option("--timeout", place.timeout_s, "Give up after this many seconds (30)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.001, 3600.0));
  return verb;
}

CLI::Option* add_text(CLI::App& verb, const std::string& name, const std::string& about,
                      std::function<void(const std::string&)> set) {
  const auto take = [set = std::move(set), name](const std::string& text) {
    if (!valid_utf8(text)) throw CLI::ValidationError(name, "what is given is no UTF-8 text");
    set(text);
  };
  return verb.add_option_function<std::string>(name, take, about)->type_name("");
}

CLI::Option* add_bytes(CLI::App& verb, const std::string& name, const std::string& about,
                       std::function<void(std::uint64_t)> set) {
  const auto take = [set = std::move(set), name](const std::string& text) {
    const Result<std::uint64_t> size = parse_size(text);
    if (!size) throw CLI::ValidationError(name, size.error().text());
    set(*size);
  };
  return verb.add_option_function<std::string>(name, take, about)->type_name("");
}

CLI::Option* add_number(CLI::App& verb, const std::string& name, const std::string& about,
                        std::function<void(std::uint32_t)> set) {
  return verb.add_option_function<std::uint32_t>(name, std::move(set), about)->type_name("N");
}

CLI::Option* add_time(CLI::App& verb, const std::string& name, const std::string& about,
                      std::function<void(std::int64_t)> set) {
  const auto take = [set = std::move(set), name](const std::string& text) {
    std::tm parts{};
    const char* const end = ::strptime(text.c_str(), kTimeForm, &parts);
    const std::time_t seconds = end == nullptr || *end != '\0' ? 0 : ::timegm(&parts);
    // Read back, because timegm() makes March of February's 31st.
    if (seconds <= 0 || time_text(seconds) != text)
      throw CLI::ValidationError(name, "expected a time (UTC) as 2026-12-31T23:59:59Z");
    set(std::int64_t{seconds} * 1000);
  };
  return verb.add_option_function<std::string>(name, take, about)->type_name("TIME");
}

CLI::Option* add_switch(CLI::App& verb, const std::string& name, const std::string& about,
                        std::function<void()> set) {
  return verb.add_flag_function(
      name, [set = std::move(set)](std::int64_t) { set(); }, about);
}

}  // namespace netstor::tool
