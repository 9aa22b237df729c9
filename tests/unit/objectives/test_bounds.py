"""Bounds that other parameters and settings give: what is declared of the data is so, and a run from a shell is told."""

from collections.abc import Callable
from typing import Any

import pytest

from objectives.catalog import BUILTIN, default_settings
from objectives.contract import Bound, Parameter
from objectives.data.dates import N_TRAINING as N_DATES
from objectives.data.few_shot_digits import N_TRAINING as N_DIGIT_EPISODES
from objectives.data.long_range import N_TRAINING as N_SEQUENCES
from objectives.data.sinusoids import N_TRAINING as N_CURVES
from objectives.tasks import fine_tuning, image_classification, reinforcement_learning, tabular_classification, tabular_regression

NAMED = {objective.name: objective for objective in BUILTIN}


def batch_size(name: str) -> Parameter:
    return next(parameter for parameter in NAMED[name].parameters if parameter.role == "batch_size")


def examples(name: str) -> Bound:
    return next(bound for bound in batch_size(name).bounds if bound.given_by == "dataset")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("image-classification", image_classification.data),
        ("tabular-classification", tabular_classification.data),
        ("tabular-regression", tabular_regression.data),
        ("fine-tuning", fine_tuning.data),
    ],
)
def test_no_batch_may_be_larger_than_the_largest_training_set(name: str, data: Callable[[dict[str, Any]], Any]) -> None:
    for dataset, declared in (examples(name).by_value or {}).items():
        settings = default_settings(NAMED[name]) | {"dataset": dataset}
        assert max(len(data({**settings, "fold": fold}).training) for fold in range(5)) == declared


def test_training_sets_that_are_drawn_are_as_large_as_declared() -> None:
    assert examples("sequence-to-sequence").at("dates") == N_DATES
    drawn = {"long-range": N_SEQUENCES, "few-shot-classification": N_DIGIT_EPISODES, "few-shot-regression": N_CURVES}
    assert {name: batch_size(name).high for name in drawn} == drawn


def test_a_run_from_a_shell_is_refused_as_a_job_is(capsys: pytest.CaptureFixture[str]) -> None:
    from objectives.command_line import main

    with pytest.raises(SystemExit) as ended:
        main(NAMED["reinforcement-learning"], reinforcement_learning.start, ["--transitions", "32"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "argument --batch-size: batch_size 64 exceeds the 32 transitions of an iteration: lower it, or raise transitions\n"
    )
