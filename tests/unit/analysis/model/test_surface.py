import math
from typing import Any

import numpy as np
import pytest
from scipy import linalg
from scipy.optimize import check_grad

from service.analysis.model.encoding import Array
from service.analysis.model.hyperparameters import Warp
from service.analysis.model.observations import Observations, observe
from service.analysis.model.surface import EXACT, Surface
from service.domain.trial import Trial
from tests.finished_jobs import trial
from tests.unit.analysis.trials import LOG, bowl, job, trained


def seen(n: int, noise: float = 0.05) -> Observations:
    asked = job(search_space={"learning_rate": LOG, "momentum": {"type": "float", "low": 0.0, "high": 0.9}})
    random = np.random.default_rng(1)
    trials = [
        trial(one.number, one.params["learning_rate"], one.value, momentum=float(random.uniform(0, 0.9)))
        for one in trained(bowl(0.02), n, noise=noise)
    ]
    found = observe(asked, trials, {})
    assert found is not None
    return found


def test_the_gradient_is_that_of_the_energy() -> None:
    fitted = Surface(seen(24), np.random.default_rng(0))._fitted
    random = np.random.default_rng(2)
    for _ in range(5):
        theta = fitted.mode + 0.5 * random.standard_normal(len(fitted.mode))
        off = check_grad(lambda at: fitted.energy(at)[0], lambda at: fitted.energy(at)[1], theta, epsilon=1e-6)
        assert off < 1e-3 * max(1.0, float(np.linalg.norm(fitted.energy(theta)[1])))


def test_several_energies_at_once_are_those_of_one_after_the_other() -> None:
    for n in (24, 48):
        fitted = Surface(seen(n), np.random.default_rng(0))._fitted
        thetas = fitted.mode + np.random.default_rng(2).standard_normal((40, len(fitted.mode)))
        thetas[7, 1:4] = -10, -10, 50  # not positive definite
        assert fitted._energies(thetas) == pytest.approx([fitted.energy(theta)[0] for theta in thetas], rel=1e-9)
        assert fitted._energies(thetas)[7] > 1e9


def test_the_mode_is_a_minimum() -> None:
    fitted = Surface(seen(24), np.random.default_rng(0))._fitted
    assert np.abs(fitted.energy(fitted.mode)[1]).max() < 0.05


def test_rounding_that_turns_eigenvectors_around_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which way they point differs between CPUs: hyperparameters drawn along them would be others there, and answers too."""
    drawn = Surface(seen(24), np.random.default_rng(0))._thetas
    as_usual = linalg.eigh

    def turned(*args: Any, **kwargs: Any) -> tuple[Array, Array]:
        eigenvalues, vectors = as_usual(*args, **kwargs)
        return eigenvalues, vectors * np.resize([-1.0, 1.0], len(eigenvalues))

    monkeypatch.setattr(linalg, "eigh", turned)
    assert Surface(seen(24), np.random.default_rng(0))._thetas == pytest.approx(drawn, rel=1e-9, abs=1e-9)


def test_many_trials_through_some_that_stand_for_all_tell_what_all_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = seen(EXACT - 6, noise=0.1)
    points = np.column_stack([np.linspace(-4, 0, 17), np.full(17, 0.5)])
    exact = Surface(observed, np.random.default_rng(0)).roughly(points)
    monkeypatch.setattr("service.analysis.model.surface.EXACT", 10)
    sparse = Surface(observed, np.random.default_rng(0)).roughly(points)
    assert sparse[0] == pytest.approx(exact[0], abs=0.005)
    assert sparse[1] == pytest.approx(exact[1], rel=0.1, abs=1e-4)


def test_draws_have_the_mean_and_spread_that_is_told() -> None:
    surface = Surface(seen(64), np.random.default_rng(0))
    points = np.column_stack([np.linspace(-4, 0, 9), np.full(9, 0.5)])
    draws, mean = surface.draw(points, 4_800)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=0.02)


def test_losses_that_differ_by_factors_are_warped_and_others_are_not() -> None:
    asked = job()
    straight = trained(bowl(0.02), 64, noise=0.05)
    random = np.random.default_rng(3)
    by_factors = [
        trial(one.number, one.params["learning_rate"], float(np.exp(bowl(0.02)(float(one.params["learning_rate"])) * 2
              + 0.2 * random.standard_normal())))
        for one in straight
    ]  # fmt: skip

    def warp(trials: list[Trial]) -> float:
        found = observe(asked, trials, {})
        assert found is not None
        return Surface(found, np.random.default_rng(0))._warp.at

    assert math.isinf(warp(straight))
    assert warp(by_factors) <= 0.3


def test_the_noise_is_found() -> None:
    surface = Surface(seen(64, noise=0.1), np.random.default_rng(0))
    assert surface.noise_at(np.array([math.log10(0.02), 0.5])) == pytest.approx(0.1, rel=0.3)


def test_costs_far_beyond_all_others_do_not_drown_them() -> None:
    asked = job()
    trials = [*trained(bowl(0.02), 24), trial(24, 0.9, 1e9), trial(25, 0.95, 1e12)]
    found = observe(asked, trials, {})
    assert found is not None
    _, mean = Surface(found, np.random.default_rng(0)).draw(np.array([[math.log10(0.02)], [-3.5]]), 24)
    assert mean[0] == pytest.approx(0.2, abs=0.2)
    assert mean[1] > mean[0] + 1.0


@pytest.mark.parametrize("warp", [Warp(math.inf), Warp(1.0), Warp(0.3), Warp(0.001, size=0.2)])
def test_the_expected_cost_is_the_mean_of_its_draws_and_rises_with_what_is_unknown(warp: Warp) -> None:
    normal = np.random.default_rng(0).standard_normal(400_000)
    mean, sd = np.array([0.2, 0.2]), np.array([0.05, 0.3])
    y = mean + sd * normal[:, None]
    drawn = y if math.isinf(warp.at) else warp.at * np.expm1(y / (warp.size or warp.at))  # costs that the warp takes as y
    assert warp.of(drawn[:1]) == pytest.approx(y[:1])
    found = warp.expected(mean, sd**2)
    assert found == pytest.approx(drawn.mean(axis=0), rel=0.02)
    assert found[1] > found[0] or math.isinf(warp.at)


@pytest.mark.parametrize("warp", [Warp(1.0), Warp(0.1), Warp.logarithm(1e-4)])
def test_a_warp_knows_by_how_much_it_stretches_costs(warp: Warp) -> None:
    costs, step = np.array([0.0, 0.01, 0.5, 2.0]), 1e-7
    slopes = (warp.of(costs + step) - warp.of(costs)) / step
    assert warp.log_stretch(costs) == pytest.approx(-np.log(slopes).sum(), rel=1e-3)
    assert warp.variance(np.full(4, step**2), costs) == pytest.approx((slopes * step) ** 2, rel=3e-3)
    assert warp.slope == pytest.approx(1 / slopes[0], rel=1e-3)


def test_where_losses_span_decades_their_logarithm_is_fitted() -> None:
    """The loss falls from 1 to 1e-5 and its noise is a fifth of it: an absolute noise hides all below a hundredth."""
    asked, random = job(), np.random.default_rng(5)
    trials = [
        trial(number, 10**at, 1e-5 * math.exp(4 * (at + 1.5) ** 2 + 0.2 * random.standard_normal()))
        for number, at in enumerate(random.uniform(-3.2, 0, 32))
    ]
    found = observe(asked, trials, {})
    assert found is not None
    surface = Surface(found, np.random.default_rng(0))
    assert surface.noise_at(np.array([-1.5])) == pytest.approx(2e-6, rel=0.6)
    draws, mean = surface.draw(np.array([[-1.5], [-2.5]]), 480)
    assert mean == pytest.approx([1.02e-5, 1.02e-5 * math.exp(4)], rel=0.25)
    assert (draws > 0).all()


@pytest.mark.parametrize(("n_bad", "said"), [(2, False), (3, True)])
def test_below_rates_that_hardly_learn_nothing_better_is_expected(n_bad: int, said: bool) -> None:
    trials = trained(lambda rate: 0.1, 20, noise=0.01, low=1e-2, high=1.0)
    trials += [trial(20 + index, 10 ** (-3 + index / 5), 2.0) for index in range(n_bad)]
    found = observe(job(), trials, {})
    assert found is not None
    least = Surface(found, np.random.default_rng(0)).least(np.array([[-4.0], [-3.0], [-1.9], [-1.0]]))
    assert list(np.isfinite(least)) == [said, said, False, False]
    assert not said or least[0] == pytest.approx(found.costs.min() + 5 * found.spread)


def test_no_rate_is_hopeless_at_which_a_trial_was_good() -> None:
    trials = trained(lambda rate: 0.1, 20, noise=0.01, low=1e-2, high=1.0)
    trials += [trial(20 + index, 1e-3, 2.0) for index in range(4)]
    found = observe(job(), [*trials, trial(30, 1e-3, 0.1)], {})
    assert found is not None
    assert np.isinf(Surface(found, np.random.default_rng(0)).least(np.array([[-4.0], [-3.0]]))).all()


def test_a_covariance_that_rounding_has_spoiled_is_factored() -> None:
    """A narrow range of rates, whose shifts reach far beyond it, and no noise."""
    space = {
        "learning_rate": {"type": "float", "low": 0.01, "high": 0.0125, "log": True},
        "momentum": {"type": "float", "low": 0.0, "high": 0.999},
        "batch_size": {"type": "int", "low": 1, "high": 4096},
    }
    random, trials = np.random.default_rng(0), []
    for number in range(200):
        rate, momentum = float(10 ** random.uniform(-2, math.log10(0.0125))), float(random.uniform(0, 0.999))
        value = 0.2 + 0.4 * (math.log10(rate / (1 - momentum)) + 1) ** 2
        trials.append(trial(number, rate, value, momentum=momentum, batch_size=int(random.integers(1, 4097))))
    found = observe(job(search_space=space), trials, {})
    assert found is not None
    draws, _ = Surface(found, np.random.default_rng(0)).draw(np.array([[-2.0, 0.5, 0.5]]), 24)
    assert np.isfinite(draws).all()
