"""The next job: the one that was run, as it was submitted, with one change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from service.analysis.advice.seen import Seen
from service.domain.advice import Source, Trouble
from service.domain.meaning import Role
from service.domain.request import JobRequest
from service.domain.space import contains, searched

LONGEST_NAME = 200
FOLLOWS = ", next: "
"""Between a job's own name and what its next one changes; that one's next job names its own change alone."""
DIGITS = 2


@dataclass(frozen=True, kw_only=True)
class Found:
    """A trouble that a rule has found."""

    code: Trouble
    advice: str
    evidence: str
    trials: tuple[int, ...]
    numbers: Mapping[str, float]
    source: Source
    next_jobs: tuple[JobRequest, ...] = ()
    """The best one first: the first that the objective takes is advised."""


def following(seen: Seen, what: str, space: Mapping[str, Any] | None = None, **fields: Any) -> JobRequest | None:
    """The job with these changes; it tries the best trial's point first. what: the change in a word or two, for its name.

    space: parameters of the search space, as in a request. None where these changes make no valid request.
    """
    spec = seen.job.spec
    budget = seen.job.budget.model_dump() | fields.pop("budget", {})
    document = spec.model_dump(mode="json") | {"budget": budget, "name": _named(seen, what)} | fields
    document["search_space"] |= space or {}
    try:
        request = JobRequest.model_validate({**document, "try_first": []})
    except ValidationError:
        return None
    first = _first(seen, request)
    takes_points = request.strategy.type != "grid" and first
    return request.model_copy(update={"try_first": [first]}) if takes_points else request


def rates(seen: Seen, low: float, high: float) -> dict[str, Any]:
    """The search space of the learning rate, from `low` to `high`; a grid keeps its number of points."""
    name, dimension = seen.job.spec.meaning.named(Role.LEARNING_RATE), seen.dimension(Role.LEARNING_RATE)
    assert name is not None
    found: dict[str, Any] = {"type": "float", "low": rounded(low), "high": rounded(high), "log": True}
    if seen.job.spec.strategy.type == "grid":
        found["points"] = getattr(dimension, "points", None) or len(getattr(dimension, "choices", ())) or 9
    return {name: found}


def of_role(seen: Seen, role: Role, value: Any) -> dict[str, Any]:
    """The search space of the parameter with a role; empty where the objective has none, or it means nothing in the job."""
    name = seen.job.spec.meaning.named(role)
    return {} if name is None or name not in seen.job.spec.search_space else {name: value}


def rounded(value: float) -> float:
    """With two digits, as people write it."""
    return float(f"{value:.{DIGITS}g}")


def _named(seen: Seen, what: str) -> str:
    before = (seen.job.name or seen.job.spec.objective.name).partition(FOLLOWS)[0]
    return f"{before[: LONGEST_NAME - len(FOLLOWS) - len(what)]}{FOLLOWS}{what}"


def _first(seen: Seen, request: JobRequest) -> dict[str, Any]:
    """The point of the best trial, as far as the next job may try it."""
    if not seen.complete or request.search_space is None:
        return {}
    ranges, params = searched(request.search_space), seen.complete[0].params
    name = seen.job.spec.meaning.named(Role.LEARNING_RATE)
    point = {each: params[each] for each in ranges if each in params and contains(ranges[each], params[each])}
    return point if name in point or name not in ranges else {}
