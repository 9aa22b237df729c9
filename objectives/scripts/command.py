"""A run whose training is a command, in any language.

Parameters go in as arguments, in the environment and in a JSON file; measurements come out as lines of JSON, on standard output
or in a file. SIGTERM asks the command to stop.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO, Any

from objectives.catalog import Start
from objectives.contract import Measurement, NoState, RunRaised
from objectives.own_modules import CatalogProblem
from objectives.scripts.entry import ScriptFunction
from objectives.scripts.guarded import Guarded
from objectives.scripts.measured import measured

MAX_LINE = 1_000_000
"""Bytes of a line beyond which the rest of it is dropped."""
POLL_S = 0.05
"""Seconds between two looks at the file of measurements."""
TERMINATE_S = 1.25
"""Seconds that the command has to end after SIGTERM, before it is killed."""
READS_AFTER_END = 16
"""Of standard output, in which all that a pipe can hold is read."""
EXAMPLE = '{"step": 1, "validation_loss": 0.5}'

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OF_A_SHELL = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>"})
_BUILT_IN = frozenset({"cd", "source", ".", "export", "for", "while", "if", "set", "exec", "ulimit"})
_OWN = frozenset({"seed", "device"})
"""Placeholders beside the parameters."""


def placeholders(line: str) -> list[str]:
    """The names of the parameters in a command, in order, each once. Raises ValueError when it cannot be split into words."""
    words = shlex.split(line)
    return list(dict.fromkeys(name for word in words for name in _PLACEHOLDER.findall(word) if name not in _OWN))


def check_program(line: str, folder: Path) -> None:
    """Raises CatalogProblem where the program of a command cannot be started in the folder, or where a shell is meant."""
    program, *_ = words = shlex.split(line)
    operator = next((word for word in words if word in _OF_A_SHELL), None)
    if operator is not None:
        raise CatalogProblem(f"no shell takes the command apart, so {operator} would be an argument: write sh -c '...' around it")
    if "/" not in program:
        if shutil.which(program) is not None:
            return
        cure = f": write ./{program}" if (folder / program).is_file() else ""
        cure = f": it is a word of the shell, so write sh -c '{program} ...'" if program in _BUILT_IN else cure
    elif shutil.which(folder / program) is not None:
        return
    else:
        cure = " that may be executed: name its interpreter, or chmod +x it" if (folder / program).is_file() else ""
    raise CatalogProblem(f"there is no program {program!r} here{cure or f', which the command {line!r} starts'}")


def starter(command: ScriptFunction) -> Start:
    """What starts its runs. Raises CatalogProblem where its program is not there."""
    check_program(command.name, Path(command.path))

    def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> "CommandRun":
        return CommandRun(command, params, seed, device, threads)

    return start


class CommandRun:
    """Starts the command when it is iterated; yields what it measures, as soon as it is measured."""

    def __init__(self, command: ScriptFunction, params: Mapping[str, Any], seed: int, device: str, threads: int) -> None:
        """command: of this kind."""
        self._command = command
        self._params = params = {**command.params, **params}
        self._environment = {
            **{f"STRIDE_PARAM_{name.upper()}": _text(value) for name, value in params.items()},
            "STRIDE_SEED": str(seed),
            "STRIDE_DEVICE": device,
            "OMP_NUM_THREADS": str(threads),
        }
        values = {name: _text(value) for name, value in params.items()} | {"seed": str(seed), "device": device}
        self._words = [_PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in shlex.split(command.name)]
        steps = params[command.steps] if isinstance(command.steps, str) else command.steps
        self._steps = None if steps is None else max(1, int(steps))
        self._step = 0
        self._since = time.monotonic()
        """When the last measurement was made."""

    def __iter__(self) -> Iterator[Measurement]:
        with tempfile.TemporaryDirectory(prefix="stride-") as folder:
            report, params = Path(folder, "report.jsonl"), Path(folder, "params.json")
            report.touch()
            params.write_text(json.dumps(dict(self._params)), encoding="utf-8")
            process = self._start({"STRIDE_REPORT": str(report), "STRIDE_PARAMS": str(params)})
            try:
                with report.open("rb") as written:
                    for measurement in self._measurements(process, written):
                        yield measurement
                        if measurement.divergence is not None:
                            return
                self._check_end(process)
            finally:
                _end(process)
        if not self._step:
            raise _failure(
                f"the command measured nothing: a line such as {EXAMPLE} was expected, on standard output or in the file that"
                f" STRIDE_REPORT names, with the metric {self._command.metric!r}"
            )

    def state_dict(self) -> dict[str, Any]:
        """Raises NoState: a command is started anew."""
        raise NoState("a command saves no state")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is no state to resume from."""

    def weights(self) -> None:
        """There are none."""

    def evaluate(self) -> dict[str, float]:
        """Nothing more than was measured."""
        return {}

    def _start(self, files: Mapping[str, str]) -> Guarded:
        environment = {**os.environ, **self._environment, **files}
        try:
            return Guarded(self._words, cwd=self._command.path, env=environment, stdout=subprocess.PIPE)
        except OSError as error:
            raise self._not_started(error) from error

    def _check_end(self, process: Guarded) -> None:
        code = process.wait()
        if process.not_started is not None:
            raise self._not_started(process.not_started)
        if code:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise _failure(f"the command {how}; its last lines are in the trial's log")

    def _not_started(self, error: OSError) -> RunRaised:
        return _failure(f"the command {self._words[0]!r} cannot be started: {error.strerror}")

    def _measurements(self, process: Guarded, written: IO[bytes]) -> Iterator[Measurement]:
        assert process.stdout is not None
        printed, reported = _Lines("standard output"), _Lines("STRIDE_REPORT")
        with process.stdout as output, DefaultSelector() as selector:
            selector.register(output, EVENT_READ)
            is_open, reads_left = True, READS_AFTER_END
            while is_open and reads_left:
                # What it has left in the background may hold the output open: only what is there by now is of the command.
                has_ended = process.poll() is not None
                if selector.select(0 if has_ended else POLL_S):
                    reads_left -= has_ended
                    chunk = os.read(output.fileno(), 65_536)
                    is_open = bool(chunk)
                    for number, line in printed.complete(chunk):
                        yield from self._printed(number, line)
                elif has_ended:
                    break
                for number, line in reported.complete(written.read()):
                    yield self._reported(number, line)
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
                for number, line in reported.complete(written.read()):
                    yield self._reported(number, line)
        for number, line in reported.complete(written.read() + b"\n"):
            yield self._reported(number, line)
        for number, line in printed.complete(b"\n"):
            yield from self._printed(number, line)

    def _printed(self, number: int, line: str) -> Iterator[Measurement]:
        """The measurement in a line of standard output; any other line belongs to the log."""
        entries = _entries(line)
        if entries is None or self._command.metric not in entries:
            print(line, flush=True)
        else:
            yield self._measured(f"line {number} of standard output", entries)

    def _reported(self, number: int, line: str) -> Measurement:
        where = f"line {number} of STRIDE_REPORT"
        entries = _entries(line)
        if entries is None:
            raise _failure(f"{where} is {_shown(line)}: it must be a JSON object such as {EXAMPLE}")
        return self._measured(where, entries)

    def _measured(self, where: str, entries: dict[str, Any]) -> Measurement:
        step = entries.pop("step", self._step + 1)
        if not isinstance(step, int) or isinstance(step, bool) or step < 1:
            raise _failure(f"{where} has the step {_shown(step)}: steps are whole numbers, counted from 1")
        rate = entries.pop("learning_rate", self._params[self._command.learning_rate])
        metrics = {name: _number(where, name, value) for name, value in entries.items()}
        seconds, self._since = time.monotonic() - self._since, time.monotonic()
        self._step = step
        return measured(
            self._command.metric,
            self._steps,
            step=step,
            metrics=metrics,
            learning_rate=_number(where, "learning_rate", rate),
            seconds=seconds,
        )


class _Lines:
    """Lines of text, put together from what has been read of them."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._begun = bytearray()
        self._number = 0
        self._is_too_long = False

    def complete(self, chunk: bytes) -> Iterator[tuple[int, str]]:
        """The lines that are complete with this chunk, each with its number from 1; empty ones are left out."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part)
            self._number += 1
            line, was_too_long = self._begun.decode(errors="replace").strip(), self._is_too_long
            self._begun, self._is_too_long = bytearray(), False
            if was_too_long:
                print(f"Line {self._number} of {self._where} is longer than {MAX_LINE:,} bytes: it was dropped.", flush=True)
            elif line:
                yield self._number, line
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._is_too_long = self._is_too_long or len(self._begun) + len(part) > MAX_LINE
        if not self._is_too_long:
            self._begun += part


def _entries(line: str) -> dict[str, Any] | None:
    """The JSON object in a line; None when there is none."""
    if not line.startswith("{"):
        return None
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        return found if isinstance(found, dict) else None
    return None


def _number(where: str, name: str, value: Any) -> float:
    """A number, also one in text such as "NaN", as languages without a JSON number for it write it."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with suppress(ValueError):
            return float(value)
    raise _failure(f"{where} has {name} {_shown(value)}: it must be a number")


def _failure(message: str) -> RunRaised:
    """The command failed, or measured what cannot be used: what happened, for the trial's log, too."""
    print(message, flush=True)
    return RunRaised("CommandFailed", message, None)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text[:60]}..." if len(text) > 63 else text


def _end(process: Guarded) -> None:
    """Ask the command to stop, if it still runs; then kill it, with what it has started."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATE_S)
    process.kill()
