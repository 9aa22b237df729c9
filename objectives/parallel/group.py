"""A group of ranks, from outside: launched under a guard, asked, watched, and ended together."""

import mmap
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import psutil
import torch

from objectives.contract import RunLost
from objectives.parallel.rank import PLACE
from objectives.parallel.watch import Watch, named, stopped
from objectives.scripts.guarded import Guarded
from stride.connection import Closed, Connection, Message

START_S = 120.0
"""How long ranks may take to begin: torch may be imported from a slow disk."""
LOOK_S = 0.5
"""Seconds between two looks whether the ranks go on."""
WORD_S = 5.0
"""How long the launcher's word on which rank has ended is waited for, once another rank has noticed it."""
_MAIN = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); from objectives.parallel.launch import main; main()"
"""The same modules as here, wherever they were imported from. With -P the working directory is not looked in."""

Answer = tuple[Message, bytes]


class Group:
    """n ranks. Where one has ended or does not go on, methods raise RunLost, which names it: end the group then."""

    def __init__(self, n: int, device: torch.device, module: str) -> None:
        """device: of the first rank, others have the next ones. module: of an objective, imported once for all ranks."""
        self.n = n
        self.device = device
        self.run: object = None
        """The one that has the ranks."""
        self._processes: list[psutil.Process] = []
        pairs = [socket.socketpair() for _ in range(n + 1)]
        self._told, *self._ends = (ours for ours, _ in pairs)
        with tempfile.TemporaryFile() as places:
            places.truncate(n * PLACE)
            self._places = mmap.mmap(places.fileno(), n * PLACE)
            descriptors = [places.fileno(), *(theirs.fileno() for _, theirs in pairs)]
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            words = [sys.executable, "-P", "-c", _MAIN, backend, str(device), module, *map(str, descriptors)]
            self._launcher = Guarded(words, pass_fds=descriptors)
        for _, theirs in pairs:
            theirs.close()
        self._ranks = [Connection(end) for end in self._ends]
        try:
            self._processes = [psutil.Process(message["pid"]) for message, _ in self._answers(START_S, is_joint=False)]
        except BaseException:
            self.end()
            raise

    def ask(self, messages: Sequence[Answer], timeout_s: float, *, is_joint: bool) -> list[Answer]:
        """Send each rank its message, and return what they answer, in their order.

        timeout_s: how long ranks may neither compute nor exchange anything. is_joint: whether they exchange something meanwhile,
        so that one that raises keeps the others from answering: its answer is the only one then.
        """
        for end in self._ends:
            end.settimeout(timeout_s)
        for rank, message in enumerate(messages):
            try:
                self._ranks[rank].send(*message)
            except Closed:
                raise self._cut_off(rank, "it does not read", timeout_s) from None
        return self._answers(timeout_s, is_joint=is_joint)

    def end(self) -> None:
        """Kill all ranks."""
        self._launcher.kill()
        self._places.close()
        for end in (self._told, *self._ends):
            end.close()

    def _answers(self, timeout_s: float, *, is_joint: bool) -> list[Answer]:
        answers: dict[int, Answer] = {}
        watch = Watch(self._processes, self._places, self.n)
        while len(answers) < self.n:
            ready = wait([self._told, *(end for rank, end in enumerate(self._ends) if rank not in answers)], LOOK_S)
            if self._told in ready or self._launcher.poll() is not None:
                raise RunLost(self._how_it_ended())
            for rank in (self._ends.index(end) for end in ready):  # type: ignore[arg-type]
                try:
                    answers[rank] = self._ranks[rank].receive()
                except Closed:
                    raise self._cut_off(rank, "it does not send", timeout_s) from None
                if answers[rank][0]["type"] == "cut off":
                    raise self._cut_off(rank, answers[rank][0]["message"], timeout_s)
                if answers[rank][0]["type"] == "raised" and is_joint:
                    return [answers[rank]]
            watch.look()
            waiting = [rank for rank in range(self.n) if rank not in answers]
            if waiting and (problem := watch.problem(waiting, timeout_s)) is not None:
                raise RunLost(f"{problem}, {_for(timeout_s)}")
        return [answers[rank] for rank in range(self.n)]

    def _cut_off(self, rank: int, why: str, timeout_s: float) -> RunLost:
        """One rank cannot be reached, or cannot reach the others: it is stopped, or the launcher may know more."""
        if self._processes and (problem := stopped([rank], self._processes)):
            return RunLost(f"{problem}, {_for(timeout_s)}")
        if wait([self._told], WORD_S):
            return RunLost(self._how_it_ended())
        return RunLost(f"{named([rank], self.n)} is cut off: {why}")

    def _how_it_ended(self) -> str:
        with suppress(Closed):
            message, _ = Connection(self._told).receive()
            return f"{named([message['rank']], self.n)} {_how(message['exit_code'])}"
        with suppress(subprocess.TimeoutExpired):
            return f"the launcher of {self.n} ranks {_how(self._launcher.wait(WORD_S))}"
        return f"the launcher of {self.n} ranks has closed its connection"


def _for(timeout_s: float) -> str:
    return f"for {timeout_s:g} s (rank_timeout_s)"


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
