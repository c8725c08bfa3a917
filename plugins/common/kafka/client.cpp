// SPDX-License-Identifier: MIT
#include "fffa_kafka/client.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace fffa::kafka {
namespace {

constexpr const char* kName = "fffa";

rd_kafka_resp_err_t on_thread_start(rd_kafka_t*, rd_kafka_thread_type_t, const char*, void*) {
  drop_capabilities();
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_new(rd_kafka_t* client, const rd_kafka_conf_t*, void*, char*, std::size_t) {
  return rd_kafka_interceptor_add_on_thread_start(client, kName, on_thread_start, nullptr);
}

}  // namespace

void drop_capabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  static_cast<void>(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  static_cast<void>(::syscall(SYS_capset, &header, none.data()));
}

rd_kafka_t* make_client(rd_kafka_type_t type, ConfPtr conf, const Redactor& redact) {
  std::array<char, 512> error{};
  rd_kafka_conf_interceptor_add_on_new(conf.get(), kName, on_new, nullptr);
  rd_kafka_t* const client = rd_kafka_new(type, conf.get(), error.data(), error.size());
  if (client == nullptr) throw Failure(fail("set up librdkafka: " + redact(error.data())));
  static_cast<void>(conf.release());  // the client's now
  return client;
}

}  // namespace fffa::kafka
