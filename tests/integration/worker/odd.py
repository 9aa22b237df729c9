"""An objective that misbehaves in the ways its settings name, for the worker's tests."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from objectives.contract import Measurement, Metric, Objective, Parameter


class OddRun:
    """Two steps, if it lives so long."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._how = settings["how"]

    def __iter__(self) -> Iterator[Measurement]:
        loss, metrics, steps = 1.0, {}, (1, 2)
        match self._how:
            case "end of file":
                raise EOFError("the checkpoint is cut off")
            case "broken pipe":
                raise BrokenPipeError("nobody listens")
            case "strange letters":
                raise RuntimeError("a NUL \0 and half a letter \udcff")
            case "no measurement":
                return
            case "child":
                # It outlives the trainer, and holds its output open.
                subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(4)"])
                time.sleep(0.3)
                raise RuntimeError("left a child behind")
            case "exit with child":
                subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4)"])
                sys.exit(3)
            case "killed with fork":
                if os.fork() == 0:
                    time.sleep(4)
                    os._exit(0)
                os.kill(os.getpid(), signal.SIGKILL)
            case "not a number":
                loss = math.nan
            case "same step twice":
                steps = (1, 1)
            case "step too large":
                steps = (1, 2**31)
            case "strange metric":
                metrics = {"loss": 1.0, "a\0b": 1.0}
            case "exit with thread":
                threading.Thread(target=time.sleep, args=(60,)).start()
                sys.exit(3)
            case "another metric":
                metrics = {"accuracy": 0.5}
            case "breaks its process":
                sys.modules[ODD.module] = None  # type: ignore[assignment]
                raise RuntimeError("told to break everything")
            case "segmentation fault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "kills its worker":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(30)
            case "large":
                self._held = bytearray(os.urandom(1_048_576) * 400)
                time.sleep(30)
            case "large child":
                subprocess.Popen([sys.executable, "-c", "held = b'x' * 400_000_000; import time; time.sleep(5)"])
                time.sleep(30)
            case "chatty":
                for line in range(20_000):
                    print(f"line {line}")
                print("no end of line", end="")
        for step in steps:
            yield Measurement(
                step=step,
                fraction=step / 2,
                in_warmup=False,
                metrics=metrics or {"loss": loss},
                learning_rate=0.1,
                seconds=0.0,
            )

    def state_dict(self) -> dict[str, Any]:
        match self._how:
            case "array in its state":
                import numpy as np

                return {"weights": np.ones(3)}
            case "large state":
                return {"noise": os.urandom(2_000_000).hex()}
            case "state kills":
                os.kill(os.getpid(), signal.SIGKILL)
            case "state hangs":
                time.sleep(120)
            case "state raises strange letters":
                raise RuntimeError("a NUL \0 and half a letter \udcff")
            case "state raises":
                raise RuntimeError("no state to be had")
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def evaluate(self) -> dict[str, float]:
        if self._how == "evaluate raises":
            raise ValueError("no test set")
        return {"test_loss": math.nan if self._how == "test is no number" else 2.0}


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> OddRun:
    """Begin a run."""
    if settings["how"] == "start raises":
        raise ValueError("no such data set")
    return OddRun(settings)


ODD = Objective(
    name="odd",
    description="Misbehaves.",
    module="tests.integration.worker.odd",
    metrics=(Metric(name="loss", direction="minimize", description="One."),),
    parameters=(
        Parameter(
            name="learning_rate",
            type="float",
            default=0.1,
            space={"type": "float", "low": 0.1, "high": 1.0},
            description="Makes no difference.",
        ),
    ),
)

OBJECTIVES = (ODD,)
