// SPDX-License-Identifier: MIT
// TC filters on a clsact qdisc, for kernels without TCX links (before 6.6).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fffa/detail/descriptor.h"
#include "fffa/record.h"
#include "fffa/result.h"

namespace fffa::ebpf {

// The clsact qdisc of one interface: made if it is not there, removed on destruction if we made it and nobody else put
// a filter on it. Only one live process holds it: filters found under our priority, handle and program name belong to
// one that was killed.
class Clsact {
 public:
  // The one that this process holds already, or a new one.
  static Result<std::shared_ptr<Clsact>> open(std::uint32_t ifindex, const std::string& name);
  ~Clsact();
  Clsact(const Clsact&) = delete;
  Clsact& operator=(const Clsact&) = delete;

  // Returns the attached program's id. Replaces our own leftover, and nothing else.
  Result<std::uint32_t> attach(int program, Direction direction);
  void detach(Direction direction) noexcept;
  // The id of the program under our priority and handle; 0: none; nullopt: for want of a descriptor it cannot be told.
  std::optional<std::uint32_t> attached(Direction direction) const noexcept;

 private:
  Clsact(std::uint32_t ifindex, std::string name, Descriptor claim);
  bool empty() const noexcept;

  std::uint32_t ifindex_;
  std::string name_;
  Descriptor claim_;   // held while we live: see claim()
  bool ours_ = false;  // we made the qdisc
};

// The name of a loaded program; empty if it is gone or may not be read.
std::string program_name(std::uint32_t program_id);

}  // namespace fffa::ebpf
