"""Advice on which learning rates to try."""

import math
from collections.abc import Sequence
from typing import Any

from service.analysis.advice import sources
from service.analysis.advice.next_job import Found, following, of_role, rates, rounded
from service.analysis.advice.seen import FEW_HIGHEST, USUAL, Seen, diagnosed
from service.analysis.words import advice as words
from service.domain.advice import Trouble
from service.domain.answer import AnswerVerdict
from service.domain.job import FINAL
from service.domain.meaning import Role
from service.domain.request import JobRequest
from service.domain.space import Range
from service.domain.trial import Trial, TrialState

FAR_APART = 8.0
"""Neighbouring rates are too far apart from this factor on. Nine rates over five decades are a factor of 4.2 apart, five 18."""
SPACED = 3.0
"""So are the rates as a whole from this mean factor between neighbours on: among many random ones some gap is always wide."""
ENOUGH = 16
"""Trials with which an answer is usually useful."""
FARTHER = 100.0
"""How far the next range reaches beyond an end of this one, as a factor."""
OVERLAP = 10.0
"""How far it reaches back from the best rate."""
LOWER = 1_000.0
"""How far below the lowest rate the next range begins at least, where all diverged."""
AROUND = 30.0
"""How far the next range reaches to both sides of a single rate."""
OUTER = 0.15
MANY_DIVERGED = 0.5


def nothing_learns(seen: Seen) -> Found | None:
    """Trials trained to their end, and none of them got below the loss of guessing."""
    if len(seen.complete) < FEW_HIGHEST or seen.has_learned or _mostly_diverged(seen):
        return None
    vanishing = diagnosed(seen.complete, "vanishing_gradients")
    spread = _ends(seen)
    next_jobs: list[JobRequest | None]
    if (_best_are_highest(seen) or seen.barely_moved) and spread is not None:
        low, high = spread[1], max(FARTHER**2 * spread[1], USUAL[1])
        advice, next_jobs = words.much_higher(rounded(low), rounded(high)), [_in_range(seen, low, high)]
        source = sources.RANGE_ENDS
    elif len(vanishing) > len(seen.complete) / 2:
        is_normal = seen.dimension(Role.NORMALIZATION) in ("batch", "layer")
        kinds = [] if is_normal else ["batch", "layer"]
        spaces = [(kind, of_role(seen, Role.NORMALIZATION, kind)) for kind in kinds]
        next_jobs = [following(seen, f"{kind} normalization", space) for kind, space in spaces if space]
        advice = words.normalize("batch") if next_jobs else words.look_at_network()
        source = sources.NORMALIZATION if next_jobs else sources.VANISHING
    elif spread is not None:
        low, high = spread[0] / FARTHER, spread[1] * FARTHER
        advice, next_jobs = words.nothing_at_any_rate(rounded(low), rounded(high)), [_in_range(seen, low, high)]
        source = sources.RANGE_ENDS
    else:
        return None
    value = seen.complete[0].value
    assert value is not None
    return Found(
        code=Trouble.NOTHING_LEARNS,
        advice=advice,
        evidence=words.learned_nothing(len(seen.complete), seen.job.spec.metric, value, len(vanishing), seen.barely_moved),
        trials=numbers_of(seen.complete),
        numbers={"trials": len(seen.complete), "best": value, "vanishing": len(vanishing)},
        source=source,
        next_jobs=present(next_jobs),
    )


def too_few_rates(seen: Seen) -> Found | None:
    """A finished job that tried one rate, or whose best rate has no neighbour nearby."""
    tried = sorted({rate for trial in seen.trials if (rate := seen.rate(trial)) is not None and rate > 0})
    if seen.job.state not in FINAL or not seen.complete or not tried:
        return None
    answered = seen.rate(seen.complete[0]) if seen.answer is None else seen.answer.learning_rate
    if answered is None or answered <= 0:
        return None
    best = _nearest(tried, answered)
    place = tried.index(best)
    below = tried[place - 1] if place > 0 else best
    above = tried[place + 1] if place + 1 < len(tried) else best
    if len(tried) == 1 and not isinstance(seen.dimension(Role.LEARNING_RATE), Range):
        low, high, evidence = best / AROUND, best * AROUND, words.one_rate(best)
        figures = {"rate": best, "rates": 1.0}
    elif max(best / below, above / best) >= FAR_APART and _spacing(tried) >= SPACED:
        low, high = min(below, best / OVERLAP), max(above, best * OVERLAP)
        farther = below if best / below >= above / best else above
        times = max(best / farther, farther / best)
        evidence, figures = words.far_apart(best, times, farther), {"rate": best, "neighbour": farther, "times": times}
    else:
        return None
    n = max(ENOUGH, seen.job.budget.trials or 0)
    strategy = {"type": "bayesian"} if seen.job.spec.strategy.type == "grid" else seen.job.spec.strategy.model_dump()
    budget = {"trials": n, "confirm": None}
    job = following(seen, "more rates", rates(seen, low, high), budget=budget, strategy=strategy)
    return Found(
        code=Trouble.TOO_FEW_RATES,
        advice=words.search_the_rate(rounded(low), rounded(high), n),
        evidence=evidence,
        trials=numbers_of(seen.complete),
        numbers=figures,
        source=sources.FEW_POINTS,
        next_jobs=present([job]),
    )


def range_too_narrow(seen: Seen) -> Found | None:
    """The best rate lies at an end of the range, or nothing of the range trains because it is too high."""
    if _mostly_diverged(seen) and not seen.has_learned:
        return _too_high(seen)
    spread = _ends(seen)
    if spread is None:
        return None
    answer = seen.answer
    if answer is None or (rate := answer.learning_rate) is None:
        return None
    climbs = answer.verdict == AnswerVerdict.NOTHING_LEARNED and _best_are_highest(seen)
    end = "high" if climbs else answer.at_edge
    if end not in ("low", "high") or not _is_near(rate, end, spread):
        return None
    limit = spread[0] if end == "low" else spread[1]
    low, high = (limit / FARTHER, rate * OVERLAP) if end == "low" else (rate / OVERLAP, limit * FARTHER)
    look = words.look_lower if end == "low" else words.look_higher
    return Found(
        code=Trouble.RANGE_TOO_NARROW,
        advice=look(rounded(low), rounded(high)),
        evidence=words.at_end(rate, end, limit, seen.job.spec.metric),
        trials=numbers_of(seen.top),
        numbers={"rate": rate, end: limit},
        source=sources.RANGE_ENDS,
        next_jobs=present([_in_range(seen, low, high)]),
    )


def numbers_of(trials: Sequence[Trial]) -> tuple[int, ...]:
    """The numbers of trials, in order."""
    return tuple(sorted(trial.number for trial in trials))


def present(jobs: Sequence[JobRequest | None]) -> tuple[JobRequest, ...]:
    """Those that are requests."""
    return tuple(job for job in jobs if job is not None)


def _too_high(seen: Seen) -> Found | None:
    tried = [rate for trial in seen.trials if (rate := seen.rate(trial)) is not None and rate > 0]
    if not tried:
        return None
    diverged, lowest = [trial for trial in seen.trials if trial.state is TrialState.INFEASIBLE], min(tried)
    low, high = min(lowest / LOWER, USUAL[0]), lowest
    budget = {"budget": {"trials": ENOUGH, "confirm": None}} if len(set(tried)) == 1 else {}
    return Found(
        code=Trouble.RANGE_TOO_NARROW,
        advice=words.look_lower(rounded(low), rounded(high)),
        evidence=words.diverged_everywhere(len(diverged), len(seen.trials), lowest),
        trials=numbers_of(diverged),
        numbers={"diverged": len(diverged), "trials": len(seen.trials), "lowest": lowest},
        source=sources.RANGE_ENDS,
        next_jobs=present([_in_range(seen, low, high, **budget)]),
    )


def _in_range(seen: Seen, low: float, high: float, **fields: Any) -> JobRequest | None:
    return following(seen, f"rates {rounded(low):g} to {rounded(high):g}", rates(seen, low, high), **fields)


def _ends(seen: Seen) -> tuple[float, float] | None:
    """The ends of the range of rates, as far as they are above 0; the lowest rate tried stands for an end at 0. None: a value."""
    dimension = seen.dimension(Role.LEARNING_RATE)
    if not isinstance(dimension, Range):
        return None
    tried = [rate for trial in seen.trials if (rate := seen.rate(trial)) is not None and rate > 0]
    given = [each for each in (getattr(dimension, "low", None), getattr(dimension, "high", None)) if each]
    return (min(given[0] if len(given) == 2 else min(tried), min(tried)), max([*given, max(tried)])) if tried else None


def _is_near(rate: float, end: str, spread: tuple[float, float]) -> bool:
    """Whether a rate lies in the outer part of a range: the one answered may be a retrained one away from the end."""
    place = math.log(rate / spread[0]) / math.log(spread[1] / spread[0]) if spread[1] > spread[0] else 0.5
    return place <= OUTER if end == "low" else place >= 1 - OUTER


def _nearest(tried: Sequence[float], rate: float) -> float:
    return min(tried, key=lambda each: abs(math.log(each / rate)))


def _spacing(tried: Sequence[float]) -> float:
    """The mean factor between neighbours. tried: rates in order."""
    return float((tried[-1] / tried[0]) ** (1 / max(1, len(tried) - 1)))


def _mostly_diverged(seen: Seen) -> bool:
    """At least two, while the job may still train others."""
    diverged = sum(trial.state is TrialState.INFEASIBLE for trial in seen.trials)
    fewest = 1 if seen.job.state in FINAL and len(seen.trials) == 1 else 2
    return diverged >= fewest and diverged >= MANY_DIVERGED * len(seen.trials)


def _best_are_highest(seen: Seen) -> bool:
    """Whether the two best trials are among those with the highest rates, and nothing diverged."""
    if any(trial.state is TrialState.INFEASIBLE for trial in seen.trials):
        return False
    return {trial.number for trial in seen.complete[:2]} <= {trial.number for trial in seen.highest}
