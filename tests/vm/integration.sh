# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The integration tests of capturing and attaching, on this kernel.
status=0
for program in /opt/fffa/*_test; do
  "$program" --gtest_brief=1 || status=1
done
exit $status
