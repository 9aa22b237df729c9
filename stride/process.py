"""The script process: loads a user's file, and calls what it holds for whoever started it, one run after the other.

`main` is called in a new process with the arguments FILE FD MODULE: the file, its end of a socket pair, and the file's name as a
module where it belongs to an installed package, else "".
"""

import contextlib
import io
import os
import signal
import socket
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

from stride import generators
from stride.arguments import call, takes_parameters
from stride.connection import Closed, Connection, Message
from stride.declaration import DECLARED, originals
from stride.optuna_trial import OptunaTrial, is_pruned
from stride.reporting import Reports, Stopped, number
from stride.running import current
from stride.script import Refused, Script
from stride.trainer_link import TrainerLink
from stride.training import Training, train
from stride.trial import Trial

TRACEBACK_LINES = 40
_USUAL: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
_MASKS: list[Any] = []
"""Of signals, as they were before a fork that is under way."""


def main(training: str) -> None:
    """Load the file, then serve until the other end is closed. training: the module that trains a file's model on its data."""
    path, descriptor, module = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _ignore_signals()
    with socket.socket(fileno=descriptor) as end, contextlib.suppress(Closed):
        connection = Connection(end)
        try:
            script = Script(path, Training(training), module or None)
        except Refused as refused:
            connection.send({"type": "refused", "reason": str(refused)})
            return
        connection.send({"type": "loaded", "sha256": script.sha256})
        _serve(connection, script)


def _serve(connection: Connection, script: Script) -> None:
    surroundings = _Surroundings()
    ran: tuple[TrainerLink, Reports] | None = None
    while True:
        message, blob = connection.receive()
        match message["type"]:
            case "describe":
                try:
                    connection.send({"type": "described", "objectives": script.describe(message["name"], message["space"])})
                except Refused as refused:
                    connection.send({"type": "refused", "reason": str(refused)})
            case "run":
                surroundings.restore()
                link = TrainerLink(connection, blob)
                reports = Reports(link)
                ran = link, reports
                began = time.monotonic()
                ended = _run(script, message, reports)
                link.end()
                reports.end()
                surroundings.flush()
                connection.send(ended | {"seconds": time.monotonic() - began})
            case "save":
                assert ran is not None
                link, reports = ran
                link.send_state(partial(reports.encode, ended=True), message["only"])


def _run(script: Script, message: Message, reports: Reports) -> Message:
    """Call the function; returns how that ended."""
    function = script.function(message["function"])
    generators.seed(message["seed"])
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(message["threads"])
    try:
        if message["kind"] == "model":
            return train(script.start(message), reports)
        if message["kind"] == "optuna":
            returned = function(OptunaTrial(reports, message["params"], message["number"]))
            return {"type": "ended", "value": _value(message["function"], returned), "attributes": reports.attributes}
        declared = getattr(function, DECLARED, None)
        params = originals(declared.space, message["params"]) if declared is not None else message["params"]
        trial = Trial(reports, message["metric"], params, message["seed"], message["device"], message["number"])
        with current(trial):
            if takes_parameters(function):
                trial.end(call(function, params))
            else:
                function(trial)
                trial.end(None)
        return {"type": "ended", "value": None, "attributes": reports.attributes}
    except Stopped:
        return {"type": "ended", "value": None, "attributes": reports.attributes}
    except BaseException as error:  # a user's function may raise anything, SystemExit included
        if is_pruned(error):
            return {"type": "ended", "value": None, "attributes": reports.attributes, "pruned": str(error)}
        return _raised(error)


def _value(function: str, returned: Any) -> float:
    if isinstance(returned, tuple | list):
        raise TypeError(f"{function} returned {len(returned)} values: Stride tunes one")
    return number(f"what {function} returned", returned)


def _raised(error: BaseException) -> Message:
    """Print the traceback without Stride's own first frame, and tell it."""
    trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
    lines = traceback.format_exception(type(error), error, trace)
    with contextlib.suppress(OSError, ValueError):  # the function may have closed it
        sys.stderr.write("".join(lines))
        sys.stderr.flush()
    kind = type(error)
    said = f"the function ended the process, with {error}" if isinstance(error, SystemExit) else str(error)
    tail = "".join(lines).strip().splitlines()[-TRACEBACK_LINES:]
    # What Stride's own training refuses may hold for every trial.
    for_every_trial = getattr(error, "for_every_trial", False) is True
    traced = "\n".join(tail)
    return {
        "type": "raised",
        "error": kind.__name__,
        "message": said,
        "traceback": traced,
        "for_every_trial": for_every_trial,
    }


class _Surroundings:
    """What a function may change of its process, and the next one must find as it was: streams and the working directory."""

    def __init__(self) -> None:
        self._descriptors = {number: os.dup(number) for number in (1, 2)}
        self._streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._folder = os.getcwd()

    def restore(self) -> None:
        for descriptor, kept in self._descriptors.items():
            os.dup2(kept, descriptor)
        for (name, stream), descriptor in zip(self._streams.items(), self._descriptors, strict=True):
            if stream.closed:
                raw = open(descriptor, "wb", buffering=0, closefd=False)
                self._streams[name] = stream = io.TextIOWrapper(raw, write_through=True)
            setattr(sys, name, stream)
        os.chdir(self._folder)

    def flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()


def _ignore_signals() -> None:
    """It is the worker that decides how a run ends; but what the script starts can be interrupted and terminated as ever."""
    for each in _USUAL:
        signal.signal(each, _take_no_notice)
    os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_heed_signals)


def _hold_signals() -> None:
    # Else one that is sent to a child at once would meet our handler there.
    _MASKS.append(signal.pthread_sigmask(signal.SIG_BLOCK, _USUAL))


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _MASKS.pop())


def _heed_signals() -> None:
    for each, usual in _USUAL.items():
        if signal.getsignal(each) is _take_no_notice:
            signal.signal(each, usual)
    _release_signals()


def _take_no_notice(number: int, frame: object) -> None: ...
