"""Which model stands at a place of a request's body, by the annotations of the models above it."""

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi import Request
from pydantic import BaseModel, Tag


def body_model(request: Request) -> type[BaseModel] | None:
    """The model of the body that the request's route takes; None where it takes none."""
    field = getattr(request.scope.get("route"), "body_field", None)
    annotation = None if field is None else field.field_info.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def model_at(root: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    """The model at `path`, which goes by fields, entries, and what pydantic calls the branches of unions; None where none is."""
    here: Any = root
    for part in path:
        here = _inside(here, part)
    return next((each for each in map(_bare, _branches(here)) if _is_model(each)), None)


def _inside(annotation: Any, part: str | int) -> Any:
    """The annotation of what `part` names; None where there is nothing."""
    branches = list(_branches(annotation))
    for branch in branches if len(branches) > 1 else ():
        if part in _tags(branch):
            return branch
    for branch in map(_bare, branches):
        origin, arguments = get_origin(branch), get_args(branch)
        if _is_model(branch) and part in branch.model_fields:
            return branch.model_fields[part].annotation
        if isinstance(part, int) and origin in (list, tuple):
            return arguments[0]
        if isinstance(part, str) and origin in (dict, Mapping):
            return arguments[1]
    return None


def _branches(annotation: Any) -> Iterator[Any]:
    """What a union is of, each with its tag; anything else is its own."""
    bare = _bare(annotation)
    if get_origin(bare) in (Union, UnionType):
        for each in get_args(bare):
            yield from _branches(each)
    else:
        yield annotation


def _tags(branch: Any) -> set[Any]:
    """By what pydantic names it in a union."""
    tags = {each.tag for each in getattr(branch, "__metadata__", ()) if isinstance(each, Tag)}
    bare = _bare(branch)
    if _is_model(bare) and "type" in bare.model_fields:
        tags |= set(get_args(bare.model_fields["type"].annotation))
    return tags


def _bare(annotation: Any) -> Any:
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
