"""Image classification whose second rank gets into trouble in its third epoch, while the first one waits for it."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from objectives.contract import Measurement, Run
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.parallel.run import over_processes
from objectives.tasks import image_classification
from objectives.training.ranks import here

COMPUTES_S = 2.0

OBJECTIVE = replace(IMAGE_CLASSIFICATION, name="troubled", module=__name__)


@over_processes(OBJECTIVE)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """settings: with `trouble`, a signal that the rank gets, or "raises", "sleeps" or "computes", which is no trouble."""
    run = image_classification.start(params, settings, seed, device, threads)
    return _Troubled(run, settings["trouble"]) if here().rank else run


class _Troubled:
    def __init__(self, run: Any, trouble: str) -> None:
        self._run = run
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def __iter__(self) -> Iterator[Measurement]:
        for measurement in self._run:
            yield measurement
            if measurement.step == 2:
                if self._trouble == "raises":
                    raise ArithmeticError("troubled")
                if self._trouble == "computes":
                    until = time.monotonic() + COMPUTES_S
                    while time.monotonic() < until:
                        pass
                    continue
                if self._trouble == "sleeps":
                    time.sleep(1000)
                os.kill(os.getpid(), signal.Signals[self._trouble])
