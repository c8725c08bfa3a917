// SPDX-License-Identifier: MIT
// The running kernel's types (BTF), as libbpf reads them: some megabytes, so not to be kept.
#pragma once

#include <bpf/btf.h>

#include <memory>

namespace fffa::ebpf {

struct FreeBtf {
  void operator()(btf* types) const noexcept { btf__free(types); }
};
using KernelTypes = std::unique_ptr<btf, FreeBtf>;

// Null: the kernel does not say.
inline KernelTypes load_kernel_types() {
  return KernelTypes(btf__load_vmlinux_btf());
}

}  // namespace fffa::ebpf
