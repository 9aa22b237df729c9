"""First hours: users' training scripts as they were, tuned by Stride and most of them by stock Optuna.

    python -m benchmarks.first_hours [--only keras] [--repeats 1] [--out benchmarks/results]

Each way is tried in a fresh clone of the last commit with an empty home: the lines that its script adds or changes, the commands
typed, and the minutes until a best rate is printed. Stride has two workers, stock Optuna two processes on SQLite; in turns.
The packages are those of the Python that runs this: without `keras` there, its cases are left out, and the table says so.
"""

import argparse
import difflib
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from benchmarks.tables import Table, publish

FOLDER = Path(__file__).parent
REPOSITORY = FOLDER.parents[1]
TRIALS = 16
"""Of each way: at this number Stride retrains the best points before it answers, within these trials."""
PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to tune a script."""

    title: str
    script: str
    """The file after the user's changes, in the case's folder."""
    commands: Sequence[str]
    """As they are typed, one after the other; those that end with & run at the same time."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A user's script, and the ways to tune it."""

    title: str
    folder: str
    file: str
    """What the user calls the script."""
    ways: Sequence[Way]
    needs: str = "torch"


def stock(study: str, direction: str = "minimize", file: str = "train.py") -> Way:
    """Stock Optuna, as its tutorial on parallel runs says."""
    create = f"optuna create-study --study-name {study} --storage sqlite:///study.db"
    create += "" if direction == "minimize" else f" --direction {direction}"
    return Way(title="stock Optuna", script="with_optuna.py", commands=[create, *[f"python {file} &"] * PROCESSES])


def with_stride(arguments: str, script: str, title: str = "Stride") -> Way:
    """One `stride run`."""
    return Way(title=title, script=script, commands=[f"stride run {arguments} --trials {TRIALS}"])


RESUMING = "Stride, goes on where it was"

CASES = (
    Case(
        title="an Optuna script",
        folder="optuna_script",
        file="train.py",
        ways=(
            with_stride("train.py --direction maximize --steps 10", "with_stride.py"),
            stock("digits", "maximize"),
        ),
    ),
    Case(
        title="a PyTorch model, digits.npz",
        folder="pytorch_model",
        file="train.py",
        ways=(
            with_stride("train.py --param epochs=5 --param optimizer=sgd", "with_stride.py"),
            stock("pictures"),
        ),
    ),
    Case(
        title="a PyTorch loop",
        folder="training_function",
        file="train.py",
        ways=(
            with_stride("train.py", "with_stride.py", RESUMING),
            stock("friedman"),
        ),
    ),
    Case(
        title="Keras fit",
        folder="keras_fit",
        file="train.py",
        ways=(
            with_stride("train.py --steps 6", "with_stride.py", RESUMING),
            stock("digits"),
        ),
        needs="keras",
    ),
    Case(
        title="Lightning",
        folder="lightning_fit",
        file="train.py",
        ways=(with_stride("train.py --steps 12", "with_stride.py", RESUMING),),
        needs="lightning",
    ),
    Case(
        title="transformers",
        folder="transformers_trainer",
        file="train.py",
        ways=(with_stride("train.py --steps 8", "with_stride.py", RESUMING),),
        needs="transformers",
    ),
    Case(
        title="a command (awk)",
        folder="any_command",
        file="train.awk",
        ways=(
            with_stride(
                "--command 'awk -v lr={lr} -v seed={seed} -f train.awk cancer.csv' --param lr=1e-5:1:log --steps 12",
                "with_stride.awk",
            ),
            stock("cancer", file="with_optuna.py"),
        ),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="cases whose folder has this in its name")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    cases = [case for case in CASES if (arguments.only or "") in case.folder]
    missing = [case for case in cases if find_spec(case.needs) is None]
    minutes: dict[tuple[str, str], list[float]] = {}
    rates: dict[tuple[str, str], list[str]] = {}
    for repeat in range(arguments.repeats):
        for place, case in enumerate(case for case in cases if case not in missing):
            ways = case.ways if (repeat + place) % 2 == 0 else case.ways[::-1]
            for way in ways:
                seconds, rate = first_hour(case, way)
                minutes.setdefault((case.folder, way.title), []).append(seconds / 60)
                rates.setdefault((case.folder, way.title), []).append(rate)
                print(f"{case.title}, {way.title}: {seconds:.0f} s, {rate}", file=sys.stderr)
    table = Table(
        f"From the script as it was to a best rate: {TRIALS} trials in two processes, one thread each; packages are installed",
        ["script", "by", "lines of the script", "lines added or changed", "commands", "minutes", "best rate"],
    )
    for case in cases:
        for way in case.ways:
            cells = [case.title, way.title, str(len(lines(before(case)))), str(n_changed(case, way)), str(len(way.commands))]
            if case in missing:
                table.add(*cells, f"not run: no {case.needs} here", "")
            else:
                key = case.folder, way.title
                table.add(*cells, f"{median(minutes[key]):.2f}", ", ".join(rates[key]))
    publish("first_hours", [table], arguments.repeats, arguments.out)


def lines(path: Path) -> list[str]:
    """The lines of a file, without empty ones."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def before(case: Case) -> Path:
    """The script as it was."""
    return next((FOLDER / case.folder).glob("before.*"))


def n_changed(case: Case, way: Way) -> int:
    """How many lines the user has written: of the script, and of a file beside it."""
    after = FOLDER / case.folder / way.script
    known = lines(before(case)) if after.suffix == before(case).suffix else []
    return sum(each.startswith("+ ") for each in difflib.ndiff(known, lines(after)))


def first_hour(case: Case, way: Way) -> tuple[float, str]:
    """Seconds until the best rate was printed, and the rate, as it was printed."""
    with tempfile.TemporaryDirectory(prefix="stride-first-hour-") as name:
        place = Path(name)
        place.chmod(0o755)  # PostgreSQL runs as another user where we are root
        project = place / "project"
        for folder in (project, place / "home", place / "bin"):
            folder.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(place / "clone")], check=True)
        write_programs(place)
        write_data(case, project)
        (project / case.file).write_bytes(before(case).read_bytes())
        after = FOLDER / case.folder / way.script
        (project / (case.file if after.suffix == Path(case.file).suffix else after.name)).write_bytes(after.read_bytes())
        return until_answered(way.commands, project, environment(place))


def until_answered(commands: Sequence[str], project: Path, env: dict[str, str]) -> tuple[float, str]:
    """Type the commands; the seconds until the last line with a rate, and that rate."""
    began = time.monotonic()
    at_once = [command for command in commands if command.endswith("&")]
    for command in commands:
        if command not in at_once:
            found = [answered(start(command, project, env), command, must_tell=not at_once)]
    if at_once:
        processes = [start(command.removesuffix("&"), project, env) for command in at_once]
        found = [answered(process, command) for process, command in zip(processes, at_once, strict=True)]
    told, rate = max(found)
    return told - began, rate


def start(command: str, project: Path, env: dict[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        shlex.split(command), cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def answered(process: "subprocess.Popen[str]", command: str, must_tell: bool = True) -> tuple[float, str]:
    """When the rate was printed, and the rate. Waits until the process ends; exits where it fails."""
    told, rate = time.monotonic(), ""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"^Learning rate ([-+.e\d]+)|^\{.*'(?:lr|learning_rate)': ([-+.e\d]+)", line):
            told, rate = time.monotonic(), f"{float(found[1] or found[2]):.3g}"
    if process.wait() or (must_tell and not rate):
        sys.exit(f"{command!r} ended with {process.returncode} and the rate {rate!r}.")
    return told, rate


def write_programs(place: Path) -> None:
    """What an installation into the clone's environment has: stride, optuna, python."""
    python, clone = shlex.quote(sys.executable), shlex.quote(str(place / "clone"))
    programs = {
        "stride": f'PYTHONPATH={clone} exec {python} -m service.cli "$@"',
        "optuna": f"exec {python} -c 'from optuna.cli import main; raise SystemExit(main())' \"$@\"",
        "python": f'exec {python} "$@"',
    }
    for name, line in programs.items():
        path = place / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)


def write_data(case: Case, project: Path) -> None:
    """The files that the user has."""
    if case.folder == "pytorch_model":
        digits = load_digits()
        np.savez(project / "digits.npz", images=digits.images.astype("uint8"), labels=digits.target)
    if case.folder == "any_command":
        cancer = load_breast_cancer()
        names = [*(name.replace(" ", "_") for name in cancer.feature_names), "malignant"]
        table = np.column_stack([cancer.data, 1 - cancer.target])
        np.savetxt(project / "cancer.csv", table, fmt="%g", delimiter=",", header=",".join(names), comments="")


def environment(place: Path) -> dict[str, str]:
    """An empty home, and a free port in place of 8000, which may be taken on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRIDE_", "XDG_", "PYTHON"))}
    return kept | {
        "HOME": str(place / "home"),
        "PATH": os.pathsep.join([str(place / "bin"), os.environ["PATH"]]),
        "KERAS_BACKEND": "torch",
        "OMP_NUM_THREADS": "1",  # Stride's default; two stock processes with torch's own would keep each other waiting
        "STRIDE_PORT": str(port),
        "STRIDE_URL": f"http://127.0.0.1:{port}",
    }


if __name__ == "__main__":
    main()
