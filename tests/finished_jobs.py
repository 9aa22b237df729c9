"""Jobs and finished trials with response curves that are known, for reports: no database, no training."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.analysis.comparison.tuned import Finished
from service.analysis.model.pruned_trials import Curves
from service.domain.job import Job, JobState
from service.domain.measurement import CurvePoint
from service.domain.phase import Phase
from service.domain.training_seeds import training_seed
from service.domain.trial import Trial, TrialState
from tests.factories import job_spec

RATE = {"type": "float", "low": 1e-5, "high": 1.0, "log": True}
RATES = [10 ** (-5 + 5 * (index + 0.5) / 20) for index in range(20)]


def a_job(number: int = 0, **overrides: Any) -> Job:
    """A completed job; `space`: beside the learning rate. number: makes its id."""
    space = {"learning_rate": RATE} | overrides.pop("space", {})
    state = {name: overrides.pop(name) for name in ("name", "state", "reason") if name in overrides}
    spec = job_spec(**{"search_space": space} | overrides)
    return Job(
        **{"name": None, "state": JobState.COMPLETED, "reason": None} | state,
        id=UUID(int=number + 1 << 96),
        spec=spec,
        budget=spec.budget,
        phases=(Phase(spec=spec),),
        study_id=1,
        study_name="study",
        next_point=0,
        failures_in_a_row=0,
        deadline_at=None,
        created_at=datetime.now(UTC),
        started_at=None,
        finished_at=None,
    )


def trial(
    number: int,
    rate: Any,
    value: float | None,
    state: TrialState = TrialState.COMPLETE,
    *,
    user_attrs: Mapping[str, Any] | None = None,
    **params: Any,
) -> Trial:
    """rate: None for a trial without one."""
    return Trial(
        number=number,
        state=state,
        value=value,
        params=({} if rate is None else {"learning_rate": rate}) | params,
        user_attrs=user_attrs or {},
        diverged_at_step=None,
        error=None,
        started_at=None,
        finished_at=None,
    )


def a_trial(number: int, rate: float, value: float | None, seed: int = 0, **params: Any) -> Trial:
    """Complete; infeasible where its value is infinite, pruned where it has none."""
    state = TrialState.PRUNED if value is None else TrialState.COMPLETE if math.isfinite(value) else TrialState.INFEASIBLE
    return trial(number, rate, value, state, user_attrs={"training_seed": seed}, **params)


def bowl(best: float, lowest: float = 0.1, steepness: float = 1.0) -> Callable[[float], float]:
    """A parabola in log10 of the rate, which diverges from two decades above the best rate on."""

    def cost(rate: float) -> float:
        away = math.log10(rate / best)
        return math.inf if away > 2 else lowest + steepness * away**2

    return cost


def finished(
    job: Job,
    cost: Callable[[float], float],
    *,
    rates: Sequence[float] = RATES,
    noise: float = 0.0,
    of_seed: Callable[[int], float] = lambda replicate: 0.0,
    curves: Curves | None = None,
) -> Finished:
    """A job with a trial at each rate and replicate. noise: of each trial; of_seed: what a replicate adds at every rate."""
    draws = random.Random(str(job.id))
    sign = 1 if job.spec.direction == "minimize" else -1
    trials = [
        a_trial(
            number,
            rate,
            sign * (cost(rate) + noise * draws.gauss() + of_seed(replicate)),
            training_seed(job.spec, number=number, replicate=replicate),
        )
        for number, (rate, replicate) in enumerate((rate, each) for rate in rates for each in range(job.spec.replicates))
    ]
    return Finished(job=job, trials=trials, curves=curves or {})


def curve(*values: float) -> tuple[CurvePoint, ...]:
    """Measured at steps 1, 2, ... of as many."""
    return tuple(
        CurvePoint(step=step, value=value, fraction=step / len(values), in_warmup=False)
        for step, value in enumerate(values, start=1)
    )
