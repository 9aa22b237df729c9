"""The trainer process: runs objectives for the worker that started it. It knows neither database nor leases.

Started as `python -m service.worker.trainer.child FD PID`, with its end of a socket pair and the worker's process id. It
trains step after step without being asked; between two items it reads commands, takes checkpoints, and waits when the lease has
expired. What it prints becomes the trial's log.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from objectives.catalog import import_start, load_catalog
from objectives.contract import DataProblem, Objective, Run
from objectives.data import files
from service.domain.checkpoint import Kind
from service.domain.parts import is_pruning_step
from service.processes import die_with
from service.worker import fitness
from service.worker.trainer import checkpoint_format
from service.worker.trainer.checkpoint_format import BadCheckpoint, UnreachableCheckpoint
from service.worker.trainer.gpus import device_for
from service.worker.trainer.messages import (
    END_OF_LOG,
    CheckFitness,
    Checkpointed,
    Command,
    Fitness,
    FromTrainer,
    Measured,
    NoModel,
    NotCheckpointed,
    Raised,
    Renewed,
    Resume,
    Resumed,
    RunEnded,
    SaveModel,
    Stopped,
    Train,
    Trained,
    Unusable,
)
from service.worker.trainer.pipe import WorkerGone, WorkerPipe
from service.worker.trainer.plain import plain

TRACEBACK_LINES = 40


def main() -> None:
    """Serve one worker until it closes the pipe."""
    arguments = _arguments()
    die_with(arguments.worker)  # outside Linux, the closed pipe ends this process
    # Ctrl-C reaches the whole process group, but it is the worker that decides how a run ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    files.allow(arguments.data_folder)
    catalog = load_catalog(arguments.modules)
    with socket.socket(fileno=arguments.pipe) as end, contextlib.suppress(WorkerGone):
        _serve(WorkerPipe(end), catalog, arguments.number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trainer")
    parser.add_argument("pipe", type=int, help="file descriptor of our end")
    parser.add_argument("worker", type=int, help="process id")
    parser.add_argument("modules", nargs="*", help="with OBJECTIVES of the user's own")
    parser.add_argument("--data-folder", type=Path, action="append", default=[], help="below which jobs may name data files")
    parser.add_argument("--number", type=int, default=0, help="of the worker, which decides on its GPU")
    return parser.parse_args()


def _serve(worker: WorkerPipe, catalog: Mapping[str, Objective], number: int) -> None:
    training: _Training | None = None
    while True:
        run, message = worker.receive()
        match message:
            case Train():
                training = None  # free its memory before the next run needs its own
                training = _Training(worker, run, message, number)
                ended = training.run(catalog[message.objective])
                _end_log()
                worker.send(run, ended)
            case SaveModel() if training is not None and training.id == run:
                worker.send(run, training.save_model(message))
            case CheckFitness():
                problem = fitness.find_problem(catalog[message.objective], message.device, message.folder, number)
                worker.send(run, Fitness(problem=problem))
            case _:
                pass  # meant for a run that has just ended


class _Training:
    """One run, from a worker's command to its end."""

    def __init__(self, worker: WorkerPipe, run: int, train: Train, number: int) -> None:
        self.id = run
        self._worker = worker
        self._train = train
        self._number = number
        self._hold_at = train.hold_at
        self._checkpointed_at = time.monotonic()
        self._run: Run | None = None
        self._step = 0

    def run(self, objective: Objective) -> RunEnded:
        """Train, sending each step; returns how it ended."""
        train = self._train
        try:
            start = import_start(objective)
            run = start(train.params, train.settings, train.seed, device_for(train.device, self._number), train.threads)
            if train.resume is not None:
                unusable = self._resume(run, train.resume)
                if unusable is not None:
                    return unusable
                self._send(Resumed())
            self._run = run
            for message in self._steps(run):
                self._send(message)
                if message.measurement.divergence is not None:
                    return Trained(test_metrics={})
                command = self._next_command(waits=message.waits)
                if command is Command.STOP:
                    return Stopped()
                if command is Command.SUSPEND or time.monotonic() - self._checkpointed_at >= train.checkpoint_s:
                    self._send(self._checkpoint(run))
                if command is Command.SUSPEND:
                    return Stopped()
            return Trained(test_metrics=_numbers(run.evaluate()), guessing=_numbers(getattr(run, "guessing", {})))
        except WorkerGone:
            raise
        except Exception as error:
            traceback.print_exc()
            lines = traceback.format_exc().strip().splitlines()
            return Raised(
                type=type(error).__name__,
                message=str(error),
                traceback="\n".join(lines[-TRACEBACK_LINES:]),
                for_every_trial=isinstance(error, DataProblem) and error.for_every_trial,
            )

    def save_model(self, command: SaveModel) -> FromTrainer:
        """Save the weights of the run, which must have trained to its end."""
        assert self._run is not None
        try:
            content = checkpoint_format.encode_model(self._run.state_dict(), command.metadata)
            if content is None:
                return NoModel()
            return Checkpointed(checkpoint=checkpoint_format.keep(content, Kind.MODEL, command.step, self._train.place))
        except Exception as error:  # raised by the objective's state_dict, or by the disk
            return NotCheckpointed(step=command.step, reason=_reason(error))

    def _send(self, message: FromTrainer) -> None:
        self._worker.send(self.id, message)

    def _resume(self, run: Run, resume: Resume) -> Unusable | None:
        try:
            run.load_state_dict(checkpoint_format.read(resume.checkpoint, self._train.place.folder))
        except Exception as error:  # an objective may raise anything on a state that it does not know
            return Unusable(reason=_reason(error), damaged=isinstance(error, BadCheckpoint))
        self._step = resume.checkpoint.step
        return None

    def _checkpoint(self, run: Run) -> FromTrainer:
        try:
            content = checkpoint_format.encode(run.state_dict())
            _check_readable(self._train.objective, content)
            return Checkpointed(checkpoint=checkpoint_format.keep(content, Kind.STATE, self._step, self._train.place))
        except Exception as error:  # raised by the objective's state_dict, or by the disk
            return NotCheckpointed(step=self._step, reason=_reason(error))
        finally:
            self._checkpointed_at = time.monotonic()

    def _steps(self, run: Run) -> Iterator[Measured]:
        parts, resume = self._train.parts, self._train.resume
        before = 0.0 if resume is None else resume.before
        for item in run:
            waits = (
                parts is not None and item.divergence is None and is_pruning_step(before, item.fraction, item.in_warmup, parts)
            )
            before = before if item.in_warmup else item.fraction
            self._step = int(item.step)
            yield Measured(measurement=plain(item), waits=waits)

    def _next_command(self, *, waits: bool) -> Command | None:
        """The command that follows an item: stop or suspend; None: go on.

        Waits for the pruner's decision, and for a renewal when the lease has expired. Messages for another run are dropped.
        """
        while waits or self._worker.has_message() or time.monotonic() > self._hold_at:
            run, message = self._worker.receive()
            if run != self.id:
                continue
            match message:
                case Command.STOP | Command.SUSPEND as command:
                    return command
                case Command.GO_ON:
                    waits = False
                case Renewed(hold_at=hold_at):
                    self._hold_at = hold_at
        return None


def _numbers(of_objective: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in of_objective.items()}


_readable: set[str] = set()


def _check_readable(objective: str, content: bytes) -> None:
    """Decode an objective's first checkpoint, so that one that cannot be loaded is noticed before it is needed."""
    if objective not in _readable:
        checkpoint_format.decode(content)
        _readable.add(objective)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BadCheckpoint | UnreachableCheckpoint) else f"{type(error).__name__}: {error}"


def _end_log() -> None:
    """Mark the end of this run's log: its lines do not go through the pipe, and may arrive after the result."""
    with contextlib.suppress(OSError, ValueError):  # an objective may have closed them
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, END_OF_LOG)


if __name__ == "__main__":
    main()
