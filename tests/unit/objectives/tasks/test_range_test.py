"""Cases 01: few updates on few data, where a rate that is too high explodes and stays finite. Real training, of a second."""

import importlib
import math
from collections.abc import Mapping
from typing import Any

import pytest

from objectives.catalog import load_catalog
from service.analysis.answer.best_lr import answer
from service.api.submission import complete
from service.domain.answer import Answer, AnswerVerdict
from service.domain.job import Job
from service.domain.request import JobRequest
from service.domain.space import fixed
from service.domain.trial import Trial
from tests.drawn_jobs import drawn
from tests.finished_jobs import a_job

WINE = {"name": "tabular-classification", "settings": {"dataset": "wine", "width": 4, "hidden_layers": 1}}
DIGITS = {"name": "image-classification", "settings": {"dataset": "digits", "width": 32, "hidden_layers": 1}}


def trained(
    objective: Mapping[str, Any], n: int, low: float, batch_size: int, *, shared: bool = False, **params: Any
) -> tuple[Job, list[Trial]]:
    """As the job's own random search has it; shared: the training seed."""
    document = {
        "objective": objective,
        "search_space": {"learning_rate": {"type": "float", "low": low, "high": 10.0, "log": True}, "epochs": 1}
        | {"batch_size": batch_size}
        | params,
        "strategy": {"type": "random"},
        "budget": {"trials": n},
        "training_seed": "shared" if shared else "per_trial",
    }
    catalog = load_catalog([])
    spec = complete(JobRequest.model_validate(document), catalog)
    start = importlib.import_module(catalog[spec.objective.name].module).start
    guessing: dict[str, float] = {}

    def value(rate: float, seed: int) -> float:
        run = start(fixed(spec.search_space) | {"learning_rate": rate}, spec.objective.settings, seed, "cpu", 1)
        *_, last = run
        guessing.update(run.guessing)
        return math.inf if last.divergence is not None else float(last.metrics[spec.metric])

    job = a_job(0, direction=spec.direction, **spec.model_dump())
    return job, drawn(job, value, user_attrs=lambda: {"guessing": dict(guessing)})


def in_range(found: Answer, trials: list[Trial], low: float, high: float, guessing: float) -> None:
    """The answer lies there, below what was lost, and the tolerance is not that of explosions."""
    assert found.learning_rate is not None
    assert low <= found.learning_rate <= high
    lost = [float(each.params["learning_rate"]) for each in trials if not (each.value or 0) < 2 * guessing]
    assert all(found.learning_rate < rate for rate in lost)
    assert found.verdict != AnswerVerdict.CONFIDENT or (found.interval is not None and all(found.interval.high < r for r in lost))
    assert found.safe_range is None or found.safe_range.tolerance < guessing / 4


@pytest.mark.parametrize("n", [8, 16])
def test_the_rate_of_wine_lies_in_the_descent(n: int) -> None:
    job, trials = trained(WINE, n, 1e-5, 32)
    in_range(answer(job, trials), trials, 1.0, 2.5, math.log(3))


@pytest.mark.parametrize("n", [8, 16])
def test_a_finite_explosion_of_wine_is_hopeless(n: int) -> None:
    """Without an output layer that starts at zero, as it was when the case was found."""
    job, trials = trained(WINE, n, 1e-5, 32, shared=True, zero_output=False)
    worst = max(each.value or 0 for each in trials if math.isfinite(each.value or 0))
    assert worst > 10 * math.log(3)
    found = answer(job, trials)
    in_range(found, trials, 1.0, 2.5, math.log(3))
    assert found.evidence.hopeless == 1
    assert found.divergence_edge is not None


def test_the_rate_of_digits_lies_in_the_descent() -> None:
    job, trials = trained(DIGITS, 16, 1e-7, 64)
    in_range(answer(job, trials), trials, 0.1, 0.95, math.log(10))
