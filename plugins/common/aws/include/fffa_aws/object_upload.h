// SPDX-License-Identifier: MIT
// A finished file becomes an object: whole, once, under a key that nothing else has.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "fffa_aws/s3.h"

namespace fffa::aws {

// A file that does not change any more.
struct LocalFile {
  int folder;        // descriptor
  std::string name;  // within it
  int fd;
  std::uint64_t size;
};

struct Uploaded {
  S3Reply::Kind kind = S3Reply::Kind::unreachable;
  bool already_there = false;           // ok: the server had the very same bytes
  std::string error;                    // not ok
  std::chrono::seconds retry_after{0};  // not ok
};

// While an upload in parts is under way, `.NAME.upload` beside the file holds its id. One that was cut off, by SIGKILL
// too, goes on with the next attempt: what the store has is not sent again. If that cannot be it is ended, so that no
// parts stay in the store.
std::string upload_mark(std::string_view name);

// ok: the server has confirmed every byte. `exists`: something else has the key.
Uploaded upload_file(S3& s3, const LocalFile& file, const std::string& key);

}  // namespace fffa::aws
