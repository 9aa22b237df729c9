"""Which jobs may be compared, and how their recipes differ."""

from collections.abc import Iterable, Sequence
from typing import Any

from service.analysis.words import comparison as words
from service.domain.job import Job
from service.domain.meaning import Meaning, Role
from service.domain.space import fixed, searched
from service.errors import Invalid

SEARCHED = "searched"
"""Stands in a recipe for the value of a parameter that the job searches."""


def faults(jobs: Sequence[Job]) -> list[Invalid]:
    """Why these jobs' metrics are not the same measure; pointers are into the list of jobs.

    Other data, or another definition of the loss, gives other numbers, not a better recipe.
    """
    invalid = []
    first = jobs[0]
    for index, job in enumerate(jobs[1:], start=1):
        names = _defining((first.spec.meaning, job.spec.meaning), first.spec.metric)
        differing = {
            name: (value, of_first)
            for (name, value), (_, of_first) in zip(_measure(job, names), _measure(first, names), strict=True)
            if value != of_first
        }
        if differing:
            invalid.append(Invalid(f"/jobs/{index}", words.another_measure(differing)))
    invalid += [
        Invalid(f"/jobs/{index}", words.searches_its_measure(name, job.spec.metric))
        for index, job in enumerate(jobs)
        for name in _defining([job.spec.meaning], job.spec.metric)
        if name in searched(job.spec.search_space)
    ]
    return invalid


def recipes(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The parameters and settings in which the jobs differ, for each job, without the learning rate."""
    whole = [_recipe(job) for job in jobs]
    names = sorted(set().union(*whole))
    differing = [name for name in names if any(recipe.get(name) != whole[0].get(name) for recipe in whole)]
    return [{name: recipe[name] for name in differing if name in recipe} for recipe in whole]


def labels(jobs: Sequence[Job]) -> list[str]:
    """A label for each job: its recipe, else its name, else its id, whichever distinguishes them all."""
    by_recipe = [" ".join(f"{name}={value}" for name, value in recipe.items()) for recipe in recipes(jobs)]
    names = [job.name or "" for job in jobs]
    for candidates in (by_recipe, names):
        if all(candidates) and len(set(candidates)) == len(jobs):
            return candidates
    return [f"job {str(job.id)[:8]}" for job in jobs]


def _recipe(job: Job) -> dict[str, Any]:
    space = job.spec.search_space
    recipe = {**job.spec.objective.settings, **fixed(space), **dict.fromkeys(searched(space), SEARCHED)}
    left_out = {job.spec.meaning.named(role) for role in (Role.LEARNING_RATE, Role.SEED)}
    return {name: value for name, value in recipe.items() if name not in left_out}


def _defining(meanings: Sequence[Meaning], metric: str) -> list[str]:
    """The parameters and settings that define what a metric measures: first those that define every metric."""
    every = [name for meaning in meanings for name in meaning.measure]
    alone = [name for meaning in meanings for name in meaning.measured_with.get(metric, ())]
    return list(dict.fromkeys(every + alone))


def _measure(job: Job, names: Iterable[str]) -> list[tuple[str, Any]]:
    """What determines what a job's values measure, as names with values. names: of parameters and settings."""
    spec, ranges = job.spec, searched(job.spec.search_space)
    given = {**spec.objective.settings, **spec.search_space, **dict.fromkeys(ranges, SEARCHED)}
    of_job = [("objective", spec.objective.name), ("metric", spec.metric), ("direction", spec.direction)]
    return of_job + [(name, given.get(name)) for name in names]
