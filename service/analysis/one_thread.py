"""Linear algebra on one thread."""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """The matrices are small: more threads would take cores from training, and could change the last digits."""
    limit: AbstractContextManager[object] = _libraries().limit(limits=1)
    return limit


@cache
def _libraries() -> ThreadpoolController:
    """Those of NumPy and SciPy, which are loaded by now. Finding them takes some milliseconds."""
    return ThreadpoolController()
