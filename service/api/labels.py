"""The query parameter `label`, by which lists of jobs and of answers are narrowed."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from pydantic import StringConstraints

from service.api.faults import NAME_AND_VALUE

Labels = Annotated[
    list[Annotated[str, StringConstraints(pattern=NAME_AND_VALUE)]] | None,
    Query(max_length=20, description="name:value; only jobs with all of these labels."),
]


def labels_of(given: Sequence[str] | None) -> list[tuple[str, str]]:
    """Names and values. A name may be asked for with two values: no job has both."""
    return [(name, value) for name, _, value in (label.partition(":") for label in given or ())]
