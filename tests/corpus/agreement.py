#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
agreement.py --fffa PROGRAM [--pipeline FILE] [--captures FOLDER] [--document FILE [--write]] [--show] [CAPTURE...]

Runs fffa's pipeline replay.yaml over each capture, merges its records per 5-tuple and compares them with what tshark says
(CAPTURE.oracle.jsonl, defined in oracle.py) and with exact figures made from tshark's fields (CAPTURE.extended.jsonl, extend.py).
Prints one line per metric: values compared, equal, share, what is demanded, how many flows could not be compared (and below, why).
Every disagreement must be listed in explained.tsv with the packet that makes it and the reason why fffa's answer stands or that it is a limit of ours; a listed one
that does not occur any more is an error too. Metrics of which nothing is demanded are only shown.
Exit 1: a share is below what is demanded, or a disagreement is not explained. --show prints each disagreement.
"""
import argparse
import collections
import datetime
import ipaddress
import json
import pathlib
import shlex
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPv6": 58}
WITH_PORTS = (6, 17, 132, 136)
# metric: (demanded share in %, or None: only shown; what is compared)
METRICS = {
    "flows": (100, "the set of 5-tuples"),
    "packets": (100, "packets"),
    "bytes": (100, "IP-level bytes"),
    "first_seen": (100, "time of the first packet, to the microsecond"),
    "last_seen": (100, "time of the last packet, to the microsecond"),
    "tcp_flags": (100, "TCP flags seen"),
    "geneve": (100, "VNIs, packets and outer bytes of each outer tuple; a GWLB's endpoint, attachment and flow cookie, the last ones seen"),
    "initiator": (100, "whether this direction opened the connection: sent the SYN, else the first packet"),
    "vpc_tcp_flags": (100, "AWS's tcp-flags, from the flags of each packet"),
    "conn_state": (99, "connection state, by the definitions in Zeek's documentation"),
    "handshake": (99.5, "handshake latency, to 1 us"),
    "windows": (99.5, "smallest, largest and last receive window, scaled"),
    "zero_windows": (99.5, "packets that advertise a zero window"),
    "ecn": (99.5, "ECN code points; packets with CE, ECE, CWR"),
    "jitter": (99, "largest and mean jitter, to 1 us"),
    "retransmissions": (99, "within the interval that exact bookkeeping of sequence space allows; spurious ones not more than these"),
    "retransmissions_and_out_of_order": (99, "their sum equals exact bookkeeping, give or take keep-alives and window probes"),
    "out_of_order": (99, "at most the segments that fill a hole"),
    "fast_retransmits": (None, "second opinion: equal to tshark's fast_retransmissions, where either has any (within 20 ms of duplicate ACKs; ours also those too early for a timeout)"),
    "timeout_retransmits": (None, "second opinion: equal to tshark's rto_retransmissions, where either has any (tshark's are all that are neither fast nor spurious, however early)"),
    "spurious_retransmissions": (None, "second opinion: equal to tshark's, where either has any"),
    "fast_at_least": (None, "second opinion: where tshark has fast retransmissions, not fewer than these"),
    "duplicate_acks": (95, "equal to tshark's"),
    "rtt_range": (99, "smallest and largest round trip within tshark's"),
    "rtt_average": (99, "average round trip within tshark's smallest and largest"),
    "rtt_bounds": (100, "smallest and largest round trip within those of the segments that were sent once"),
    "rtt_clean": (None, "where nothing was lost, repeated or reordered: smallest and largest round trip equal tshark's, to 1 us"),
    "rtt_samples": (98.5, "samples wherever tshark has one of a segment sent once"),
}

# of TCP flows alone
TCP_METRICS = ["tcp_flags", *list(METRICS)[list(METRICS).index("vpc_tcp_flags"):]]


def key_of(src, dst, sport, dport, proto):
    ports = (sport, dport) if proto in WITH_PORTS else (0, 0)
    return (str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst)), *ports, proto)


def text_of(key):
    return "%s %d > %s %d proto %d" % (key[0], key[2], key[1], key[3], key[4])


def time_us(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp())
    return seconds * 1000000 + int((fraction + "000000")[:6])


def run_fffa(args, capture, *settings):
    command = [args.fffa, "run", args.pipeline]
    for setting in (f"sources.replay.path={capture}", *settings):
        command += ["--set", setting]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if result.returncode:
        sys.exit(f"{' '.join(command)}: exit code {result.returncode}\n{result.stderr}")
    return [json.loads(line) for line in result.stdout.splitlines()]


def merge(records):
    flows = collections.OrderedDict()
    for r in sorted(records, key=lambda r: time_us(r["first_seen"])):
        proto = PROTOCOLS.get(r["proto"]) or int(r["proto"].removeprefix("PROTO_"))
        key = key_of(r["pkt_src_ip"], r["pkt_dst_ip"], r["pkt_src_port"], r["pkt_dst_port"], proto)
        flows.setdefault(key, []).append(r)
    return flows


def total(records, name):
    return sum(r[name] or 0 for r in records)


def extreme(records, name, best):
    return best((r[name] for r in records if r[name] is not None), default=None)


def latest(records, name):
    """Of the newest record that has one."""
    return next((r[name] for r in sorted(records, key=lambda r: -time_us(r["last_seen"])) if r[name] is not None), None)


def near(a, b, tolerance=1.0):
    return (a is None) == (b is None) and (a is None or abs(a - b) <= tolerance)


class Comparison:
    def __init__(self):
        self.compared, self.equal = collections.Counter(), collections.Counter()
        self.differences = []
        self.skipped = collections.defaultdict(collections.Counter)

    def check(self, metric, capture, key, good, detail):
        self.compared[metric] += 1
        if good:
            self.equal[metric] += 1
        else:
            self.differences.append((metric, capture, text_of(key), detail))

    def skip(self, metric, why):
        self.skipped[metric][why] += 1


def geneve_of(records):
    outer = collections.Counter()
    for r in records:
        if r["encapsulated"]:
            name = (str(ipaddress.ip_address(r["src_ip"])), str(ipaddress.ip_address(r["dst_ip"])), r["geneve_vni"])
            outer[name, "packets"] += r["packets"]
            outer[name, "bytes"] += r["outer_bytes"]
    return outer


def gwlb_of(records):
    endpoint, attachment, cookie = (latest(records, n) for n in ("gwlb_endpoint_id", "gwlb_attachment_id", "gwlb_flow_cookie"))
    if endpoint is None and attachment is None and cookie is None:
        return None
    return {"endpoint": endpoint, "attachment": attachment, "cookie": cookie}


def oracle_gwlb(extended):
    """The endpoint's 8 bytes are the 17 hex digits of its name."""
    gwlb = extended["gwlb"]
    return gwlb and {**gwlb, "endpoint": gwlb["endpoint"] and "vpce-" + gwlb["endpoint"].rjust(17, "0")}


def oracle_geneve(flow):
    outer = collections.Counter()
    for o in (flow["geneve"] or {"outer": []})["outer"]:
        name = (o["src"], o["dst"], o["vni"])
        outer[name, "packets"] += o["packets"]
        outer[name, "bytes"] += o["bytes"]
    return outer


def compare_counts(c, capture, key, mine, flow, extended):
    for name in ("packets", "bytes"):
        c.check(name, capture, key, total(mine, name) == flow[name], f"{total(mine, name)}, tshark {flow[name]}")
    first, last = min(time_us(r["first_seen"]) for r in mine), max(time_us(r["last_seen"]) for r in mine)
    c.check("first_seen", capture, key, first == flow["first_us"], f"{first}, tshark {flow['first_us']}")
    c.check("last_seen", capture, key, last == flow["last_us"], f"{last}, tshark {flow['last_us']}")
    if flow["geneve"] or any(r["encapsulated"] for r in mine):
        both = [(dict(geneve_of(mine)), gwlb_of(mine)), (dict(oracle_geneve(flow)), oracle_gwlb(extended))]
        c.check("geneve", capture, key, both[0] == both[1], f"{both[0]}, tshark {both[1]}")
    else:
        c.skip("geneve", "not in a tunnel")
    if extended["initiator"] is None:
        c.skip("initiator", "several connections or paths, or no ports")
    else:
        initiators = sorted({r["initiator"] for r in mine})
        c.check("initiator", capture, key, initiators == [extended["initiator"]], f"{initiators}, tshark {extended['initiator']}")


def compare_tcp(c, capture, key, mine, theirs, flow, extended):
    tcp = flow["tcp"]
    flags = 0
    for r in mine:
        for name in (r["tcp_flags"] or "NONE").split("|"):
            flags |= FLAGS.get(name, 0)
    c.check("tcp_flags", capture, key, flags == tcp["flags"] & 0xff, f"{flags:#x}, tshark {tcp['flags'] & 0xff:#x}")
    vpc = 0
    for r in mine:
        vpc |= r["vpc_tcp_flags"] or 0
    c.check("vpc_tcp_flags", capture, key, vpc == extended["vpc_tcp_flags"], f"{vpc}, tshark {extended['vpc_tcp_flags']}")
    if extended["conn_state"] is None:
        c.skip("conn_state", "several connections or paths")
    else:
        state = latest(mine + theirs, "conn_state")  # a direction that has fallen silent does not see the end
        c.check("conn_state", capture, key, state == extended["conn_state"], f"{state}, by definition {extended['conn_state']}")
    expected = extended["handshakes_us"]
    known = tcp["handshake"]
    if known and known["syns"] == known["synacks"] == tcp["handshakes"] == 1 and known["syn_ack_us"] is not None:
        expected = [known["syn_ack_us"]]
    handshakes = sorted({r["handshake_latency_us"] for r in mine if r["handshake_latency_us"] is not None})
    c.check("handshake", capture, key, bool(handshakes) == bool(expected) and all(any(near(h, e) for e in expected) for h in handshakes),
            f"{handshakes}, tshark {expected}")
    window = [extreme(mine, "min_window_size", min), extreme(mine, "max_window_size", max), latest(mine, "last_window_size")]
    expected = [extended["window_min"], extended["window_max"], extended["window_last"]]
    c.check("windows", capture, key, window == expected, f"{window}, tshark {expected}")
    zero = total(mine, "zero_windows")
    c.check("zero_windows", capture, key, zero == tcp["zero_windows"], f"{zero}, tshark {tcp['zero_windows']}")
    ecn = (sum(1 << i for i in range(2) if any((r["ecn_flags"] or 0) >> i & 1 for r in mine)), total(mine, "ecn_ce_packets"),
           total(mine, "tcp_ece_packets"), total(mine, "tcp_cwr_packets"))
    points = flow["ecn"]
    expected = ((1 if points["ect1"] else 0) | (2 if points["ect0"] else 0) | (3 if points["ce"] else 0), points["ce"],
                tcp["flag_packets"]["ece"], tcp["flag_packets"]["cwr"])
    c.check("ecn", capture, key, ecn == expected, f"{ecn}, tshark {expected}")


def compare_jitter(c, capture, key, mine, extended):
    """`mine`: with windows of a day, since means do not merge without their number of samples."""
    if extended["jitter_samples"] is None:
        c.skip("jitter", "several paths, or the capture's clock goes back in the flow")
    elif len(mine) > 1:
        c.skip("jitter", "several records of fffa, for means do not merge")
    else:
        expected = (extended["jitter_max_us"], extended["jitter_sum_us"] / extended["jitter_samples"]) if extended["jitter_samples"] else (None, None)
        jitter = (mine[0]["max_jitter_us"], mine[0]["avg_jitter_us"])
        c.check("jitter", capture, key, near(jitter[0], expected[0]) and near(jitter[1], expected[1]), f"{jitter}, tshark {expected}")


def compare_verdicts(c, capture, key, mine, tcp):
    seq = tcp["seq"]
    retransmissions, reordered = total(mine, "retransmissions"), total(mine, "out_of_order_pkts")
    low = seq["seen_again"] + seq["partial"] - tcp["keep_alives"]
    high = seq["seen_again"] + seq["partial"] + seq["hole_fill"]
    spurious = total(mine, "spurious_retransmissions")
    c.check("retransmissions", capture, key, low <= retransmissions <= high and spurious <= retransmissions,
            f"{retransmissions}, {spurious} of them spurious, exact {low} to {high}")
    exact = seq["seen_again"] + seq["partial"] + seq["hole_fill"] + seq["behind_empty"]
    slack = tcp["keep_alives"] + tcp["zero_window_probes"]
    c.check("retransmissions_and_out_of_order", capture, key, abs(retransmissions + reordered - exact) <= slack,
            f"{retransmissions} + {reordered}, exact {exact} +- {slack}")
    most = seq["hole_fill"] + seq["behind_empty"]
    c.check("out_of_order", capture, key, reordered <= most, f"{reordered}, exact at most {most}")
    for name, theirs in (("fast_retransmits", "fast_retransmissions"), ("timeout_retransmits", "rto_retransmissions"),
                         ("spurious_retransmissions", "spurious_retransmissions")):
        if total(mine, name) or tcp[theirs]:
            c.check(name, capture, key, total(mine, name) == tcp[theirs], f"{total(mine, name)}, tshark {tcp[theirs]}")
        else:
            c.skip(name, "neither has any")
    if tcp["fast_retransmissions"]:
        fast = total(mine, "fast_retransmits")
        c.check("fast_at_least", capture, key, fast >= tcp["fast_retransmissions"], f"{fast}, tshark {tcp['fast_retransmissions']}")
    else:
        c.skip("fast_at_least", "tshark has none")
    duplicates = total(mine, "duplicate_acks")
    c.check("duplicate_acks", capture, key, duplicates == tcp["duplicate_acks"], f"{duplicates}, tshark {tcp['duplicate_acks']}")


def is_clean(flow):
    verdicts = ("retransmissions", "out_of_order", "lost_segments", "ack_lost_segments")
    return flow is None or not flow["tcp"] or not any(flow["tcp"][v] for v in verdicts)


def compare_rtt(c, capture, key, mine, tcp, extended, clean):
    low, high, samples = extreme(mine, "min_rtt_us", min), extreme(mine, "max_rtt_us", max), total(mine, "rtt_samples")
    known = tcp["rtt"]
    theirs = f"tshark {known['min_us']} to {known['max_us']}"
    if samples:
        good = known["samples"] and low >= known["min_us"] - 1 and high <= known["max_us"] + 1
        c.check("rtt_range", capture, key, good, f"{low} to {high}, {theirs}")
        average = sum(r["avg_rtt_us"] * r["rtt_samples"] for r in mine if r["rtt_samples"]) / samples
        good = known["samples"] and known["min_us"] - 1 <= average <= known["max_us"] + 1
        c.check("rtt_average", capture, key, good, f"{average:.1f}, {theirs}")
        good = extended["rtt_min_us"] is not None and low >= extended["rtt_min_us"] - 1 and high <= extended["rtt_max_us"] + 1
        c.check("rtt_bounds", capture, key, good, f"{low} to {high}, exact {extended['rtt_min_us']} to {extended['rtt_max_us']}")
    else:
        for metric in ("rtt_range", "rtt_average", "rtt_bounds"):
            c.skip(metric, "fffa has no sample")
    if not (clean and known["samples"]):
        c.skip("rtt_clean", "tshark has no sample" if clean else "either direction is not clean")
    else:
        c.check("rtt_clean", capture, key, near(low, known["min_us"]) and near(high, known["max_us"]), f"{low} to {high}, {theirs}")
    if tcp["rtt_karn"]["samples"]:
        c.check("rtt_samples", capture, key, samples > 0, f"{samples}, tshark {tcp['rtt_karn']['samples']}")
    else:
        c.skip("rtt_samples", "tshark has none of a segment sent once")


def load(path):
    flows = (json.loads(line) for line in path.read_text().splitlines())
    return {key_of(f["src"], f["dst"], f["sport"], f["dport"], f["proto"]): f for f in flows}


def compare_capture(c, args, path):
    mine, whole = merge(run_fffa(args, path)), merge(run_fffa(args, path, "aggregators.flows.interval=1d"))
    oracle, extended = load(path.with_name(path.name + ".oracle.jsonl")), load(path.with_name(path.name + ".extended.jsonl"))
    name = path.name
    for key in oracle.keys() | mine.keys():
        c.check("flows", name, key, key in oracle and key in mine, "not in fffa's records" if key in oracle else "not in tshark's")
    for key, flow in oracle.items():
        if key not in mine:
            for metric in METRICS:
                if metric != "flows" and (flow["tcp"] or metric not in TCP_METRICS):
                    c.skip(metric, "not in fffa's records")
            continue
        compare_counts(c, name, key, mine[key], flow, extended[key])
        if flow["tcp"] and flow["l4_truncated"]:
            for metric in TCP_METRICS:
                c.skip(metric, "TCP headers cut off")
        elif flow["tcp"]:
            back = (key[1], key[0], key[3], key[2], key[4])
            compare_tcp(c, name, key, mine[key], mine.get(back, []), flow, extended[key])
            compare_jitter(c, name, key, whole[key], extended[key])
            compare_verdicts(c, name, key, mine[key], flow["tcp"])
            compare_rtt(c, name, key, mine[key], flow["tcp"], extended[key], is_clean(flow) and is_clean(oracle.get(back)))


def demand(demanded):
    return "none" if demanded is None else "100 % or explained" if demanded == 100 else f"{demanded} %, rest explained"


def table(c):
    rows = ["| metric | values compared | equal | share | demanded | left out | what is compared |", "| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for metric, (demanded, what) in METRICS.items():
        share = 100 * c.equal[metric] / c.compared[metric] if c.compared[metric] else 0
        left_out = sum(c.skipped[metric].values())
        rows.append(f"| {metric} | {c.compared[metric]} | {c.equal[metric]} | {share:.2f} % | {demand(demanded)} | {left_out} | {what} |")
    return "\n".join(rows) + "\n"


def left_out(c):
    """Why flows were left out, metrics of the same reasons together."""
    same = {}
    for metric in METRICS:
        if c.skipped[metric]:
            reasons = "; ".join(f"{number} {why}" for why, number in sorted(c.skipped[metric].items()))
            same.setdefault(reasons, []).append(metric)
    return "Left out, of the flows (of the TCP flows where the metric is TCP's):\n\n" + "".join(
        f"- {', '.join(metrics)}: {reasons}\n" for reasons, metrics in same.items())


def explanations():
    """explained.tsv: metric, capture, flow, packet number, reason"""
    lines = (HERE / "explained.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {tuple(row[:3]): row[3:] for row in rows}


def document_of(c, explained):
    lines = [(HERE / "document_head.md").read_text(), table(c), left_out(c), "\n## Disagreements\n",
             "| metric | capture | flow | packet | fffa, reference | why fffa's answer stands, or what limit of it this is |", "| --- | --- | --- | --- | --- | --- |"]
    for metric, capture, flow, detail in demanded_differences(c):
        packet, reason = explained.get((metric, capture, flow), ("", ""))
        lines.append(f"| {metric} | {capture} | {flow.replace('>', '→')} | {packet} | {detail} | {reason} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def demanded_differences(c):
    return sorted(d for d in c.differences if METRICS[d[0]][0] is not None)


def judge(c, explained, whole):
    problems = []
    for metric, (demanded, _) in METRICS.items():
        # where all must agree, each that does not needs a reason, which is looked at below
        if whole and (not c.compared[metric] or ((demanded or 100) < 100 and 100 * c.equal[metric] < demanded * c.compared[metric])):
            problems.append(f"{metric}: {c.equal[metric]} of {c.compared[metric]}, demanded {demanded} %")
    found = {(m, capture, flow) for m, capture, flow, _ in demanded_differences(c)}
    problems += [f"not explained: {m} {capture} {flow}: {detail}" for m, capture, flow, detail in demanded_differences(c) if (m, capture, flow) not in explained]
    if whole:
        problems += ["explained, but does not occur: " + " ".join(row) for row in sorted(explained.keys() - found)]
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fffa", required=True)
    parser.add_argument("--pipeline", default=str(HERE.parent.parent / "pipelines/replay.yaml"))
    parser.add_argument("--captures", type=pathlib.Path, default=HERE / "captures")
    parser.add_argument("--document", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("capture", nargs="*")
    args = parser.parse_args()
    paths = sorted(p for p in args.captures.iterdir() if p.suffix in (".pcap", ".pcapng") and (not args.capture or p.name in args.capture))
    if not paths:
        sys.exit(f"no captures in {args.captures}")
    c, explained = Comparison(), explanations()
    for path in paths:
        compare_capture(c, args, path)
    print(f"{len(paths)} captures\n{table(c)}\n{left_out(c)}")
    if args.show:
        for row in sorted(c.differences):
            print("\t".join(row))
    problems = judge(c, explained, whole=not args.capture)
    if args.document:
        text = document_of(c, explained)
        if args.write:
            args.document.write_text(text)
        elif args.document.read_text() != text:
            problems.append(f"{args.document} does not say what was found. This writes it anew: {shlex.join(['python3', *sys.argv, '--write'])}")
    print("\n".join(problems) if problems else "every disagreement is explained")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
