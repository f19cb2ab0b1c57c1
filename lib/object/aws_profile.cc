// SPDX-License-Identifier: Apache-2.0
#include "lib/object/aws_profile.h"

#include <cctype>

namespace netstor::object {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& letter : out) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return out;
}

/// "[profile name]" to "name"; empty when it is no profile of this kind of file.
std::string_view profile_of(std::string_view line, AwsFile file) {
  const auto end = line.find(']');
  if (end == std::string_view::npos) return {};
  std::string_view name = trimmed(line.substr(1, end - 1));
  if (file == AwsFile::credentials || name == "default") return name;
  constexpr std::string_view kWord = "profile";
  if (name.size() <= kWord.size() || !name.starts_with(kWord) ||
      kSpace.find(name[kWord.size()]) == std::string_view::npos) {
    return {};
  }
  return trimmed(name.substr(kWord.size()));
}

}  // namespace

AwsProfile read_aws_profile(std::string_view text, AwsFile file, std::string_view profile) {
  AwsProfile found;
  bool inside = false;
  std::string parent;  // of nested settings: the last one without a value
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view content = trimmed(line);
    if (content.empty() || content[0] == '#' || content[0] == ';') continue;
    if (content[0] == '[') {
      inside = profile_of(content, file) == profile;
      parent.clear();
      continue;
    }
    const auto equals = content.find('=');
    if (!inside || equals == std::string_view::npos) continue;
    const bool nested = kSpace.find(line[0]) != std::string_view::npos && !parent.empty();
    std::string name = lower(trimmed(content.substr(0, equals)));
    std::string_view value = trimmed(content.substr(equals + 1));
    // A comment may follow a value, behind a space.
    for (const std::string_view mark : {" #", " ;", "\t#", "\t;"}) {
      value = trimmed(value.substr(0, value.find(mark)));
    }
    if (!nested) parent = value.empty() ? name : std::string();
    found.insert_or_assign(nested ? parent + "." + name : std::move(name), std::string(value));
  }
  return found;
}

}  // namespace netstor::object
