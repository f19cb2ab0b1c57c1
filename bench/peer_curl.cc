// SPDX-License-Identifier: Apache-2.0
// libcurl's multi interface under the load of bench/bucket_load: requests of the same size, not signed.
//
//   peer_curl --url http://127.0.0.1:9000 --verb get --size 4096 --depth 32 --seconds 2

#include "bench/bucket_stats.h"

#include <curl/curl.h>

#include <deque>
#include <vector>

namespace {

using namespace netstor::bench;

struct Lane {
  CURL* easy = nullptr;
  std::vector<char> memory;
  std::size_t at = 0;
  SteadyTime begun;
};

std::size_t take(char* data, std::size_t size, std::size_t count, void* user) {
  auto& lane = *static_cast<Lane*>(user);
  const std::size_t bytes = std::min(size * count, lane.memory.size() - lane.at);
  std::memcpy(lane.memory.data() + lane.at, data, bytes);
  lane.at += bytes;
  return bytes;
}

std::size_t give(char* data, std::size_t size, std::size_t count, void* user) {
  auto& lane = *static_cast<Lane*>(user);
  const std::size_t bytes = std::min(size * count, lane.memory.size() - lane.at);
  std::memcpy(data, lane.memory.data() + lane.at, bytes);
  lane.at += bytes;
  return bytes;
}

void begin(CURLM* multi, Lane& lane) {
  lane.at = 0;
  lane.begun = now();
  curl_multi_add_handle(multi, lane.easy);
}

void prepare(Lane& lane, const std::string& url, const std::string& ca, bool put, std::size_t size,
             curl_slist* fields) {
  lane.easy = curl_easy_init();
  lane.memory.resize(size, 'x');
  curl_easy_setopt(lane.easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(lane.easy, CURLOPT_PRIVATE, &lane);
  curl_easy_setopt(lane.easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(lane.easy, CURLOPT_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(lane.easy, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(lane.easy, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(lane.easy, CURLOPT_HTTPHEADER, fields);
  curl_easy_setopt(lane.easy, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(lane.easy, CURLOPT_WRITEDATA, &lane);
  if (!ca.empty()) curl_easy_setopt(lane.easy, CURLOPT_CAINFO, ca.c_str());
  if (!put) return;
  curl_easy_setopt(lane.easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(lane.easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
  curl_easy_setopt(lane.easy, CURLOPT_READFUNCTION, give);
  curl_easy_setopt(lane.easy, CURLOPT_READDATA, &lane);
}

}  // namespace

int main(int argc, char** argv) {
  pin_to_cpu(static_cast<int>(number(argc, argv, "--cpu", "0")));
  const bool put = argument(argc, argv, "--verb", "get") == "put";
  const auto size = static_cast<std::size_t>(number(argc, argv, "--size", "4096"));
  const auto depth = static_cast<unsigned>(number(argc, argv, "--depth", "1"));
  const double seconds = std::strtod(argument(argc, argv, "--seconds", "1").c_str(), nullptr);
  const std::string url = argument(argc, argv, "--url", "") + "/things/o" + std::to_string(size);
  const std::string ca = argument(argc, argv, "--ca-file", "");
  curl_global_init(CURL_GLOBAL_ALL);
  CURLM* const multi = curl_multi_init();
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(depth));
  curl_slist* const fields = curl_slist_append(nullptr, "Expect:");
  std::deque<Lane> lanes(depth);
  for (Lane& lane : lanes) {
    prepare(lane, url, ca, put, size, fields);
    begin(multi, lane);
  }
  const SteadyTime measure_from = now() + std::chrono::milliseconds(200);
  const SteadyTime end = measure_from + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
  Latencies latencies;
  Cost from, to;
  bool warm = false;
  for (SteadyTime when{}; when < end || latencies.total() < depth;) {
    int running = 0;
    curl_multi_perform(multi, &running);
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Lane* lane = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &lane);
      if (message->data.result != CURLE_OK || lane->at != size) {
        std::fprintf(stderr, "peer_curl: %s\n", curl_easy_strerror(message->data.result));
        return 1;
      }
      when = now();
      if (warm) {
        latencies.add(when - lane->begun);
        to = Cost::now();
      } else if (when >= measure_from) {
        warm = true;
        from = Cost::now();
      }
      curl_multi_remove_handle(multi, lane->easy);
      begin(multi, *lane);
    }
    curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  }
  print_cost(latencies, from, to, size, depth);
}
