"""An objective's declaration as plain JSON, and back: whoever has the document needs no module to check and complete a job.

The sha256 of declaration and source tells versions of one objective apart. No torch here.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from objectives.contract import Bound, Metric, Objective, Parameter, RateShift

T = TypeVar("T")


def document_of(objective: Objective) -> dict[str, Any]:
    """The declaration as what JSON can hold. Raises TypeError and ValueError where a value has no form in JSON."""
    document = asdict(objective)
    for parameter in document["parameters"]:
        for bound in ("low", "high"):  # an infinite one is none, and JSON has no infinity
            if parameter[bound] in (-math.inf, math.inf):
                parameter[bound] = None
        if not parameter["bounds"]:  # as versions that knew no such bounds have it: an objective's version stays as it was
            del parameter["bounds"]
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    text.encode()  # raises UnicodeEncodeError for half of a surrogate pair
    plain: dict[str, Any] = json.loads(text)
    return plain


def objective_of(document: Mapping[str, Any]) -> Objective:
    """The objective that `document_of` was given. Fields that only a newer version knows are left out."""
    return _made(
        Objective,
        {
            **document,
            "metrics": tuple(_made(Metric, metric) for metric in document["metrics"]),
            "parameters": tuple(map(_parameter_of, document["parameters"])),
        },
    )


def declaration_sha256(objective: Objective) -> bytes:
    """Of the declaration alone: the same for equal declarations. Raises as `document_of`."""
    canonical = json.dumps(document_of(objective), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


def version_sha256(objective: Objective, *sources: bytes) -> bytes:
    """Of the declaration and of the source files that it is trained by: what a job keeps, and a worker offers."""
    return version_of_digests(objective, *(hashlib.sha256(source).digest() for source in sources))


def version_of_digests(objective: Objective, *digests: bytes) -> bytes:
    """The same, of the sources' sha256."""
    return hashlib.sha256(declaration_sha256(objective) + b"".join(digests)).digest()


def _parameter_of(document: Mapping[str, Any]) -> Parameter:
    defining, choices, shift = document["defines_measure"], document["choices"], document["rate_shift"]
    return _made(
        Parameter,
        {
            **document,
            "bounds": tuple(_made(Bound, bound) for bound in document.get("bounds", ())),
            "choices": None if choices is None else tuple(choices),
            "rate_shift": None if shift is None else _made(RateShift, shift),
            "applies_when": tuple({name: tuple(values) for name, values in case.items()} for case in document["applies_when"]),
            "defines_measure": tuple(defining) if isinstance(defining, list) else defining,
        },
    )


def _made(kind: type[T], document: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in document.items() if name in known})
