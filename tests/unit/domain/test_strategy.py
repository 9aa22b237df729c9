import pytest
from pydantic import ValidationError

from service.domain.strategy import Bayesian, Grid, Hyperband, Random, SuccessiveHalving
from tests.factories import job_spec


def test_a_bare_name_takes_the_first_sampler() -> None:
    assert job_spec(strategy="random").strategy == Random(sampler="uniform")
    assert job_spec(strategy="bayesian").strategy == Bayesian(sampler="tpe")
    assert job_spec(strategy="grid").strategy == Grid()


def test_a_bare_pruner_takes_its_defaults() -> None:
    assert job_spec(pruner="hyperband").pruner == Hyperband(parts=4, min_resource=1, reduction_factor=2)


def test_a_first_rung_at_the_end_of_the_schedule_is_refused() -> None:
    assert SuccessiveHalving(parts=4, min_resource=3).min_resource == 3
    with pytest.raises(ValidationError, match="must be less than parts"):
        SuccessiveHalving(parts=4, min_resource=4)


@pytest.mark.parametrize("document", ["annealing", {"type": "bayesian", "sampler": "cmaes"}, {"type": "grid", "sampler": "tpe"}])
def test_an_unknown_strategy_is_refused(document: object) -> None:
    with pytest.raises(ValidationError):
        job_spec(strategy=document)
