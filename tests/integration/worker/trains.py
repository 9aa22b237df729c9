"""Commands to a trainer process: which run to train."""

import math
from typing import Any

from service.worker.trainer.messages import CheckpointPlace, Train


def command(**overrides: Any) -> Train:
    return Train(
        **{
            "params": {},
            "seed": 0,
            "device": "cpu",
            "threads": 1,
            "parts": None,
            "hold_at": math.inf,
            "checkpoint_s": math.inf,
            "place": CheckpointPlace(folder=None, name="0-0", max_bytes=1_000_000),
            "resume": None,
        }
        | overrides
    )


def quadratic(learning_rate: float = 0.1, epochs: int = 4, parts: int | None = None, **settings: Any) -> Train:
    params = {"learning_rate": learning_rate, "epochs": epochs}
    return command(objective="quadratic", params=params, settings=settings, parts=parts)


def odd(how: str) -> Train:
    return command(objective="odd", settings={"how": how})
