"""Advice on what to do after a job: made by the analysis, sent by the API, printed by the command line, shown on the job's page.

As of answers: class names are the schema names in the OpenAPI document, the docstring below a field is its description there, and
fields that a newer API adds are ignored. The command line imports this module, so it must import quickly.
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

from service.domain.answer import Part


class Trouble(StrEnum):
    """What a job shows that its next one can do better. A newer API may add others."""

    NOTHING_LEARNS = "nothing_learns"
    """No trial gets clearly below the loss of guessing."""
    TOO_FEW_RATES = "too_few_rates"
    """The learning rates tried lie too far apart, or are one alone."""
    CLIPPING_TOO_OFTEN = "clipping_too_often"
    """Most updates of the best trials were clipped."""
    OVERFITTING = "overfitting"
    """The validation loss of the best trials rose while their training loss fell."""
    PRUNED_TOO_EARLY = "pruned_too_early"
    """Trials were pruned before their order said anything of their final order."""
    BATCH_TOO_LARGE = "batch_too_large"
    """The batches are so large that a run makes few updates."""
    TRAIN_LONGER = "train_longer"
    """The best trials were still improving at their last step."""
    RANGE_TOO_NARROW = "range_too_narrow"
    """The best learning rate lies at an end of the range, or all of the range diverged."""
    UNSTABLE = "unstable"
    """Trials near the best learning rate diverged, oscillated, or had exploding gradients."""
    SEEDS_DISAGREE = "seeds_disagree"
    """Runs of one point with different seeds differ more than the points do."""


class Source(Part):
    """Where an advice comes from."""

    title: str
    link: str


class Advice(Part):
    """One trouble of a job, and what to do about it."""

    code: str
    """nothing_learns, too_few_rates, clipping_too_often, overfitting, pruned_too_early, batch_too_large, train_longer,
    range_too_narrow, unstable or seeds_disagree."""
    advice: str
    """What to do, as a sentence."""
    evidence: str
    """What the job's trials show, as a sentence."""
    trials: tuple[int, ...]
    """Numbers of the trials that show it."""
    numbers: dict[str, float]
    """What the evidence says in numbers, by name."""
    source: Source
    next_job: dict[str, Any] | None
    """The job with this one change, as the body of POST /v1/jobs; null where the objective has no parameter that would help."""


class AdviceView(Part):
    """Advice on what to do after a job."""

    job: UUID
    items: tuple[Advice, ...]
    """What matters most comes first. Empty where nothing stands out."""
    because: str
    """A sentence: what the advice rests on, or why there is none."""
