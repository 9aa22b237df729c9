"""The best learning rate of each recipe, across jobs: the same models for analysis, API and command line, as for answers."""

from typing import Any
from uuid import UUID

from service.domain.answer import Answer, Part


class RecipeAnswer(Part):
    """The best learning rate of one recipe, by all jobs that have this recipe and this measure."""

    measure: dict[str, Any]
    """The objective, and the parameters and settings that define what the metric measures. Values of another measure are not
    comparable."""
    recipe: dict[str, Any]
    """All other parameters and settings but the learning rate and seeds; `searched` where the jobs search a parameter."""
    metric: str
    direction: str
    answer: Answer
    """The answer of the first of `jobs`, with the evidence of all of them."""
    jobs: tuple[UUID, ...]
    """The jobs with a finished trial. First the one that is answered, by the best trial among jobs with enough trials for a
    response curve, then the others by their best trial."""


class LeftOut(Part):
    """A job that is part of no item."""

    job: UUID
    because: str


class BestRates(Part):
    """A page of answers: measure by measure, and best recipe first within each, by the expected metric of its answer or, where
    trials are too few for one, by its best trial."""

    items: tuple[RecipeAnswer, ...]
    next_cursor: str | None
    """Value of `?cursor=` for the next page; null on the last page."""
    left_out: tuple[LeftOut, ...]
    """On the first page, all jobs that match the conditions and have no answer; empty on later pages."""
