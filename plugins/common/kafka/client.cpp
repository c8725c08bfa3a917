// SPDX-License-Identifier: MIT
#include "fffa_kafka/client.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <thread>

namespace fffa::kafka {

void keep_only_reading() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  static_cast<void>(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return;
  sets[0].permitted &= 1u << CAP_DAC_READ_SEARCH;
  sets[0].effective = sets[0].permitted;
  sets[0].inheritable = 0;
  sets[1] = {};
  static_cast<void>(::syscall(SYS_capset, &header, sets.data()));
}

void add_header(rd_kafka_headers_t* headers, std::string_view name, std::string_view value) {
  rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                      static_cast<ssize_t>(value.size()));
}

// In a thread of its own, of which librdkafka's inherit.
rd_kafka_t* make_client(rd_kafka_type_t type, ConfPtr conf, const Redactor& redact) {
  std::array<char, 512> error{};
  rd_kafka_t* client = nullptr;
  std::thread([&] {
    keep_only_reading();
    client = rd_kafka_new(type, conf.get(), error.data(), error.size());
  }).join();
  if (client == nullptr) throw Failure(fail("set up librdkafka: " + redact(error.data())));
  static_cast<void>(conf.release());  // the client's now
  return client;
}

}  // namespace fffa::kafka
