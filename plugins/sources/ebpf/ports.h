// SPDX-License-Identifier: MIT
// The monitored interfaces: found, attached to, followed as they come, go and change their names.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "attach.h"
#include "config.h"
#include "fffa/batch.h"
#include "fffa/context.h"
#include "fffa_engine/records.h"

#include "rtnetlink.h"

namespace fffa::ebpf {

// Gives a program's descriptor, loading it if need be.
using Programs = std::function<Result<int>(Program)>;

// One thread.
class Ports {
 public:
  Ports(const Config& config, StageContext& context) : config_(config), context_(context) {}

  // Attaches to what is there and matches. An error if all of that failed; what does not exist yet is waited for, with
  // a warning.
  Result<void> start(Programs programs);
  // Called when an interface is about to be captured in a direction.
  void on_attach(std::function<void(std::uint32_t ifindex, Direction direction)> told) { told_ = std::move(told); }
  // Readable when follow() has something to do.
  int fd() const noexcept { return netlink_->fd(); }
  // Takes in what has changed since.
  void follow();
  // Self-healing, to be called every few seconds: attaches anew where a program was removed, tries again what failed.
  void check();
  void detach();

  // Where the records of an interface say they are from, gone or not.
  engine::Origin origin(std::uint32_t ifindex) const;
  // One entry for each monitored interface and each that is gone, with empty counts.
  std::vector<InterfaceStatus> statuses() const;

  // The interfaces with a program attached, and in which directions (1 << enum fffa_direction).
  std::vector<std::pair<std::uint32_t, std::uint32_t>> attached() const;

  // Some interface is gone and its flows are still to be read out.
  bool leaving() const noexcept { return !leaving_.empty(); }
  // A read-out of everything begins, or is complete: those that had left before it began are forgotten, and returned.
  void read_out_begins() { being_read_ = leaving_; }
  std::vector<std::uint32_t> read_out_complete();

 private:
  struct Port {
    Link link;
    std::optional<Attachment> ingress;
    std::optional<Attachment> egress;
    std::string failure;  // what was said last about not being attached
  };

  Result<void> list_links();
  Result<void> list_routes();
  void list_addresses();
  bool wanted(const Link& link) const;
  void reconcile();
  void update(Port& port, const Link& link);
  void warn_about_missing() const;
  void warn_about_framing();
  Result<void> attach(Port& port);
  Result<Attachment> attach_ingress(const Target& target);
  Result<Attachment> attach_at_xdp(const Target& target, bool generic);
  Result<Attachment> attach_at_tc(const Target& target, Direction direction);
  void attach_and_tell(Port& port);
  void show(const Port& port, bool gone = false);
  void tell(const Port& port);
  void leave(std::uint32_t ifindex, std::string_view why);
  void name(const Link& link);
  bool wants(Direct hook) const;

  const Config& config_;
  StageContext& context_;
  Programs programs_;
  std::function<void(std::uint32_t, Direction)> told_ = [](std::uint32_t, Direction) {};
  std::optional<RtNetlink> netlink_;
  std::map<std::uint32_t, Link> links_;  // all of the namespace
  std::vector<LinkAddress> addresses_;
  std::vector<std::uint32_t> default_links_;
  std::map<std::uint32_t, Port> ports_;
  std::set<std::uint32_t> leaving_;
  std::set<std::uint32_t> being_read_;
  std::set<std::uint32_t> warned_;        // left out, and said so
  std::vector<std::uint32_t> forgotten_;  // at the last read-out
  std::map<std::uint32_t, Text> names_;   // of the monitored ones, and those that left not long ago
};

// Whether an interface is meant by the option `interfaces`.
bool selects(const std::vector<std::string>& patterns, const Link& link,
             const std::vector<std::uint32_t>& default_links);

}  // namespace fffa::ebpf
