/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel programs need beside the uapi headers. */
#ifndef FFFA_PROGRAMS_KERNEL_H
#define FFFA_PROGRAMS_KERNEL_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* libbpf's headers define __always_inline and friends; these are ours. */
#define FFFA_TCX_NEXT (-1) /* TC_ACT_UNSPEC and TCX_NEXT: the packet goes on to whoever is next */

#endif
