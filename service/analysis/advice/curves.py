"""Advice that the curves of the best trials give."""

from collections.abc import Callable, Sequence
from statistics import median

from service.analysis.advice import sources
from service.analysis.advice.next_job import Found, following, of_role, rates, rounded
from service.analysis.advice.rates import numbers_of, present
from service.analysis.advice.seen import Seen, diagnosed
from service.analysis.advice.shape import Best, Change, best_of, late_gain, late_rise
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
"""By how much its metric then got worse at least, as a part of its best."""
WEIGHT_DECAYS = (1e-4, 1.0)
STRONGER = 100.0
"""How far the next weight decays reach above the job's, as a factor."""
DROPOUT = 0.5
LATE_BEST = 0.75
"""A trial that is still improving was best in the last quarter of its run (the playbook)."""
IMPROVED = 0.1
"""By how much its metric improved over the second half of its run at least: `Change.score`. In the middle of the best trials,
healthy jobs had 0.09 at most, those of few epochs 0.12 at least."""
FEWEST_IMPROVING = 2
FALLING = 2.0
"""Under a schedule that is not constant, improvement counts from this many times as much on: what falls with the rate at the
end of a run does so in a longer one, too."""
MUCH = 0.5
"""An improvement, as a part of the last value, from which on four times as many steps are advised, and not twice as many."""
JUMP = 0.12
"""The rise of the metric that one in five steps late in a run reaches: the score of `late_rise`. In the middle of the best
trials, 22 of 23 healthy jobs had 0.09 at most, and one 0.135; of those with ten layers or more, six had 0.13 at least, and two
0.05 and 0.09: where it is not clear, nothing is said."""
STOPPED_BETTER = 0.05
"""By how much the best step of overfitted trials is below the best trial's last one, as a part, where the best trial is only the
one that learned least."""
STOPPED_AS_GOOD = 0.05
"""By how much it may be above the last step of the best trials, where these are at the low end of the range because they trained
least."""
CLEAR_RISE = 0.1
"""By how much the metric of those then got worse at least, as a part of its best."""
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
    """The metric of the best trials got worse again, while their training loss fell; or that of most trials, from below what the
    best ends with: then the best is the one that learned least. So it is at the low end of a range where most trials overfit."""
    shown = _overfitted(seen, seen.top)
    if len(shown) < seen.most_diagnosed:
        overfitted = _overfitted(seen, seen.overfitted)
        shown = [each for each in overfitted if _would_have_won(seen, each[1])]
        if len(shown) < max(2, len(seen.overfitted) / 2):
            shown = _as_good_stopped(seen, overfitted)
        if len(shown) < max(2, len(seen.overfitted) / 2):
            return None
    part, trials = median(run.part for _, run in shown), [trial for trial, _ in shown]
    first, run = shown[0]
    best, last = seen.metric(run.best), seen.metric(run.last)
    advice, next_jobs = _regularized(seen, part)
    return Found(
        code=Trouble.OVERFITTING,
        advice=advice,
        evidence=words.overfits(words.named(numbers_of(trials)), seen.job.spec.metric, part, first.number, best, last),
        trials=numbers_of(trials),
        numbers={"best_after": part, "best": best, "last": last},
        source=sources.OVERFITTING,
        next_jobs=present(next_jobs),
    )


def _overfitted(seen: Seen, trials: Sequence[Trial]) -> list[tuple[Trial, Best]]:
    runs = [(trial, best_of(seen, trial)) for trial in diagnosed(trials, "overfitting")]
    return [(trial, run) for trial, run in runs if run and run.part <= EARLY_BEST and run.rise >= LEAST_RISE]


def _would_have_won(seen: Seen, run: Best) -> bool:
    """Whether the trial, stopped at its best step, would have been clearly better than the best one."""
    return run.best < seen.best_cost - STOPPED_BETTER * abs(seen.best_cost)


def _as_good_stopped(seen: Seen, overfitted: Sequence[tuple[Trial, Best]]) -> list[tuple[Trial, Best]]:
    """Where the answer is at the low end of the range and most trials overfit: those that, stopped at their best step, would have
    been about as good as the best ones. A lower rate then is another way to train less."""
    if seen.answer is None or seen.answer.at_edge != "low" or len(seen.overfitted) < len(seen.complete) / 2:
        return []
    usual = median(map(seen.cost, seen.top))
    limit = usual + STOPPED_AS_GOOD * abs(usual)
    return [(trial, run) for trial, run in overfitted if run.best <= limit and run.rise >= CLEAR_RISE]


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
    rises = [(trial, rise) for trial in seen.top if (rise := late_rise(seen, trial)) is not None]
    jumping = [(trial, rise) for trial, rise in rises if rise.score >= JUMP]
    if len(jumping) >= seen.most_diagnosed and seen.has_learned:
        numbers = numbers_of([trial for trial, _ in jumping])
        first, rise = max(jumping, key=lambda each: each[1].of_fall)
        before, after = seen.metric(rise.before), seen.metric(rise.after)
        advice, next_jobs = _steadier(seen, words.lower_rates_jump_less)
        return Found(
            code=Trouble.UNSTABLE,
            advice=advice,
            evidence=words.jumps(words.named(numbers), seen.job.spec.metric, first.number, before, after),
            trials=numbers,
            numbers={"before": before, "after": after, "part_of_fall": rise.of_fall},
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
    advice, next_jobs = _steadier(seen, words.stay_below)
    return Found(
        code=Trouble.UNSTABLE,
        advice=advice,
        evidence=words.lost_nearby(len(lost), len(near), answered),
        trials=numbers_of(lost),
        numbers={"diverged": len(lost), "near": len(near), "rate": answered},
        source=sources.UNSTABLE,
        next_jobs=present(next_jobs),
    )


def _steadier(seen: Seen, lower: Callable[[float], str]) -> tuple[str, list[JobRequest | None]]:
    """A schedule that falls, a warm-up and clipping, as far as the objective has them and the job does not; else lower rates.

    lower: advises rates below one.
    """
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
    return lower(rounded(rate)), [following(seen, "lower rates", rates(seen, low, rate))]


def train_longer(seen: Seen) -> Found | None:
    """The metric of the best trials was still improving when they ended."""
    gains = improving(seen)
    if len(gains) < FEWEST_IMPROVING:
        return None
    best = next(trial for trial in seen.top if trial.number in gains)
    halfway, last = seen.metric(gains[best.number].before), seen.metric(gains[best.number].after)
    word, dimension = seen.job.spec.meaning.step_word, seen.dimension(Role.DURATION)
    times = 4 if median(gain.of_value for gain in gains.values()) >= MUCH else 2
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
        evidence=words.still_improving(words.named(trials), seen.job.spec.metric, best.number, halfway, last),
        trials=tuple(trials),
        numbers={"halfway": halfway, "last": last},
        source=sources.HOW_LONG,
        next_jobs=present(next_jobs),
    )


def improving(seen: Seen) -> dict[int, Change]:
    """What the best trials that were still improving won over the second half of their runs, by number. Empty where that is
    little in the middle of the best trials."""
    gains = {trial.number: _gain(seen, trial) for trial in seen.top}
    least = IMPROVED * (1.0 if seen.dimension(Role.SCHEDULE) in ("constant", None) else FALLING)
    if not gains or median(0.0 if gain is None else gain.score for gain in gains.values()) < least:
        return {}
    return {number: gain for number, gain in gains.items() if gain is not None and gain.score >= least}


def late_part(seen: Seen) -> float:
    """The part of their whole fall by which the best trials improved over the second half of their runs, in their middle."""
    return median([0.0 if (gain := _gain(seen, trial)) is None else gain.of_fall for trial in seen.top] or [0.0])


def _gain(seen: Seen, trial: Trial) -> Change | None:
    """What a trial won over the second half of its run; None where it was best before its last part."""
    best = best_of(seen, trial)
    return None if best is None or best.part < LATE_BEST else late_gain(seen, trial)
