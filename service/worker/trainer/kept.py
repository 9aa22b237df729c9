"""The trainer process that a worker keeps: given runs, stopped, checked, and replaced when it dies or hangs."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from service.worker.trainer.messages import (
    CheckFitness,
    Command,
    Fitness,
    FromTrainer,
    Renewed,
    RunEnded,
    SaveModel,
    Stopped,
    Train,
    Trained,
)
from service.worker.trainer.process import STOP_S, TrainerDied, TrainerProcess
from service.worker.waiting import Wait, Waits

LOOK_UP_S = 0.5
"""Longest wait for the trainer before anything else is checked."""

FITNESS_S = 120.0
"""How long a trainer process may take to find out whether it can train at all: it may import torch from a slow disk."""

SAVE_S = 600.0
"""How long it may take to save the weights of a run that has trained to its end."""

Meanwhile = Callable[[], Waits[None]]
"""Called at least every LOOK_UP_S while waiting for an answer, to keep a lease."""


class KeptTrainer:
    """One trainer process at a time, warm between runs."""

    def __init__(self, new_process: Callable[[], TrainerProcess]) -> None:
        self._new_process = new_process
        self._process = new_process()
        self._ids = count(1)
        self._run = 0
        """The id of the current run, or of the last one."""
        self._under_way = False
        """Whether the run is under way, by the messages received."""

    def train(self, command: Train) -> None:
        """Begin a run. If the process has died since the last run, it is replaced first. Raises TrainerDied."""
        if not self._process.is_alive():
            self.replace()
        self._process.start_log()
        self._run = next(self._ids)
        self._under_way = True
        self._process.send(self._run, command)

    def wait(self, until: float) -> None:
        """Wait until a message may have arrived, or until `until` by the monotonic clock."""
        self._process.wait(until)

    def receive(self) -> FromTrainer | None:
        """The next message of the current run; None when there is none. Raises TrainerDied.

        Late messages of an earlier run are dropped.
        """
        while (received := self._process.receive()) is not None:
            run, message = received
            if run == self._run:
                if isinstance(message, RunEnded):
                    self._under_way = False
                return message
        return None

    def send(self, message: Command | Renewed) -> None:
        """Send a message that is read between two items. If the process has died, the next `receive` raises."""
        if isinstance(message, Renewed) and not self._process.has_room():
            return  # it has not read the earlier ones yet: a later renewal will do
        with suppress(TrainerDied):
            self._process.send(self._run, message)

    def log_tail(self) -> str:
        """The last lines of the run's log."""
        return self._process.log_tail()

    def memory_mb(self) -> float:
        """Megabytes that the process holds, with all that it has started."""
        return self._process.memory_mb()

    def stop(self) -> Waits[Mapping[str, Any]]:
        """End the run under way, if there is one: by a command if the item under way ends soon, else with the process.

        Returns what the run has noted with the trial, as far as it could be asked.
        """
        noted: Mapping[str, Any] = {}
        if not self._under_way:
            return noted
        self.send(Command.STOP)
        deadline = time.monotonic() + STOP_S
        with suppress(TrainerDied):
            while self._under_way and time.monotonic() < deadline:
                message = self.receive()
                if message is None:
                    yield Wait(deadline)
                elif isinstance(message, Stopped | Trained):
                    noted = message.user_attrs
        if self._under_way:
            self.replace()
        return noted

    def replace(self) -> None:
        """Kill the process, and start another."""
        self.end()
        self._process = self._new_process()

    def end(self) -> None:
        """Kill the process, and start no other."""
        self._under_way = False
        self._process.end()

    def find_problem(self, objective: str, device: str, folder: str | None, meanwhile: Meanwhile) -> Waits[str | None]:
        """Why a trainer process here cannot train an objective at all; None when it can. folder: as in CheckFitness."""
        self._run = next(self._ids)
        question = CheckFitness(objective=objective, device=device, folder=folder)
        try:
            answer = yield from self._ask(question, FITNESS_S, meanwhile)
        except TrainerDied as died:
            problem = str(died)
        else:
            if isinstance(answer, Fitness):
                return answer.problem
            problem = f"the trainer process did not answer within {FITNESS_S:g} s whether it can"
        self.replace()
        return problem

    def save_model(self, command: SaveModel, meanwhile: Meanwhile) -> Waits[FromTrainer | str]:
        """Save the weights of the run that has just trained to its end: the trainer's answer, or why there is none."""
        try:
            answer = yield from self._ask(command, SAVE_S, meanwhile)
            if answer is not None:
                return answer
            problem = f"the trainer process took longer than {SAVE_S:g} s"
        except TrainerDied as died:
            problem = str(died)
        self.replace()
        return problem

    def _ask(self, question: CheckFitness | SaveModel, within_s: float, meanwhile: Meanwhile) -> Waits[FromTrainer | None]:
        """Ask between two runs; None when no answer comes within that time. Raises TrainerDied, and what meanwhile raises."""
        self._process.send(self._run, question)
        waited_s = 0.0  # for the trainer alone: `meanwhile` may wait for the database
        while waited_s < within_s:
            asked_at = time.monotonic()
            yield Wait(asked_at + LOOK_UP_S)
            answer = self.receive()
            waited_s += time.monotonic() - asked_at
            if answer is not None:
                return answer
            try:
                yield from meanwhile()
            except Exception:
                self.replace()  # else the next run would have to wait until it has answered
                raise
        return None
