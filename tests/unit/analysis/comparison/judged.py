"""What tests ask of a comparison."""

import pytest

from service.analysis.comparison.comparison import compare
from service.analysis.comparison.tuned import Finished
from service.domain.comparison import (
    ComparisonView,
    JudgedView,
)
from service.domain.job import Job
from service.errors import NotComparable

SGD = {"space": {"optimizer": "sgd", "momentum": 0.9, "width": 128}}
ADAM = {"space": {"optimizer": "adam", "width": 128}}

TAKES = "a finite loss and all that it searches; it takes at least 4"


def of(comparison: ComparisonView, job: Job) -> JudgedView:
    return next(each for each in comparison.jobs if each.job == job.id)


def faults_of(*jobs: Finished) -> list[tuple[str, str]]:
    with pytest.raises(NotComparable) as caught:
        compare(jobs)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults]
