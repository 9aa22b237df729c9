"""Which jobs can be compared, and why the others cannot."""

import math
from typing import Any

import pytest

from service.analysis.comparison.comparison import MOST_JOBS, compare
from service.analysis.comparison.recipes import recipes
from service.analysis.comparison.tuned import Finished
from service.domain.comparison import (
    ComparisonVerdict,
)
from service.domain.job import JobState
from service.domain.space import FloatRange
from service.errors import TooFewToCompare
from tests.finished_jobs import a_job, a_trial, bowl, finished
from tests.unit.analysis.comparison.judged import ADAM, SGD, TAKES, faults_of, of


def test_the_recipe_is_what_jobs_fix_otherwise() -> None:
    searching = {"momentum": FloatRange(type="float", low=0, high=1), "width": 64, "epochs": 4}
    jobs = [a_job(0, **SGD), a_job(1, **ADAM), a_job(2, space=searching)]
    assert recipes(jobs) == [
        {"momentum": 0.9, "optimizer": "sgd", "width": 128},
        {"optimizer": "adam", "width": 128},
        {"epochs": 4, "momentum": "searched", "width": 64},
    ]


def a_reason(job: Finished) -> str:
    """Why a job is not judged beside two that are."""
    found = compare([finished(a_job(8), bowl(0.01)), job, finished(a_job(9), bowl(0.01))])
    judged = of(found, job.job)
    assert (judged.verdict, judged.expected, judged.sensitivity, judged.difference) == (
        ComparisonVerdict.NOT_JUDGED,
        None,
        None,
        None,
    )
    assert f"{judged.label} {judged.because}" in found.because
    return judged.because.removeprefix("is not judged: ")


@pytest.mark.parametrize(
    ("job", "trials", "why"),
    [
        ({"state": JobState.QUEUED}, [], "none of its trials has finished, and it is queued"),
        (
            {"state": JobState.CANCELLED, "reason": "cancelled by request"},
            [],
            "none of its trials has finished, and it is cancelled: cancelled by request",
        ),
        ({}, [(0.1, math.inf), (0.02, math.inf)], "every rate tried diverged, down to 0.02"),
        (
            {},
            [(0.1, 0.5), (0.2, math.inf)],
            "1 trial is complete with " + TAKES,
        ),
        (
            {},
            [(0.1, None), (0.2, None), (0.3, None)],
            "0 trials are complete with " + TAKES,
        ),
        ({}, [(0.1, 0.5, 0), (0.1, 0.6, 1), (0.2, 0.7, 0), (0.2, 0.8, 1)], "it tried 2 learning rates only; it takes at least 3"),
        (
            {},
            [(0.1, 0.5), (0.1, 0.5), (0.2, 0.7), (0.2, 0.7)],
            "2 trials are complete with a finite loss and all that it searches (others: 2 repeat runs); it takes at least 4",
        ),
        (
            {"space": {"learning_rate": 0.1}},
            [(0.1, 0.5, 0), (0.1, 0.6, 1)],
            "it searches no range of learning rates, and its best point was trained with 2 training seeds; it takes at least 3"
            " (replicates)",
        ),
    ],
    ids=["queued", "cancelled", "diverged", "too few", "pruned", "two rates", "repeated runs", "fixed rate"],
)
def test_a_job_that_cannot_be_judged_is_listed_with_its_reason(
    job: dict[str, Any], trials: list[tuple[Any, ...]], why: str
) -> None:
    made = [a_trial(number, *trial) for number, trial in enumerate(trials)]
    assert a_reason(Finished(job=a_job(0, **job), trials=made, curves={})) == why


def test_fewer_than_two_that_can_be_judged_are_no_comparison() -> None:
    empty = Finished(job=a_job(1, name="new", state=JobState.RUNNING), trials=[], curves={})
    named = finished(a_job(0, name="old"), bowl(0.01))
    with pytest.raises(TooFewToCompare) as caught:
        compare([named, empty])
    assert str(caught.value) == (
        "A comparison takes two jobs that can be judged, and here one can."
        " new: none of its trials has finished, and it is running."
    )


def test_the_number_of_jobs_is_checked_and_none_may_come_twice() -> None:
    one = finished(a_job(0), bowl(0.01))
    assert faults_of(one) == [("/jobs", "should be 2 to 20 jobs, not 1")]
    assert faults_of(*[one] * (MOST_JOBS + 1)) == [("/jobs", "should be 2 to 20 jobs, not 21")]
    assert faults_of(one, finished(a_job(1), bowl(0.01)), one) == [("/jobs/2", "is named before")]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"metric": "score"}, "metric 'score' where the first job has 'loss'"),
        ({"direction": "maximize"}, "direction 'maximize' where the first job has 'minimize'"),
        (
            {"objective": {"name": "quadratic", "settings": {"dataset": "wine", "fold": 1}}},
            "dataset 'wine' where the first job has none, and fold 1 where the first job has none",
        ),
    ],
)
def test_metrics_that_are_not_the_same_measure_are_not_compared(other: dict[str, Any], said: str) -> None:
    made = finished(a_job(1, **other), bowl(0.01))
    assert faults_of(finished(a_job(0), bowl(0.01)), made) == [("/jobs/1", f"its metric is not the same measure: it has {said}")]


def test_what_the_other_job_alone_has_is_said_to_be_missing() -> None:
    of_wine = finished(a_job(0, objective={"name": "quadratic", "settings": {"dataset": "wine"}}), bowl(0.01))
    said = "its metric is not the same measure: it has no dataset where the first job has 'wine'"
    assert faults_of(of_wine, finished(a_job(1), bowl(0.01))) == [("/jobs/1", said)]


def test_a_loss_is_not_compared_between_loss_functions_but_accuracy_is() -> None:
    def two(metric: str, second: Any) -> list[Finished]:
        spaces = ({"loss": "cross-entropy"}, {"loss": second})
        return [finished(a_job(n, metric=metric, space=space), bowl(0.01)) for n, space in enumerate(spaces)]

    [(pointer, said)] = faults_of(*two("validation_loss", "focal"))
    assert (pointer, "loss 'focal' where the first job has 'cross-entropy'" in said) == ("/jobs/1", True)
    searched = {"type": "categorical", "choices": ["cross-entropy", "focal"]}
    said = faults_of(*two("validation_loss", searched))[-1][1]
    assert said == "it searches loss, so its trials do not measure the same validation_loss"
    assert compare(two("validation_accuracy", "focal")).jobs
