"""Which parameters matter, on losses whose Sobol' indices are known."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.analysis.answer.best_lr import Answered, answered
from service.domain.job import Job
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import trial
from tests.unit.analysis.trials import LOG, job

SPACE = {
    "learning_rate": LOG,
    "mixing": {"type": "float", "low": 0.0, "high": 1.0},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
}
Loss = Callable[[float, float, str], float]
"""Of the rate as a part of its range on its logarithmic scale, and of the mixing and optimizer."""


def searching(space: dict[str, Any] = SPACE) -> Job:
    return job(search_space=space, objective={"name": "unknown-to-stride"})


def trained(loss: Loss, n: int = 96) -> list[Trial]:
    random = np.random.default_rng(3)
    trials = []
    for number in range(n):
        at, mixing, optimizer = random.random(), random.random(), str(random.choice(["sgd", "adam"]))
        value = loss(at, mixing, optimizer) + 0.003 * random.standard_normal()
        trials.append(trial(number, 10 ** (4 * at - 4), value, mixing=mixing, optimizer=optimizer))
    return trials


def importances(found: Answered) -> dict[str, tuple[float, float]]:
    return {each.parameter: (each.alone, each.total) for each in found.answer.importance}


@pytest.mark.parametrize(
    ("loss", "alone", "total"),
    [
        # The variance of a linear term is its square over 12, that of a choice the square of half its difference.
        (lambda at, mixing, optimizer: 1 + at, {"learning_rate": 1.0}, {"learning_rate": 1.0}),
        (
            lambda at, mixing, optimizer: 1 + at + mixing,
            {"learning_rate": 0.5, "mixing": 0.5},
            {"learning_rate": 0.5, "mixing": 0.5},
        ),
        (
            lambda at, mixing, optimizer: 1 + at + (optimizer == "adam") / math.sqrt(3),
            {"learning_rate": 0.5, "optimizer": 0.5},
            {"learning_rate": 0.5, "optimizer": 0.5},
        ),
        # A product of centred terms is interaction alone.
        (
            lambda at, mixing, optimizer: 1 + (at - 0.5) * (1 if optimizer == "adam" else -1),
            {},
            {"learning_rate": 1.0, "optimizer": 1.0},
        ),
    ],
    ids=["rate alone", "two that add up", "a choice", "interaction alone"],
)
def test_importance_is_what_explains_the_variance(loss: Loss, alone: dict[str, float], total: dict[str, float]) -> None:
    found = importances(answered(searching(), trained(loss)))
    assert found.keys() == SPACE.keys()
    for name, (by_itself, with_others) in found.items():
        assert by_itself == pytest.approx(alone.get(name, 0.0), abs=0.12), name
        assert with_others == pytest.approx(total.get(name, 0.0), abs=0.12), name
    assert [total for _, total in found.values()] == sorted((total for _, total in found.values()), reverse=True)


def test_the_rate_is_shown_beside_the_parameter_that_matters_most() -> None:
    trials = trained(lambda at, mixing, optimizer: 1 + (at - (0.3 if optimizer == "adam" else 0.7)) ** 2)
    found = answered(searching(), trials).interaction
    assert found is not None
    assert (found.parameter, list(found.values)) == ("optimizer", ["sgd", "adam"])
    best = [found.rates[int(np.argmin([math.inf if cost is None else cost for cost in row]))] for row in found.expected]
    assert np.log10(best) == pytest.approx([4 * 0.7 - 4, 4 * 0.3 - 4], abs=0.3)


def test_where_most_trials_diverge_nothing_is_shown_and_nothing_counts() -> None:
    trials = trained(lambda at, mixing, optimizer: 1 + mixing)
    trials = [
        replace(each, state=TrialState.INFEASIBLE, value=math.inf) if float(each.params["learning_rate"]) > 0.03 else each
        for each in trials
    ]
    found = answered(searching(), trials)
    assert importances(found)["mixing"][0] > 0.85
    assert found.interaction is not None
    shown = [[value is not None for value in row] for row in found.interaction.expected]
    assert all(row[0] and not row[-1] for row in shown)


def test_there_is_none_where_the_rate_alone_is_searched() -> None:
    trials = [trial(number, 10 ** (-4 + number / 4), 1 + (number - 8) ** 2 / 64) for number in range(16)]
    found = answered(searching({"learning_rate": LOG}), trials)
    assert (found.answer.importance, found.interaction) == ((), None)
