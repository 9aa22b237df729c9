"""The schedule of faults: drawn from a seed before the run starts, so that it can be repeated.

There are three concurrent lanes: a worker may be killed while PostgreSQL is down. Within a lane a fault starts after the one
before has ended.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """The kinds of faults."""

    KILL_WORKER = "kill -9 of a worker"
    STOP_WORKER = "worker stopped past the end of its lease"
    KILL_TRAINER = "kill -9 of a trainer"
    STOP_TRAINER = "trainer stopped"
    KILL_API = "kill -9 of the API"
    CRASH_POSTGRES = "PostgreSQL stopped at once and started again"
    TERMINATE_BACKENDS = "sessions terminated"
    LATENCY = "latency"
    BLACK_HOLE = "black hole"
    RESET = "connections reset"
    LOSE_REPLY = "commit done but reply lost"
    PAUSE = "job paused and resumed"
    DAMAGE_CHECKPOINT = "newest checkpoint damaged, its trainer killed"
    FULL_DISK = "checkpoint folder full"
    CLOCK_JUMP = "clock jump on a worker"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A scheduled fault."""

    fault: Fault
    at_s: float
    """Seconds after the start of the run."""
    lasts_s: float
    pick: float
    """Chooses among the possible targets, in [0, 1)."""


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """A fault's weight in its lane, and how long it may last."""

    weight: int
    lasts_s: tuple[float, float] = (0.0, 0.0)


SHORTEST_GAP_S = 1.0
LANES: Mapping[str, tuple[float, Mapping[Fault, _Choice]]] = {
    "processes": (
        6.0,
        {
            Fault.KILL_WORKER: _Choice(weight=4),
            Fault.STOP_WORKER: _Choice(weight=3, lasts_s=(2.5, 6.0)),
            Fault.KILL_TRAINER: _Choice(weight=4),
            Fault.STOP_TRAINER: _Choice(weight=2, lasts_s=(1.0, 4.0)),
            Fault.KILL_API: _Choice(weight=2),
        },
    ),
    "wire": (
        6.0,
        {
            Fault.CRASH_POSTGRES: _Choice(weight=2, lasts_s=(0.2, 4.0)),
            Fault.TERMINATE_BACKENDS: _Choice(weight=2),
            Fault.LATENCY: _Choice(weight=1, lasts_s=(2.0, 5.0)),
            Fault.BLACK_HOLE: _Choice(weight=2, lasts_s=(0.5, 4.0)),
            Fault.RESET: _Choice(weight=2, lasts_s=(0.3, 3.0)),
            Fault.LOSE_REPLY: _Choice(weight=5),
        },
    ),
    "jobs": (
        10.0,
        {Fault.PAUSE: _Choice(weight=1, lasts_s=(0.3, 3.0)), Fault.DAMAGE_CHECKPOINT: _Choice(weight=1)},
    ),
}
"""The mean gap in seconds and the faults of each lane."""

LONG_RUN = {
    Fault.FULL_DISK: _Choice(weight=1, lasts_s=(2.0, 5.0)),
    Fault.CLOCK_JUMP: _Choice(weight=1, lasts_s=(2.0, 6.0)),
}
"""Further faults of the long run, in the lane of the jobs."""


def schedule(seed: int, seconds: float, *, also: frozenset[Fault] = frozenset()) -> dict[str, list[Planned]]:
    """The faults of each lane in order. also: those of LONG_RUN that this machine supports."""
    return {lane: _lane(lane, seed, seconds, also) for lane in LANES}


def _lane(lane: str, seed: int, seconds: float, also: frozenset[Fault]) -> list[Planned]:
    mean_gap_s, choices = LANES[lane]
    if lane == "jobs":
        choices = {**choices, **{fault: choice for fault, choice in LONG_RUN.items() if fault in also}}
    draw = random.Random(f"{seed}:{lane}")
    weights = [choice.weight for choice in choices.values()]
    planned: list[Planned] = []
    at_s = 0.0
    while True:
        at_s += SHORTEST_GAP_S + draw.expovariate(1 / mean_gap_s)
        fault = draw.choices(list(choices), weights)[0]
        lasts_s = draw.uniform(*choices[fault].lasts_s)
        pick = draw.random()
        if at_s + lasts_s > seconds:
            return planned
        planned.append(Planned(fault=fault, at_s=at_s, lasts_s=lasts_s, pick=pick))
        at_s += lasts_s
