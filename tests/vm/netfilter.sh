# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The netfilter tests of tests/integration on Debian's kernels, which have nft's own queue rule. 6.1 has no netfilter programs.
set -euo pipefail
export FFFA=/work/bin/fffa
uname -r
"$FFFA" doctor || true
./netfilter_harness_test --gtest_brief=1
./netfilter_records_test --gtest_brief=1
./netfilter_rules_test --gtest_brief=1
# an emulated machine sends no 50 000 packets in a second
./netfilter_limits_test --gtest_brief=1 --gtest_filter=-*FarMore*
