"""Turns a trial's parameters and settings into the dataclasses that parts of the training code take."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def picked(kind: type[T], values: Mapping[str, Any]) -> T:
    """An instance of the dataclass `kind`, each field taken from `values` by its name; lists become tuples."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: tuple(values[name]) if isinstance(values[name], list) else values[name] for name in names})
