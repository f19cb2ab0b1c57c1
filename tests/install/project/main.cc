// SPDX-License-Identifier: Apache-2.0
//
// A program that knows netstor only by what was installed.
#include <netstor/version.h>

#include <cstdio>
#include <cstring>

int main() {
  std::printf("netstor %s\n", netstor::linked_version());
  return std::strcmp(netstor::linked_version(), netstor::kVersion) == 0 ? 0 : 1;
}
