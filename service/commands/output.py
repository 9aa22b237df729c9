"""Prints the API's documents: as JSON, or rendered for people."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from rich.console import RenderableType

from service.commands.tables import console
from service.errors import StrideError

Model = TypeVar("Model", bound=BaseModel)


class OtherVersion(StrideError):
    """This version of stride cannot read the API's answer."""


def print_document(document: Any, render: Callable[[Any], RenderableType], as_json: bool) -> None:
    """Print `document` as JSON, or what `render` makes of it."""
    if as_json:
        print(json.dumps(document, indent=2))
    else:
        console().print(render(document))


def parsed(model: type[Model], document: Any) -> Model:
    """`document` as a `model`. Fields that it does not know are ignored. Raises OtherVersion when required fields are missing."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        raise OtherVersion(
            f"The API's answer does not fit this version of stride: {place}: {first['msg'].lower()}. See it with --json."
        ) from error
