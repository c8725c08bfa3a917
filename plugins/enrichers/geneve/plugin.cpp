// SPDX-License-Identifier: MIT
#include "geneve.h"

FFFA_PLUGIN("geneve", "encapsulated flows: outer or inner addresses, names of tunnels, or none of the tunnel",
            fffa::geneve::Geneve, fffa::geneve::Config)
