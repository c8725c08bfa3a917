# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The parser against a real geneve device, and TCP's metrics under netem against the sender's socket.
set -euo pipefail
uname -r
./vm_truth_test --gtest_brief=1
