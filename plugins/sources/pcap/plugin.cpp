// SPDX-License-Identifier: MIT
#include "pcap.h"

using fffa::pcap::Config;
using fffa::pcap::Pcap;
FFFA_PLUGIN("pcap", "flows of a capture file (pcap, pcapng), as fast as it can be read", Pcap, Config)
