"""What a run tells while it trains, from within the script's process: each report waits until the next step is asked for."""

import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from stride import generators, states
from stride.connection import Closed, Connection, Message

STOP_S = 10.0
"""How long a function may take to return once it was told to stop; then its process ends."""


NOTHING_SAVED = (
    "nothing was saved with trial.save before trial.report, or by steps(n, model, optimizer), so a trial that is interrupted"
    " starts anew"
)


class Stopped(BaseException):
    """Ends a function that reports again although it was told to stop. No Exception: the function's own handlers let it pass."""


class Reports:
    """The reports of one run.

    step, offset, state: where it resumes and what was saved there; step 0: it begins.
    """

    def __init__(self, connection: Connection, saved: bytes = b"") -> None:
        self.step = 0
        """The last step that was reported, counted from 1."""
        self.stopping = False
        """Whether the function was told to stop."""
        self.attributes: dict[str, Any] = {}
        self._connection = connection
        self._saved = saved
        self._pid = os.getpid()
        self._offset: int | None = None
        """What is added to steps as the function counts them: 1 where it counts from 0."""
        self._state: Any = None
        self._called = ""
        self._has_state = False
        """Whether a state was saved since the last report, so that it is that of the step to be reported next."""
        self._was_saved = False
        self._last_words: threading.Timer | None = None
        self._places: list[tempfile.TemporaryDirectory[str]] = []
        self._since = time.monotonic()

    def report(self, step: int | None, metrics: dict[str, float], learning_rate: float | None) -> bool:
        """Tell what a step measured, and wait; returns whether the function is to stop. Raises ValueError and TypeError."""
        if os.getpid() != self._pid:
            raise RuntimeError("report was called in another process than the function: report where the function was called")
        if self.stopping:
            raise Stopped
        seconds = time.monotonic() - self._since
        self.step = self._counted(step)
        return self._told({"step": self.step, "metrics": metrics, "rate": learning_rate, "seconds": seconds})

    def report_measurement(self, measurement: dict[str, Any]) -> bool:
        """The same with all that Stride's own training measures in a step: the fields of its measurement."""
        self.step, self._offset = measurement["step"], 0
        return self._told({"measurement": measurement})

    def save(self, state: Any, called: str = "what trial.save was given") -> None:
        """Keep a state for the next report, which stores it if a checkpoint is due. It may be a function that makes it then.

        called: what it is in messages.
        """
        self._state, self._has_state, self._called = state, True, called

    def restored(self) -> Any:
        """The state that the run resumes from; None: it begins. Random numbers go on from there, too."""
        if not self._saved:
            return None
        place = tempfile.TemporaryDirectory(prefix="stride-")
        self._places.append(place)
        found = states.decode(self._saved, Path(place.name))
        self.step, self._offset = found["step"], found["offset"]
        generators.restore(found["random"])
        return found["state"]

    def send_state(self, only: str | None, *, ended: bool = False) -> None:
        """Send what was saved for the last report. only: this entry of it."""
        if not (self._was_saved if ended else self._has_state):
            reason = "" if self._saved or self._state is not None else NOTHING_SAVED
            self._send({"type": "no state", "reason": reason})
            return
        try:
            state = self._state() if callable(self._state) else self._state
            if only is None:
                whole = {"state": state, "step": self.step, "offset": self._offset, "random": generators.state()}
                content = states.encode(whole, self._called)
            else:
                entry = state.get(only) if isinstance(state, dict) else None
                content = states.encode({only: entry}, self._called)
        except (states.BadState, OSError) as error:
            self._send({"type": "no state", "reason": str(error).replace("['state']", "", 1)})
        except Exception as error:  # a user's state_dict may raise anything, such as CUDA out of memory
            self._send({"type": "no state", "reason": f"saving the state raised {type(error).__name__}: {error}"})
        else:
            self._send({"type": "state"}, content)

    def end(self) -> None:
        """After the function has returned: it may take as long as it likes no more, and restored folders go."""
        if self._last_words is not None:
            self._last_words.cancel()
        for place in self._places:
            place.cleanup()
        self._was_saved = self._was_saved or self._has_state

    def _told(self, report: Message) -> bool:
        self._send({"type": "report", "attributes": self.attributes} | report)
        self._wait()
        self._was_saved, self._has_state = self._has_state, False
        self._since = time.monotonic()
        return self.stopping

    def _wait(self) -> None:
        while True:
            message, _ = self._receive()
            match message["type"]:
                case "save":
                    self.send_state(message["only"])
                case "stop":
                    self.stopping = True
                    self._last_words = threading.Timer(STOP_S, os._exit, (0,))
                    self._last_words.daemon = True
                    self._last_words.start()
                    return
                case _:
                    return

    def _counted(self, step: int | None) -> int:
        if step is None:
            return self.step + 1
        if isinstance(step, bool) or not hasattr(step, "__index__"):
            raise TypeError(f"the step is {step!r}: it must be a whole number")
        step = step.__index__()
        if self._offset is None:
            self._offset = 1 if step == 0 else 0
        counted = step + self._offset
        if counted <= self.step:
            raise ValueError(f"step {step} was reported after step {self.step - self._offset}: steps are reported in their order")
        return counted

    def _send(self, message: Message, blob: bytes = b"") -> None:
        try:
            self._connection.send(message, blob)
        except Closed:
            os._exit(0)  # the process that asked for all this has ended

    def _receive(self) -> tuple[Message, bytes]:
        try:
            return self._connection.receive()
        except Closed:
            os._exit(0)


def number(what: str, value: Any) -> float:
    """A number of any library, or a tensor of one element, as a float. Raises TypeError."""
    try:
        plain = value.item() if hasattr(value, "item") else value
        if not isinstance(plain, str | bytes):
            return float(plain)
    except OverflowError:
        return float("inf") if plain > 0 else float("-inf")
    except Exception as error:  # a value may be anything, and raise anything
        raise TypeError(f"{what} is {_shown(value)}: it must be one number") from error
    raise TypeError(f"{what} is {_shown(value)}, which is text: it must be a number")


def attribute(key: Any, value: Any) -> tuple[str, Any]:
    """What is noted with a trial. Raises TypeError and ValueError where JSON cannot hold it."""
    if not isinstance(key, str):
        raise TypeError(f"the name of a user attribute is {key!r}: it must be text")
    try:
        return key, json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise type(error)(f"the user attribute {key!r} cannot be stored as JSON: {error}") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text[:40]}..." if len(text) > 43 else text
