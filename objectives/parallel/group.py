"""A group of ranks, from outside: launched under a guard, asked, watched, and ended together."""

import mmap
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import psutil
import torch

from objectives.contract import RunLost
from objectives.parallel.rank import PLACE
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
        self._pids: list[int] = []
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
            self._pids = [message["pid"] for message, _ in self._answers(START_S, is_joint=False)]
        except BaseException:
            self.end()
            raise

    def ask(self, messages: Sequence[Answer], timeout_s: float, *, is_joint: bool) -> list[Answer]:
        """Send each rank its message, and return what they answer, in their order.

        timeout_s: how long the others wait for a rank that does not go on. is_joint: whether ranks exchange something meanwhile,
        so that one that raises keeps the others from answering: its answer is the only one then.
        """
        for end in self._ends:
            end.settimeout(timeout_s)
        for rank, message in enumerate(messages):
            try:
                self._ranks[rank].send(*message)
            except Closed:
                raise self._cut_off(rank, "it does not read") from None
        return self._answers(timeout_s, is_joint=is_joint)

    def end(self) -> None:
        """Kill all ranks."""
        self._launcher.kill()
        self._places.close()
        for end in (self._told, *self._ends):
            end.close()

    def _answers(self, timeout_s: float, *, is_joint: bool) -> list[Answer]:
        answers: dict[int, Answer] = {}
        seen, since = self._progress(answers), time.monotonic()
        while len(answers) < self.n:
            ready = wait([self._told, *(end for rank, end in enumerate(self._ends) if rank not in answers)], LOOK_S)
            if self._told in ready or self._launcher.poll() is not None:
                raise RunLost(self._how_it_ended())
            for rank in (self._ends.index(end) for end in ready):  # type: ignore[arg-type]
                try:
                    answers[rank] = self._ranks[rank].receive()
                except Closed:
                    raise self._cut_off(rank, "it does not send") from None
                if answers[rank][0]["type"] == "cut off":
                    raise self._cut_off(rank, answers[rank][0]["message"])
                if answers[rank][0]["type"] == "raised" and is_joint:
                    return [answers[rank]]
            if (progress := self._progress(answers)) != seen:
                seen, since = progress, time.monotonic()
            elif time.monotonic() > since + timeout_s and (problem := self._who_hangs(answers)) is not None:
                raise RunLost(f"{problem}, for {timeout_s:g} s (rank_timeout_s)")
        return [answers[rank] for rank in range(self.n)]

    def _progress(self, answered: Collection[int]) -> tuple[int, ...]:
        return (len(answered), *struct.unpack(f"{self.n}q", self._places))

    def _who_hangs(self, answered: Collection[int]) -> str | None:
        """What nothing has changed for, in words; None: all of them are computing."""
        waiting = [rank for rank in range(self.n) if rank not in answered]
        if not self._pids:
            return f"{self._names(waiting)} did not begin"
        if stopped := [rank for rank in waiting if _is_stopped(self._pids[rank])]:
            return f"{self._names(stopped)} is stopped"
        _, *places = self._progress(answered)
        last = min(places[rank] for rank in waiting)
        behind = [rank for rank in waiting if places[rank] == last]
        if len(behind) < self.n:
            return f"{self._names(behind)} did not go on, and the others waited"
        return f"{self._names(waiting)} waited for each other" if last % 2 else None  # within an exchange

    def _cut_off(self, rank: int, why: str) -> RunLost:
        """One rank cannot be reached, or cannot reach the others: the launcher may know more."""
        if wait([self._told], WORD_S):
            return RunLost(self._how_it_ended())
        return RunLost(f"{self._names([rank])} is cut off: {why}")

    def _how_it_ended(self) -> str:
        with suppress(Closed):
            message, _ = Connection(self._told).receive()
            return f"{self._names([message['rank']])} {_how(message['exit_code'])}"
        with suppress(subprocess.TimeoutExpired):
            return f"the launcher of {self.n} ranks {_how(self._launcher.wait(WORD_S))}"
        return f"the launcher of {self.n} ranks has closed its connection"

    def _names(self, ranks: Sequence[int]) -> str:
        return f"rank {' and '.join(map(str, ranks))} of {self.n}"


def _is_stopped(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    return False


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
