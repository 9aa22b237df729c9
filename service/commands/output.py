"""What commands print: the API's document as it is, or what it says."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from rich.console import RenderableType

from service.commands.tables import console
from service.errors import StrideError

Model = TypeVar("Model", bound=BaseModel)


class OtherVersion(StrideError):
    """The API's answer is not one that this version of stride can read."""


def print_document(document: Any, said: Callable[[Any], RenderableType], as_json: bool) -> None:
    """said: what to print where it is not to be JSON."""
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        console().print(said(document))


def parsed(model: type[Model], document: Any) -> Model:
    """What a newer API adds is passed over. Raises OtherVersion where it lacks what must be there."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        raise OtherVersion(
            f"The API answers in another version than this stride reads: {place}: {first['msg'].lower()}. See it with --json."
        ) from error
