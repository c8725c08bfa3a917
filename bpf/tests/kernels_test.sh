# SPDX-License-Identifier: MIT
# In a virtual machine: the programs load on this kernel, parse as in user space, and lose nothing.
uname -r
./bpf_kernel_parse_test && ./bpf_kernel_count_test
