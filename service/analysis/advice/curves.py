"""Advice that the curves of the best trials give."""

import math
from itertools import pairwise
from statistics import median

from service.analysis.advice import sources
from service.analysis.advice.next_job import Found, following, of_role, rates, rounded
from service.analysis.advice.rates import numbers_of, present
from service.analysis.advice.seen import Seen, diagnosed
from service.analysis.words import advice as words
from service.domain.advice import Trouble
from service.domain.meaning import Role
from service.domain.request import JobRequest
from service.domain.space import IntRange
from service.domain.trial import Trial, TrialState

TOO_OFTEN = 0.5
"""Part of the updates clipped from which clipping is too often (the playbook: "extremely aggressive")."""
ABOVE_USUAL = 2.0
"""The next norm to clip at, beside the gradient's mean norm: about what 90% of norms lie below."""
EARLY_BEST = 2 / 3
"""An overfitting trial was best before this part of its run; one that is best later only ended on an unlucky step."""
LEAST_RISE = 0.02
"""By how much its metric then got worse at least, as a part."""
WEIGHT_DECAYS = (1e-4, 1.0)
STRONGER = 100.0
"""How far the next weight decays reach above the job's, as a factor."""
DROPOUT = 0.5
LATE_BEST = 0.75
"""A trial that is still improving was best in the last quarter of its run (the playbook)."""
STILL_GAINED = 0.25
"""By how much its metric improved over the second half of its run, as a part. On digits and diabetes, half of the best trials of
healthy jobs gained less than 0.1, of short ones more than 0.6."""
MUCH = 0.5
JUMP = 0.27
"""The largest rise of the metric between two steps late in a run, as a part: the best trials of stable jobs had 0.18 at most, of
unstable ones 0.41 at least (in the middle; digits and diabetes)."""
NEARBY = 3.0
LOST_NEARBY = 0.25
CLIP_AT = 1.0
WARMUP = 0.1
"""The playbook: not more than 10% of the steps."""


def clipping_too_often(seen: Seen) -> Found | None:
    """Most updates of the best trials were clipped."""
    shares = {each.number: run.clipped for each in seen.top if (run := seen.runs.get(each.number)) and run.clipped is not None}
    often = [trial for trial in seen.top if shares.get(trial.number, 0.0) >= TOO_OFTEN]
    if len(often) < seen.most_diagnosed:
        return None
    share = median(shares[trial.number] for trial in often)
    norms = [norm for trial in often if (norm := seen.runs[trial.number].gradient_norm)]
    usual, limit = median(norms) if norms else None, seen.fixed(Role.CLIP_NORM)
    next_jobs: list[JobRequest | None] = []
    norm = rounded(ABOVE_USUAL * usual) if usual else 1.0
    if usual and limit and norm > limit and (best := seen.rate(seen.complete[0])):
        rate = best * limit / norm
        space = of_role(seen, Role.CLIP_NORM, norm) | rates(seen, rate / 10, rate * 30)
        next_jobs = [following(seen, f"clipped at {norm:g}", space)]
    return Found(
        code=Trouble.CLIPPING_TOO_OFTEN,
        advice=words.clip_less(norm),
        evidence=words.clipped(share, usual, limit, words.named(numbers_of(often))),
        trials=numbers_of(often),
        numbers={"clipped": share} | ({"gradient_norm": usual} if usual else {}) | ({"limit": limit} if limit else {}),
        source=sources.CLIPPING,
        next_jobs=present(next_jobs),
    )


def overfitting(seen: Seen) -> Found | None:
    """The metric of the best trials got worse again, while their training loss fell."""
    shown = [(trial, *_best_step(seen, trial)) for trial in diagnosed(seen.top, "overfitting")]
    shown = [each for each in shown if each[1] <= EARLY_BEST and each[2] >= LEAST_RISE]
    if len(shown) < seen.most_diagnosed:
        return None
    part, rise = median(each[1] for each in shown), median(each[2] for each in shown)
    trials = [each[0] for each in shown]
    advice, next_jobs = _regularized(seen, part)
    return Found(
        code=Trouble.OVERFITTING,
        advice=advice,
        evidence=words.overfits(words.named(numbers_of(trials)), seen.job.spec.metric, part, rise),
        trials=numbers_of(trials),
        numbers={"best_after": part, "rise": rise},
        source=sources.OVERFITTING,
        next_jobs=present(next_jobs),
    )


def _regularized(seen: Seen, part: float) -> tuple[str, list[JobRequest | None]]:
    """What to do against overfitting: the first of weight decay, dropout and fewer steps that the objective has."""
    decay, dropout, steps = seen.fixed(Role.WEIGHT_DECAY), seen.fixed(Role.DROPOUT), seen.fixed(Role.DURATION)
    word = seen.job.spec.meaning.step_word
    if decay is not None:
        low, high = WEIGHT_DECAYS if decay == 0 else (decay, STRONGER * decay)
        space = of_role(seen, Role.WEIGHT_DECAY, {"type": "float", "low": low, "high": high, "log": True})
        return words.decay_weights(low, high), [following(seen, "weight decay", space)]
    if dropout == 0:
        space = of_role(seen, Role.DROPOUT, {"type": "float", "low": 0.0, "high": DROPOUT})
        return words.drop_out(DROPOUT), [following(seen, "dropout", space)]
    if steps is not None:
        fewer = max(1, round(part * steps))
        return words.train_less(fewer, word), [following(seen, f"{fewer} {word}s", of_role(seen, Role.DURATION, fewer))]
    return words.stop_earlier(), []


def unstable(seen: Seen) -> Found | None:
    """The metric of the best trials jumps late in the run, or trials near the answered rate diverge."""
    rises = {trial.number: rise for trial in seen.top if (rise := _largest_rise(seen, trial)) is not None}
    jumping = [trial for trial in seen.top if rises.get(trial.number, 0.0) >= JUMP]
    if rises and len(jumping) >= seen.most_diagnosed and seen.has_learned:
        rise = median(rises[trial.number] for trial in jumping)
        advice, next_jobs = _steadier(seen)
        return Found(
            code=Trouble.UNSTABLE,
            advice=advice,
            evidence=words.jumps(words.named(numbers_of(jumping)), seen.job.spec.metric, rise),
            trials=numbers_of(jumping),
            numbers={"rise": rise},
            source=sources.LATE_VARIANCE,
            next_jobs=present(next_jobs),
        )
    return _lost_nearby(seen)


def _lost_nearby(seen: Seen) -> Found | None:
    answered = None if seen.answer is None else seen.answer.learning_rate
    if answered is None or not seen.has_learned:
        return None
    near = [trial for trial in seen.trials if (rate := seen.rate(trial)) and answered / NEARBY <= rate <= answered * NEARBY]
    lost = [trial for trial in near if trial.state is TrialState.INFEASIBLE]
    if len(lost) < 2 or len(lost) < LOST_NEARBY * len(near):
        return None
    advice, next_jobs = _steadier(seen)
    return Found(
        code=Trouble.UNSTABLE,
        advice=advice,
        evidence=words.lost_nearby(len(lost), len(near), answered),
        trials=numbers_of(lost),
        numbers={"diverged": len(lost), "near": len(near), "rate": answered},
        source=sources.UNSTABLE,
        next_jobs=present(next_jobs),
    )


def _steadier(seen: Seen) -> tuple[str, list[JobRequest | None]]:
    """A schedule that falls, a warm-up and clipping, as far as the objective has them and the job does not; else lower rates."""
    found = {}
    if seen.dimension(Role.SCHEDULE) == "constant":
        found["a rate that falls to the end"] = of_role(seen, Role.SCHEDULE, "cosine")
    if seen.fixed(Role.WARMUP) == 0:
        found[f"a warm-up over {WARMUP:.0%} of the run"] = of_role(seen, Role.WARMUP, WARMUP)
    if seen.fixed(Role.CLIP_NORM) == 0:
        found[f"gradients clipped at a norm of {CLIP_AT:g}"] = of_role(seen, Role.CLIP_NORM, CLIP_AT)
    if found:
        space = {name: value for each in found.values() for name, value in each.items()}
        return words.steadier(list(found)), [following(seen, "steadier", space)]
    dimension, answer = seen.dimension(Role.LEARNING_RATE), seen.answer
    low, rate = getattr(dimension, "low", None), None if answer is None else answer.learning_rate
    if not low or rate is None or low >= rate:
        return words.steadier([]), []
    return words.stay_below(rounded(rate)), [following(seen, "lower rates", rates(seen, low, rate))]


def train_longer(seen: Seen) -> Found | None:
    """The metric of the best trials was still improving when they ended."""
    gains = improving(seen, STILL_GAINED)
    if len(gains) < seen.most_diagnosed:
        return None
    gain = median(gains.values())
    word, dimension = seen.job.spec.meaning.step_word, seen.dimension(Role.DURATION)
    times = 4 if gain >= MUCH else 2
    next_jobs: list[JobRequest | None] = []
    steps = 0
    if isinstance(dimension, IntRange):
        steps = times * dimension.high
        longer = {"type": "int", "low": dimension.high, "high": steps, "log": dimension.log}
        next_jobs = [following(seen, "longer", of_role(seen, Role.DURATION, longer))]
    elif (fixed := seen.fixed(Role.DURATION)) is not None:
        steps = times * int(fixed)
        next_jobs = [following(seen, "longer", of_role(seen, Role.DURATION, steps))]
    trials = sorted(gains)
    return Found(
        code=Trouble.TRAIN_LONGER,
        advice=words.train_longer(steps, word) if steps else words.train_longer_somehow(),
        evidence=words.still_improving(words.named(trials), seen.job.spec.metric, gain),
        trials=tuple(trials),
        numbers={"gain": gain},
        source=sources.HOW_LONG,
        next_jobs=present(next_jobs),
    )


def improving(seen: Seen, least: float) -> dict[int, float]:
    """By how much the best trials improved over the second half of their runs, as a part, by number: of those that were best in
    the last quarter, and improved by at least so much."""
    gains = {}
    for trial in seen.top:
        costs = seen.costs_of(trial)
        if len(costs) >= 2 and (scale := abs(costs[-1])) > 0 and _best_step(seen, trial)[0] >= LATE_BEST:
            gain = (costs[(len(costs) - 1) // 2] - costs[-1]) / scale
            if gain >= least:
                gains[trial.number] = gain
    return gains


def _best_step(seen: Seen, trial: Trial) -> tuple[float, float]:
    """After which part of its run a trial's metric was best, and by how much it then got worse, as a part."""
    costs = seen.costs_of(trial)
    if not costs:
        return 1.0, 0.0
    lowest = min(costs)
    rise = (costs[-1] - lowest) / abs(lowest) if lowest else math.inf * (costs[-1] > 0)
    return (costs.index(lowest) + 1) / len(costs), rise if math.isfinite(rise) else 0.0


def _largest_rise(seen: Seen, trial: Trial) -> float | None:
    """The largest rise of its metric between two steps, after the first third of its run; None for too short a run."""
    costs = seen.costs_of(trial)
    late = costs[len(costs) // 3 :]
    if len(late) < 3:
        return None
    return max((after - before) / abs(before) if before else 0.0 for before, after in pairwise(late))
