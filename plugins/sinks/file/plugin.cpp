// SPDX-License-Identifier: MIT
#include "fffa/plugin.h"

#include "file_sink.h"

FFFA_PLUGIN("file", "records in files, by size and time", fffa::file::File, fffa::file::Config)
