"""One rank: a process that trains its share of a run, as the handle of the run asks it to."""

import datetime
import io
import mmap
import os
import signal
import socket
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from objectives.contract import DataProblem, Measurement
from objectives.data import files
from objectives.training.ranks import CutOff, Ranks, join
from objectives.training.supervised import SupervisedRun
from stride.connection import Closed, Connection, Message

PLACE = 8
"""Bytes of the number that says how far a rank has come."""
NEVER = datetime.timedelta(days=365)
"""When torch's own exchanges give up: it is the handle that sees who does not go on, whatever connects the ranks."""
TRACEBACK_LINES = 40


def serve(backend: str, device: str, places: int, ends: Sequence[int]) -> None:
    """Train runs, one after the other, until the handle closes its end.

    device: of the first rank. places, ends: file descriptors, of the memory that all ranks share, and of each rank's socket.
    """
    rank, n = int(os.environ["RANK"]), len(ends)
    for number in (signal.SIGINT, signal.SIGTERM):  # the launcher's handlers would wait for the end of an exchange
        signal.signal(number, signal.SIG_DFL)
    for other in set(ends) - {ends[rank]}:
        os.close(other)
    if rank:  # what all of them print is told once
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
    first = torch.device(device)
    mine = first if first.type == "cpu" else torch.device(first.type, ((first.index or 0) + rank) % torch.cuda.device_count())
    if mine.type == "cuda":
        torch.cuda.set_device(mine)
    with mmap.mmap(places, n * PLACE) as memory, memoryview(memory) as view, view.cast("q") as counts:
        with socket.socket(fileno=ends[rank]) as end, suppress(Closed):
            connection = Connection(end)
            os.environ["GLOO_SOCKET_IFNAME"] = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
            dist.init_process_group(backend, timeout=NEVER)
            join(Ranks(rank, n, counts))
            connection.send({"type": "ready", "pid": os.getpid()})
            _Rank(rank, str(mine)).serve(connection)


class _Rank:
    """What a rank holds between two messages: the run under way."""

    def __init__(self, rank: int, device: str) -> None:
        self._rank = rank
        self._device = device
        self._run: SupervisedRun | None = None
        self._steps: Iterator[Measurement] = iter(())

    def serve(self, connection: Connection) -> None:
        """Answer messages. What is raised is an answer, too."""
        while True:
            message, blob = connection.receive()
            try:
                answer, blob = self._answer(message, blob)
            except CutOff as error:
                answer, blob = {"type": "cut off", "message": str(error)}, b""
            except Exception as error:  # an objective may raise anything
                answer, blob = _raised(error), b""
            connection.send(answer, blob)

    def _answer(self, message: Message, blob: bytes) -> tuple[Message, bytes]:
        if message["type"] == "start":
            self._run = None  # free its memory before the next run needs its own
            self._run = self._started(message)
            self._steps = iter(self._run)
            return {"type": "started"}, b""
        run = self._run
        assert run is not None
        match message["type"]:
            case "step":
                measurement = next(self._steps, None)
                told = None if measurement is None or self._rank else asdict(measurement)
                return {"type": "step", "measurement": told, "guessing": run.guessing}, b""
            case "state":
                state = run.state_dict()
                return {"type": "state"}, _saved(state if self._rank == 0 else {"randomness": state["randomness"]})
            case "restore":
                run.load_state_dict(torch.load(io.BytesIO(blob), map_location="cpu", weights_only=True))
                return {"type": "restored"}, b""
            case "evaluate":
                return {"type": "evaluated", "test": run.evaluate()}, b""
        raise ValueError(f"there is no message {message['type']!r}")

    def _started(self, message: Message) -> SupervisedRun:
        folders = message["folders"]
        files.allow(None if folders is None else [Path(folder) for folder in folders])
        start: Any = import_module(message["module"]).start
        run: SupervisedRun = start(message["params"], message["settings"], message["seed"], self._device, message["threads"])
        return run


def _saved(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _raised(error: Exception) -> Message:
    lines = traceback.format_exc().strip().splitlines()
    return {
        "type": "raised",
        "error": type(error).__name__,
        "message": str(error),
        "traceback": "\n".join(lines[-TRACEBACK_LINES:]),
        "is_data_problem": isinstance(error, DataProblem),
        "for_every_trial": isinstance(error, DataProblem) and error.for_every_trial,
    }
