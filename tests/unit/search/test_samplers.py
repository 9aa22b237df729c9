import warnings
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from service.domain.space import parse_space, searched
from service.domain.strategy import Bayesian, Grid, Random
from service.search.samplers import distribution, silenced, trial_seed, view_name
from service.search.strategies import strategy_of
from tests.factories import job_spec

SEED_0_0, SEED_7_3 = 1427366890, 1698595815


@given(st.integers(0, 2**63 - 1), st.integers(0, 1_000_000))
def test_a_trials_seed_fits_into_32_bits(job_seed: int, number: int) -> None:
    assert 0 <= trial_seed(job_seed, number) < 2**32


def test_every_trial_of_every_job_has_a_seed_of_its_own() -> None:
    assert len({trial_seed(job_seed, number) for job_seed in range(20) for number in range(100)}) == 2000


def test_seeds_and_names_are_the_same_for_ever() -> None:
    # Workers of different versions share a study: they must draw, and sort trials into brackets, alike.
    assert (trial_seed(0, 0), trial_seed(7, 3)) == (SEED_0_0, SEED_7_3)
    assert view_name(7) == "stride-7"


@pytest.mark.parametrize(
    ("strategy", "kind"),
    [
        (Grid(), optuna.samplers.RandomSampler),
        (Random(), optuna.samplers.RandomSampler),
        (Random(sampler="qmc"), optuna.samplers.QMCSampler),
        (Bayesian(), optuna.samplers.TPESampler),
        (Bayesian(sampler="gp"), optuna.samplers.GPSampler),
    ],
)
def test_a_strategy_is_its_sampler(strategy: Any, kind: type) -> None:
    assert type(strategy_of(job_spec(strategy=strategy)).sampler(7, 3)) is kind


@pytest.mark.parametrize(
    ("document", "known"),
    [
        ({"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 9}, FloatDistribution(1e-5, 1.0, log=True)),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}, FloatDistribution(0.0, 1.0, step=0.25)),
        ({"type": "int", "low": 2, "high": 20, "step": 2}, IntDistribution(2, 20, step=2)),
        ({"type": "int", "low": 1, "high": 64, "log": True}, IntDistribution(1, 64, log=True)),
        ({"type": "categorical", "choices": [16, "all", True]}, CategoricalDistribution([16, "all", True])),
    ],
)
def test_a_range_is_what_optuna_would_call_it(document: dict[str, Any], known: Any) -> None:
    assert distribution(searched(parse_space({"x": document}))["x"]) == known


def test_what_optuna_warns_of_on_purpose_is_silenced_and_nothing_else_is() -> None:
    with silenced():
        optuna.samplers.QMCSampler(seed=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", UserWarning, stacklevel=1)
