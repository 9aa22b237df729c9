"""What a run tells while it trains, whoever hears it: the trainer of a script's process, or the client that claimed the trial."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from stride import generators, states

NOTHING_SAVED = (
    "nothing was saved with trial.save before trial.report, or by steps(n, model, optimizer), so a trial that is interrupted"
    " starts anew"
)


class Stopped(BaseException):
    """Ends a function that reports again although it was told to stop. No Exception: the function's own handlers let it pass."""


class NoState(Exception):
    """There is no state of the last report. The message says what is wrong, and is empty where nothing is."""


Encode = Callable[[str | None], bytes]
"""What was saved for the step that is reported, as bytes; of a dictionary the entry that is named, None: all. Raises NoState."""


class Listener(Protocol):
    """Who hears what a run reports."""

    def saved(self) -> bytes:
        """The state at which the run resumes, as it was encoded; empty: it begins."""

    def hear(self, report: dict[str, Any], encode: Encode) -> bool:
        """Take what a step measured, and where a checkpoint is due what was saved for it; returns whether the run is to stop."""


class Reports:
    """The reports of one run."""

    def __init__(self, listener: Listener) -> None:
        self.step = 0
        """The last step that was reported, counted from 1."""
        self.stopping = False
        """Whether the function was told to stop."""
        self.is_leaving = False
        """Whether what is reported belongs to a step that the function has left before its end, by break or an exception."""
        self.attributes: dict[str, Any] = {}
        self._listener = listener
        self._pid = os.getpid()
        self._offset: int | None = None
        """What is added to steps as the function counts them: 1 where it counts from 0."""
        self._state: Any = None
        self._called = ""
        self._has_state = False
        """Whether a state was saved since the last report, so that it is that of the step to be reported next."""
        self._was_saved = False
        self._was_restored = False
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
        saved = self._listener.saved()
        if not saved:
            return None
        self._was_restored = True
        place = tempfile.TemporaryDirectory(prefix="stride-")
        self._places.append(place)
        found = states.decode(saved, Path(place.name))
        self.step, self._offset = found["step"], found["offset"]
        self.attributes = found.get("attributes", {}) | self.attributes  # an earlier version stored none
        generators.restore(found["random"])
        return found["state"]

    def encode(self, only: str | None, *, ended: bool = False) -> bytes:
        """What was saved for the last report. only: this entry of it. ended: the function has returned. Raises NoState."""
        if not (self._was_saved if ended else self._has_state):
            raise NoState("" if self._was_restored or self._state is not None else NOTHING_SAVED)
        try:
            state = self._state() if callable(self._state) else self._state
            if only is None:
                counted = {"step": self.step, "offset": self._offset, "attributes": self.attributes}
                return states.encode({"state": state, **counted, "random": generators.state()}, self._called)
            entry = state.get(only) if isinstance(state, dict) else None
            return states.encode({only: entry}, self._called)
        except (states.BadState, OSError) as error:
            raise NoState(str(error).replace("['state']", "", 1)) from error
        except Exception as error:  # a user's state_dict may raise anything, such as CUDA out of memory
            raise NoState(f"saving the state raised {type(error).__name__}: {error}") from error

    def end(self) -> None:
        """After the function has returned: restored folders go."""
        for place in self._places:
            place.cleanup()
        self._was_saved = self._was_saved or self._has_state

    def _told(self, report: dict[str, Any]) -> bool:
        about = {"attributes": self.attributes, "is_leaving": self.is_leaving}
        self.stopping = self._listener.hear(about | report, self.encode)
        self._was_saved, self._has_state = self._has_state, False
        self._since = time.monotonic()
        return self.stopping

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
