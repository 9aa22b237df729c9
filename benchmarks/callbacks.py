"""Keras, Lightning and transformers, each by its callback in a user's script of which two or three lines are new.

    python -m benchmarks.callbacks [--only keras] [--out benchmarks/results]

For each, trained by a worker and by a client in Python: a trial whose process is killed by SIGKILL must go on at its epoch, in
the client that claims it next, and end as one that is left alone, to the last digit; a learning rate at which nothing is learned
must be pruned, and one that is far too high must count as diverged; and the rates in the curve must be those of the script's
schedule, in the last update of each step. Needs the frameworks: `prove` makes an environment of its own that has them, over the
packages of the one that runs it.
"""

import argparse
import math
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import takeover
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import TemporaryStride, temporary_stride
from benchmarks.whole_service import answer, finished, wait_until_announced
from stride.client.external import external

REPOSITORY = Path(__file__).parents[1]
ENVIRONMENT = REPOSITORY / ".venv-callbacks"
PINS = ("keras==3.15.1", "lightning==2.6.6", "transformers==5.23.0", "accelerate==1.15.0")
GOOD, TOO_LOW, TOO_HIGH = 0.003, 1e-9, 1e30
TRAINING = {"STRIDE_CHECKPOINT_S": "0.001", "KERAS_BACKEND": "torch", "PYTHONPATH": str(REPOSITORY)}
CLIENT = """
import sys

import stride
from train import train

for trial in stride.Client().job(sys.argv[1]).trials():
    with trial:
        train(trial.params["learning_rate"])
"""
"""The block of the guide, as a program."""


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A script with a schedule, and the rate that it applies in the last update of a step, as a part of the trial's."""

    name: str
    folder: str
    steps: int
    applied: Callable[[int], float]
    schedule: tuple[str, str] = ("", "")
    """What in the script is replaced by what, so that it has a schedule."""


FRAMEWORKS = (
    Framework(
        name="keras",
        folder="keras_fit",
        steps=6,
        applied=lambda step: 0.5 ** ((41 * step - 1) / 41),
        schedule=("Adam(learning_rate)", "Adam(keras.optimizers.schedules.ExponentialDecay(learning_rate, 41, 0.5))"),
    ),
    Framework(name="lightning", folder="lightning_fit", steps=12, applied=lambda step: 0.8 ** (step - 1)),
    Framework(name="transformers", folder="transformers_trainer", steps=8, applied=lambda step: 1 - (32 * step - 1) / (32 * 8)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[each.name for each in FRAMEWORKS])
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    table = Table(
        "Users' scripts by their callbacks",
        [
            "framework",
            "trained by",
            "steps",
            "killed after",
            "went on after",
            "ended the same",
            "pruned",
            "diverged",
            "rates as applied",
            "kept",
        ],
    )
    for framework in FRAMEWORKS:
        if arguments.only in (None, framework.name):
            for row in found_with(framework):
                table.add(*row)
                print(*row, sep=", ", file=sys.stderr)
    publish("callbacks", [table], 1, arguments.out)
    if broken := sum(row[-1] != "yes" for row in table.rows):
        sys.exit(f"{broken} rows do not have what is promised.")


def prove(out: Path) -> int:
    """Run all in an environment that has the frameworks; returns how many promises were broken."""
    if not (ENVIRONMENT / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        [packages] = ENVIRONMENT.glob("lib/python*/site-packages")
        lines = [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
        (packages / "below.pth").write_text("\n".join(lines) + "\n")
    python = str(ENVIRONMENT / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
    done = subprocess.run([python, "-m", "benchmarks.callbacks", "--out", str(out)], cwd=REPOSITORY, check=False)
    return int(done.returncode != 0)


def found_with(framework: Framework) -> list[tuple[str, ...]]:
    """The rows of a framework."""
    with tempfile.TemporaryDirectory(prefix="stride-callbacks-") as name:
        place = Path(name)
        place.chmod(0o755)  # PostgreSQL runs as another user where we are root
        script = place / "train.py"
        shutil.copy(takeover.SCRIPTS / framework.folder / "with_stride.py", script)
        script.write_text(script.read_text().replace(*framework.schedule))
        settings = {
            "STRIDE_OBJECTIVE_FILES": str(script),
            "STRIDE_OBJECTIVE_STEPS": str(framework.steps),
            "STRIDE_OBJECTIVE_MODULES": "",
            **TRAINING,
        }
        with chdir(place), temporary_stride(workers=1, **settings) as stride:
            wait_until_announced(stride.api, ["train"])
            return [_row(stride.api, framework, by) for by in (Worker(stride.api), Client(stride, framework))]


class Trainer(ABC):
    """Who trains the trials of a job."""

    name: str

    @abstractmethod
    def objective(self, space: dict[str, Any]) -> dict[str, Any]:
        """What its job trains, with this range of the learning rate."""

    @abstractmethod
    def finish(self, job: dict[str, Any]) -> None:
        """Train until the job is completed."""

    @abstractmethod
    def killed(self, job: dict[str, Any]) -> int:
        """Train until some steps are stored, and kill the process that trains; returns how many were."""


class Worker(Trainer):
    """The worker of the service, by a process of its own."""

    name = "worker"

    def __init__(self, api: httpx2.Client) -> None:
        self._api = api

    def objective(self, space: dict[str, Any]) -> dict[str, Any]:
        return {"objective": {"name": "train"}, "search_space": {"learning_rate": space}}

    def finish(self, job: dict[str, Any]) -> None:
        finished(self._api, job)

    def killed(self, job: dict[str, Any]) -> int:
        return takeover.kill_trainer(self._api, job)


class Client(Trainer):
    """A client in Python, in the folder of the script, which is the working directory."""

    name = "client"

    def __init__(self, stride: TemporaryStride, framework: Framework) -> None:
        self._api = stride.api
        self._framework = framework
        self._environment = os.environ | TRAINING | {"STRIDE_URL": stride.url}
        Path("client.py").write_text(CLIENT)

    def objective(self, space: dict[str, Any]) -> dict[str, Any]:
        of_script = {"script": self._framework.name}
        return {
            "objective": external({"learning_rate": space}, {"validation_loss": "minimize"}, self._framework.steps, of_script)
        }

    def finish(self, job: dict[str, Any]) -> None:
        client = self._started(job)
        said, _ = client.communicate()
        assert client.returncode == 0, said
        finished(self._api, job)

    def killed(self, job: dict[str, Any]) -> int:
        client = self._started(job)
        while len(stored := takeover.steps_of(self._api, job)) < takeover.KILLED_AFTER:
            assert client.poll() is None, client.communicate()[0]
            time.sleep(0.01)
        client.kill()
        client.communicate()
        return len(stored)

    def _started(self, job: dict[str, Any]) -> subprocess.Popen[str]:
        command = [sys.executable, "client.py", job["id"]]
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _row(api: httpx2.Client, framework: Framework, by: Trainer) -> tuple[str, ...]:
    calm = _submitted(api, by, takeover.RATES, 1)
    by.finish(calm)
    killed = _submitted(api, by, takeover.RATES, 1)
    after = by.killed(killed)
    by.finish(killed)
    trial = answer(api.get(f"/v1/jobs/{killed['id']}/trials/0"))
    attempts, rate = trial["attempts"], trial["params"]["learning_rate"]
    went_on = attempts[-1]["from_step"] if len(attempts) > 1 else None
    expected, found = (takeover.steps_of(api, job) for job in (calm, killed))
    measured = answer(api.get(f"/v1/jobs/{calm['id']}/trials/0/measurements", params={"limit": 100}))["items"]
    applied = all(math.isclose(each["learning_rate"], rate * framework.applied(each["step"]), rel_tol=1e-5) for each in measured)
    rates = {"type": "categorical", "choices": [GOOD, TOO_LOW, TOO_HIGH]}
    job = _submitted(api, by, rates, 3, strategy="grid", pruner={"type": "median", "startup_trials": 1, "parts": framework.steps})
    by.finish(job)
    trials = answer(api.get(f"/v1/jobs/{job['id']}/trials"))["items"]
    states = {each["params"]["learning_rate"]: each for each in trials}
    pruned, diverged = states[TOO_LOW]["state"] == "pruned", states[TOO_HIGH]["diverged_at_step"] is not None
    same = len(expected) == framework.steps and expected == found
    kept = same and went_on is not None and pruned and diverged and applied
    yes = [("yes" if each else "NO") for each in (same, pruned, diverged, applied, kept)]
    return framework.name, by.name, str(len(expected)), str(after), str(went_on), *yes


def _submitted(api: httpx2.Client, by: Trainer, space: dict[str, Any], trials: int, **more: Any) -> dict[str, Any]:
    document = by.objective(space) | {
        "metric": "validation_loss",
        "strategy": "random",
        "budget": {"trials": trials, "confirm": 0},
        "seed": 1,
    }
    job: dict[str, Any] = answer(api.post("/v1/jobs", json=document | more))
    return job


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
