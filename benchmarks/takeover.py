"""What becomes of a trial of one's own training whose trainer is killed: where it goes on, and whether it ends the same.

    python -m benchmarks.takeover [--out benchmarks/results]

For each way that saves what it needs, two jobs of one trial with the same seed: one is left alone, and of the other the trainer
is killed by SIGKILL as soon as some steps are stored. Both are trained by one process, so the second one meets what the first has
left. Keras, Lightning and transformers need an environment that has them: `make prove` makes one (benchmarks/callbacks.py).
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import chdir
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
from sklearn.datasets import load_digits

from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import temporary_stride
from benchmarks.whole_service import answer, finished, wait_until_announced

SCRIPTS = Path(__file__).parent / "first_hours"
KILLED_AFTER = 3
"""Steps that are stored."""
RATES = {"type": "float", "low": 1e-3, "high": 1e-2, "log": True}
"""Of which both trials have the same one, by the job's seed."""
SPEED = "samples_per_second"
"""The one metric that no run repeats."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training, and how its job is written."""

    title: str
    script: str
    """In the folder of the first hours."""
    params: dict[str, Any]
    needs: str = "torch"


CASES = (
    Case(title="a loop, by stride.steps", script="training_function/with_stride.py", params={"lr": RATES, "epochs": 100}),
    Case(
        title="a model and its data",
        script="pytorch_model/with_stride.py",
        params={"learning_rate": RATES, "epochs": 30, "batch_size": 32},
    ),
    Case(title="Keras, by its callback", script="keras_fit/with_stride.py", params={"learning_rate": RATES}, needs="keras"),
    Case(
        title="Lightning, by its callback",
        script="lightning_fit/with_stride.py",
        params={"learning_rate": RATES},
        needs="lightning",
    ),
    Case(
        title="transformers, by its callback",
        script="transformers_trainer/with_stride.py",
        params={"learning_rate": RATES},
        needs="transformers",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="cases that have this in their title")
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    table = Table(
        "A trial whose trainer is killed, beside one that is left alone, with the same seed",
        ["training", "steps", "killed after", "went on after", "same metrics to the last digit"],
    )
    for case in CASES:
        if (arguments.only or "") not in case.title:
            continue
        if find_spec(case.needs) is None:
            table.add(case.title, "", "", "", f"not run: no {case.needs} here")
        else:
            table.add(case.title, *taken_over(case))
            print(*table.rows[-1], sep=", ", file=sys.stderr)
    publish("takeover", [table], 1, arguments.out)


def taken_over(case: Case) -> tuple[str, str, str, str]:
    """The number of steps, after which the trainer was killed, after which the trial went on, and whether it ended the same."""
    with tempfile.TemporaryDirectory(prefix="stride-takeover-") as name:
        place = Path(name)
        place.chmod(0o755)  # PostgreSQL runs as another user where we are root
        script = place / "train.py"
        shutil.copy(SCRIPTS / case.script, script)
        digits = load_digits()
        np.savez(place / "digits.npz", images=digits.images.astype("uint8"), labels=digits.target)
        settings = {
            "STRIDE_OBJECTIVE_FILES": str(script),
            "STRIDE_CHECKPOINT_S": "0.001",
            "STRIDE_OBJECTIVE_MODULES": "",
            "KERAS_BACKEND": "torch",
        }
        with chdir(place), temporary_stride(workers=1, **settings) as stride:
            api = stride.api
            wait_until_announced(api, ["train"])
            calm = finished(api, submitted(api, case))
            killed = submitted(api, case)
            after = kill_trainer(api, killed)
            finished(api, killed)
            expected, found = (steps_of(api, job) for job in (calm, killed))
            attempts = answer(api.get(f"/v1/jobs/{killed['id']}/trials/0"))["attempts"]
    assert len(attempts) > 1, f"{case.title}: the trial ended before its trainer was killed"
    return str(len(expected)), str(after), str(attempts[-1]["from_step"]), "yes" if expected == found else "NO"


def submitted(api: httpx2.Client, case: Case) -> dict[str, Any]:
    """A job of one trial."""
    document = {
        "objective": {"name": "train"},
        "search_space": case.params,
        "metric": "validation_loss",
        "strategy": "random",
        "budget": {"trials": 1, "confirm": 0},
        "seed": 1,
    }
    return answer(api.post("/v1/jobs", json=document))


def kill_trainer(api: httpx2.Client, job: dict[str, Any]) -> int:
    """Kill the trainer once KILLED_AFTER steps are stored; returns how many were."""
    while len(stored := steps_of(api, job)) < KILLED_AFTER:
        time.sleep(0.01)
    [worker] = [each for each in answer(api.get("/v1/workers"))["items"] if each["state"] != "stopped"]
    for child in psutil.Process(int(worker["name"].rpartition(":")[2])).children():
        os.kill(child.pid, signal.SIGKILL)
    return len(stored)


def steps_of(api: httpx2.Client, job: dict[str, Any]) -> list[dict[str, Any]]:
    """What each step measured, without its speed."""
    response = api.get(f"/v1/jobs/{job['id']}/trials/0/measurements", params={"limit": 100})
    items = answer(response)["items"] if response.is_success else []  # the trial may not have begun
    return [{name: value for name, value in item["metrics"].items() if name != SPEED} | {"step": item["step"]} for item in items]


if __name__ == "__main__":
    main()
