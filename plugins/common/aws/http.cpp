// SPDX-License-Identifier: MIT
#include "fffa_aws/http.h"

#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <system_error>

namespace fffa::aws {
namespace {

using Failure = HttpReply::Failure;

struct Transfer {
  const HttpRequest& request;
  HttpReply& reply;
  const std::atomic<bool>& stop;
  std::uint64_t sent = 0;
  std::size_t header_bytes = 0;
  bool too_large = false;
  int no_socket = 0;  // errno, which libcurl's own text leaves out
};

std::size_t receive(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (transfer.reply.body.size() + size > HttpClient::kMaxBody) {
    transfer.too_large = true;
    return 0;  // ends the transfer
  }
  transfer.reply.body.append(data, size);
  return size;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

std::size_t receive_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.header_bytes += size;
  if (transfer.header_bytes > HttpClient::kMaxHeaders) {
    transfer.too_large = true;
    return 0;
  }
  const std::string_view line(data, size);
  if (line.starts_with("HTTP/")) transfer.reply.headers.clear();  // those of a 100 before it
  const auto colon = line.find(':');
  if (colon == line.npos) return size;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  transfer.reply.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  return size;
}

std::size_t send(char* buffer, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  size = std::min<std::uint64_t>(size, transfer.request.size - transfer.sent);
  if (size == 0) return 0;
  const auto n = transfer.request.read(transfer.sent, buffer, size);
  if (n <= 0) return CURL_READFUNC_ABORT;
  transfer.sent += static_cast<std::uint64_t>(n);
  return static_cast<std::size_t>(n);
}

int rewind(void* user, curl_off_t offset, int origin) {
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(user)->sent = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* to) {
  const int fd = ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
  if (fd < 0) static_cast<Transfer*>(user)->no_socket = errno;
  return fd;
}

int progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(user)->stop.load(std::memory_order_relaxed) ? 1 : 0;
}

// The library allows this once per process; other plugins do the same.
void initialise_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

void restrict_to(CURL* handle, const HttpOptions& options) {
  if (!options.proxy) {
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
  }
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);  // what is signed is what is asked for
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, options.https ? "http,https" : "http");
#else
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS, options.https ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTP);
#endif
  curl_easy_setopt(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);  // other threads are running
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);  // a name server that does not answer holds nobody up
#endif
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "fffa");
  if (!options.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(options.total_timeout.count()));
  if (options.stalled.count() == 0) return;
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stalled.count()));
}

void watch(CURL* handle, Transfer& transfer) {
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &receive);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &receive_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &transfer);
}

void say_what(CURL* handle, const HttpRequest& request, Transfer& transfer) {
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  if (request.method == "HEAD") curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (!request.read) return;
  curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.size));
  curl_easy_setopt(handle, CURLOPT_READFUNCTION, &send);
  curl_easy_setopt(handle, CURLOPT_READDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, &rewind);
  curl_easy_setopt(handle, CURLOPT_SEEKDATA, &transfer);
}

// libcurl's own text says what else there is: too old, for one.
Failure of_certificate(CURL* handle) {
  long verified = X509_V_OK;
  curl_easy_getinfo(handle, CURLINFO_SSL_VERIFYRESULT, &verified);
  switch (verified) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: return Failure::misnamed;  // libcurl looks at the name first
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return Failure::untrusted;
    default: return Failure::broken;
  }
}

Failure failure_of(CURL* handle, CURLcode code) {
  switch (code) {
    case CURLE_OK: return Failure::none;
    case CURLE_PEER_FAILED_VERIFICATION: return of_certificate(handle);
    case CURLE_SSL_CACERT_BADFILE: return Failure::untrusted;
    case CURLE_ABORTED_BY_CALLBACK: return Failure::stopped;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return Failure::unreachable;
    default: return Failure::broken;
  }
}

}  // namespace

std::string_view HttpReply::header(std::string_view name) const noexcept {
  const auto found = std::ranges::find_if(headers, [name](const auto& entry) { return entry.first == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

HttpClient::HttpClient() {
  initialise_curl();
  handle_ = curl_easy_init();
}

HttpClient::~HttpClient() {
  curl_easy_cleanup(handle_);
}

HttpReply HttpClient::perform(const HttpRequest& request, const HttpOptions& options, const std::atomic<bool>& stop) {
  HttpReply reply;
  if (handle_ == nullptr) {
    reply.error = "libcurl could not be initialised";
    return reply;
  }
  Transfer transfer{request, reply, stop};
  std::array<char, CURL_ERROR_SIZE> text{};
  curl_slist* headers = nullptr;
  for (const auto& header : request.headers) headers = curl_slist_append(headers, header.c_str());
  headers = curl_slist_append(headers, "Expect:");  // a server that does not know it would cost a second
  curl_easy_reset(handle_);                         // keeps the connections
  restrict_to(handle_, options);
  watch(handle_, transfer);
  say_what(handle_, request, transfer);
  curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, text.data());
  const CURLcode code = curl_easy_perform(handle_);
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &reply.status);
  reply.failure = transfer.too_large ? Failure::too_large : failure_of(handle_, code);
  curl_easy_reset(handle_);  // nothing points to what ends here
  curl_slist_free_all(headers);

  if (reply.failure == Failure::stopped && !stop) reply.failure = Failure::broken;  // the body could not be read
  if (reply.failure == Failure::none) return reply;
  if (transfer.too_large) {
    reply.error = "the reply has more than 64 KiB";
    return reply;
  }
  reply.error = text[0] != 0 ? text.data() : curl_easy_strerror(code);
  if (transfer.no_socket != 0) reply.error += " (" + std::generic_category().message(transfer.no_socket) + ")";
  return reply;
}

}  // namespace fffa::aws
