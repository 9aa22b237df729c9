"""A run over several processes: the handle of the trainer process on the ranks that train it."""

import functools
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from objectives.catalog import Start
from objectives.contract import DataProblem, Measurement, Objective, Run, RunLost, RunRaised
from objectives.data import files
from objectives.parallel.group import Answer, Group
from objectives.parallel.kept import end_ranks, groups
from objectives.scripts.measured import from_fields
from objectives.training.devices import find_device
from objectives.training.problems import untrainable
from objectives.training.ranks import here
from stride.connection import Message


def over_processes(objective: Objective) -> Callable[[Start], Start]:
    """Have the function `start` of an objective's module train over as many processes as the setting `processes` says.

    It raises DataProblem where there are not so many GPUs, or CPUs for the threads of all.
    """

    def decorate(start: Start) -> Start:
        @functools.wraps(start)
        def started(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
            if here().n > 1:
                return start(params, settings, seed, device, threads)
            if (n := settings.get("processes", 1)) == 1:
                return start(params, settings, seed, device, threads)
            place = find_device(device)
            _check(n, threads, place)
            timeout_s = settings.get("rank_timeout_s", objective.settings_schema["properties"]["rank_timeout_s"]["default"])
            return ParallelRun(objective.module, n, place, timeout_s, params, settings, seed, threads)

        return started

    return decorate


class ParallelRun:
    """One run. It has the ranks until the next one starts."""

    def __init__(
        self,
        module: str,
        n: int,
        device: torch.device,
        timeout_s: float,
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        seed: int,
        threads: int,
    ) -> None:
        """Raises what `start` of the module raises in the ranks, and RunLost."""
        self.guessing: dict[str, float] = {}
        self._timeout_s = timeout_s
        if not groups or (groups[0].n, groups[0].device) != (n, device):
            end_ranks()
            groups.append(Group(n, device, module))
        self._group = groups[0]
        self._group.run = self
        folders = files.allowed()
        self._ask_all(
            {
                "type": "start",
                "module": module,
                "params": dict(params),
                "settings": dict(settings),
                "seed": seed,
                "threads": threads,
                "folders": None if folders is None else [str(folder) for folder in folders],
            }
        )

    def __iter__(self) -> Iterator[Measurement]:
        while True:
            (answer, _), *_ = self._ask_all({"type": "step"}, is_joint=True)
            self.guessing = answer["guessing"]
            if answer["measurement"] is None:
                return
            yield from_fields(answer["measurement"])

    def state_dict(self) -> dict[str, Any]:
        """The state of the first rank, and of the others what differs: the random numbers that they draw."""
        first, *others = (_loaded(blob) for _, blob in self._ask_all({"type": "state"}))
        return {**first, "randomness_of_others": [state["randomness"] for state in others]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ValueError for the state of another number of processes."""
        others = state.get("randomness_of_others", [])
        if len(others) + 1 != self._group.n:
            raise ValueError(f"the state is of a run over {len(others) + 1} processes, and this one has {self._group.n}")
        states = ({**state, "randomness": each} for each in (state["randomness"], *others))
        self._ask([({"type": "restore"}, _saved(each)) for each in states], is_joint=False)

    def evaluate(self) -> dict[str, float]:
        (answer, _), *_ = self._ask_all({"type": "evaluate"}, is_joint=True)
        test: dict[str, float] = answer["test"]
        return test

    def _ask_all(self, message: Message, *, is_joint: bool = False) -> list[Answer]:
        return self._ask([(message, b"")] * self._group.n, is_joint=is_joint)

    def _ask(self, messages: Sequence[Answer], *, is_joint: bool) -> list[Answer]:
        if self._group.run is not self:
            raise RuntimeError("another run has begun in the ranks of this one")
        try:
            answers = self._group.ask(messages, self._timeout_s, is_joint=is_joint)
        except RunLost:
            end_ranks()
            raise
        for answer, _ in answers:
            if answer["type"] == "raised":
                if is_joint:
                    end_ranks()  # others may wait for the one that has raised
                raise _raised(answer)
        return answers


def _check(n: int, threads: int, device: torch.device) -> None:
    """Raises DataProblem."""
    if device.type == "cuda":
        if n > (there := torch.cuda.device_count()):
            raise untrainable(f"processes is {n}, but a run may use {there} GPUs on this machine.")
    elif device.type == "cpu":
        there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if n * threads > there:
            asked = f"processes is {n}" if threads == 1 else f"processes is {n}, with {threads} threads each"
            raise untrainable(f"{asked}, but a run may use {there} CPUs on this machine.")
    else:
        raise untrainable(f"processes is {n}, but only CPUs and CUDA GPUs can train a run together, and the device is {device}.")


def _raised(answer: Message) -> Exception:
    if answer["is_data_problem"]:
        return DataProblem(answer["message"], for_every_trial=answer["for_every_trial"])
    sys.stderr.write(f"{answer['traceback']}\n")
    sys.stderr.flush()
    return RunRaised(answer["error"], answer["message"], answer["traceback"])


def _saved(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _loaded(content: bytes) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state
