from typing import Any, get_args

import pytest

from service.domain import strategy as choices
from service.search.strategies import strategy_of
from tests.factories import job_spec

QMC = {"type": "random", "sampler": "qmc"}
GP = {"type": "bayesian", "sampler": "gp"}


def test_every_strategy_that_a_job_may_name_is_known() -> None:
    named = []
    for choice in get_args(get_args(choices.Strategy)[0]):
        field = choice.model_fields.get("sampler")
        named += [choice(sampler=name) for name in get_args(field.annotation)] if field else [choice()]
    assert len({type(strategy_of(job_spec(strategy=choice))) for choice in named}) == len(named) == 5


def test_what_is_written_out_is_the_same_strategy_as_its_short_form() -> None:
    short, written = job_spec(strategy="bayesian"), job_spec(strategy={"type": "bayesian", "sampler": "tpe"})
    assert strategy_of(short) is strategy_of(written)


@pytest.mark.parametrize(
    ("strategy", "needs_history", "counts_points", "keeps_attrs"),
    [
        ("grid", False, True, False),
        ("random", False, False, False),
        (QMC, True, False, True),
        ("bayesian", True, False, False),
        (GP, True, False, False),
    ],
)
def test_what_a_claim_must_know_of_a_strategy(strategy: Any, needs_history: bool, counts_points: bool, keeps_attrs: bool) -> None:
    known = strategy_of(job_spec(strategy=strategy))
    assert (known.needs_history, known.counts_points, known.keeps_attrs) == (needs_history, counts_points, keeps_attrs)
