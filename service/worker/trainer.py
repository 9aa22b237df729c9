"""The trainer process: iterates objectives for the worker that started it, and knows neither database nor leases.

Started as `python -m service.worker.trainer FD`, where FD is its end of a socket pair. It trains ahead without being asked for
each step; between two items it looks for orders. What it prints becomes the trial's log.
"""

import contextlib
import signal
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection

from objectives.catalog import import_start, load_catalog
from objectives.contract import Measurement, Objective, Run
from service.domain.parts import is_pruning_step
from service.processes import die_with
from service.worker.messages import FromTrainer, Measured, Order, Raised, Stopped, Train, Trained

TRACEBACK_LINES = 40


def main() -> None:
    """Serve one worker until it closes the pipe."""
    descriptor, worker_pid, modules = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    die_with(worker_pid)  # elsewhere than on Linux, the closed pipe ends us
    # Ctrl-C reaches the whole process group: it is the worker that decides what becomes of a run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    catalog = load_catalog(modules)
    with Connection(descriptor) as worker, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            command = worker.recv()
            if isinstance(command, Train):
                worker.send(_serve(worker, command, catalog[command.objective]))
            # Any other order was meant for a run that has just ended.


def _serve(worker: Connection, command: Train, objective: Objective) -> FromTrainer:
    """Train one run, sending each step; returns how it ended."""
    try:
        start = import_start(objective)
        run = start(command.params, command.settings, command.seed, command.device, command.threads)
        for measured in _steps(run, command.parts):
            worker.send(measured)
            if _told_to_stop(worker, measured.waits):
                return Stopped()
            if measured.divergence is not None:
                return Trained(test_metrics={})
        return Trained(test_metrics={name: float(value) for name, value in run.evaluate().items()})
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise  # the worker is gone
    except Exception as error:
        traceback.print_exc()
        lines = traceback.format_exc().strip().splitlines()
        return Raised(type=type(error).__name__, message=str(error), traceback="\n".join(lines[-TRACEBACK_LINES:]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _steps(run: Run, parts: int | None) -> Iterator[Measured]:
    before = 0.0
    for item in run:
        waits = parts is not None and item.divergence is None and is_pruning_step(before, item.fraction, item.in_warmup, parts)
        before = item.fraction
        yield _measured(item, waits)


def _measured(item: Measurement, waits: bool) -> Measured:
    return Measured(
        step=item.step,
        fraction=float(item.fraction),
        in_warmup=item.in_warmup,
        metrics={name: float(value) for name, value in item.metrics.items()},
        learning_rate=float(item.learning_rate),
        seconds=float(item.seconds),
        divergence=item.divergence,
        waits=waits,
    )


def _told_to_stop(worker: Connection, waits: bool) -> bool:
    """Read the orders that have come, and wait for more while waiting or on hold."""
    while waits or worker.poll():
        order = worker.recv()
        if order is Order.STOP:
            return True
        waits = order is Order.HOLD
    return False


if __name__ == "__main__":
    main()
