/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What a flow is known by: one entry holds both directions of a connection, as one interface sees it. */
#ifndef FFFA_BPF_KEY_H
#define FFFA_BPF_KEY_H

#include "compiler.h"

enum fffa_direction { FFFA_INGRESS = 0, FFFA_EGRESS = 1 };

enum fffa_encap { FFFA_ENCAP_NONE = 0, FFFA_ENCAP_GENEVE = 1 };

/* Tunnels that the parser opens: a bit mask. What is not opened is reported as the outer flow. */
enum fffa_tunnels { FFFA_OPEN_GENEVE = 1 };

enum { FFFA_TUNNEL_DEPTH = 2 }; /* layers of encapsulation that are opened */

/* Bytes in network order. IPv4 stands in the first four bytes, the others being zero. */
union fffa_addr {
	__u8 bytes[16];
	__u32 v4;
	__u64 words[2];
};

/* The innermost packet's tuple. "Remote" is the source at ingress and the destination at egress, so that a record of
 * direction D has src = remote, dst = local if D is ingress, else the other way round. Ports are in the machine's byte
 * order; TCP, UDP, UDP-Lite and SCTP have them, all others have 0; later fragments have their first one's, where
 * it is known. ICMP and ICMPv6: the destination port is type << 8 | code and the source port is 0, so an echo request
 * and its reply are two entries: nothing that is measured needs both of them together. */
struct fffa_flow_key {
	union fffa_addr remote_addr;
	union fffa_addr local_addr;
	__u32 ifindex;
	__u16 remote_port;
	__u16 local_port;
	__u8 proto;       /* IP protocol number */
	__u8 family;      /* 4 or 6; 0 marks an entry that is not in use */
	__u8 encap;       /* enum fffa_encap of the innermost tunnel */
	__u8 encap_depth; /* tunnels opened: 0, 1 or 2 */
	__u32 vni;        /* of the innermost tunnel, 24 bits */
};
FFFA_SIZE(fffa_flow_key, 48);
FFFA_AT(fffa_flow_key, remote_addr, 0);
FFFA_AT(fffa_flow_key, local_addr, 16);
FFFA_AT(fffa_flow_key, ifindex, 32);
FFFA_AT(fffa_flow_key, remote_port, 36);
FFFA_AT(fffa_flow_key, local_port, 38);
FFFA_AT(fffa_flow_key, proto, 40);
FFFA_AT(fffa_flow_key, family, 41);
FFFA_AT(fffa_flow_key, encap, 42);
FFFA_AT(fffa_flow_key, encap_depth, 43);
FFFA_AT(fffa_flow_key, vni, 44);

#endif
