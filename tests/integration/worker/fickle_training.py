"""What `fickle` trains with; a trainer process that has imported it once keeps it."""

import os

from tests.integration.worker.fickle import UNFIT
from tests.quadratic import start

if os.path.exists(os.environ.get(UNFIT, "")):
    raise ImportError("no such library here")

__all__ = ["start"]
