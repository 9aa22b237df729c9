"""A learning rate range test: level, a descent near the top, then an explosion that stays finite.

Cases 01b, after davidtvs/pytorch-lr-finder#106, fastai/fastai#3476 and facebook/Ax#1946: the suggestion must lie in the descent.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.observations import observe
from service.analysis.model.response_curve import ResponseCurve
from service.domain.answer import Answer, AnswerVerdict
from service.domain.job import Job
from service.domain.trial import Trial
from tests.drawn_jobs import drawn
from tests.finished_jobs import a_job

GUESSING = 1.1


def valley(cliff: float) -> Callable[[float, int], float]:
    """Nothing is learned far below the cliff, the loss falls towards it, and explodes from there."""

    def loss(rate: float, seed: int) -> float:
        part = rate / cliff
        return GUESSING * math.exp(-part) if part < 1 else GUESSING * math.exp(-1) + part**5 - 1

    return loss


def bowl(rate: float, seed: int) -> float:
    return 0.1 + math.log10(rate / 0.01) ** 2 + 0.01 * math.sin(seed * 7919 + rate * 1e5)


def penalty(rate: float, seed: int) -> float:
    return 1e6 if rate > 0.5 else bowl(rate, seed)


def growing(rate: float, seed: int) -> float:
    return bowl(rate, seed) + (0 if rate < 0.5 else (rate / 0.5) ** 10)


@dataclass(frozen=True)
class Case:
    loss: Callable[[float, int], float]
    high: float
    """Of the range searched."""
    trials: int
    right: tuple[float, float]
    """Where the answer must lie."""
    cliff: float
    """Above it losses are exploded."""


CASES = {
    "valley-16": Case(valley(1.0), 10.0, 16, (0.4, 1.6), 1.0),
    "valley-32": Case(valley(1.0), 10.0, 32, (0.4, 1.3), 1.0),
    "valley-cliff-at-0.3-64": Case(valley(0.3), 10.0, 64, (0.15, 0.36), 0.3),
    "bowl-with-penalty": Case(penalty, 1.0, 32, (0.005, 0.02), 0.5),
    "bowl-growing": Case(growing, 1.0, 32, (0.005, 0.02), 0.5),
}
VALLEYS = [name for name in CASES if name.startswith("valley")]
SEEDS = range(3)


@cache
def asked(name: str, seed: int) -> tuple[Job, list[Trial], Answer]:
    case = CASES[name]
    rate = {"type": "float", "low": 1e-5, "high": case.high, "log": True}
    job = a_job(search_space={"learning_rate": rate}, budget={"trials": case.trials}, seed=seed)
    trials = drawn(job, case.loss)
    return job, trials, answer(job, trials)


def rate_of(trial: Trial) -> float:
    return float(trial.params["learning_rate"])


def exploded(name: str, trials: list[Trial]) -> list[float]:
    """The rates above the cliff whose loss is more than twice that of guessing, ascending."""
    return sorted(rate_of(each) for each in trials if rate_of(each) > CASES[name].cliff and (each.value or 0) > 2 * GUESSING)


@pytest.mark.parametrize("name", CASES)
def test_the_answer_lies_in_the_descent(name: str) -> None:
    _, _, found = asked(name, 0)
    assert found.learning_rate is not None
    low, high = CASES[name].right
    assert low <= found.learning_rate <= high


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_no_rate_is_answered_beyond_one_that_exploded(name: str, seed: int) -> None:
    _, trials, found = asked(name, seed)
    beyond = exploded(name, trials)
    assert beyond
    assert found.learning_rate is not None
    assert found.learning_rate < beyond[0]
    assert found.interval is not None
    if found.verdict == AnswerVerdict.CONFIDENT:
        assert found.interval.high < beyond[0]
        assert found.learning_rate <= CASES[name].cliff
    if found.safe_range is not None:
        assert found.safe_range.high < beyond[0]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_the_tolerance_is_one_of_the_losses_that_learned(name: str, seed: int) -> None:
    _, trials, found = asked(name, seed)
    learned = [each.value or 0 for each in trials if rate_of(each) not in exploded(name, trials)]
    if found.safe_range is not None:
        assert found.safe_range.tolerance <= (np.quantile(learned, 0.8) - min(learned)) / 2


@pytest.mark.parametrize(("noise", "part"), [(1e3, 0.5), (0.0, 0.02)])
def test_whatever_the_noise_is_thought_to_be_the_tolerance_has_bounds(
    noise: float, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, trials, _ = asked("valley-32", 0)
    seen = observe(job, trials, {})
    assert seen is not None
    curve = ResponseCurve(seen)
    monkeypatch.setattr(curve.surface, "noise_at", lambda point: noise)
    learned = [each.value or 0 for each in trials if rate_of(each) not in exploded("valley-32", trials)]
    assert curve.tolerance(curve.optimum.point) == pytest.approx(part * (np.quantile(learned, 0.8) - min(learned)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_the_expected_loss_is_that_of_a_rate_that_learned(name: str, seed: int) -> None:
    _, _, found = asked(name, seed)
    assert found.expected is not None
    assert 0 <= found.expected.low <= found.expected.mean < GUESSING


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", VALLEYS)
def test_exploded_trials_are_counted_as_hopeless(name: str, seed: int) -> None:
    _, trials, found = asked(name, seed)
    assert found.evidence.hopeless == len(exploded(name, trials))
    assert found.evidence.infeasible == 0, "what is stored of them stays as it is"


@pytest.mark.parametrize("name", VALLEYS)
def test_they_make_a_divergence_edge(name: str) -> None:
    _, trials, found = asked(name, 0)
    edge = found.divergence_edge
    assert edge is not None
    assert edge.low < exploded(name, trials)[0]
    assert edge.high > CASES[name].cliff
    assert all(part.learning_rate <= exploded(name, trials)[0] for part in found.curve)


@pytest.mark.parametrize("name", ["bowl-with-penalty", "bowl-growing"])
def test_the_objective_may_say_what_guessing_costs_where_no_plateau_does(name: str) -> None:
    job, _, without = asked(name, 0)
    assert without.evidence.hopeless == 0
    trials = drawn(job, CASES[name].loss, user_attrs=lambda: {"guessing": {"loss": 5.0}})
    found = answer(job, trials)
    above = [each.value or 0 for each in trials if rate_of(each) > CASES[name].cliff]
    assert found.evidence.hopeless == sum(loss > 20 for loss in above) > 0
    assert found.learning_rate is not None
    assert 0.005 < found.learning_rate < 0.02


def test_a_metric_to_be_maximized_explodes_downward() -> None:
    rate = {"type": "float", "low": 1e-5, "high": 10.0, "log": True}
    job = a_job(0, direction="maximize", search_space={"learning_rate": rate}, budget={"trials": 32})
    trials = drawn(job, lambda rate, seed: -valley(1.0)(rate, seed))
    found, _, mirrored = answer(job, trials), *asked("valley-32", 0)[1:]
    assert found.learning_rate == mirrored.learning_rate
    assert found.evidence == mirrored.evidence
    assert found.expected is not None
    assert mirrored.expected is not None
    assert found.expected.mean == -mirrored.expected.mean
