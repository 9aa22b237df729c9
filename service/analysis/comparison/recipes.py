"""Which jobs may be compared, and how their recipes differ."""

from collections.abc import Sequence
from typing import Any

from service.analysis.words import comparison as words
from service.domain.job import Job
from service.domain.recipe import defining, differing, measured_with, recipe, searched_of_measure
from service.errors import Invalid


def faults(jobs: Sequence[Job]) -> list[Invalid]:
    """Why these jobs' metrics are not the same measure; pointers are into the list of jobs.

    Other data, or another definition of the loss, gives other numbers, not a better recipe.
    """
    invalid = []
    first = jobs[0]
    for index, job in enumerate(jobs[1:], start=1):
        names = defining((first.spec.meaning, job.spec.meaning), first.spec.metric)
        other = {
            name: (value, of_first)
            for (name, value), (_, of_first) in zip(_measure(job, names), _measure(first, names), strict=True)
            if value != of_first
        }
        if other:
            invalid.append(Invalid(f"/jobs/{index}", words.another_measure(other)))
    invalid += [
        Invalid(f"/jobs/{index}", words.searches_its_measure(name, job.spec.metric))
        for index, job in enumerate(jobs)
        for name in searched_of_measure(job)
    ]
    return invalid


def recipes(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The parameters and settings in which the jobs differ, for each job, without the learning rate."""
    return differing([recipe(job) for job in jobs])


def labels(jobs: Sequence[Job]) -> list[str]:
    """A label for each job: its recipe, else its name, else its id, whichever distinguishes them all."""
    by_recipe = [" ".join(f"{name}={value}" for name, value in each.items()) for each in recipes(jobs)]
    names = [job.name or "" for job in jobs]
    for candidates in (by_recipe, names):
        if all(candidates) and len(set(candidates)) == len(jobs):
            return candidates
    return [f"job {str(job.id)[:8]}" for job in jobs]


def _measure(job: Job, names: Sequence[str]) -> list[tuple[str, Any]]:
    """What determines what a job's values measure, as names with values. names: of parameters and settings."""
    spec = job.spec
    of_job = [("objective", spec.objective.name), ("metric", spec.metric), ("direction", spec.direction)]
    return [*of_job, *measured_with(job, names).items()]
