// SPDX-License-Identifier: Apache-2.0
#pragma once
// Rows of text in aligned columns.

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace netstor::tool {

class Table {
 public:
  /// `alignment`: one letter a column, 'l' or 'r'. The last column is never padded.
  explicit Table(std::string alignment) : alignment_(std::move(alignment)) {}

  void add(std::vector<std::string> cells);
  void print(std::ostream& out, std::string_view indent = "") const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace netstor::tool
