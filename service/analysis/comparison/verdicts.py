"""How two recipes differ, each at its own best rate, and the verdict on that."""

import math

import numpy as np

from service.analysis.comparison.paired_seeds import paired_difference
from service.analysis.comparison.tuned import Judged, Tuned
from service.analysis.model.estimates import Estimate
from service.analysis.words import comparison as words
from service.domain.comparison import (
    EXPECTED_VALUES,
    PAIRED_SEEDS,
    RESPONSE_CURVES,
    ComparisonVerdict,
    DifferenceView,
)

PREFERRED_PAIRS = 3
"""Paired seeds from which on their difference counts. Two give an interval as well, but with one degree of freedom: twelve
standard errors wide."""


def difference(tuned: Judged, reference: Judged) -> DifferenceView:
    """The difference of a job to the reference.

    A seed may be lucky at all rates, which a curve through trials that share it cannot show. Between jobs with the same seeds
    this luck cancels; with different seeds, the difference is as uncertain as means over so many seeds are. Where each trial has
    a seed of its own, luck is part of the noise that the curve estimates.
    """
    random = np.random.default_rng(0)
    # Jobs of equal size draw from the same random numbers: shuffled, their draws are independent.
    n = min(len(tuned.draws), len(reference.draws))
    draws = random.permutation(tuned.draws)[:n] - random.permutation(reference.draws)[:n]
    # Not `ResponseCurve.tolerance`, whose floor grows with the range: a job must not gain by a wider search.
    noise = max(tuned.seed_noise, reference.seed_noise)
    if tuned.seeds != reference.seeds:
        draws = draws + random.normal(0, noise * math.sqrt(tuned.unseen_seeds + reference.unseen_seeds), len(draws))
    sign = tuned.job.spec.cost_sign
    by_seeds = paired_difference(tuned.best_point, reference.best_point, sign)
    by_curves = Estimate.of(draws).times(sign)
    # Chosen by the number of pairs alone, so that nobody can pick the preferred result.
    preferred = by_seeds if by_seeds is not None and by_seeds.pairs >= PREFERRED_PAIRS else None
    have_curves = isinstance(tuned, Tuned) and isinstance(reference, Tuned)
    return DifferenceView(
        estimate=preferred.difference if preferred else by_curves,
        rests_on=PAIRED_SEEDS if preferred else RESPONSE_CURVES if have_curves else EXPECTED_VALUES,
        paired_seeds=by_seeds,
        response_curves=by_curves,
        tolerance=noise,
    )


def verdict(tuned: Judged, above: DifferenceView | None) -> tuple[ComparisonVerdict, str]:
    """The verdict, and its sentence, to follow the job's name. above: None for the reference itself."""
    if above is None:
        if isinstance(tuned, Tuned):
            return ComparisonVerdict.BEST, words.best(tuned.expected, tuned.rate, tuned.at_edge)
        return ComparisonVerdict.BEST, words.best_at_point(tuned.expected, tuned.rate)
    sign, tolerance = tuned.job.spec.cost_sign, above.tolerance
    costs = above.estimate.times(sign)
    if costs.low > 0 and tuned.at_edge:
        return ComparisonVerdict.UNDECIDED, words.worse_at_edge(above, sign, tuned.at_edge)
    if costs.low > 0:
        return ComparisonVerdict.WORSE, words.worse(above, sign, within_noise=costs.high <= tolerance)
    if costs.high < 0:
        return ComparisonVerdict.UNDECIDED, words.better_than_the_best(above, sign)
    if max(-costs.low, costs.high) <= tolerance:
        return ComparisonVerdict.AS_GOOD, words.as_good(above, sign)
    return ComparisonVerdict.UNDECIDED, words.undecided(above, sign)
