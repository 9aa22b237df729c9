"""The synthetic curves are what they claim to be: labels follow from the construction, and nothing lies in a forbidden band."""

import math
from functools import cache
from itertools import pairwise
from statistics import fmean

import pytest

from benchmarks.curve_generator import BANDS, VERDICTS, LabelledCurve, draw, draw_many, labels_of

ENDS = frozenset({"diverged", "oscillating", "too_slow", "plateaued", "converged"})
METRICS = {
    "training_loss",
    "validation_loss",
    "generalization_gap",
    "gradient_norm",
    "gradient_norm_max",
    "clipped_share",
    "update_to_weight_ratio",
    "gradient_flow",
    "dead_units",
    "samples_per_second",
}
FREE_WHERE = {
    "swing": {"diverged"},
    "gain": {"diverged", "oscillating"},
    "fall": {"diverged", "oscillating", "too_slow"},
    "rise": {"diverged"},
    "left": {"diverged", "oscillating", "plateaued", "converged"},
    "late_validation": {"diverged", "oscillating", "plateaued", "converged"},
    "growth": {"exploding_gradients"},
    "peak": {"exploding_gradients"},
    "clipped": {"exploding_gradients"},
}
"""Labels that make a figure irrelevant: another one has decided already."""


@cache
def curves() -> list[LabelledCurve]:
    return draw_many(500, seed=3)


def test_a_seed_draws_the_same_curve_again() -> None:
    assert repr(draw(5)) == repr(draw(5))  # nan equals itself in text only
    assert repr(draw_many(40, seed=5)) == repr(draw_many(40, seed=5))
    assert repr(draw(5)) != repr(draw(6))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_is_often_true_and_often_not(verdict: str) -> None:
    n_true = sum(verdict in curve.labels for curve in curves())
    assert 20 <= n_true <= 300


def test_exactly_one_end_is_true_and_overfitting_goes_with_those_that_settle() -> None:
    for curve in curves():
        assert curve.labels <= set(VERDICTS)
        assert len(curve.labels & ENDS) == 1, curve.why
        if "overfitting" in curve.labels:
            assert not curve.labels & {"diverged", "oscillating"}, curve.why


@pytest.mark.parametrize("figure", BANDS)
def test_no_curve_lies_in_a_forbidden_band(figure: str) -> None:
    no, yes = BANDS[figure]
    assert yes <= 2 * no
    free_where = FREE_WHERE.get(figure, set())
    for curve in curves():
        if not curve.labels & free_where:
            assert not no < curve.figures[figure] < yes, curve.why


def test_labels_follow_from_the_construction_and_not_from_the_curve() -> None:
    for curve in curves():
        assert labels_of(curve.figures) == curve.labels


def test_metrics_are_complete_and_finite_unless_the_run_diverged() -> None:
    for curve in curves():
        for item in curve.curve:
            assert set(item.metrics) == METRICS
            gap = item.metrics["validation_loss"] - item.metrics["training_loss"]
            assert math.isnan(gap) or item.metrics["generalization_gap"] == gap
            if "diverged" not in curve.labels:
                assert all(map(math.isfinite, item.metrics.values())), curve.why
                assert min(item.metrics["training_loss"], item.metrics["validation_loss"]) > 0, curve.why


def test_only_the_last_measurement_of_a_diverged_run_tells_of_divergence() -> None:
    for curve in curves():
        assert all(item.divergence is None for item in curve.curve[:-1])
        assert curve.curve[-1].divergence is None or "diverged" in curve.labels
        assert [item.step for item in curve.curve] == list(range(1, len(curve.curve) + 1))
        assert curve.curve[-1].fraction == 1 or "diverged" in curve.labels


def test_update_losses_are_few_evenly_spaced_and_near_the_mean_of_their_step() -> None:
    for curve in curves():
        updates = [update for item in curve.curve for update, _ in item.update_losses]
        assert len(updates) <= 1000
        assert len({later - earlier for earlier, later in pairwise(updates)}) == 1
        for item in curve.curve:
            losses = [loss for _, loss in item.update_losses]
            assert 5 <= len(losses) <= 50
            mean = item.metrics["training_loss"]
            if math.isfinite(mean):
                assert fmean(losses) == pytest.approx(mean, rel=0.25), curve.why
            else:
                assert not all(map(math.isfinite, losses))
