// SPDX-License-Identifier: Apache-2.0
#include "tools/netstor/scrape.h"

#include <netstor/uri.h>

#include "tools/netstor/failure.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

namespace netstor::tool {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 << 20;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Waits for `events` until `deadline`; answers an errno value, 0 when they are there.
int wait_for(int fd, short events, Time deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return ETIMEDOUT;
    pollfd each{.fd = fd, .events = events, .revents = 0};
    const int found = ::poll(&each, 1, static_cast<int>(left.count()));
    if (found > 0) return 0;
    if (found < 0 && errno != EINTR) return errno;
  }
}

int connect_to(int fd, const addrinfo& address, Time deadline) {
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (const int failed = wait_for(fd, POLLOUT, deadline); failed != 0) return failed;
  int result = 0;
  socklen_t size = sizeof result;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) == 0 ? result : errno;
}

Result<std::unique_ptr<Socket>> open(const Uri& uri, Time deadline) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(uri.host.c_str(), std::to_string(uri.port).c_str(), &wanted, &found);
  if (failed != 0) return Error(ErrorKind::not_found, uri.host + ": " + ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
  int why = ENOENT;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    auto made =
        std::make_unique<Socket>(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    why = made->fd() < 0 ? errno : connect_to(made->fd(), *each, deadline);
    if (why == 0) return made;
  }
  return with_hint(Error::system(why, "connect to " + uri.host + ":" + std::to_string(uri.port)),
                   "is netstord running there, with --metrics-listen?");
}

Result<std::string> ask(const Uri& uri, const std::string& path, Time deadline) {
  auto socket = open(uri, deadline);
  if (!socket) return std::move(socket).error();
  const int fd = (*socket)->fd();
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + uri.host +
                              "\r\nUser-Agent: netstor\r\nConnection: close\r\n\r\n";
  // It fits into the socket's buffer, whole.
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return Error::system(errno, "ask " + uri.host);
  std::string answer;
  char bytes[16 * 1024];
  for (;;) {
    if (const int failed = wait_for(fd, POLLIN, deadline); failed != 0)
      return Error::system(failed, "the answer of " + uri.host);
    const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got == 0) return answer;
    if (got < 0 && errno != EAGAIN) return Error::system(errno, "the answer of " + uri.host);
    if (got > 0) answer.append(bytes, static_cast<std::size_t>(got));
    if (answer.size() > kAnswerBytesMax) return Error(ErrorKind::protocol, uri.host + ": too long an answer");
  }
}

bool parse_labels(std::string_view& text, Sample& sample) {
  text.remove_prefix(1);
  while (!text.starts_with('}')) {
    const auto equals = text.find("=\"");
    if (equals == std::string_view::npos) return false;
    std::string& value = sample.labels[std::string(text.substr(0, equals))];
    text.remove_prefix(equals + 2);
    while (!text.empty() && text.front() != '"') {
      if (text.front() == '\\' && text.size() > 1) {
        text.remove_prefix(1);
        value += text.front() == 'n' ? '\n' : text.front();
      } else {
        value += text.front();
      }
      text.remove_prefix(1);
    }
    if (text.empty()) return false;
    text.remove_prefix(1);
    if (text.starts_with(',')) text.remove_prefix(1);
    if (text.empty()) return false;
  }
  text.remove_prefix(1);
  return true;
}

bool parse_value(std::string_view text, double& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Result<Scrape> Scrape::parse(std::string_view text, Time at) {
  Scrape scrape;
  scrape.at_ = at;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line.starts_with('#')) continue;
    std::string_view rest = line;
    const std::string name(rest.substr(0, rest.find_first_of("{ ")));
    rest.remove_prefix(name.size());
    Sample sample;
    const bool labels = !rest.starts_with('{') || parse_labels(rest, sample);
    if (!labels || !rest.starts_with(' ') || !parse_value(rest.substr(1), sample.value))
      return Error(ErrorKind::data_corrupt, "not a sample of Prometheus's text format: " + std::string(line));
    scrape.samples_[name].push_back(std::move(sample));
  }
  return scrape;
}

Result<Scrape> Scrape::fetch(const std::string& url, Duration timeout) {
  return fetch_page(url, nullptr, timeout);
}

Result<Scrape> Scrape::fetch_connections(const std::string& url, Duration timeout) {
  auto connections = fetch_page(url, "/connections", timeout);
  if (!connections && connections.error().kind() == ErrorKind::not_found) return Scrape();
  return connections;
}

Result<Scrape> Scrape::fetch_page(const std::string& url, const char* page, Duration timeout) {
  auto uri = Uri::parse(url);
  if (!uri || uri->scheme != "http" || uri->host.empty())
    return usage_error(url + " is no address of metrics",
                       "http://HOST:PORT, as netstord --metrics-listen has it");
  if (uri->port == 0) uri->port = 9420;
  const bool bare = uri->path.empty() || uri->path == "/";
  const std::string path = page != nullptr ? page : bare ? "/metrics" : uri->path;
  const Time began = std::chrono::steady_clock::now();
  auto answer = ask(*uri, path, began + timeout);
  if (!answer) return std::move(answer).error();
  const std::size_t head = answer->find("\r\n\r\n");
  if (!answer->starts_with("HTTP/1.") || head == std::string::npos)
    return Error(ErrorKind::protocol, url + ": does not answer in HTTP");
  if (answer->compare(9, 3, "200") != 0)
    return Error(answer->compare(9, 3, "404") == 0 ? ErrorKind::not_found : ErrorKind::protocol,
                 url + ": " + answer->substr(9, answer->find("\r\n") - 9));
  return parse(std::string_view(*answer).substr(head + 4), began);
}

const std::vector<Sample>& Scrape::samples(const std::string& name) const {
  static const std::vector<Sample> kNone;
  const auto found = samples_.find(name);
  return found == samples_.end() ? kNone : found->second;
}

double Scrape::sum(const std::string& name, const Labels& labels) const {
  double sum = 0;
  for (const Sample& each : samples(name)) {
    const bool wanted = std::ranges::all_of(
        labels, [&](const auto& label) { return each.label(label.first) == label.second; });
    if (wanted) sum += each.value;
  }
  return sum;
}

}  // namespace netstor::tool
