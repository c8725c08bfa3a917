# SPDX-License-Identifier: MIT
"""s3_test.py [unittest arguments]: vpc_flow_log uploads to a real S3 server, which checks signatures. tests/services/s3/s3_test runs it."""
import sys
import unittest

from faults import Faults  # noqa: F401
from kills import Kills  # noqa: F401
from memory import Memory  # noqa: F401
from staging import Staging  # noqa: F401
from tls import Tls  # noqa: F401
from uploads import Uploads  # noqa: F401

if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=2)
