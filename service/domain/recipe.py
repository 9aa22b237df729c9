"""What a job's metric measures, and the job's recipe: all else that it fixes. Jobs with another measure are never compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.domain.job import Job
from service.domain.meaning import Meaning, Role
from service.domain.space import fixed, searched

SEARCHED = "searched"
"""Stands for the value of a parameter that the job searches."""


def recipe(job: Job) -> dict[str, Any]:
    """All settings and parameters by name, without the learning rate and seeds."""
    left_out = {job.spec.meaning.named(role) for role in (Role.LEARNING_RATE, Role.SEED)}
    return {name: value for name, value in _given(job).items() if name not in left_out}


def defining(meanings: Sequence[Meaning], metric: str) -> list[str]:
    """The parameters and settings that define what a metric measures: first those that define every metric."""
    every = [name for meaning in meanings for name in meaning.measure]
    alone = [name for meaning in meanings for name in meaning.measured_with.get(metric, ())]
    return list(dict.fromkeys(every + alone))


def searched_of_measure(job: Job) -> list[str]:
    """The parameters that define what the job's metric measures, and that the job searches: its trials are not comparable."""
    ranges = searched(job.spec.search_space)
    return [name for name in defining([job.spec.meaning], job.spec.metric) if name in ranges]


def measured_with(job: Job, names: Sequence[str]) -> dict[str, Any]:
    """The job's values of these parameters and settings; None where it has none."""
    given = _given(job)
    return {name: given.get(name) for name in names}


def differing(recipes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each recipe, the parameters and settings in which these recipes differ."""
    names = sorted(set().union(*recipes))
    of_first = recipes[0] if recipes else {}
    different = [name for name in names if any(each.get(name) != of_first.get(name) for each in recipes)]
    return [{name: each[name] for name in different if name in each} for each in recipes]


def _given(job: Job) -> Mapping[str, Any]:
    space = job.spec.search_space
    return {**job.spec.objective.settings, **fixed(space), **dict.fromkeys(searched(space), SEARCHED)}
