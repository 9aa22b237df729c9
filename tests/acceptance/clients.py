"""Clients in processes of their own, forked from one that has their packages: they train a job's trials, and say so."""

import logging
import math
import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import stride
from tests.processes import CONTEXT

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "batch_size": {"type": "categorical", "choices": [16, 32]},
    "epochs": 3,
}


class Counter:
    """What training changes: a number that counts its steps."""

    def __init__(self) -> None:
        self.n = 0

    def state_dict(self) -> dict[str, int]:
        return {"n": self.n}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.n = state["n"]


def loss(params: dict[str, Any], step: int) -> float:
    """A quadratic in the logarithm of the rate, whose best is 0.01."""
    return (math.log10(params["learning_rate"]) + 2) ** 2 + 1 / (step + 1)


def train(url: str, job_id: str, said: Path, *, step_s: float = 0.0, **environment: str) -> BaseProcess:
    """Start a client that trains a job's trials, each step in so many seconds; it appends to `said` a line a step, and an end."""
    process = CONTEXT.Process(target=_train, args=(url, job_id, said, step_s, environment))
    process.start()
    return process


def lines(said: Path) -> list[str]:
    """What a client has said so far."""
    return said.read_text().splitlines() if said.exists() else []


def _train(url: str, job_id: str, said: Path, step_s: float, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with said.open("a", buffering=1) as file:
        logging.basicConfig(stream=file, format="warning: %(message)s")
        try:
            for trial in stride.Client(url).job(job_id).trials():
                with trial:
                    counter = Counter()
                    for step in trial.steps(trial.params["epochs"], counter):
                        counter.n += 1
                        time.sleep(step_s)
                        trial.report(validation_loss=loss(trial.params, step))
                        file.write(f"trial {trial.number} attempt {trial.attempt} step {step} counted {counter.n}\n")
                file.write(f"trial {trial.number} {trial.result}\n")
        except BaseException as error:
            file.write(f"left by {type(error).__name__}: {error}\n")
            sys.exit(1)
        file.write("over\n")


def own_stride(data_dir: Path, said: Path) -> BaseProcess:
    """Start a client with a Stride of its own, whose URL it writes to `said`; it runs until it is killed."""
    process = CONTEXT.Process(target=_own_stride, args=(data_dir, said, dict(os.environ)))
    process.start()
    return process


def _own_stride(data_dir: Path, said: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    client = stride.Client.local(data_dir=data_dir)
    said.write_text(f"{client.url}\n")
    signal.pause()
