"""The objective of a job whose trials are trained in the client's process, as POST /v1/jobs takes it."""

from collections.abc import Mapping, Sequence
from typing import Any


def external(
    space: Mapping[str, Any], metrics: Mapping[str, str], steps: int | str | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The document of an objective with these parameters, as @stride.objective takes them. The service checks it.

    metrics: directions by name; the first one counts.
    """
    return {
        "name": "external",
        "parameters": [_parameter(name, dimension) for name, dimension in space.items()],
        "metrics": [{"name": name, "direction": direction} for name, direction in metrics.items()],
        "steps": steps,
        "settings": dict(settings),
    }


def _parameter(name: str, dimension: Any) -> dict[str, Any]:
    if not isinstance(dimension, Mapping):
        kind = _kind([dimension])
        return {"name": name, "type": kind, "default": dimension} | ({"choices": [dimension]} if kind == "categorical" else {})
    if dimension.get("type") != "categorical":
        return {"name": name, "type": dimension.get("type"), "space": dict(dimension)}
    choices = list(dimension.get("choices") or ())
    return {"name": name, "type": _kind(choices), "space": {"type": "categorical", "choices": choices}}


def _kind(values: Sequence[Any]) -> str:
    """The type of a parameter with these values: that of numbers, if all are numbers."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "categorical"
    return "int" if all(isinstance(value, int) for value in values) else "float"
