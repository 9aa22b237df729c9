"""python -m tests.loaders_fuzz"""

import sys

from tests.loaders_fuzz.run import prove

sys.exit(bool(prove(None)))
