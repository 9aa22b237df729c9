"""An objective that trains as another one does, in a process that kills itself after a step, once."""

import os
import signal
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from objectives.contract import Measurement, Metric, Objective, Parameter, Run


class KilledRun:
    """The other objective's run. killed: a file that says that its process was killed before."""

    def __init__(self, run: Run, after: int, killed: Path) -> None:
        self._run = run
        self._after = after
        self._killed = killed

    def __iter__(self) -> Iterator[Measurement]:
        for measurement in self._run:
            yield measurement
            if measurement.step == self._after and not self._killed.exists():
                self._killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> KilledRun:
    """Begin a run of `settings["module"]`, with its settings and with the parameters that are added to `params`."""
    run = import_module(settings["module"]).start({**params, **settings["params"]}, settings["settings"], seed, device, threads)
    return KilledRun(run, settings["after"], Path(settings["killed"]))


OBJECTIVES = (
    Objective(
        name="killed",
        description="Dies once.",
        module="tests.integration.worker.killed",
        metrics=(
            Metric(name="validation_loss", direction="minimize", description=""),
            Metric(name="mean_return", direction="maximize", description=""),
        ),
        parameters=(
            Parameter(
                name="learning_rate", type="float", default=0.1, description="", role="learning_rate", low=0, low_open=True
            ),
        ),
        settings_schema={
            "type": "object",
            "properties": {
                name: {"type": ["string", "integer", "object"]} for name in ("module", "params", "settings", "after", "killed")
            },
        },
    ),
)
