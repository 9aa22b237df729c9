"""The answer once points have been retrained with fresh seeds: one of them, by what came of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.retrained import CONFIRM
from service.analysis.model.retraining import candidates
from service.analysis.words.summary import sentences
from service.domain.answer import Answer, AnswerVerdict, CandidateView
from service.domain.space import Point
from service.domain.trial import CANDIDATE, PHASE_NAME, Trial, TrialState
from tests.finished_jobs import trial
from tests.unit.analysis.made_up_jobs import made_up
from tests.unit.analysis.trials import LOG, bowl, diverged, job, trained

BEST = 0.02
FRESH = 1_000
"""From here on are the fresh runs' seeds."""


def fresh(number: int, candidate: int, point: Point, value: float) -> Trial:
    """A run of a confirming phase, which diverged where its value is infinite."""
    return trial(
        number,
        None,
        value,
        TrialState.COMPLETE if math.isfinite(value) else TrialState.INFEASIBLE,
        user_attrs={PHASE_NAME: CONFIRM, CANDIDATE: candidate, "training_seed": FRESH + number},
        **point,
    )


def retrain(search: Sequence[Trial], points: Sequence[Point], *values: Sequence[float]) -> list[Trial]:
    """The search's trials, and a fresh run of each point for each of its values."""
    runs = [(at, value) for at, of_point in enumerate(values) for value in of_point]
    first = 1 + max(each.number for each in search)
    return [*search, *(fresh(first + index, at, points[at], value) for index, (at, value) in enumerate(runs))]


def points(search: Sequence[Trial], n: int = 3, **overrides: Any) -> list[Point]:
    return candidates(job(**overrides), search, {}, trials_left=None)[:n]


@cache
def points_of(seed: int) -> list[Point]:
    """Those to retrain of the search with a seed."""
    return points(searched(seed=seed))


def of(found: Answer, point: Point) -> CandidateView:
    """What the answer says of a retrained point."""
    assert found.confirmed is not None
    [view] = [each for each in found.confirmed.candidates if {"learning_rate": each.learning_rate, **each.params} == point]
    return view


def answered(found: Answer) -> Point:
    return {"learning_rate": found.learning_rate, **found.params}  # type: ignore[dict-item]


def searched(n: int = 24, seed: int = 0, noise: float = 0.02, loss: Callable[[float], float] | None = None) -> list[Trial]:
    return trained(loss or bowl(BEST), n, seed=seed, noise=noise)


@pytest.mark.parametrize("runs", [1, 3])
def test_the_interval_still_holds_the_best_rate_which_was_not_retrained(runs: int) -> None:
    loss, held = bowl(BEST), []
    for seed in range(12):
        search, random = searched(seed=seed), np.random.default_rng(1_000 + seed)
        tried = points_of(seed)
        values = [[loss(at["learning_rate"]) + 0.02 * random.standard_normal() for _ in range(runs)] for at in tried]  # type: ignore[arg-type]
        interval = answer(job(), retrain(search, tried, *values)).interval
        assert interval is not None
        held.append(interval.low <= BEST <= interval.high)
    assert sum(held) >= 10


@pytest.mark.parametrize("better", range(3))
def test_the_retrained_point_whose_fresh_runs_are_much_better_is_answered(better: int) -> None:
    search = searched()
    tried = points_of(0)
    runs = [[0.05, 0.06, 0.055] if at == better else [0.25, 0.26, 0.24] for at in range(3)]
    found = answer(job(), retrain(search, tried, *runs))
    assert answered(found) == tried[better], "exactly the rate that was retrained"
    assert of(found, tried[better]).is_answered
    assert found.expected is not None
    assert found.expected.runs == 3
    assert [each.is_answered for each in found.confirmed.candidates] == [True, False, False], "the best mean stands first"  # type: ignore[union-attr]


def test_without_fresh_runs_nothing_is_confirmed() -> None:
    found = answer(job(), searched())
    assert found.confirmed is None
    assert found.expected is not None
    assert found.expected.runs == 0


def test_a_fresh_run_that_has_not_ended_confirms_nothing() -> None:
    search = searched()
    running = trial(90, None, None, TrialState.RUNNING, user_attrs={PHASE_NAME: CONFIRM, CANDIDATE: 0}, **points_of(0)[0])
    failed = trial(91, None, None, TrialState.FAILED, user_attrs={PHASE_NAME: CONFIRM, CANDIDATE: 1}, **points_of(0)[1])
    found = answer(job(), [*search, running, failed])
    assert found.confirmed is None
    assert found.learning_rate == answer(job(), search).learning_rate


def test_a_point_that_diverged_when_it_was_retrained_is_not_answered_while_another_did_not() -> None:
    search = searched()
    tried = points_of(0)
    found = answer(job(), retrain(search, tried, [0.01, math.inf, 0.01], [0.22, 0.22], [0.21]))
    assert answered(found) in tried[1:]
    assert (of(found, tried[0]).runs, of(found, tried[0]).diverged) == (2, 1)


def test_where_every_point_diverged_sometimes_the_one_that_diverged_least_is_answered_without_confidence() -> None:
    search = searched()
    tried = points_of(0)
    found = answer(job(), retrain(search, tried, [0.2, math.inf], [0.2, 0.21, math.inf], [math.inf, 0.2]))
    assert answered(found) == tried[1]
    assert found.verdict == AnswerVerdict.MORE_TRIALS
    assert "1 of 3 runs with fresh seeds at the answered point diverged" in found.because or "diverge" in found.because


def test_where_all_diverged_another_point_is_answered_without_confidence() -> None:
    search = searched()
    assert answer(job(), search).verdict == AnswerVerdict.CONFIDENT
    tried = points_of(0)
    found = answer(job(), retrain(search, tried, *[[math.inf, math.inf]] * 3))
    assert found.verdict == AnswerVerdict.MORE_TRIALS
    assert found.because.startswith("all 3 points that were retrained diverged")
    assert found.learning_rate is not None
    assert answered(found) not in tried
    assert not any(each.is_answered for each in found.confirmed.candidates)  # type: ignore[union-attr]
    assert [each.value for each in found.confirmed.candidates] == [None] * 3  # type: ignore[union-attr]
    assert found.expected is None or found.expected.runs == 0


def test_a_fresh_run_that_exploded_counts_as_diverged() -> None:
    search = [trial(number, each.params["learning_rate"], each.value, user_attrs={"guessing": {"loss": 2.3}})
              for number, each in enumerate(searched())]  # fmt: skip
    best = min(search, key=lambda each: each.value or math.inf)
    higher = {"learning_rate": 4 * float(best.params["learning_rate"])}
    found = answer(job(), retrain(search, [best.params, higher], [0.3], [1e6, 0.25]))
    assert (of(found, higher).runs, of(found, higher).diverged) == (1, 1)
    assert answered(found) == best.params


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_with_few_trials_the_best_mean_over_fresh_runs_is_answered(direction: str, sign: float) -> None:
    search = [trial(0, 0.01, sign * 0.1), trial(1, 0.1, sign * 0.2)]
    tried = points(search, direction=direction)
    assert tried == [{"learning_rate": 0.01}, {"learning_rate": 0.1}]
    found = answer(job(direction=direction), retrain(search, tried, [sign * 0.5, sign * 0.2], [sign * 0.3]))
    assert found.interval is None
    assert answered(found) == tried[1]
    assert of(found, tried[0]).value == pytest.approx(sign * 0.35)
    assert of(found, tried[0]).is_best_trial
    assert not of(found, tried[1]).is_best_trial


def test_with_few_trials_that_all_diverged_again_the_next_best_trial_is_answered() -> None:
    search = [trial(0, 0.01, 0.1), trial(1, 0.1, 0.2), trial(2, 0.001, 0.3)]
    found = answer(job(), retrain(search, points(search, 2), [math.inf], [math.inf]))
    assert found.learning_rate == 0.001
    assert found.because.startswith("all 2 points that were retrained diverged")
    assert found.verdict == AnswerVerdict.MORE_TRIALS


def test_an_extended_job_chooses_among_the_points_of_both_its_confirmations() -> None:
    search = searched(24)
    first = points_of(0)[:2]
    once = retrain(search, first, [0.3, 0.31], [0.12, 0.1, 0.11])
    more = [trial(100 + number, each.params["learning_rate"], each.value) for number, each in enumerate(searched(10, seed=1))]
    second = [first[1], {"learning_rate": 0.03}]
    twice = retrain([*once, *more], second, [0.1, 0.12], [0.3, 0.31])
    found = answer(job(), twice)
    assert found.confirmed is not None
    assert len(found.confirmed.candidates) == 3, "a point that was retrained in both is one"
    assert of(found, first[1]).runs == 5
    assert answered(found) == first[1]


def test_maximized_metrics_are_chosen_by_their_highest() -> None:
    search = [trial(number, each.params["learning_rate"], 1 - (each.value or 0)) for number, each in enumerate(searched())]
    tried = points(search, direction="maximize")
    found = answer(job(direction="maximize"), retrain(search, tried, [0.7, 0.71], [0.9, 0.91], [0.72]))
    assert answered(found) == tried[1]
    assert of(found, tried[1]).value == pytest.approx(0.905)


def test_the_answer_is_the_same_each_time() -> None:
    search = searched()
    trials = retrain(search, points_of(0), [0.2, 0.21], [0.22], [0.2])
    assert answer(job(), trials).model_dump(exclude={"job"}) == answer(job(), trials).model_dump(exclude={"job"})


def test_other_parameters_are_exactly_those_retrained() -> None:
    space = {"learning_rate": LOG, "momentum": {"type": "float", "low": 0.0, "high": 0.99}}
    random = np.random.default_rng(0)
    search = [
        trial(number, float(10 ** random.uniform(-4, 0)), 0.3 + random.random(), momentum=float(random.uniform(0, 0.99)))
        for number in range(40)
    ]
    tried = points(search, search_space=space)
    found = answer(job(search_space=space), retrain(search, tried, [0.5, 0.5], [0.01, 0.02], [0.5]))
    assert answered(found) == tried[1]


def test_a_job_without_confirmation_is_answered_as_before() -> None:
    """Trials of another phase's name confirm nothing."""
    search = [
        trial(each.number, each.params["learning_rate"], each.value, user_attrs={PHASE_NAME: "search"}) for each in searched()
    ]
    assert answer(job(), search).confirmed is None


@pytest.mark.parametrize("seed", range(40))
def test_whatever_was_tried_one_of_the_retrained_points_is_answered(seed: int) -> None:
    random = np.random.default_rng(seed)
    made, search, curves = made_up(seed)
    tried = candidates(made, search, curves, trials_left=4)
    costs = [float(each.value) for each in search if each.state is TrialState.COMPLETE and each.value is not None]
    sign = made.spec.cost_sign
    runs = [
        [sign * math.inf if random.random() < 0.2 else float(random.choice(costs)) for _ in range(int(random.integers(3)))]
        for _ in tried
    ]
    found = answer(made, retrain(search, tried, *runs), curves)
    assert found.verdict
    assert np.isfinite(found.learning_rate or 0.0)
    if any(each.runs for each in (() if found.confirmed is None else found.confirmed.candidates)):
        [chosen] = [each for each in found.confirmed.candidates if each.is_answered]  # type: ignore[union-attr]
        assert (chosen.learning_rate, chosen.params) == (found.learning_rate, found.params)
        assert chosen.runs > 0
        assert chosen.diverged == 0 or all(each.diverged for each in found.confirmed.candidates if each.runs)  # type: ignore[union-attr]
        if found.expected is not None:
            assert found.expected.runs == chosen.runs
            assert found.expected.low <= found.expected.mean <= found.expected.high


def test_all_fresh_runs_diverged_and_so_did_every_trial() -> None:
    search = [diverged(number, 0.01 * (1 + number)) for number in range(3)]
    found = answer(job(), retrain(search, [search[0].params], [math.inf]))
    assert found.verdict == AnswerVerdict.ALL_DIVERGED
    assert found.learning_rate is None


def test_points_that_repeat_to_the_last_digit_show_that_the_training_fixes_its_seeds() -> None:
    def repeats(search: Sequence[Trial], *runs: Sequence[float]) -> bool:
        found = answer(job(), retrain(search, tried, *runs))
        assert found.confirmed is not None
        said = any("to the last digit with every seed" in each for each in sentences(found, ["learning_rate"], "learning_rate"))
        assert said == found.confirmed.repeats_exactly
        return said

    search = searched(noise=0.0)
    tried = points(search)
    of_curve, second, third = (bowl(BEST)(at["learning_rate"]) for at in tried)  # type: ignore[arg-type]
    assert repeats(search, [of_curve] * 3)
    assert repeats(search, [of_curve], [second], [third]), "the search has tried the second and the third"
    assert not repeats(search, [of_curve] * 2), "it may be chance"
    assert not repeats(search, [of_curve] * 3, [second, second + 1e-12])
    # Two trials of the search are retrained.
    tried = [each.params for each in search[:2]]
    values = [float(each.value or 0.0) for each in search[:2]]
    assert repeats(search, values[:1], values[1:])
    assert not repeats(search, values[:1], [values[1] + 1e-12])
    # A coarse metric repeats by chance.
    coarse = [replace(each, value=round(float(each.value or 0.0), 1)) for each in search]
    values = [float(each.value or 0.0) for each in coarse[:2]]
    assert not repeats(coarse, values[:1], values[1:])
    assert repeats(coarse, values[:1] * 2, values[1:] * 2)
