"""A job as it would be written to submit it again: without what submission fills in by itself."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from objectives.catalog import default_settings
from objectives.contract import Objective
from service.api.submission import complete
from service.domain.request import JobRequest
from service.domain.space import searched
from service.domain.spec import JobSpec
from service.errors import InvalidJob

Document = dict[str, Any]


def request_of(spec: JobSpec, objective: Objective | None) -> Document:
    """The shortest request that makes the same job, as JSON. What cannot be left out without making another job stays.

    objective: as it is declared now; None: it is gone, so that all stays.
    """
    document = _without_defaults(spec)
    if objective is None:
        return document
    for shorter in _shorter(objective):
        candidate = shorter(document)
        if _makes(candidate, spec, objective):
            document = candidate
    return document


def _without_defaults(spec: JobSpec) -> Document:
    """Without the fields of a request that have their defaults, whatever the objective."""
    whole: Document = spec.model_dump(mode="json")
    default = JobRequest(objective=spec.objective).model_dump(mode="json")
    for name in ("strategy", "pruner"):
        chosen = getattr(spec, name)
        if chosen == type(chosen)():
            whole[name] = chosen.type
            default[name] = default[name]["type"]
    whole["objective"] = spec.objective.model_dump(mode="json", exclude_defaults=True)
    whole["search_space"] |= {
        name: each.model_dump(mode="json", exclude_defaults=True) for name, each in searched(spec.search_space).items()
    }
    whole["budget"] = spec.budget.model_dump(mode="json", exclude_defaults=True)
    whole["limits"] = spec.limits.model_dump(mode="json", exclude_defaults=True)
    kept = {name: whole[name] for name in JobRequest.model_fields if whole[name] not in (default[name], {})}
    return {"objective": whole["objective"]} | kept


def _shorter(objective: Objective) -> Iterator[Callable[[Document], Document]]:
    """Ways to shorten a request, which may make another job of it."""
    settings = default_settings(objective)
    params = {parameter.name: parameter.default for parameter in objective.parameters}

    def without_settings(document: Document) -> Document:
        chosen = dict(document["objective"])
        given = {name: value for name, value in chosen.pop("settings", {}).items() if value != settings.get(name)}
        return document | {"objective": chosen | ({"settings": given} if given else {})}

    def without_fixed(document: Document) -> Document:
        space = document["search_space"]
        return document | {"search_space": {name: each for name, each in space.items() if each != params.get(name)}}

    def without(name: str) -> Callable[[Document], Document]:
        return lambda document: {field: value for field, value in document.items() if field != name}

    def without_confirm(document: Document) -> Document:
        return document | {"budget": without("confirm")(document.get("budget", {}))}

    yield without_settings
    yield without_fixed
    yield without("search_space")
    yield without("metric")
    yield without_confirm
    yield without("budget")


def _makes(document: Document, spec: JobSpec, objective: Objective) -> bool:
    try:
        made = complete(JobRequest.model_validate(document), {objective.name: objective})
    except (ValidationError, InvalidJob):
        return False
    return made.direction == spec.direction and _text(made) == _text(spec)


def _text(spec: JobSpec) -> str:
    """In it 1 and true differ, and the order of names does not count: the database keeps none."""
    return json.dumps(spec.model_dump(mode="json"), sort_keys=True)
