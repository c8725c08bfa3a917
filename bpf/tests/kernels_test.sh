# SPDX-License-Identifier: MIT
# In a virtual machine: the programs load on this kernel, parse as in user space, and lose nothing.
uname -r
export FFFA_TRAFFIC_DIVISOR=10
./bpf_kernel_netfilter_test --gtest_brief=1 && ./bpf_kernel_parse_test --gtest_brief=1 --gtest_filter=-'*cut_at_every_byte*' && ./bpf_kernel_count_test --gtest_brief=1 && ./bpf_kernel_fragment_test --gtest_brief=1
