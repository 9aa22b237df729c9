"""How two recipes differ, each at its own best rate, and what is to be thought of it."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from service.analysis.comparison.paired_seeds import PairedDifference, paired_difference
from service.analysis.comparison.tuned import Tuned
from service.analysis.model.estimates import Estimate

PREFERRED_PAIRS = 3
"""With so many paired seeds their difference counts. Two give an interval as well, but of one degree of freedom: twelve standard
errors wide."""
PAIRED_SEEDS = "paired seeds"
RESPONSE_CURVES = "response curves"


class ComparisonVerdict(StrEnum):
    """What is to be thought of a job, beside the best one."""

    BEST = "best"
    AS_GOOD = "as good"
    """The interval of the difference holds 0 and lies within the tolerance."""
    WORSE = "worse"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a job costs above the best one, the reference. In the metric's units; more is worse."""

    by_seeds: PairedDifference | None
    by_curves: Estimate
    """Of the expected costs at each job's best rate."""
    tolerance: float
    """What the training seed changes at the best rate, in the job in which it changes more. Not what `ResponseCurve.tolerance`
    says, whose floor grows with the range: a job that searches wider is no better for it."""

    @property
    def rests_on(self) -> str:
        """By the number of pairs alone, so that nobody picks the answer he likes."""
        paired = self.by_seeds is not None and self.by_seeds.n_pairs >= PREFERRED_PAIRS
        return PAIRED_SEEDS if paired else RESPONSE_CURVES

    @property
    def estimate(self) -> Estimate:
        """The one that counts."""
        return self.by_seeds.difference if self.by_seeds and self.rests_on == PAIRED_SEEDS else self.by_curves

    @property
    def in_words(self) -> str:
        """Worse or better, by how much, and what that rests on."""
        return f"worse by {self}" if self.estimate.mean >= 0 else f"better by {self.told(self.estimate.times(-1))}"

    def __str__(self) -> str:
        return self.told(self.estimate)

    def told(self, estimate: Estimate) -> str:
        """A number, and what it rests on."""
        seeds = self.by_seeds if self.rests_on == PAIRED_SEEDS else None
        return f"{estimate} by {f'{seeds.n_pairs} {PAIRED_SEEDS}' if seeds else f'the {RESPONSE_CURVES}'}"


def difference(tuned: Tuned, reference: Tuned) -> Difference:
    """Of a job to the reference.

    A seed may be lucky at all rates, which a curve through trials that share it cannot show. Jobs with the same seeds share the
    luck, so it drops out; where the seeds are others, the difference is as uncertain as means over so many seeds are. Where each
    trial has a seed of its own, its luck is noise that the curve knows.
    """
    random = np.random.default_rng(0)
    # Jobs of equal size draw from the same random numbers: shuffled, they are independent again.
    n = min(len(tuned.optimum.draws), len(reference.optimum.draws))
    draws = random.permutation(tuned.optimum.draws)[:n] - random.permutation(reference.optimum.draws)[:n]
    noise = max(tuned.seed_noise, reference.seed_noise)
    if tuned.seeds != reference.seeds:
        unseen = sum(1 / len(each.seeds) for each in (tuned, reference) if len(each.seeds) < len(each.finished.trials))
        draws = draws + random.normal(0, noise * math.sqrt(unseen), len(draws))
    return Difference(
        by_seeds=paired_difference(tuned.best_point, reference.best_point), by_curves=Estimate.of(draws), tolerance=noise
    )


def verdict(tuned: Tuned, above: Difference | None) -> tuple[ComparisonVerdict, str]:
    """With the sentence for people, to follow the job's name. above: None for the reference itself."""
    if above is None:
        best = f"is best: it expects {tuned.optimum.cost.times(tuned.job.spec.cost_sign)} at its best rate, {tuned.rate}"
        return ComparisonVerdict.BEST, best + (f"; {_further(tuned)}" if tuned.at_edge else "")
    found, tolerance = above.estimate, above.tolerance
    if found.low > 0 and tuned.at_edge:
        return ComparisonVerdict.UNDECIDED, f"is undecided: it is worse by {above}, but {_further(tuned)}"
    if found.low > 0:
        small = f"; a training seed changes more ({tolerance:.3g})"
        against = f", though the {RESPONSE_CURVES} say otherwise" if above.by_curves.mean < 0 else ""
        return ComparisonVerdict.WORSE, f"is worse by {above}{against}" + (small if found.high <= tolerance else "")
    if found.high < 0:
        return (
            ComparisonVerdict.UNDECIDED,
            f"is undecided: it is better by {found.times(-1)} than one that is better than others that beat it",
        )
    if max(-found.low, found.high) <= tolerance:
        return ComparisonVerdict.AS_GOOD, f"is as good: {above.in_words}, within what a training seed changes ({tolerance:.3g})"
    advice = "more trials, or replicates, near its best rate would tell"
    return ComparisonVerdict.UNDECIDED, f"is undecided: {above.in_words}, so it need not be; {advice}"


def _further(tuned: Tuned) -> str:
    further = "lower" if tuned.at_edge == "low" else "higher"
    return f"its best rate lies at the {tuned.at_edge} end of the range it searched: {further} ones may be better"
