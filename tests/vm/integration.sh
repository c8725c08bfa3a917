# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The tests of tests/integration on Debian's kernels: 6.1 has clsact filters in place of TCX links. Besides, the clock is set while packets
# flow.
set -euo pipefail
export FFFA=/work/bin/fffa FFFA_TRAFFIC_DIVISOR=10
uname -r
"$FFFA" doctor
if [[ $(uname -r) == 6.1.* ]]; then hook=clsact; else hook=tcx; fi
"$FFFA" interfaces | grep -q "$hook egress"
./attach_test --gtest_brief=1
./lifecycle_test --gtest_brief=1 --gtest_filter='Lifecycle.DeletedAndMadeAgain:Lifecycle.ANewOneMatchesAGlob'
./main_job_test --gtest_brief=1 --gtest_filter='*MainJob*:Process.Killed*'
./clock_test --gtest_brief=1
