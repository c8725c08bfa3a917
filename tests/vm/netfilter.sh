# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the firewall does, on Debian's kernels, which have nft's own queue rule: before 6.4 by tracing programs, then by netfilter links. Not
# all of the tests: under emulation each takes its time, and rules are told late.
set -euo pipefail
export FFFA=/work/bin/fffa FFFA_EMULATED=1
uname -r
"$FFFA" doctor || true
./netfilter_harness_test --gtest_brief=1
./netfilter_records_test --gtest_brief=1 --gtest_filter='*/iptables:*/nftDnatAndMasquerade'
./netfilter_limits_test --gtest_brief=1 --gtest_filter='*OtherNamespaces*:*Killed*:*OtherDrops*:*NobodyJoined*'
