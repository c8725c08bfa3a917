/* SPDX-License-Identifier: MIT */
/* Preloaded, it sets the wall clock of a process off by CLOCK_OFF seconds. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The build hides what is not marked. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec* now) {
  const char* off = getenv("CLOCK_OFF");
  const int status = (int)syscall(SYS_clock_gettime, clock, now);
  if (status == 0 && clock == CLOCK_REALTIME && off) now->tv_sec += atol(off);
  return status;
}
