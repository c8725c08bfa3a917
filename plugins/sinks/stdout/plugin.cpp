// SPDX-License-Identifier: MIT
#include "fffa/plugin.h"

#include "stdout_sink.h"

FFFA_PLUGIN("stdout", "records on standard output, for programs or people", fffa::standard_output::Stdout,
            fffa::standard_output::Config)
