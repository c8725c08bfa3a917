// SPDX-License-Identifier: MIT
#include "imds.h"

FFFA_PLUGIN("imds", "account, VPC, subnet, ENI, instance, zone and region from the EC2 instance metadata service",
            fffa::imds::Imds, fffa::imds::Config)
