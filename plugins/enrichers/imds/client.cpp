// SPDX-License-Identifier: MIT
#include "client.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>

namespace fffa::imds {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kTokenLife(21600);  // the longest that the service grants
constexpr std::size_t kMaxToken = 4096;
constexpr const char* kTokenLifeHeader = "X-aws-ec2-metadata-token-ttl-seconds: 21600";

struct Transfer {
  std::string body;
  const std::atomic<bool>& stop;
  bool too_long = false;
  int no_socket = 0;  // errno, which libcurl's own text leaves out
};

std::size_t receive(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.body.size() + size > kMaxReply) {
    transfer.too_long = true;
    return 0;  // ends the transfer
  }
  transfer.body.append(data, size);
  return size;
}

curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* to) {
  const int fd = ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  if (fd < 0) static_cast<Transfer*>(user)->no_socket = errno;
  return fd;
}

int progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(user)->stop.load(std::memory_order_relaxed) ? 1 : 0;
}

Reply::Kind kind_of(long status) {
  if (status == 200) return Reply::Kind::ok;
  if (status == 404) return Reply::Kind::absent;
  return status >= 500 ? Reply::Kind::unreachable : Reply::Kind::refused;
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// The library allows this once per process; other plugins do the same.
void initialise_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

// One connection, kept alive between requests.
struct Client::Curl {
  CURL* handle = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};
  CURLcode code = CURLE_OK;
  long status = 0;  // of the last reply, 0 if none came

  Curl() {
    initialise_curl();
    handle = curl_easy_init();
  }
  ~Curl() { curl_easy_cleanup(handle); }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  Reply request(const ClientOptions& options, const char* method, const std::string& path, const std::string& header,
                const std::atomic<bool>& stop);
  void configure(const ClientOptions& options) const;
};

void Client::Curl::configure(const ClientOptions& options) const {
  // Link-local and plain: no proxy, no redirect, nothing but HTTP, whatever the environment says.
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http");
#else
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS, CURLPROTO_HTTP);
#endif
  curl_easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);  // other threads are running
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &progress);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &receive);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "fffa");
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout.count()));
}

Reply Client::Curl::request(const ClientOptions& options, const char* method, const std::string& path,
                            const std::string& header, const std::atomic<bool>& stop) {
  if (handle == nullptr) return {Reply::Kind::unreachable, "libcurl could not be initialised"};
  Transfer transfer{{}, stop};
  const std::string url = options.endpoint + path;
  curl_slist* headers = curl_slist_append(nullptr, header.c_str());
  configure(options);
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error.data());
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &transfer);
  error[0] = 0;
  status = 0;
  code = curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, nullptr);
  curl_slist_free_all(headers);

  const std::string what = std::string(method) + " " + url + ": ";
  const std::string cause =
      transfer.no_socket == 0 ? "" : " (" + std::generic_category().message(transfer.no_socket) + ")";
  if (transfer.too_long) return {Reply::Kind::unreachable, what + "the reply has more than 64 KiB"};
  if (code != CURLE_OK) {
    return {Reply::Kind::unreachable, what + (error[0] != 0 ? error.data() : curl_easy_strerror(code)) + cause};
  }
  const auto kind = kind_of(status);
  if (kind != Reply::Kind::ok) return {kind, what + "status " + std::to_string(status)};
  return {kind, std::move(transfer.body)};
}

Client::Client(ClientOptions options, Clock& clock, const std::atomic<bool>& stop)
    : options_(std::move(options)), clock_(clock), stop_(stop), curl_(std::make_unique<Curl>()) {}

Client::~Client() = default;

// Pauses grow from 100 to 400 ms, shortened at random so that instances that started together do not ask together.
void Client::pause(int attempt) const {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto longest = std::min(milliseconds(100) * (1 << std::min(attempt, 2)), milliseconds(400));
  auto left = longest / 2 + milliseconds(random() % static_cast<unsigned long>(longest.count() / 2));
  for (; left > milliseconds(0) && !stop_; left -= milliseconds(20)) std::this_thread::sleep_for(milliseconds(20));
}

Reply Client::with_attempts(const std::function<Reply()>& request) {
  for (int attempt = 0;; ++attempt) {
    Reply reply = request();
    const bool connected = curl_->code != CURLE_COULDNT_CONNECT && curl_->code != CURLE_COULDNT_RESOLVE_HOST &&
                           curl_->code != CURLE_OPERATION_TIMEDOUT && curl_->code != CURLE_URL_MALFORMAT &&
                           curl_->code != CURLE_UNSUPPORTED_PROTOCOL;
    if (reply.kind != Reply::Kind::unreachable || !connected || attempt + 1 >= options_.attempts || stop_) return reply;
    pause(attempt);
  }
}

Reply Client::ensure_token() {
  if (!token_.empty() && clock_.monotonic() < token_good_until_) return {Reply::Kind::ok, {}};
  token_.clear();
  Reply reply =
      with_attempts([this] { return curl_->request(options_, "PUT", "/latest/api/token", kTokenLifeHeader, stop_); });
  // 404 on this path: not this service, or one that has no tokens
  if (reply.kind == Reply::Kind::absent) reply.kind = Reply::Kind::refused;
  if (reply.kind != Reply::Kind::ok) return reply;
  while (!reply.text.empty() && (reply.text.back() == '\n' || reply.text.back() == '\r')) reply.text.pop_back();
  if (!is_token(reply.text))
    return {Reply::Kind::refused, "PUT " + options_.endpoint + "/latest/api/token: no token in the reply"};
  token_ = std::move(reply.text);
  token_good_until_ = clock_.monotonic() + std::chrono::nanoseconds(kTokenLife) / 10 * 9;
  return {Reply::Kind::ok, {}};
}

Reply Client::get(std::string_view path) {
  for (bool renewed = false;; renewed = true) {
    Reply token = ensure_token();
    if (token.kind != Reply::Kind::ok) return token;
    Reply reply = with_attempts([&] {
      return curl_->request(options_, "GET", std::string(path), "X-aws-ec2-metadata-token: " + token_, stop_);
    });
    if (curl_->status != 401 || renewed) return reply;
    token_.clear();
  }
}

}  // namespace fffa::imds
