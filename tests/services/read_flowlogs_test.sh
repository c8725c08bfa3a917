#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# read_flowlogs must sum up what a log file says, and must fail on a tree it has not read whole.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
folder=$tree/AWSLogs/123456789012/vpcflowlogs/eu-central-1/$(date -u +%Y/%m/%d)
file=$folder/123456789012_vpcflowlogs_eu-central-1_fl-0123456789abcdef0_$(date -u +%Y%m%dT%H%MZ)_0a1b2c3d.log.gz
mkdir -p "$folder"
header='version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status'
record='2 123456789012 eni-1 192.0.2.1 192.0.2.2 40000 443 6 3 180 1700000000 1700000060 ACCEPT OK'

expect() {  # expect STATUS LAST_LINE
  local status=0 output
  output=$("$here/read_flowlogs" "$tree") || status=$?
  if [ "$status" != "$1" ] || [ "$(tail -n 1 <<<"$output")" != "$2" ]; then
    printf 'expected exit %s and %s\ngot exit %s and\n%s\n' "$1" "$2" "$status" "$output" >&2
    exit 1
  fi
}

expect 1 '{"files": 0, "records": 0, "packets": 0, "bytes": 0}'
printf '%s\n' "$header" "$record" "$record" | gzip >"$file"
expect 0 '{"files": 1, "records": 2, "packets": 6, "bytes": 360}'
cp "$file" "$folder/unknown_name.log.gz"
expect 1 '{"files": 1, "records": 2, "packets": 6, "bytes": 360}'
rm "$folder/unknown_name.log.gz"
printf '%s\n' "$header" "${record/443/none}" | gzip >"$file"   # a port that is no number: raise_on_error
expect 1 ''
