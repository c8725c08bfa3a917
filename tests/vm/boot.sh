# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What every test in a virtual machine relies on: the right kernel with BTF, veth pairs between namespaces, clsact, nf_tables.
set -euo pipefail
echo "kernel $(uname -r), expected $(cat /work/series)"
[[ $(uname -r) == "$(cat /work/series)".* ]]
test -s /sys/kernel/btf/vmlinux
ip netns add peer
ip link add veth0 type veth peer name veth1 netns peer
ip address add 192.0.2.1/24 dev veth0
ip link set veth0 up
ip -n peer address add 192.0.2.2/24 dev veth1
ip -n peer link set veth1 up
ping -c 1 -W 5 192.0.2.2
tc qdisc add dev veth0 clsact
tc qdisc show dev veth0 | grep clsact
nft add table inet probe
nft list tables | grep probe
test -d /sys/class/net/eth0
