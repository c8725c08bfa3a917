/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Everything that kernel programs and user space share. Layouts are fixed: see the assertions beside each struct. */
#ifndef FFFA_BPF_TYPES_H
#define FFFA_BPF_TYPES_H

#include "flow.h"
#include "key.h"
#include "layout.h"
#include "readout.h"
#include "side.h"

#endif
