// SPDX-License-Identifier: Apache-2.0
#pragma once
// A latency distribution as a picture: rows of logarithmic buckets, bars of eighths of a column.

#include <iosfwd>

namespace netstor::tool {

class Histogram;
struct Terminal;

void print_picture(std::ostream& out, const Histogram& histogram, const Terminal& terminal);

}  // namespace netstor::tool
