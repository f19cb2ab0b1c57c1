// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the tool says that something went wrong: one line "netstor: …", and a line "hint: …" where there is
// something to do about it.

#include <netstor/result.h>

#include <string>
#include <string_view>
#include <vector>

namespace netstor::tool {

/// The exit codes; `netstor --help` documents them.
enum Exit : int { kDone = 0, kFailed = 1, kUsage = 2 };

/// The error with advice of its own, instead of what it has or its kind gets.
Error with_hint(Error error, std::string_view hint);
/// The error with "; NOTE" behind its text; its advice stays.
Error with_note(const Error& error, std::string_view note);
bool has_hint(const Error& error);
/// The error's text without the tool's own additions.
std::string plain_text(const Error& error);

/// A fault of the command line, with its advice: the tool then exits with kUsage.
Error usage_error(std::string text, std::string_view hint = {});

/// Prints the error and its hint to standard error; answers the exit code.
int fail(const Error& error);

/// The word of `known` that is nearest to `word`; empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace netstor::tool
