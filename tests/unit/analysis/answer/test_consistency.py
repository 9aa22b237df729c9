"""What every answer must keep to, whatever was tried: jobs of every kind, made up from seeds.

An answer takes a fifth of a second, so there are only so many. With STRIDE_MADE_UP_JOBS=5000 there are more.
"""

import math
import os
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.response_curve import Kind
from service.commands.answers import in_words
from service.commands.tables import console
from service.domain.answer import Answer, AnswerVerdict, IntervalView
from service.domain.job import Job
from service.domain.space import CategoricalRange, FloatRange, IntRange, Range, contains
from service.domain.trial import Trial
from service.errors import NothingFinished
from tests.unit.analysis.made_up_jobs import made_up

N = int(os.environ.get("STRIDE_MADE_UP_JOBS", "120"))
FIRST = int(os.environ.get("STRIDE_FIRST_JOB", "0"))
ROUNDING = 1e-9
PRINTED = 1e-3
"""Rates are printed with four digits: what differs by less is the same to a reader."""
KINDS: tuple[Kind, ...] = ("params", "profile", "marginal")


def faults(job: Job, trials: list[Trial], found: Answer) -> Iterator[str]:
    """What is not as it must be."""
    if found.learning_rate is None:
        if found.verdict != AnswerVerdict.ALL_DIVERGED:
            yield "no rate is answered, though not all diverged"
        return
    rate, dimension = found.learning_rate, job.spec.search_space["learning_rate"]
    assert isinstance(dimension, Range)
    low, high = _ends(dimension, trials)
    yield from _about_rates(found, rate, low, high)
    yield from _about_batch_sizes(found)
    yield from _about_choices(job, dimension, found, rate)
    yield from _about_costs(found)
    yield from _about_the_verdict(found, low, high)
    yield from _about_the_best_trial(job, found)


def _ends(dimension: Range, trials: list[Trial]) -> tuple[float, float]:
    if isinstance(dimension, CategoricalRange):
        rates = [float(choice) for choice in dimension.choices]
    elif dimension.low > 0:
        rates = [float(dimension.low), float(dimension.high)]
    else:
        rates = [float(trial.params["learning_rate"]) for trial in trials] + [float(dimension.high)]
    return min(rates), max(rates)


def _intervals(found: Answer) -> dict[str, IntervalView | None]:
    safe = {
        name: None if range_ is None else IntervalView(low=range_.low, high=range_.high)
        for name, range_ in (("safe_range", found.safe_range), ("safe_range_retuned", found.safe_range_retuned))
    }
    return {"interval": found.interval, "interval_at_params": found.interval_at_params} | safe


def _about_rates(found: Answer, rate: float, low: float, high: float) -> Iterator[str]:
    if not low * (1 - ROUNDING) <= rate <= high * (1 + ROUNDING):
        yield f"{rate} is not of the range searched"
    for name, interval in _intervals(found).items():
        if interval is None:
            continue
        if not low * (1 - ROUNDING) <= interval.low <= interval.high <= high * (1 + ROUNDING):
            yield f"{name} {interval} is not within {low} and {high}"
        if not interval.low * (1 - ROUNDING) <= rate <= interval.high * (1 + ROUNDING):
            yield f"{name} {interval} does not hold {rate}"
    safe, retuned = found.safe_range, found.safe_range_retuned
    if safe is not None and (retuned is None or not retuned.low <= safe.low <= safe.high <= retuned.high):
        yield f"{safe} is safe, and with the others tuned again it is not: {retuned}"
    if (found.interval is None) != (found.expected is None) or (found.interval is None) != (found.interval_at_params is None):
        yield "an interval is told without a value, or a value without an interval"
    rates = [part.learning_rate for part in found.curve]
    if any(after <= before for before, after in pairwise(rates)):
        yield "the curve is not sorted by rate"
    if rates and not low * (1 - ROUNDING) <= rates[0] <= rates[-1] <= high * (1 + ROUNDING):
        yield "the curve leaves the range searched"


def _about_batch_sizes(found: Answer) -> Iterator[str]:
    if not found.params and found.interval != found.interval_at_params:
        yield f"nothing else is searched, and {found.interval} is not {found.interval_at_params}"
    for row in found.by_batch_size:
        if not row.interval.low * (1 - ROUNDING) <= row.learning_rate <= row.interval.high * (1 + ROUNDING):
            yield f"{row.interval} of batch size {row.batch_size} does not hold {row.learning_rate}"
        is_answered = found.params.get("batch_size") == row.batch_size
        if is_answered and not math.isclose(row.learning_rate, found.learning_rate or 0.0, rel_tol=ROUNDING):
            yield f"{found.learning_rate} is answered with batch size {row.batch_size}, whose own is {row.learning_rate}"


def _about_choices(job: Job, dimension: Range, found: Answer, rate: float) -> Iterator[str]:
    known: list[float] = []
    if isinstance(dimension, CategoricalRange):
        known = [float(choice) for choice in dimension.choices]
    elif isinstance(dimension, IntRange):
        known = [float(each) for each in range(dimension.low, dimension.high + 1)]
    if known:
        told = {"learning_rate": [rate], "curve": [part.learning_rate for part in found.curve]}
        told |= {name: [each.low, each.high] for name, each in _intervals(found).items() if each and "safe" in name}
        for name, rates in told.items():
            if not set(rates) <= set(known):
                yield f"{name}: {rates} are not all choices"
    elif isinstance(dimension, FloatRange) and not contains(dimension, rate) and rate > dimension.low > 0:
        yield f"{rate} is not a value of the range"
    for name, value in found.params.items():
        other = job.spec.search_space[name]
        assert isinstance(other, Range)
        if not contains(other, value):
            yield f"{name}={value} cannot be"


def _about_costs(found: Answer) -> Iterator[str]:
    estimates = {} if found.expected is None else {"expected": found.expected}
    estimates |= {f"the curve at {part.learning_rate}": part for part in found.curve}
    for name, each in estimates.items():
        if not all(math.isfinite(number) for number in (each.low, each.mean, each.high)):
            yield f"{name} is not finite: {each}"
        if not each.low <= each.mean <= each.high:
            yield f"{name} has its middle outside: {each}"
    for safe in (found.safe_range, found.safe_range_retuned):
        if safe is not None and not (math.isfinite(safe.tolerance) and safe.tolerance >= 0):
            yield f"{safe.tolerance} is no tolerance"
    if edge := found.divergence_edge:
        if not 0 < edge.low <= edge.at <= edge.high < math.inf:
            yield f"{edge} is no edge"


def _about_the_verdict(found: Answer, low: float, high: float) -> Iterator[str]:
    if (found.verdict == AnswerVerdict.RANGE_TOO_NARROW) != (found.at_edge in ("low", "high")):
        yield f"{found.verdict} with {found.at_edge}"
    if found.verdict == AnswerVerdict.CONFIDENT:
        if found.interval is None or found.safe_range is None:
            yield "confident without an interval or without a safe range"
        for name in ("interval", "interval_at_params"):
            if (told := _intervals(found)[name]) and (told.low <= low * (1 + ROUNDING) or told.high >= high * (1 - ROUNDING)):
                yield f"confident though the range cuts {name}"
    if found.verdict == AnswerVerdict.ANY_RATE and found.safe_range is None:
        yield "any rate will do, and none is safe"
    if not 0 <= found.evidence.hopeless <= found.evidence.trials - found.evidence.infeasible - found.evidence.pruned:
        yield f"{found.evidence} does not add up"


def _about_the_best_trial(job: Job, found: Answer) -> Iterator[str]:
    out = console()
    with out.capture() as captured:
        out.print(in_words(found, {"spec": job.spec.model_dump(mode="json"), "roles": job.spec.meaning.roles}, out))
    said = " ".join(captured.get().split())
    assert found.best_trial is not None
    tried, interval = float(found.best_trial.params["learning_rate"]), found.interval
    if interval is None:
        return
    stays_below, may_be_lucky = "stays below that rate" in said, "a single trial may be lucky" in said
    is_within = interval.low * (1 - PRINTED) <= tried <= interval.high * (1 + PRINTED)
    if not is_within and not stays_below and not may_be_lucky:
        yield f"the best trial's {tried} lies outside {interval}, and nothing says why"
    if stays_below and (found.learning_rate is None or tried < found.learning_rate):
        yield "the answer is said to stay below a rate that it does not"


@cache
def asked(seed: int, kind: Kind | None = None) -> tuple[Job, list[Trial], Answer] | None:
    """None where nothing finished. kind: None for one by the seed."""
    job, trials, curves = made_up(seed)
    options: dict[str, Any] = {"kind": kind or KINDS[seed % 3]} | ({"tolerance": 0.05} if seed % 7 == 0 else {})
    try:
        return job, trials, answer(job, trials, curves, **options)
    except NothingFinished:
        return None


@pytest.mark.parametrize("start", range(FIRST, FIRST + N, 10))
def test_answers_do_not_contradict_themselves(start: int) -> None:
    found = []
    for seed in range(start, start + 10):
        if (told := asked(seed)) is not None:
            found += [f"{seed}: {fault}" for fault in faults(*told)]
    assert not found, "\n".join(found)


def test_most_jobs_made_up_have_a_curve() -> None:
    """So that the test above tests something."""
    told = [asked(seed) for seed in range(0, 30)]
    answers = [each[2] for each in told if each is not None]
    assert sum(found.interval is not None for found in answers) > 20
    assert len({found.verdict for found in answers}) > 2


@pytest.mark.parametrize("seed", [0, 2, 4, 5, 7, 9])
def test_another_curve_changes_nothing_but_the_curve(seed: int) -> None:
    told = [asked(seed), *(asked(seed, kind) for kind in KINDS if kind != KINDS[seed % 3])]
    answers = [each[2].model_dump(exclude={"curve"}) for each in told if each is not None]
    assert answers == answers[:1] * 3


@pytest.mark.parametrize("seed", range(3))
def test_the_same_trials_have_the_same_answer(seed: int) -> None:
    first, second = asked(seed), asked.__wrapped__(seed)
    assert first is not None
    assert second is not None
    assert first[2] == second[2]
