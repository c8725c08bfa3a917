# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The main job as a user runs it: fffa from live flows to VPC Flow Log files on this kernel; its totals against the interface's counters.
set -euo pipefail
fffa=/opt/fffa/bin/fffa
export AWS_EC2_METADATA_DISABLED=true
ip netns add peer
ip link add veth0 type veth peer name veth1 netns peer
# nothing but the test's own packets: no IPv6 autoconfiguration, fixed neighbours instead of ARP
for name in all default; do
  sysctl -q -w "net.ipv6.conf.$name.disable_ipv6=1"
  ip netns exec peer sysctl -q -w "net.ipv6.conf.$name.disable_ipv6=1"
done
ip address add 192.0.2.1/24 dev veth0
ip link set veth0 up
ip -n peer address add 192.0.2.2/24 dev veth1
ip -n peer link set veth1 up
ethtool -K veth0 tso off gso off gro off >/dev/null
ip netns exec peer ethtool -K veth1 tso off gso off gro off >/dev/null
mac() { ip -o link show "$1" | sed 's/.*ether \([^ ]*\).*/\1/'; }
ip neigh replace 192.0.2.2 dev veth0 lladdr "$(ip netns exec peer ip -o link show veth1 | sed 's/.*ether \([^ ]*\).*/\1/')" nud permanent
ip -n peer neigh replace 192.0.2.1 dev veth1 lladdr "$(mac veth0)" nud permanent
sleep 2

$fffa doctor || true
cat >/work/job.yaml <<'YAML'
sources:
  capture: {type: ebpf, interfaces: [veth0], ingress: tc}
aggregators:
  flows: {type: flow_cache, inputs: [capture], interval: 5s}
sinks:
  logs: {type: vpc_flow_log, inputs: [flows], directory: /output/flowlogs}
  json: {type: file, inputs: [flows], format: json, path: /output/flows.json}
YAML
$fffa validate /work/job.yaml
counter() { ip netns exec peer cat "/sys/class/net/veth1/statistics/$1"; }
before_rx=$(counter rx_packets) before_tx=$(counter tx_packets)
$fffa run /work/job.yaml 2>/work/log &
pid=$!
for _ in $(seq 60); do tc qdisc show dev veth0 | grep -q clsact && break; grep -q attached /work/log && break; kill -0 $pid; sleep 1; done
sleep 2
ip netns exec peer busybox nc -l -p 7000 >/work/received &
server=$!
sleep 2
head -c 300000 /dev/urandom >/work/sent
busybox nc 192.0.2.2 7000 </work/sent
wait $server
cmp /work/sent /work/received
ping -c 10 -i 0.2 192.0.2.2
sleep 1
kill -TERM $pid
status=0; wait $pid || status=$?
cat /work/log
[ $status = 0 ]
after_rx=$(counter rx_packets) after_tx=$(counter tx_packets)
if tc filter show dev veth0 ingress | grep .; then echo "a filter was left behind"; exit 1; fi

# sum DIRECTION: packets of the JSON records, 0 being ingress and 1 egress
sum() { cat /output/flows*.json* | grep "\"direction\":$1[,}]" | sed -n 's/.*"packets":\([0-9]*\).*/\1/p' | awk '{n += $1} END {print n + 0}'; }
echo "egress: fffa $(sum 1), the peer received $((after_rx - before_rx))"
echo "ingress: fffa $(sum 0), the peer sent $((after_tx - before_tx))"
[ "$(sum 1)" = $((after_rx - before_rx)) ]
[ "$(sum 0)" = $((after_tx - before_tx)) ]
[ "$(sum 1)" -gt 200 ]
find /output/flowlogs -name '*.log.gz' | grep .
