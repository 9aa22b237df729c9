"""A run of a script: it trains in the script's process, which waits in each report until the next step is asked for."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from objectives.catalog import Start
from objectives.contract import Measurement, NoState, RunLost, RunRaised
from objectives.own_modules import CatalogProblem
from objectives.scripts import command
from objectives.scripts.entry import ScriptFunction
from objectives.scripts.measured import from_fields, measured
from objectives.scripts.process import ScriptProcess
from stride import states
from stride.connection import Message

LAST_WORDS_S = 1.0
"""How long a function that was told to stop is waited for, to know what it has noted. Later it is stopped all the same."""


class Scripts:
    """The scripts that a trainer process may be asked to run. That of the last one is kept: imports take seconds."""

    def __init__(self, functions: Mapping[str, ScriptFunction]) -> None:
        """functions: by the name of their objective."""
        self._functions = functions
        self._process: ScriptProcess | None = None
        self._is_busy = False
        """Whether a run was left before its end, so that its function may still be at work."""

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def import_start(self, name: str) -> Start:
        """Load the script of the objective, if it is not loaded. Raises CatalogProblem, also when the file has changed."""
        function = self._functions[name]
        if function.kind == "command":
            return command.starter(function)
        self._loaded(name)
        return _Start(self, name)

    def start(
        self, name: str, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int
    ) -> "ScriptRun":
        """Begin a run. Raises CatalogProblem."""
        return ScriptRun(self, self._loaded(name), self._functions[name], params, settings, seed, device, threads)

    def set_busy(self, is_busy: bool) -> None:
        """Say whether a function is at work in the process."""
        self._is_busy = is_busy

    def drop(self, *, at_once: bool = False) -> None:
        """End the process: what was raised in it may have left it of no use, as errors on a GPU do. at_once: by force."""
        self._is_busy = False
        if self._process is not None:
            self._process.end(at_once=at_once)
            self._process = None

    def _loaded(self, name: str) -> ScriptProcess:
        asked = self._functions[name]
        if (kept := self._process) is not None:
            if (str(kept.path), kept.module) != (asked.path, asked.module) or not self._is_free(kept):
                self.drop()
        if self._process is None:
            process = ScriptProcess(Path(asked.path), module=asked.module)
            if process.sha256 != asked.sha256:
                process.end()
                raise CatalogProblem(
                    f"{process.path.name} has changed since this worker was started, so start it again ({asked.path})"
                )
            self._process = process
        return self._process

    def _is_free(self, process: ScriptProcess) -> bool:
        """Whether it runs, and the function of a run that was stopped has returned; it ends itself if that takes too long."""
        try:
            while self._is_busy:
                message, _ = process.receive()
                if message["type"] == "raised":
                    return False
                self._is_busy = message["type"] != "ended"
        except RunLost:
            return False
        return process.is_alive()


class _Start:
    """`start` of an objective's contract, for one script."""

    def __init__(self, scripts: Scripts, name: str) -> None:
        self._scripts = scripts
        self._name = name

    def __call__(
        self, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int
    ) -> "ScriptRun":
        return self._scripts.start(self._name, params, settings, seed, device, threads)


class ScriptRun:
    """One run."""

    restored_by = "state, from trial.restored(),"

    def __init__(
        self,
        scripts: Scripts,
        process: ScriptProcess,
        function: ScriptFunction,
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        seed: int,
        device: str,
        threads: int,
    ) -> None:
        self.number = 0
        self.guessing: dict[str, float] = {}
        self.value: float | None = None
        self.pruned: str | None = None
        self._scripts = scripts
        self._process = process
        self._function = function
        params = {**function.params, **params}
        self._request = {
            "type": "run",
            "kind": function.kind,
            "function": function.name,
            "metric": function.metric,
            "params": params,
            "settings": {**function.settings, **settings},
            "seed": seed,
            "device": device,
            "threads": threads,
        }
        self._rate = float(params[function.learning_rate])
        steps = params[function.steps] if isinstance(function.steps, str) else function.steps
        self._steps = None if steps is None else int(steps)
        self._last: Measurement | None = None
        self._attributes: dict[str, Any] = {}
        """What the function has noted, as far as it is known."""
        self._is_stopping = False
        """Whether the function was told to stop, and is not known to have returned."""
        self._test: dict[str, float] = {}
        self._state = b""
        """What the run resumes from."""

    def __iter__(self) -> Iterator[Measurement]:
        self._process.send(self._request | {"number": self.number}, self._state)
        self._scripts.set_busy(True)
        is_waiting = False
        try:
            while (message := self._next())["type"] == "report":
                self._last = self._measured(message)
                is_waiting = True
                yield self._last
                if self._last.divergence is not None:
                    return
                self._process.send({"type": "go on"})
                is_waiting = False
            self._scripts.set_busy(False)
            yield from self._ended(message)
        finally:
            if is_waiting:
                self._stop()

    def state_dict(self) -> bytes:
        """What the script has saved for the last report. Raises NoState."""
        return self._saved(None)

    def load_state_dict(self, state: Any) -> None:
        """Resume from what a script has saved."""
        with zipfile.ZipFile(io.BytesIO(state)) as file:
            json.loads(file.read("tree.json"))
        self._state = state

    def weights(self) -> Any:
        """What the script has saved under "model" for the last report; None: nothing."""
        try:
            return states.decode(self._saved("model"), only="model")
        except NoState:
            return None

    def evaluate(self) -> dict[str, float]:
        """What a model measured on the data's test set. A function notes that with set_user_attr: nothing."""
        return self._test

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What the function has noted. One that was told to stop may do so until it returns: that is waited for, a while."""
        if self._is_stopping:
            self._is_stopping = False
            self._hear_end()
        return self._attributes

    def _hear_end(self) -> None:
        try:
            message, _ = self._process.receive(LAST_WORDS_S)
        except TimeoutError:
            return
        except RunLost:
            self._scripts.drop()
            return
        if message["type"] == "ended":
            self._attributes = message["attributes"]
            self._scripts.set_busy(False)
        else:
            self._scripts.drop(at_once=True)

    def _next(self) -> Message:
        message, _ = self._process.receive()
        if message["type"] == "raised":
            self._scripts.drop()
            raise RunRaised(
                message["error"], message["message"], message["traceback"], for_every_trial=message["for_every_trial"]
            )
        return message

    def _saved(self, only: str | None) -> bytes:
        self._process.send({"type": "save", "only": only})
        message, blob = self._process.receive()
        if message["type"] == "no state":
            raise NoState(message["reason"])
        return blob

    def _stop(self) -> None:
        """Let the function know, which may still do what it does at its end; the next run waits for it."""
        try:
            self._process.send({"type": "stop"})
            self._is_stopping = True
        except RunLost:
            self._scripts.drop()

    def _measured(self, report: Message) -> Measurement:
        self._attributes = report["attributes"]
        if (whole := report.get("measurement")) is not None:
            return from_fields(whole)
        return measured(
            self._function.metric,
            self._steps,
            step=report["step"],
            metrics=report["metrics"],
            learning_rate=self._rate if report["rate"] is None else report["rate"],
            seconds=report["seconds"],
        )

    def _ended(self, message: Message) -> Iterator[Measurement]:
        self._attributes = message["attributes"]
        self._test, self.guessing = message.get("test", {}), message.get("guessing", {})
        value = message["value"]
        if "pruned" in message:
            self.pruned = f"the script raised TrialPruned{message['pruned'] and ': '}{message['pruned']}"
        if self._last is None and value is not None:
            # It has reported nothing: what it returned is its only step.
            yield self._measured(message | {"step": 1, "metrics": {self._function.metric: value}, "rate": None})
        elif self._last is None and self.pruned is None and not self._state:  # else it was interrupted after its last step
            raise RunRaised("NothingMeasured", f"{self._function.name} ended without a call of trial.report", None)
        elif self._last is not None and value is not None and value != self._last.metrics[self._function.metric]:
            self.value = value
