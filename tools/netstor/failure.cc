// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/failure.h"

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <numeric>

namespace netstor::tool {
namespace {

// An error is a value of the library: the tool's own additions travel in its text, behind marks that no
// message has.
constexpr std::string_view kHintMark = "\n\x01";
constexpr std::string_view kUsageMark = "\n\x02";

constexpr std::string_view kSecretAdvice =
    "has the server this --host-secret for this --host-nqn? Its log may say more";

std::string_view advice_on_secrets(const std::string& text) {
  if (text.find("is empty") != std::string::npos) return {};  // the text has it
  if (text.find("the controller was not believed") == std::string::npos) return kSecretAdvice;
  if (text.find("the secret is not") == std::string::npos) return {};
  return "is --controller-secret the one that the server has?";
}

std::string_view advice(const Error& error) {
  const bool system = error.origin() == Origin::system;
  const bool authenticating = error.text().find("authentication: ") != std::string::npos;
  switch (error.kind()) {
    case ErrorKind::disconnected:
      if (authenticating) return advice_on_secrets(error.text());
      if (system && error.native() != ECONNREFUSED) return "is the host reachable, and the address right?";
      return "is netstord running there, on this port? `netstord` starts one on 127.0.0.1:4420";
    case ErrorKind::timed_out:
      return "is the host reachable, and the port open? --timeout waits longer";
    case ErrorKind::not_found:
      if (error.text().find("connect to ") != std::string::npos) return "is the host's name right?";
      if (error.text().find("nvme:///") != std::string::npos) return "`ls /dev/ng*` shows what there is";
      if (system) return "a file:/// volume must exist: `truncate -s 1G FILE` makes one";
      return "`netstor discover nvme+tcp://HOST[:PORT]` lists what a server offers";
    case ErrorKind::unsupported:
      return "`netstor info --capabilities` says what this build and machine can do, and why not";
    case ErrorKind::permission_denied:
      if (error.text().find("nvme:///") != std::string::npos)
        return "try it as root, or from Linux 6.2 on give the device to your group";
      if (authenticating) return advice_on_secrets(error.text());
      if (system) return "who owns the file, and is it writable?";
      return "does the server allow this host (its NQN), and is the volume writable?";
    case ErrorKind::no_space:
      return system ? "the disk is full, or a limit on it was met" : "the store behind the volume is full";
    case ErrorKind::exhausted:
      return "a limit was met: fewer --shards, a smaller --depth, or `ulimit -n` and `ulimit -l`";
    case ErrorKind::data_corrupt:
      return "the bytes are wrong: do not use them; is the medium or the network failing?";
    default:
      return {};
  }
}

/// How many letters differ, are missing or too many.
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

Error reworded(const Error& error, std::string text) {
  return Error(error.kind(), std::move(text), error.effect(), error.origin(), error.native())
      .with_answer(std::string(error.code()), std::string(error.request_id()));
}

}  // namespace

Error with_hint(Error error, std::string_view hint) {
  const std::string text = error.text().substr(0, error.text().find(kHintMark));
  return reworded(error, text + std::string(kHintMark) + std::string(hint));
}

Error with_note(const Error& error, std::string_view note) {
  std::string text = error.text();
  text.insert(plain_text(error).size(), "; " + std::string(note));
  return reworded(error, std::move(text));
}

bool has_hint(const Error& error) { return error.text().find(kHintMark) != std::string::npos; }

std::string plain_text(const Error& error) {
  const std::string text = error.text().substr(0, error.text().find(kHintMark));
  return text.substr(0, text.find(kUsageMark));
}

Error usage_error(std::string text, std::string_view hint) {
  Error error(ErrorKind::invalid_argument, std::move(text) + std::string(kUsageMark));
  return hint.empty() ? error : with_hint(std::move(error), hint);
}

namespace {

/// The library names what its users set; the tool's users have flags.
std::string in_flags(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kFlags[] = {
      {"VolumeOptions::queues", "--shards"},     {"VolumeOptions::queue_depth", "--depth"},
      {"VolumeOptions::host_nqn", "--host-nqn"}, {"VolumeOptions::host_secret", "--host-secret"},
      {"VolumeOptions::tls_key", "--tls-key"},
  };
  for (const auto& [option, flag] : kFlags) {
    const auto at = text.find(option);
    if (at != std::string::npos) text.replace(at, option.size(), flag);
  }
  return text;
}

}  // namespace

int fail(const Error& error) {
  std::string text = in_flags(error.text());
  std::string hint(advice(error));
  int code = kFailed;
  if (const auto mark = text.find(kHintMark); mark != std::string::npos) {
    hint = text.substr(mark + kHintMark.size());
    text.resize(mark);
  }
  if (const auto mark = text.find(kUsageMark); mark != std::string::npos) {
    text.resize(mark);
    code = kUsage;
  }
  std::cout.flush();
  std::cerr << "netstor: " << text;
  if (error.effect() == Effect::unknown) std::cerr << " (it may have been written, wholly or in part)";
  std::cerr << '\n';
  if (!hint.empty()) std::cerr << "hint: " << hint << '\n';
  return code;
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  // Less than half of the letters may be wrong, or one. Two that changed places count as two.
  std::size_t limit = std::max<std::size_t>((word.size() + 1) / 2, 2);
  for (const std::string& each : known) {
    const bool begins = !word.empty() && each.size() > word.size() && each.compare(0, word.size(), word) == 0;
    const std::size_t away = begins ? 0 : distance(word, each);
    if (away < limit) {
      limit = away;
      best = each;
    }
  }
  return best;
}

}  // namespace netstor::tool
