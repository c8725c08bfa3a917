// SPDX-License-Identifier: MIT
// Uploader: takes sealed files from the staging area to S3, in the background, until each is confirmed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include "fffa/context.h"
#include "fffa_aws/s3.h"
#include "staging.h"

namespace fffa::vpc_flow_log {

struct UploadOptions {
  std::filesystem::path directory;
  std::string prefix;
  std::string credentials_file;
  aws::S3Options s3;
};

// The stage's thread. What blocks runs in StageContext::background().
class Uploader {
 public:
  Uploader(UploadOptions options, StageContext& context);
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  // There may be something new to upload: `bytes` more.
  void wake(std::uint64_t bytes);
  // Bytes in the staging area that wait.
  std::uint64_t waiting() const noexcept;
  // Uploads what is there as long as the host lets close() take; the rest stays, and is said.
  void close();

 private:
  class Worker;
  StageContext& context_;
  std::shared_ptr<Worker> worker_;  // outlives the stage while it works
  std::unique_ptr<Timer> timer_;
  bool running_ = false;
  bool again_ = false;
  bool troubled_ = false;  // the last pass failed: the next one comes when its pause is over

  void start();
  void passed(std::chrono::nanoseconds pause);
};

}  // namespace fffa::vpc_flow_log
