"""An objective that misbehaves in the ways its settings name, for the worker's tests."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from objectives.contract import Divergence, GroupRate, Measurement, Metric, Objective, Parameter
from objectives.data import files

DETAILS: dict[str, dict[str, Any]] = {
    "telling": {
        "group_rates": [
            GroupRate(group="body", learning_rate=0.1, momentum=0.9),
            GroupRate(group="head", learning_rate=math.inf, momentum=None),
        ],
        "update_losses": [(1, 0.5), (2, math.nan)],
    },
    "strange group": {"group_rates": [GroupRate(group="a\0b", learning_rate=0.1, momentum=None)]},
    "group without a name": {"group_rates": [GroupRate(group=7, learning_rate=0.1, momentum=None)]},  # type: ignore[arg-type]
    "rates by name": {"group_rates": {"all": 0.1}},
    "no rates": {"group_rates": None},
    "too many losses": {"update_losses": [(update, 1.0) for update in range(1, 10_002)]},
    "too many losses in all": {"update_losses": [(update, 1.0) for update in range(1, 6_001)]},
    "losses without updates": {"update_losses": [1.0]},
    "an update by name": {"update_losses": [("first", 1.0)]},
    "a loss by name": {"update_losses": [(1, "low")]},
    "no pairs": {"update_losses": [(1, 2.0, 3.0)]},
    "update zero": {"update_losses": [(0, 1.0)]},
    "update too large": {"update_losses": [(10**5000, 1.0)]},
    "keeps step 1": {"best_step": 1},
    "keeps weights of step 1": {"best_step": 1},
    "keeps a step to come": {"best_step": 9},
    "keeps half a step": {"best_step": 0.5},
    "diverges by fractions": {"divergence": Divergence(reason="it is lost", update=True, fraction=Fraction(1, 4))},  # type: ignore[arg-type]
    "diverges by name": {"divergence": "lost"},
}
"""What the measurements carry, by how the run misbehaves."""


class OddRun:
    """Two steps, if it lives so long."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._how = settings["how"]
        self._done = 0
        self.value = {"a value of its own": Fraction(1, 4), "a value in words": "low"}.get(self._how)
        self.user_attrs = {"notes": [1, "two"]} if self._how == "a value of its own" else None
        self.pruned = "it gave up" if self._how == "gives up" else None

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
                subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(30)"])
                time.sleep(0.3)
                raise RuntimeError("left a child behind")
            case "exit with child":
                subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
                sys.exit(3)
            case "killed with fork":
                if os.fork() == 0:
                    time.sleep(30)
                    os._exit(0)
                os.kill(os.getpid(), signal.SIGKILL)
            case "blows up":
                steps = tuple(range(1, 101))
            case "not a number":
                loss = math.nan
            case "text":
                loss = "0.5"  # type: ignore[assignment]
            case "no text":
                metrics = {"loss": 1.0, 3: 1.0}  # type: ignore[dict-item]
            case "beyond floats":
                loss = 10**400
            case "a pair":
                yield (1, 0.5)  # type: ignore[misc]
            case "same step twice":
                steps = (1, 1)
            case "keeps a step that it passed over":
                steps = (1, 3)
            case "step too large":
                steps = (1, 2**31)
            case "losses near the largest number":
                metrics, steps = {"loss": 1.0, "training_loss": 1e308}, tuple(range(1, 101))
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
        details = DETAILS.get(self._how, {})
        for step in steps:
            self._done = step
            if self._how == "blows up" and step > 2:
                loss *= 1e8
            if self._how == "keeps a step that it passed over" and step == 3:
                details = {"best_step": 2}
            yield Measurement(
                step=step,
                fraction=step / 2,
                in_warmup=False,
                metrics=metrics or {"loss": step * loss if "best_step" in details else loss},
                learning_rate=0.1,
                seconds=0.0,
                **details,
            )
        self._done = details.get("best_step", self._done)

    def state_dict(self) -> dict[str, Any]:
        match self._how:
            case "object in its state":
                return {"step": self._done, "share": Fraction(1, 3)}
            case "no state":
                return None  # type: ignore[return-value]
            case "keeps weights of step 1":
                import torch

                return {"model": {"weight": torch.tensor([float(self._done)])}}
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
        if self._how == "evaluate kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._how == "evaluate raises":
            raise ValueError("no test set")
        if self._how == "no test metrics":
            return None  # type: ignore[return-value]
        if self._how == "strange test metric":
            return {"a\0b": 2.0}
        return {"test_loss": math.nan if self._how == "test is no number" else 2.0}


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> OddRun:
    """Begin a run."""
    if settings["how"] == "start raises":
        raise ValueError("no such data set")
    if settings["how"] == "reads a file":
        files.find(settings["file"])
    if settings["how"] == "says where":
        print(f"computes on {device}")
    run = OddRun(settings)
    match settings["how"]:
        case "start returns a generator":
            return iter(run)  # type: ignore[return-value]
        case "start returns a class":
            return OddRun  # type: ignore[return-value]
        case "start returns nothing":
            return None  # type: ignore[return-value]
        case "start returns a coroutine":
            return _later(run)  # type: ignore[return-value]
        case "start returns a run without evaluate":
            return _Lacking()  # type: ignore[return-value]
    return run


async def _later(run: OddRun) -> OddRun:
    return run


class _Lacking:
    """A run but for one method."""

    __iter__, state_dict, load_state_dict = OddRun.__iter__, OddRun.state_dict, OddRun.load_state_dict


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
        Parameter(
            name="mode",
            type="categorical",
            default="plain",
            space=None,
            description="Makes no difference.",
            choices=("plain", "fancy"),
        ),
        Parameter(
            name="flourish",
            type="float",
            default=0.5,
            space=None,
            description="Makes no difference.",
            low=0.0,
            high=1.0,
            high_open=True,
            applies_when=({"mode": ("fancy",)},),
        ),
        Parameter(
            name="lookahead",
            type="categorical",
            default=False,
            space=None,
            description="Makes no difference.",
            choices=(False, True),
            applies_when=({"mode": ("fancy",)}, {"how": ("test is no number",)}),
        ),
    ),
    settings_schema={"type": "object", "properties": {"how": {"type": "string"}}},
)

OBJECTIVES = (ODD,)
