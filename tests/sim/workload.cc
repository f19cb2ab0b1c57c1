// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/workload.h"

#include "tests/sim/pattern.h"

#include <algorithm>

namespace netstor::sim {

namespace {
constexpr std::size_t kPiecesMax = 8;
}

DeviceVerb Workload::draw_verb() {
  const std::uint64_t of_100 = random_.below(100);
  if (of_100 < 38) return DeviceVerb::read;
  if (of_100 < 76) return DeviceVerb::write;
  if (of_100 < 84) return DeviceVerb::flush;
  if (of_100 < 89) return DeviceVerb::write_zeroes;
  if (of_100 < 93) return DeviceVerb::compare;
  if (of_100 < 96) return DeviceVerb::compare_and_write;
  if (of_100 < 98) return DeviceVerb::deallocate;
  return DeviceVerb::verify;
}

std::uint64_t Workload::draw_count() {
  const std::uint64_t of_10 = random_.below(10);
  if (of_10 < 6) return random_.between(1, 8);
  if (of_10 < 9) return random_.between(8, std::min<std::uint64_t>(64, limits_.blocks_max));
  return random_.between(64, limits_.blocks_max);
}

Request Workload::draw() {
  Request request;
  request.verb = draw_verb();
  request.pause = Duration(static_cast<std::int64_t>(random_.chance(0.3) ? random_.below(40'000'000) : 0));
  draw_end(request);
  if (request.verb == DeviceVerb::flush) return request;
  request.count = request.verb == DeviceVerb::compare_and_write
                      ? random_.between(1, limits_.compare_and_write_blocks_max)
                      : draw_count();
  const bool hot = random_.chance(0.5);
  request.count = std::min(request.count, limits_.blocks);
  request.first =
      random_.below(std::min(hot ? limits_.hot_blocks : limits_.blocks, limits_.blocks - request.count + 1));
  request.force_unit_access = random_.chance(0.1);
  request.idempotent = random_.chance(0.3);
  draw_pieces(request);
  return request;
}

// A list for some reads and writes, cut anywhere: at no block, at no transfer limit.
void Workload::draw_pieces(Request& request) {
  std::size_t left = request.count * kPatternBytes;
  const bool list = request.verb == DeviceVerb::read || request.verb == DeviceVerb::write;
  while (list && request.pieces.size() + 1 < kPiecesMax && left > 1 && random_.chance(0.3)) {
    request.pieces.push_back(random_.between(1, left - 1));
    left -= request.pieces.back();
  }
  request.pieces.push_back(left);
}

void Workload::draw_end(Request& request) {
  const std::uint64_t of_100 = random_.below(100);
  if (of_100 < 80) return;
  request.end = of_100 < 88   ? Request::End::deadline
                : of_100 < 98 ? Request::End::cancelled
                              : Request::End::dropped;
  // Most run out before the storage can answer, some long after.
  request.patience =
      Duration(static_cast<std::int64_t>(random_.below(random_.chance(0.5) ? 1'000'000 : 1'000'000'000)));
}

}  // namespace netstor::sim
