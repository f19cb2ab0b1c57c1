// SPDX-License-Identifier: Apache-2.0
// netstor completion: what a shell asks for, made from the verbs and options that the parser knows. One
// table, "the words behind a path of verbs", in three languages; where no word fits, shells offer files.

#include "tools/netstor/verbs.h"

#include <CLI/CLI.hpp>

#include <iostream>
#include <map>
#include <sstream>

namespace netstor::tool {

namespace {

constexpr const char* kFooter = R"(Examples:
  source <(netstor completion bash)                                   for this shell
  netstor completion zsh > ~/.zfunc/_netstor                          where fpath has ~/.zfunc
  netstor completion fish > ~/.config/fish/completions/netstor.fish
An installed netstor has put them where the shells look already.)";

/// By path ("netstor admin volume"): verbs first, options behind them.
using Words = std::map<std::string, std::string>;

void collect(const CLI::App& app, const std::string& path, Words& words) {
  std::string& here = words[path];
  for (const CLI::App* verb : app.get_subcommands({})) {
    here += (here.empty() ? "" : " ") + verb->get_name();
    collect(*verb, path + " " + verb->get_name(), words);
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) here += (here.empty() ? "--" : " --") + name;
  }
}

/// The paths that another verb may follow, as patterns of a shell's `case`.
std::string known_paths(const Words& words, const char* between) {
  std::string text;
  for (const auto& [path, list] : words) {
    if (path == "netstor") continue;
    text += (text.empty() ? "" : between) + ("\"" + path + "\"");
  }
  return text;
}

std::string bash_text(const Words& words) {
  std::ostringstream out;
  out << "# netstor for bash, made by `netstor completion bash`\n"
         "_netstor() {\n"
         "  local path=netstor word words=\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case \"$path $word\" in\n"
         "      "
      << known_paths(words, "|")
      << ") path=\"$path $word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path\" in\n";
  for (const auto& [path, list] : words) out << "    \"" << path << "\") words=\"" << list << "\" ;;\n";
  out << "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o bashdefault -o default -F _netstor netstor\n";
  return out.str();
}

std::string zsh_text(const Words& words) {
  std::ostringstream out;
  out << "#compdef netstor\n"
         "# netstor for zsh, made by `netstor completion zsh`\n"
         "_netstor() {\n"
         "  local place=netstor word\n"
         "  local -a found\n"
         "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
         "    case \"$place $word\" in\n"
         "      "
      << known_paths(words, "|")
      << ") place=\"$place $word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$place\" in\n";
  for (const auto& [path, list] : words) out << "    \"" << path << "\") found=(" << list << ") ;;\n";
  out << "  esac\n"
         "  compadd -a found || _files\n"
         "}\n"
         "if [[ \"$funcstack[1]\" == _netstor ]]; then _netstor; else compdef _netstor netstor; fi\n";
  return out.str();
}

std::string fish_text(const Words& words) {
  std::ostringstream out;
  out << "# netstor for fish, made by `netstor completion fish`\n"
         "function __netstor_words\n"
         "  set -l place netstor\n"
         "  for word in (commandline -opc)[2..-1]\n"
         "    switch \"$place $word\"\n"
         "      case "
      << known_paths(words, " ")
      << "\n"
         "        set place \"$place $word\"\n"
         "    end\n"
         "  end\n"
         "  switch $place\n";
  for (const auto& [path, list] : words) {
    out << "    case \"" << path << "\"\n      printf '%s\\n' " << list << "\n";
  }
  out << "  end\n"
         "end\n"
         "complete -c netstor -a '(__netstor_words)'\n";
  return out.str();
}

}  // namespace

void add_completion(CLI::App& app, Command& command) {
  CLI::App* const verb =
      app.add_subcommand("completion", "Print what a shell needs to complete this tool's words");
  verb->footer(kFooter);
  auto shell = std::make_shared<std::string>();
  verb->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->callback([shell, &app, &command] {
    command.run = [shell, &app]() -> Result<void> {
      Words words;
      collect(app, "netstor", words);
      std::cout << (*shell == "bash"  ? bash_text(words)
                    : *shell == "zsh" ? zsh_text(words)
                                      : fish_text(words));
      return ok();
    };
  });
}

}  // namespace netstor::tool
