// SPDX-License-Identifier: MIT
// To be preloaded into fffa: once the file $FFFA_TEST_FATAL is there, the first producer has a fatal error, as
// librdkafka raises it when records could come twice or in another order. There is no way to make a broker cause one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static rd_kafka_t* volatile producer;

static void* wait_for_file(void* ignored) {
  (void)ignored;
  const char* const path = getenv("FFFA_TEST_FATAL");
  while (path != NULL) {
    if (producer != NULL && unlink(path) == 0)
      rd_kafka_test_fatal_error(producer, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "asked for");
    usleep(10000);
  }
  return NULL;
}

// In place of librdkafka's.
__attribute__((visibility("default"))) rd_kafka_t* rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t* conf,
                                                                char* error, size_t size) {
  static pthread_t thread;
  rd_kafka_t* (*const real)(rd_kafka_type_t, rd_kafka_conf_t*, char*, size_t) = dlsym(RTLD_NEXT, "rd_kafka_new");
  rd_kafka_t* const made = real(type, conf, error, size);
  if (type == RD_KAFKA_PRODUCER && made != NULL && producer == NULL) {
    producer = made;
    pthread_create(&thread, NULL, wait_for_file, NULL);
  }
  return made;
}
