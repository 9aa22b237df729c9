"""Verdicts on small curves made by hand, each beside its nearest neighbour that is none; then on many generated ones."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice
from statistics import fmean
from typing import Any

import pytest

from benchmarks.curve_generator import draw_many
from benchmarks.diagnosis import score
from objectives.contract import Measurement
from objectives.diagnosis.diagnose import Diagnosis, Finding, diagnose

ENDS = {Diagnosis.DIVERGED, Diagnosis.OSCILLATING, Diagnosis.TOO_SLOW, Diagnosis.PLATEAUED, Diagnosis.CONVERGED}
SETTLED = [2.3 * (0.1 + 0.9 * math.exp(-0.8 * step)) for step in range(20)]


def curve(
    training_loss: Iterable[float] = SETTLED,
    *,
    rate: Callable[[float], float] = lambda part: 0.1,
    updates: Sequence[Sequence[float]] = (),
    **metrics: Sequence[float],
) -> list[Measurement]:
    """A run with these training losses; `updates` by step, other metrics by name."""
    losses = list(training_loss)
    return [
        Measurement(
            step=i + 1,
            fraction=(i + 1) / len(losses),
            in_warmup=False,
            metrics={"training_loss": loss} | {name: values[i] for name, values in metrics.items()},
            learning_rate=rate((i + 1) / len(losses)),
            seconds=1.0,
            update_losses=[(1 + 10 * i + j, value) for j, value in enumerate(updates[i])] if updates else (),
        )
        for i, loss in enumerate(losses)
    ]


def verdicts(steps: Sequence[Measurement], **known: Any) -> set[Diagnosis]:
    return {finding.verdict for finding in diagnose(steps, **known)}


def finding(steps: Sequence[Measurement], verdict: Diagnosis) -> Finding:
    return next(finding for finding in diagnose(steps) if finding.verdict == verdict)


def test_a_run_that_settles_low_has_converged_and_nothing_else() -> None:
    assert verdicts(curve()) == {Diagnosis.CONVERGED}


def test_a_run_whose_evidence_says_so_has_diverged() -> None:
    [found] = diagnose(curve(), divergence="training loss became nan at update 12 of epoch 2")
    assert found.verdict == Diagnosis.DIVERGED
    assert found.because == "training loss became nan at update 12 of epoch 2"


@pytest.mark.parametrize("last", [math.nan, math.inf, 9.2])
def test_a_run_has_diverged_whose_loss_ends_as_nan_or_inf_or_a_multiple_of_the_first(last: float) -> None:
    assert verdicts(curve([2.3, 1.9, 1.7, 1.6, last])) == {Diagnosis.DIVERGED}


def test_a_spike_that_comes_back_is_no_divergence() -> None:
    losses = [*SETTLED[:12], 70.0, 9.0, *SETTLED[14:]]
    assert verdicts(curve(losses)) == {Diagnosis.CONVERGED}


def test_a_loss_that_was_huge_only_before_the_first_updates_has_not_diverged() -> None:
    updates = [[400.0, 90.0, 20.0, 6.0, 2.3], *[[loss] * 5 for loss in SETTLED[1:]]]
    assert Diagnosis.DIVERGED not in verdicts(curve([104.0, *SETTLED[1:]], updates=updates))


def test_a_loss_that_rose_and_stayed_has_plateaued() -> None:
    losses = [2.3, 1.4, *[3.0 + 0.01 * (step % 2) for step in range(14)]]
    assert verdicts(curve(losses)) == {Diagnosis.PLATEAUED}


def test_losses_that_go_up_and_down_from_step_to_step_oscillate() -> None:
    swings = islice(cycle([0.0, 0.9, 0.0, 0.0, 0.8, 0.9]), 20)
    assert verdicts(curve(loss + swing for loss, swing in zip(SETTLED, swings, strict=True))) == {Diagnosis.OSCILLATING}


def test_losses_that_go_up_and_down_within_steps_oscillate() -> None:
    swings = list(islice(cycle([0.02, 0.9, 0.95, 0.05, 0.0, 0.85, 0.03]), 200))
    updates = [[loss + swings[10 * step + j] for j in range(10)] for step, loss in enumerate(SETTLED)]
    assert verdicts(curve((fmean(losses) for losses in updates), updates=updates)) == {Diagnosis.OSCILLATING}


def test_a_single_spike_is_no_oscillation() -> None:
    assert verdicts(curve([*SETTLED[:15], 1.5, *SETTLED[16:]])) == {Diagnosis.CONVERGED}


def test_swings_that_died_away_are_no_oscillation() -> None:
    swings = [0.9 * (step % 2) * math.exp(-step / 3) for step in range(20)]
    assert verdicts(curve(loss + swing for loss, swing in zip(SETTLED, swings, strict=True))) == {Diagnosis.CONVERGED}


@pytest.mark.parametrize("lowest", [0.01, 0.0])
def test_swings_of_a_rate_that_restarts_are_the_schedule_s(lowest: float) -> None:
    swings = [0.7 * (step % 2) for step in range(20)]
    steps = curve(
        (loss + swing for loss, swing in zip(SETTLED, swings, strict=True)),
        rate=lambda part: 0.1 if round(20 * part) % 2 == 0 else lowest,
    )
    assert Diagnosis.OSCILLATING not in verdicts(steps)


def test_noise_of_single_updates_is_no_oscillation_however_strong() -> None:
    rng = random.Random(0)
    updates = [[2.3 * rng.lognormvariate(0.0, 0.4) for _ in range(20)] for _ in range(20)]
    assert verdicts(curve((fmean(losses) for losses in updates), updates=updates)) == {Diagnosis.PLATEAUED}


def test_a_loss_that_would_fall_on_is_too_slow() -> None:
    falling = [2.3 * (1 - 0.02 * step) for step in range(20)]
    found = finding(curve(falling), Diagnosis.TOO_SLOW)
    assert found.numbers["gain"] > 0.2
    assert f"{found.numbers['gain']:.0%}" in found.because


def test_a_loss_that_would_fall_on_underfits_where_both_losses_are_still_high() -> None:
    falling = [2.3 * (1 - 0.02 * step) for step in range(20)]
    steps = curve(falling, validation_loss=[1.1 * loss for loss in falling])
    assert verdicts(steps) == {Diagnosis.TOO_SLOW, Diagnosis.UNDERFITTING}
    found = finding(steps, Diagnosis.UNDERFITTING)
    assert f"validation loss at {found.numbers['validation']:.0%} of the" in found.because
    assert found.numbers["last_quarter"] == pytest.approx(0.11, abs=0.03)


@pytest.mark.parametrize(
    ("low", "follows"), [(0.3, 1.0), (1.0, 0.0), (1.0, -0.5)], ids=["low already", "validation stays", "validation rises"]
)
def test_not_every_loss_that_would_fall_on_underfits(low: float, follows: float) -> None:
    falling = [2.3 * (low if step else 1) * (1 - 0.02 * step) for step in range(20)]
    validation = [2.3 * low * (1 - 0.02 * follows * step) for step in range(20)]
    assert Diagnosis.UNDERFITTING not in verdicts(curve(falling, validation_loss=validation))
    assert Diagnosis.UNDERFITTING not in verdicts(curve(falling))


def test_a_loss_that_falls_with_a_rate_that_ends_at_zero_is_not_too_slow() -> None:
    falling = [2.3 * (1 - 0.02 * step) for step in range(20)]
    assert Diagnosis.TOO_SLOW not in verdicts(curve(falling, rate=lambda part: 0.1 * (1 - part)))


def test_a_plateau_before_a_fall_is_none() -> None:
    breaks_through = [2.3 * (0.1 + 0.9 / (1 + math.exp(step - 8))) for step in range(30)]
    assert verdicts(curve(breaks_through)) == {Diagnosis.CONVERGED}


def test_a_loss_that_hardly_fell_has_plateaued() -> None:
    [found] = diagnose(curve([2.3 - 0.1 * math.exp(-3 / (step + 1)) for step in range(12)]))
    assert found.verdict == Diagnosis.PLATEAUED
    assert f"{found.numbers['fall']:.0%}" in found.because


@pytest.mark.parametrize("fall", [0.001, -0.001])
def test_a_fall_or_rise_that_rounds_to_nothing_is_said_to_be_none(fall: float) -> None:
    [found] = diagnose(curve([2.3 * (1 - fall * step / 11) for step in range(12)]))
    assert found.verdict == Diagnosis.PLATEAUED
    assert found.because.startswith("the smoothed training loss did not fall, from 2.3 to 2.3, and ")


def test_an_irreducible_loss_counts_as_converged() -> None:
    assert verdicts(curve([2.3 * (0.6 + 0.4 * math.exp(-step)) for step in range(12)])) == {Diagnosis.CONVERGED}


def test_validation_loss_that_rises_while_training_loss_falls_overfits() -> None:
    validation = [max(SETTLED[i], 0.213) + 0.003 * max(0, i - 5) for i in range(20)]
    training = [loss * 0.93**i for i, loss in enumerate(SETTLED)]
    found = finding(curve(training, validation_loss=validation), Diagnosis.OVERFITTING)
    lowest, step = found.numbers["lowest"], found.numbers["step"]
    assert f"rose {found.numbers['rise']:.0%} from its lowest, {lowest:.3g} at step {step:.0f}" in found.because
    assert f"training loss fell {found.numbers['training_fell']:.0%}" in found.because


@pytest.mark.parametrize(
    "validation",
    [
        [1.5 * loss for loss in SETTLED],
        [loss * (1 + 0.4 * math.exp(-((i - 10) ** 2))) for i, loss in enumerate(SETTLED)],
        [SETTLED[i] * (1 + 0.001 * max(0, i - 5)) for i in range(20)],
    ],
    ids=["a gap", "a passing bump", "a slight rise"],
)
def test_not_every_validation_loss_above_training_loss_overfits(validation: list[float]) -> None:
    assert verdicts(curve([loss * 0.97**i for i, loss in enumerate(SETTLED)], validation_loss=validation)) == {
        Diagnosis.CONVERGED
    }


def test_validation_loss_that_rises_with_the_training_loss_does_not_overfit() -> None:
    losses = [2.3, 1.5, 1.1, *[1.0 + 0.03 * step for step in range(17)]]
    assert Diagnosis.OVERFITTING not in verdicts(curve(losses, validation_loss=[1.1 * loss for loss in losses]))


@pytest.mark.parametrize(
    "metrics",
    [
        {"gradient_norm": [2.0**i for i in range(20)]},
        {"gradient_norm": [1.0] * 20, "gradient_norm_max": [2.0] * 15 + [150.0] + [2.0] * 4},
        {"clipped_share": [0.1] * 8 + [0.95] * 12},
    ],
    ids=["growth", "peak", "clipping"],
)
def test_gradients_explode_that_grow_peak_or_must_be_clipped(metrics: dict[str, list[float]]) -> None:
    found = finding(curve(**metrics), Diagnosis.EXPLODING_GRADIENTS)
    assert any(f"{value:.3g}" in found.because or f"{value:.0%}" in found.because for value in found.numbers.values())


@pytest.mark.parametrize(
    "metrics",
    [
        {"gradient_norm": [1.2**i for i in range(10)] + [5.0] * 10},
        {"gradient_norm": [1e5] * 20, "gradient_norm_max": [5e5] * 20},
        {"gradient_norm": [1.0] * 20, "gradient_norm_max": [500.0] + [2.0] * 19},
        {"clipped_share": [1.0] * 8 + [0.4] * 12},
    ],
    ids=["slight growth", "high from the beginning", "a peak in the first step", "clipped at first"],
)
def test_gradients_that_are_merely_large_do_not_explode(metrics: dict[str, list[float]]) -> None:
    assert verdicts(curve(**metrics)) == {Diagnosis.CONVERGED}


def test_gradients_vanish_that_do_not_reach_the_first_layer() -> None:
    found = finding(curve(gradient_flow=[1e-2] * 5 + [1e-6] * 15), Diagnosis.VANISHING_GRADIENTS)
    assert "75%" in found.because
    assert found.numbers["share_of_steps"] == 0.75


@pytest.mark.parametrize("flow", [[3e-4] * 20, [1e-6] * 5 + [1e-2] * 15], ids=["thin", "early only"])
def test_gradients_that_are_thin_or_were_so_at_first_do_not_vanish(flow: list[float]) -> None:
    assert Diagnosis.VANISHING_GRADIENTS not in verdicts(curve(gradient_flow=flow))


def test_units_are_dead_that_are_so_at_the_end() -> None:
    assert "60%" in finding(curve(dead_units=[0.0] * 10 + [0.6] * 10), Diagnosis.DEAD_UNITS).because
    assert Diagnosis.DEAD_UNITS not in verdicts(curve(dead_units=[0.6] * 10 + [0.3] * 10))


@pytest.mark.parametrize("n_steps", [0, 1, 2, 3])
def test_a_short_curve_without_losses_of_updates_has_no_end(n_steps: int) -> None:
    assert not verdicts(curve(SETTLED[:n_steps])) & ENDS


def test_one_step_can_be_judged_by_the_losses_of_its_updates() -> None:
    assert verdicts(curve([0.6], updates=[[2.3 * (0.1 + 0.9 * math.exp(-0.3 * j)) for j in range(40)]])) == {Diagnosis.CONVERGED}


def test_evidence_of_divergence_counts_where_nothing_was_measured() -> None:
    assert verdicts([], divergence="training loss became nan at update 1 of epoch 1") == {Diagnosis.DIVERGED}


def test_a_rule_without_its_metrics_is_silent() -> None:
    steps = curve(validation_accuracy=[0.5] * 20)
    for step in steps:
        del step.metrics["training_loss"]  # type: ignore[attr-defined]
    assert diagnose(steps) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_everywhere_raises_nothing(value: float) -> None:
    names = ("validation_loss", "gradient_norm", "gradient_norm_max", "clipped_share", "gradient_flow", "dead_units")
    steps = curve([value] * 8, updates=[[value] * 10] * 8, rate=lambda part: value, **{name: [value] * 8 for name in names})
    assert verdicts(steps) == {Diagnosis.DIVERGED}


@pytest.mark.parametrize("losses", [[0.0] * 9, [-1.0 - i for i in range(9)], [*[1.0] * 9, 1e200, *[1.0] * 9], [1e-44] * 9])
def test_odd_losses_raise_nothing(losses: list[float]) -> None:
    assert Diagnosis.DIVERGED not in verdicts(curve(losses, validation_loss=losses, updates=[[loss] * 4 for loss in losses]))


def test_a_learning_rate_of_zero_raises_nothing() -> None:
    assert not verdicts(curve(rate=lambda part: 0.0)) & {Diagnosis.TOO_SLOW, Diagnosis.DIVERGED}


def test_verdicts_on_generated_curves_are_nearly_always_right() -> None:
    scores = score(draw_many(350, seed=100))
    assert {verdict: one for verdict, one in scores.by_verdict.items() if min(one.precision, one.recall) < 0.93} == {}
