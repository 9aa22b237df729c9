"""Advice on how a job spends its trials and its epochs: pruning, batches, seeds."""

import math
from statistics import median, variance

from service.analysis.advice import sources
from service.analysis.advice.curves import improving, late_part
from service.analysis.advice.next_job import Found, following, of_role, rates, rounded
from service.analysis.advice.rates import numbers_of, present
from service.analysis.advice.seen import Seen
from service.analysis.model.points import tried_points
from service.analysis.words import advice as words
from service.domain.advice import Trouble
from service.domain.answer import AnswerVerdict
from service.domain.meaning import Role
from service.domain.request import JobRequest
from service.domain.space import CategoricalRange, IntRange, searched
from service.domain.trial import Trial

EARLY = 0.15
"""The part of a schedule before which a trial is pruned too early. After an epoch of sixteen, the order of rates has a rank
correlation of -0.2 to 0.35 with the final one, as measured on a small network over thirteen rates."""
MOSTLY = 0.5
FEWEST_PRUNED = 4
LARGE = 64
"""A smaller batch is not large, however small the data."""
FEW_UPDATES = 100
FEW_UPDATES_PER_STEP = 10
"""A batch that holds a tenth of the data or more."""
SMALLEST = 8
DISAGREE = 0.18
"""The standard deviation of runs that differ by little but their seeds, as a part of the spread of trials: healthy jobs on digits
and diabetes had 0.09 at most, those with narrow networks 0.35 at least."""
FEWEST_REPEATS = 4
STEEP = 0.25
NEAR = 5.0
"""How far from the answered rate, as a factor, neighbours are compared."""
NEIGHBOURS = 1.5
REPLICATES = 5
POINTS = 8
"""Points that the next job trains with each of its seeds, at least."""
AROUND = 3.0


def pruned_too_early(seen: Seen) -> Found | None:
    """Most trials were pruned in the first steps, whose order says little of the last one."""
    ended = {trial.number: points[-1].fraction for trial in seen.pruned if (points := seen.curves.get(trial.number))}
    early = {number: part for number, part in ended.items() if part is not None and part <= EARLY}
    if len(early) < FEWEST_PRUNED or len(early) < MOSTLY * len(seen.pruned) or not seen.complete:
        return None
    pruner = seen.job.spec.pruner.model_dump()
    if pruner["type"] in ("median", "percentile"):
        later = pruner | {"parts": 2}
    else:
        later = pruner | {"parts": 4, "min_resource": 2, "reduction_factor": 2}
    part = median(early.values())
    return Found(
        code=Trouble.PRUNED_TOO_EARLY,
        advice=words.prune_later(),
        evidence=words.pruned_early(len(early), len(seen.trials), part),
        trials=tuple(sorted(early)),
        numbers={"pruned": len(early), "trials": len(seen.trials), "part": part},
        source=sources.EARLY_ORDER,
        next_jobs=present([following(seen, "pruned later", pruner=later)]),
    )


def batch_too_large(seen: Seen) -> Found | None:
    """The best trials make few updates with large batches, and were still improving, or have learned nothing yet."""
    name, word = seen.job.spec.meaning.named(Role.BATCH_SIZE), seen.job.spec.meaning.step_word
    gains = improving(seen)
    showing = [trial for trial in seen.top if trial.number in gains or not seen.has_learned]
    few = [trial for trial in showing if makes_few_updates(seen, trial)]
    if name is None or word != "epoch" or len(few) < max(2, len(showing) / 2):
        return None
    updates = [run.updates for trial in few if (run := seen.runs.get(trial.number)) and run.updates]
    size = median(size for trial in few if isinstance(size := trial.params[name], int))
    dimension = seen.dimension(Role.BATCH_SIZE)
    smaller = [each for each in (int(size) // 16, int(size) // 8, int(size) // 4) if each >= SMALLEST]
    next_jobs: list[JobRequest | None] = []
    if smaller and not isinstance(dimension, CategoricalRange | IntRange):
        smaller = smaller[-2:-1] or smaller
        next_jobs = [following(seen, "smaller batches", of_role(seen, Role.BATCH_SIZE, smaller[0]))]
    elif smaller:
        choices = {"type": "categorical", "choices": smaller}
        next_jobs = [following(seen, "smaller batches", of_role(seen, Role.BATCH_SIZE, choices))]
    return Found(
        code=Trouble.BATCH_TOO_LARGE,
        advice=words.smaller_batches(smaller),
        evidence=words.few_updates(words.named(numbers_of(few)), int(median(updates)), size),
        trials=numbers_of(few),
        numbers={"updates": median(updates), "batch_size": size, "improving": len(gains)},
        source=sources.SMALL_BATCHES,
        next_jobs=present(next_jobs),
    )


def makes_few_updates(seen: Seen, trial: Trial) -> bool:
    """Whether a trial has a large batch, and makes few updates with it."""
    run, steps = seen.runs.get(trial.number), len(seen.curves.get(trial.number, ()))
    size = seen.job.spec.meaning.value(Role.BATCH_SIZE, trial.params)
    if run is None or not run.updates or not steps or not isinstance(size, int) or size < LARGE:
        return False
    return run.updates <= FEW_UPDATES and run.updates / steps <= FEW_UPDATES_PER_STEP


def seeds_disagree(seen: Seen) -> Found | None:
    """Runs of one point differ by a large part of what the trials differ by, so that the best rate is not known."""
    answer, spec = seen.answer, seen.job.spec
    if answer is None or answer.verdict != AnswerVerdict.MORE_TRIALS or answer.learning_rate is None or seen.pruned:
        return None
    alike = _alike(seen, answer.learning_rate)
    n = sum(len(each) - 1 for each in alike)
    if spec.training_seed == "shared" or spec.replicates > 1 or n < FEWEST_REPEATS:
        return None
    if late_part(seen) >= STEEP:
        return None  # in the midst of learning, runs differ by how far they are
    # The pooled variance within groups.
    sd = math.sqrt(sum((len(each) - 1) * variance(map(seen.cost, each)) for each in alike) / n)
    spread = seen.worst_fifth - seen.best_cost
    if spread <= 0 or sd < DISAGREE * spread:
        return None
    rate, interval = answer.learning_rate, answer.interval
    low = min(rate / AROUND, rate if interval is None else interval.low)
    high = max(rate * AROUND, rate if interval is None else interval.high)
    trials = max(REPLICATES * POINTS, seen.job.budget.trials or 0)
    job = following(
        seen, f"{REPLICATES} seeds", rates(seen, low, high), replicates=REPLICATES, budget={"confirm": None, "trials": trials}
    )
    return Found(
        code=Trouble.SEEDS_DISAGREE,
        advice=words.more_replicates(REPLICATES, rounded(low), rounded(high)),
        evidence=words.seeds_differ(sum(map(len, alike)), sd, spread, spec.metric),
        trials=numbers_of([trial for each in alike for trial in each]),
        numbers={"sd": sd, "spread": spread, "runs": sum(map(len, alike))},
        source=sources.SEEDS,
        next_jobs=present([job]),
    )


def _alike(seen: Seen, rate: float) -> list[list[Trial]]:
    """Groups of trials that differ by little but their seeds: those of one point; and, where the rate alone is searched, pairs of
    neighbouring rates not far from the answered one."""
    by_point = [list(point.trained.values()) for point in tried_points(seen.job, seen.complete)]
    repeated = [runs for runs in by_point if len(runs) > 1]
    if list(searched(seen.job.spec.search_space)) != [seen.job.spec.meaning.named(Role.LEARNING_RATE)]:
        return repeated
    single = [(at, runs[0]) for runs in by_point if len(runs) == 1 and (at := seen.rate(runs[0])) is not None and at > 0]
    near = sorted((each for each in single if rate / NEAR <= each[0] <= rate * NEAR), key=lambda each: each[0])
    pairs = []
    while len(near) > 1:
        (low, one), (high, other), *rest = near
        is_pair = high <= NEIGHBOURS * low
        pairs += [[one, other]] if is_pair else []
        near = rest if is_pair else near[1:]
    return repeated + pairs
