"""Which jobs may be compared, and what their recipes differ in."""

from collections.abc import Sequence
from typing import Any

from service.analysis.model.encoding import LEARNING_RATE
from service.domain.job import Job
from service.domain.space import fixed, searched
from service.errors import Invalid

DATA_SETTINGS = ("dataset", "path", "fold", "target", "image_size")
"""Settings that decide on which data the metric is measured: what differs there makes other numbers, not a better recipe."""

MEASURED_WITH = {"validation_loss": ("loss", "huber_delta"), "training_loss": ("loss", "huber_delta", "label_smoothing")}
"""By metric: parameters that decide what it measures."""

SEARCHED = "searched"
"""Stands in a recipe for the value of a parameter that the job searches."""


def faults(jobs: Sequence[Job]) -> list[Invalid]:
    """Why these jobs' metrics are not the same measure; pointers are into the list of jobs."""
    found = []
    first = jobs[0]
    for index, job in enumerate(jobs[1:], start=1):
        differing = [
            f"{name} {_of(job, name)!r} where the first job has {_of(first, name)!r}"
            for name in ("objective", "metric", "direction", *DATA_SETTINGS, *_measured_with(first))
            if _of(job, name) != _of(first, name)
        ]
        if differing:
            found.append(Invalid(f"/jobs/{index}", f"its metric is not the same measure: it has {', and '.join(differing)}"))
    found += [
        Invalid(f"/jobs/{index}", f"it searches {name}, so its trials do not measure the same {job.spec.metric}")
        for index, job in enumerate(jobs)
        for name in _measured_with(job)
        if name in searched(job.spec.search_space)
    ]
    return found


def recipes(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """What each job fixes otherwise than another one does, parameters and settings, without the learning rate."""
    whole = [_recipe(job) for job in jobs]
    names = sorted(set().union(*whole))
    differing = [name for name in names if any(recipe.get(name) != whole[0].get(name) for recipe in whole)]
    return [{name: recipe[name] for name in differing if name in recipe} for recipe in whole]


def labels(jobs: Sequence[Job]) -> list[str]:
    """How to call each job in a sentence: by its recipe, else by its name, else by its id, whichever tells them apart."""
    told = [" ".join(f"{name}={value}" for name, value in recipe.items()) for recipe in recipes(jobs)]
    names = [job.name or "" for job in jobs]
    for candidates in (told, names):
        if all(candidates) and len(set(candidates)) == len(jobs):
            return candidates
    return [f"job {str(job.id)[:8]}" for job in jobs]


def _recipe(job: Job) -> dict[str, Any]:
    space = job.spec.search_space
    recipe = {**job.spec.objective.settings, **fixed(space), **dict.fromkeys(searched(space), SEARCHED)}
    recipe.pop(LEARNING_RATE, None)
    return recipe


def _measured_with(job: Job) -> tuple[str, ...]:
    return MEASURED_WITH.get(job.spec.metric, ())


def _of(job: Job, name: str) -> Any:
    match name:
        case "objective":
            return job.spec.objective.name
        case "metric":
            return job.spec.metric
        case "direction":
            return job.spec.direction
        case _ if name in DATA_SETTINGS:
            return job.spec.objective.settings.get(name)
        case _:
            value = job.spec.search_space.get(name)
            return SEARCHED if name in searched(job.spec.search_space) else value
