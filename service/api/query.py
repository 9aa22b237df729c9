"""Query parameters: those that a route does not have, or that are given too often, are refused; and how OpenAPI shows them."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, get_args, get_origin

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import QueryParams

from service.api.json_body import MAX_FAULTS


def check_names(request: Request) -> None:
    """A dependency of every route but pages. Raises RequestValidationError where a query has names that the route does not know.

    FastAPI would ignore them, so that a misspelt `dry_run` submitted the job; and of a parameter that is given twice, take one.
    """
    faults = [
        {"type": "query", "loc": ("query", name), "msg": said, "input": None}
        for name, said in islice(_faults(request.query_params, dict(_parameters(request.scope["route"].dependant))), MAX_FAULTS)
    ]
    if faults:
        raise RequestValidationError(faults)


def install(app: FastAPI) -> None:
    """Leave null out of the parameters in the OpenAPI document: a query cannot hold it, and `?label=null` is refused."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for methods in document["paths"].values():
            for operation in methods.values():
                for parameter in operation.get("parameters", ()):
                    parameter["schema"] = _without_null(parameter["schema"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending it


def _faults(given: QueryParams, known: Mapping[str, bool]) -> Iterator[tuple[str, str]]:
    there_are = f"the query parameters are: {', '.join(sorted(known))}" if known else "this takes no query parameters"
    for name in given:
        if name not in known:
            yield name, f"is not a query parameter here; {there_are}"
        elif not known[name] and len(given.getlist(name)) > 1:
            yield name, "is given more than once: give it once"


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The query parameters of a route by name, and whether each may be given more than once."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        yield field.alias, any(get_origin(kind) is list for kind in (annotation, *get_args(annotation)))
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    match schema:
        case {"anyOf": [dict(kind), {"type": "null"}], **rest}:
            return {**kind, **rest}
    return schema
