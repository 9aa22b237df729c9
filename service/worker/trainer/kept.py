"""The trainer process that a worker keeps: told what to do, stopped, asked how it is, and replaced when it dies or hangs."""

import time
from collections.abc import Callable
from contextlib import suppress

from service.worker.trainer.messages import CheckFitness, Command, Fitness, FromTrainer, Renewed, RunEnded, SaveModel, Train
from service.worker.trainer.process import STOP_S, TrainerDied, TrainerProcess

LOOK_UP_S = 0.5
"""Longest wait for the trainer before looking at anything else."""

FITNESS_S = 120.0
"""How long a trainer process may take to tell whether it can train at all: it may have to import torch from a slow disk."""

SAVE_S = 600.0
"""How long it may take to save the weights of a run that has gone through."""

Meanwhile = Callable[[], None]
"""Called at least every LOOK_UP_S while an answer is waited for, to keep a lease."""


class KeptTrainer:
    """One trainer process at a time, warm between runs."""

    def __init__(self, new_process: Callable[[], TrainerProcess]) -> None:
        self._new_process = new_process
        self._process = new_process()
        self._under_way = False
        """Whether it is at a run, as far as it has told."""

    def train(self, command: Train) -> None:
        """Begin a run. A process that has died since the last one is none of this run's doing. Raises TrainerDied."""
        if not self._process.is_alive():
            self.replace()
        self._process.start_log()
        self._under_way = True
        self._process.send(command)

    def receive(self, timeout_s: float) -> FromTrainer | None:
        """The next message, or None when none came in time. Raises TrainerDied."""
        message = self._process.receive(timeout_s)
        if isinstance(message, RunEnded):
            self._under_way = False
        return message

    def tell(self, order: Command | Renewed) -> None:
        """Something to be heeded between two items. A death is noticed when it is next listened to."""
        if isinstance(order, Renewed) and not self._process.has_room():
            return  # it has not read the earlier ones: the next one after it has will do
        with suppress(TrainerDied):
            self._process.send(order)

    def log_tail(self) -> str:
        """The last lines of the run's log."""
        return self._process.log_tail()

    def memory_mb(self) -> float:
        """Megabytes that the process holds, with all that it has started."""
        return self._process.memory_mb()

    def stop(self) -> None:
        """End the run under way, if there is one: by an order if the item under way ends soon, else with the process."""
        if not self._under_way:
            return
        self.tell(Command.STOP)
        deadline = time.monotonic() + STOP_S
        with suppress(TrainerDied):
            while self._under_way and (left := deadline - time.monotonic()) > 0:
                self.receive(left)
        if self._under_way:
            self.replace()

    def replace(self) -> None:
        """Kill the process, and start another."""
        self.end()
        self._process = self._new_process()

    def end(self) -> None:
        """Kill the process, for good."""
        self._under_way = False
        self._process.end()

    def find_problem(self, objective: str, device: str, folder: str | None, meanwhile: Meanwhile) -> str | None:
        """What keeps a trainer process here from training an objective at all; None when it can. folder: of the checkpoints."""
        question = CheckFitness(objective=objective, device=device, folder=folder)
        try:
            answer = self._ask(question, FITNESS_S, meanwhile)
        except TrainerDied as died:
            problem = str(died)
        else:
            if isinstance(answer, Fitness):
                return answer.problem
            problem = f"the trainer process did not say within {FITNESS_S:g} s whether it can"
        self.replace()
        return problem

    def save_model(self, command: SaveModel, meanwhile: Meanwhile) -> FromTrainer | str:
        """What became of the weights of the run that has gone through; a string when the process cannot say, and why."""
        try:
            answer = self._ask(command, SAVE_S, meanwhile)
            if answer is not None:
                return answer
            problem = f"the trainer process took longer than {SAVE_S:g} s"
        except TrainerDied as died:
            problem = str(died)
        self.replace()
        return problem

    def _ask(self, question: CheckFitness | SaveModel, within_s: float, meanwhile: Meanwhile) -> FromTrainer | None:
        """Ask between two runs."""
        self._process.send(question)
        waited_s = 0.0  # for it alone: `meanwhile` may have to wait for the database
        while waited_s < within_s:
            asked_at = time.monotonic()
            answer = self._process.receive(LOOK_UP_S)
            waited_s += time.monotonic() - asked_at
            if answer is not None:
                return answer
            try:
                meanwhile()
            except BaseException:
                self.replace()  # else its answer would be taken for one of the next run's
                raise
        return None
