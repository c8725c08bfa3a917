// SPDX-License-Identifier: MIT
#include "fffa/plugin.h"

#include "vpc_flow_log.h"

FFFA_PLUGIN("vpc_flow_log", "VPC Flow Log files, laid out as in an S3 bucket", fffa::vpc_flow_log::VpcFlowLog,
            fffa::vpc_flow_log::Config)
