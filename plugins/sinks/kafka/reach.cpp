// SPDX-License-Identifier: MIT
#include "reach.h"

#include <utility>

namespace fffa::kafka {
namespace {

constexpr int kInDoubt = 2;  // seconds between questions
constexpr int kElse = 30;

}  // namespace

void Reach::complained(std::string text) {
  const std::lock_guard lock(mutex_);
  doubt_ = true;
  if (!text.empty()) complaint_ = std::move(text);
}

void Reach::tick(bool idle, std::uint64_t delivered, Producer& producer) {
  bool proved = false;
  {
    const std::lock_guard lock(mutex_);
    proved = std::exchange(delivered_, delivered) != delivered;
    const int due = doubt_ || away_ ? kInDoubt : kElse;
    if (!proved && (!idle || asking_ || ++unasked_ < due)) return;
    if (!proved) asking_ = true;
  }
  if (proved) return answered(true);
  context_.background([this, &producer] { answered(producer.reachable()); });
}

void Reach::answered(bool there) {
  std::string reason;
  {
    const std::lock_guard lock(mutex_);
    asking_ = doubt_ = false;
    unasked_ = 0;
    if (there) complaint_.clear();
    if (std::exchange(away_, !there) == !there) return;
    if (!there) reason = "no broker answers" + (complaint_.empty() ? "" : ": " + complaint_);
  }
  context_.degraded(reason);
  if (there) {
    context_.log().info("the brokers answer again");
  } else {
    context_.log().warning(reason + ": tried again until one does");
  }
}

}  // namespace fffa::kafka
