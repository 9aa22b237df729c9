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
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from objectives.contract import DataProblem, NoState, Run, RunLost, RunRaised
from objectives.data import files
from objectives.scripts.entry import from_text
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.parts import is_pruning_step
from service.processes import die_with
from service.worker import fitness
from service.worker.trainer import checkpoint_format
from service.worker.trainer.beginning import NotARun, begin
from service.worker.trainer.catalog import TrainerCatalog
from service.worker.trainer.checkpoint_format import BadCheckpoint, UnreachableCheckpoint
from service.worker.trainer.gpus import device_for
from service.worker.trainer.messages import (
    END_OF_LOG,
    CheckFitness,
    Checkpointed,
    Command,
    Fitness,
    FromTrainer,
    Lost,
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
from service.worker.trainer.plain import BadMeasurement, attributes, numbers, plain, value_of

TRACEBACK_LINES = 40


def main() -> None:
    """Serve one worker until it closes the pipe."""
    arguments = _arguments()
    die_with(arguments.worker)  # outside Linux, the closed pipe ends this process
    # Ctrl-C reaches the whole process group, but it is the worker that decides how a run ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    files.allow(arguments.data_folder)
    catalog = TrainerCatalog(arguments.modules, dict(arguments.digest), from_text(arguments.scripts))
    with socket.socket(fileno=arguments.pipe) as end, contextlib.suppress(WorkerGone):
        _serve(WorkerPipe(end), catalog, arguments.number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trainer")
    parser.add_argument("pipe", type=int, help="file descriptor of our end")
    parser.add_argument("worker", type=int, help="process id")
    parser.add_argument("modules", nargs="*", help="with OBJECTIVES of the user's own")
    parser.add_argument("--data-folder", type=Path, action="append", default=[], help="below which jobs may name data files")
    parser.add_argument("--digest", nargs=2, action="append", default=[], help="a module, and the sha256 of its file")
    parser.add_argument("--scripts", default="{}", help="objectives of the user's files, as JSON")
    parser.add_argument("--number", type=int, default=0, help="of the worker, which decides on its GPU")
    return parser.parse_args()


class _NotResumed(Exception):
    """The run has not resumed after its checkpoint: it measured a step again."""


def _serve(worker: WorkerPipe, catalog: TrainerCatalog, number: int) -> None:
    training: _Training | None = None
    while True:
        run, message = worker.receive()
        match message:
            case Train():
                training = None  # free its memory before the next run needs its own
                training = _Training(worker, run, message, number)
                ended = training.run(catalog)
                _end_log()
                worker.send(run, ended)
            case SaveModel() if training is not None and training.id == run:
                worker.send(run, training.save_model(message))
            case CheckFitness():
                problem = fitness.find_problem(
                    message.objective, partial(catalog.import_start, message.objective), message.device, message.folder, number
                )
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
        self._readable = set[type]()
        """The types in this run's states that have been read back, so that a state of no use is noticed before it is needed."""
        self._refused: str | None = None
        """Why the run's state cannot be stored, once that has been told."""

    def run(self, catalog: TrainerCatalog) -> RunEnded:
        """Train, sending each step; returns how it ended."""
        train = self._train
        try:
            for note in train.notes:
                _note(note)
            run = begin(catalog.import_start(train.objective), train, device_for(train.device, self._number))
            if train.resume is not None:
                unusable = self._resume(run, train.resume)
                if unusable is not None:
                    return unusable
                self._send(Resumed())
            self._run = run
            steps = self._steps(run)
            for message in steps:
                self._send(message)
                if message.measurement.divergence is not None:
                    return Trained(test_metrics={})
                command = self._next_command(waits=message.waits)
                if command is Command.STOP:
                    steps.close()  # with them the run's own iterator, so that it knows
                    return Stopped(user_attrs=attributes(getattr(run, "user_attrs", None)))
                if command is Command.SUSPEND or time.monotonic() - self._checkpointed_at >= train.checkpoint_s:
                    self._keep(run)
                if command is Command.SUSPEND:
                    return Stopped()
            return _trained(run)
        except WorkerGone:
            raise
        except _NotResumed as error:
            return Unusable(reason=str(error), damaged=False)
        except NotARun as error:
            _note(str(error))
            return Raised(type=type(error).__name__, message=str(error), traceback=None, for_every_trial=True)
        except RunLost as lost:
            return Lost(reason=str(lost))
        except RunRaised as error:
            return Raised(type=error.type, message=str(error), traceback=error.traceback, for_every_trial=error.for_every_trial)
        except Exception as error:
            traceback.print_exc()
            lines = traceback.format_exc().strip().splitlines()
            return Raised(
                type=type(error).__name__,
                message=str(error),
                traceback="\n".join(lines[-TRACEBACK_LINES:]),
                for_every_trial=isinstance(error, DataProblem | BadMeasurement) and error.for_every_trial,
            )

    def save_model(self, command: SaveModel) -> FromTrainer:
        """Save the weights of the run, which must have trained to its end."""
        assert self._run is not None
        try:
            content = checkpoint_format.encode_model(_state_with_weights(self._run), command.metadata)
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
        except RunLost:
            raise
        except Exception as error:  # an objective may raise anything on a state that it does not know
            return Unusable(reason=_reason(error), damaged=isinstance(error, BadCheckpoint))
        self._step = resume.checkpoint.step
        return None

    def _keep(self, run: Run) -> None:
        """Take a checkpoint. If that fails, the trial's log says so, too; of a state that cannot be stored it is told once."""
        try:
            self._send(Checkpointed(checkpoint=self._checkpoint(run)))
        except NoState as error:
            if str(error):
                self._tell_refused(str(error), once=True)
            return  # the next step may have one
        except (WorkerGone, RunLost):
            raise
        except Exception as error:
            self._tell_refused(_reason(error), once=isinstance(error, BadCheckpoint))
        self._checkpointed_at = time.monotonic()

    def _tell_refused(self, reason: str, *, once: bool) -> None:
        if reason != self._refused:  # else told before
            self._refused = reason if once else None
            _note(f"The checkpoint at step {self._step} could not be taken: {reason}")
            self._send(NotCheckpointed(step=self._step, reason=reason))

    def _checkpoint(self, run: Run) -> Checkpoint:
        """Raises BadCheckpoint, NoState, RunLost and OSError."""
        try:
            state = run.state_dict()
        except (NoState, RunLost):
            raise
        except Exception as error:  # an objective may raise anything
            raise BadCheckpoint(f"state_dict() raised {_reason(error)}") from error
        content = checkpoint_format.encode(state)
        checkpoint_format.check_usable(state, content, self._readable)
        return checkpoint_format.keep(content, Kind.STATE, self._step, self._train.place)

    def _steps(self, run: Run) -> Generator[Measured, None, None]:
        parts, resume = self._train.parts, self._train.resume
        before = 0.0 if resume is None else resume.before
        for item in run:
            measured = plain(item)
            waits = (
                parts is not None
                and measured.divergence is None
                and is_pruning_step(before, measured.fraction, measured.in_warmup, parts)
            )
            before = before if measured.in_warmup else measured.fraction
            if resume is not None and self._step == resume.checkpoint.step >= measured.step:
                restored_by = getattr(run, "restored_by", "load_state_dict")
                raise _NotResumed(
                    f"{self._train.objective}'s {restored_by} did not restore the position: after step {self._step} the run"
                    f" went on with step {measured.step}"
                )
            self._step = measured.step
            yield Measured(measurement=measured, waits=waits)

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


def _trained(run: Run) -> Trained:
    """What a run that has come to its end leaves. Raises BadMeasurement, and what the objective raises."""
    pruned = getattr(run, "pruned", None)
    return Trained(
        test_metrics=numbers("evaluate()", run.evaluate()),
        guessing=numbers("guessing", getattr(run, "guessing", None)),
        value=value_of(getattr(run, "value", None)),
        user_attrs=attributes(getattr(run, "user_attrs", None)),
        pruned=None if pruned is None else str(pruned),
    )


def _state_with_weights(run: Run) -> Any:
    weights = getattr(run, "weights", None)
    return run.state_dict() if weights is None else {"model": weights()}


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BadCheckpoint | UnreachableCheckpoint) else f"{type(error).__name__}: {error}"


def _note(text: str) -> None:
    """Say something in the trial's log."""
    with contextlib.suppress(OSError, ValueError):  # an objective may have closed it
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _end_log() -> None:
    """Mark the end of this run's log: its lines do not go through the pipe, and may arrive after the result."""
    with contextlib.suppress(OSError, ValueError):  # an objective may have closed them
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, END_OF_LOG)


if __name__ == "__main__":
    main()
