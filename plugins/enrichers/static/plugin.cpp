// SPDX-License-Identifier: MIT
#include "static.h"

FFFA_PLUGIN("static", "fixed fields and labels, for all records or by interface", fffa::static_fields::Static,
            fffa::static_fields::Config)
