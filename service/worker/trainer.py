"""The trainer process: iterates objectives for the worker that started it, and knows neither database nor leases.

Started as `python -m service.worker.trainer FD`, where FD is its end of a socket pair. It trains ahead without being asked for
each step; between two items it looks for orders. What it prints becomes the trial's log.
"""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection

from objectives.catalog import import_start, load_catalog
from objectives.contract import Measurement, Objective, Run
from service.domain.parts import is_pruning_step
from service.processes import die_with
from service.worker.messages import END_OF_LOG, FromTrainer, Measured, Order, Raised, Stopped, Train, Trained

TRACEBACK_LINES = 40


def main() -> None:
    """Serve one worker until it closes the pipe."""
    descriptor, worker_pid, modules = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    die_with(worker_pid)  # elsewhere than on Linux, the closed pipe ends us
    # Ctrl-C reaches the whole process group: it is the worker that decides what becomes of a run.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    catalog = load_catalog(modules)
    with Connection(descriptor) as pipe, contextlib.suppress(_WorkerGone):
        worker = _Worker(pipe)
        while True:
            command = worker.receive()
            if isinstance(command, Train):
                ended = _serve(worker, command, catalog[command.objective])
                _end_log()
                worker.send(ended)
            # Any other order was meant for a run that has just ended.


class _WorkerGone(Exception):
    """The worker has closed the pipe, or has ended."""


class _Worker:
    """The trainer's end of the pipe. What goes wrong with it is told apart from the same errors raised by objectives."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def send(self, message: FromTrainer) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise _WorkerGone from error

    def receive(self) -> Train | Order:
        try:
            message: Train | Order = self._pipe.recv()
            return message
        except (EOFError, OSError) as error:
            raise _WorkerGone from error

    def has_spoken(self) -> bool:
        try:
            return self._pipe.poll()
        except OSError as error:
            raise _WorkerGone from error


def _serve(worker: _Worker, command: Train, objective: Objective) -> FromTrainer:
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
    except _WorkerGone:
        raise
    except Exception as error:
        traceback.print_exc()
        lines = traceback.format_exc().strip().splitlines()
        return Raised(type=type(error).__name__, message=str(error), traceback="\n".join(lines[-TRACEBACK_LINES:]))


def _end_log() -> None:
    """Tell the worker that all lines of this run are out: they travel beside the pipe, and may arrive after the result."""
    with contextlib.suppress(OSError, ValueError):  # an objective may have closed them
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, END_OF_LOG)


def _steps(run: Run, parts: int | None) -> Iterator[Measured]:
    before = 0.0
    for item in run:
        waits = parts is not None and item.divergence is None and is_pruning_step(before, item.fraction, item.in_warmup, parts)
        before = item.fraction
        yield _measured(item, waits)


def _measured(item: Measurement, waits: bool) -> Measured:
    return Measured(
        step=int(item.step),
        fraction=float(item.fraction),
        in_warmup=bool(item.in_warmup),
        metrics={name: float(value) for name, value in item.metrics.items()},
        learning_rate=float(item.learning_rate),
        seconds=float(item.seconds),
        divergence=item.divergence,
        waits=waits,
    )


def _told_to_stop(worker: _Worker, waits: bool) -> bool:
    """Read the orders that have come, and wait for more while waiting or on hold."""
    while waits or worker.has_spoken():
        order = worker.receive()
        if order is Order.STOP:
            return True
        waits = order is Order.HOLD
    return False


if __name__ == "__main__":
    main()
