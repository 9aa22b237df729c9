"""Real processes for tests, quick to start: forked from a server that has imported everything once."""

import gc
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from typing import Any

DEADLINE_S = 100.0

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("tests.conftest", "tests.factories", "service.dispatch.claim", "service.worker.loop", "service.cli"),
        *("tests.stock_optuna", "optuna"),
        # What confirms points imports, once in each process.
        *("service.analysis.model.retraining", "scipy.optimize", "scipy.stats"),
    ]
)

_together: Barrier


def wait_for_the_others() -> None:
    """Called in a process started by `at_once`: returns when all of them have come so far."""
    _together.wait(DEADLINE_S)


def at_once(works: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[Any]:
    """Run each function with its arguments in a process of its own; what they return. Raises what the first one raised."""
    barrier = CONTEXT.Barrier(len(works))
    with ProcessPoolExecutor(len(works), mp_context=CONTEXT, initializer=_set_up, initargs=(barrier,)) as pool:
        running = [pool.submit(function, *arguments) for function, arguments in works]
        return [future.result(DEADLINE_S) for future in running]


def _set_up(barrier: Barrier) -> None:
    global _together
    _together = barrier
    gc.freeze()  # of what the server has imported, nothing is garbage
