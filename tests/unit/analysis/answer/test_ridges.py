"""What counts is the rate together with momentum and batch size: best rates form a ridge, and far from it nothing is learned."""

import math

import numpy as np
import pytest

from service.analysis.answer.best_lr import answer
from service.analysis.model.observations import observe
from service.analysis.model.response_curve import ResponseCurve
from service.domain.job import Job
from service.domain.trial import Trial
from tests.finished_jobs import a_job, trial

SIZES = [16, 32, 64, 128]
SPACE = {
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
    "batch_size": {"type": "categorical", "choices": SIZES},
    "epochs": {"type": "int", "low": 2, "high": 20},
}
FLOOR, UNTRAINED = 0.12, 2.3


def loss(rate: float, momentum: float, batch_size: int, epochs: int) -> float:
    """As digits has it: level where the rate is too low to learn, a valley, and a wall where steps become too large."""
    step = math.log10(rate / (1 - momentum) * 32 / batch_size)
    learned = 1 / (1 + math.exp(-3.5 * (step + 2.2 + math.log10(epochs / 10))))
    return FLOOR + (UNTRAINED - FLOOR) * (1 - learned) + 2.0 * max(0.0, step + 0.1) ** 2


def tried(seed: int, *, crowded: bool) -> tuple[Job, list[Trial]]:
    """64 trials all over the space; or most of them where the first ones were best, as bayesian search has it."""
    random = np.random.default_rng(seed)
    trials = []
    for number in range(64):
        near = crowded and number >= 10
        rate = 10 ** (random.normal(-0.7, 0.4) if near else random.uniform(-5, 0))
        momentum = random.uniform(0, 0.3 if near else 0.99)
        size, epochs = int(random.choice(SIZES)), int(random.integers(8 if near else 2, 21))
        value = loss(min(rate, 1.0), momentum, size, epochs) * math.exp(0.08 * random.standard_normal())
        trials.append(trial(number, min(rate, 1.0), value, momentum=momentum, batch_size=size, epochs=epochs))
    return a_job(space=SPACE), trials


@pytest.mark.parametrize("crowded", [False, True], ids=["all over", "crowded"])
@pytest.mark.parametrize("seed", range(4))
def test_no_rate_is_held_possible_at_which_nothing_was_learned(seed: int, crowded: bool) -> None:
    found = answer(*tried(seed, crowded=crowded))
    assert found.interval is not None
    assert found.interval.low > 1e-4, "with all momentum there is, that is a step of 0.01"
    assert found.learning_rate is not None
    assert loss(found.learning_rate, **found.params) < FLOOR + 0.03  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_the_expected_loss_is_one_that_can_be(seed: int) -> None:
    found = answer(*tried(seed, crowded=False))
    assert found.expected is not None
    assert 0 <= found.expected.low <= found.expected.mean == pytest.approx(FLOOR, abs=0.07)


def test_of_few_trials_the_best_one_names_what_goes_with_its_rate() -> None:
    job, trials = tried(0, crowded=False)
    found = answer(job, trials[:3])
    assert found.best_trial is not None
    assert found.params == {name: found.best_trial.params[name] for name in sorted(SPACE)}


def test_shifts_are_found() -> None:
    job, trials = tried(0, crowded=False)
    seen = observe(job, trials, {})
    assert seen is not None
    shifts = dict(zip([axis.name for axis in seen.axes], ResponseCurve(seen).surface.shifts, strict=True))
    assert shifts["momentum"] == pytest.approx(2.0, abs=0.3), "the step grows a hundredfold"
    assert shifts["batch_size"] == pytest.approx(-math.log10(8), abs=0.2)


def test_a_cost_of_zero_is_the_bound() -> None:
    trials = [trial(number, 10 ** (-4 + number / 6), max(0.0, 0.1 * (number / 6 - 2) ** 2 - 0.05)) for number in range(24)]
    found = answer(a_job(), trials)
    assert found.expected is not None
    assert found.expected.low >= 0.0
    assert min(part.low for part in found.curve) >= 0.0


def test_a_cost_below_zero_lifts_the_bound() -> None:
    job, trials = tried(0, crowded=False)
    assert (seen := observe(job, trials, {})) is not None
    assert seen.bound == 0.0
    assert (seen := observe(job, [*trials, trial(64, 0.1, -0.1, momentum=0.5, batch_size=32, epochs=10)], {})) is not None
    assert seen.bound is None
