"""The search space of a job: what each parameter may be."""

import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, assert_never

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator

from service.domain.steps import n_steps, step_equal_to

Scalar = bool | int | float | str
Point = dict[str, Scalar]
"""One value per parameter."""

MAX_INTEGER = 2**63
"""Integers of requests lie below it."""


def _read(value: Scalar) -> Scalar:
    """PostgreSQL gives 1e300 back with all its digits, as an integer that equals no float."""
    return float(value) if isinstance(value, int) and MAX_INTEGER <= abs(value) <= sys.float_info.max else value


Value = Annotated[Scalar, Field(union_mode="smart"), AfterValidator(_read)]
"""A scalar of a request."""


class _Range(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FloatRange(_Range):
    """Real numbers from `low` to `high`, both included."""

    type: Literal["float"]
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    log: bool = Field(False, description="Search on a logarithmic scale, as is usual for learning rates.")
    step: float | None = Field(None, gt=0, allow_inf_nan=False, description="Search only low, low + step, low + 2 step, ...")
    points: int | None = Field(None, ge=2, le=10_000, description="Number of grid values, evenly spaced, ends included.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_ends(self.low, self.high, self.log, self.step is not None)
        if self.points is not None and self.step is not None:
            raise ValueError("give either step or points: each of them defines the grid")
        if self.step is not None and self.step < 4 * math.ulp(max(abs(self.low), abs(self.high))):
            raise ValueError(f"the step ({self.step:g}) is too small for numbers of this size: adding it would change nothing")
        return self


class IntRange(_Range):
    """Whole numbers from `low` to `high`, both included."""

    type: Literal["int"]
    low: int = Field(ge=-(2**53), le=2**53)
    high: int = Field(ge=-(2**53), le=2**53)
    log: bool = False
    step: int = Field(1, ge=1, le=2**53)
    points: int | None = Field(None, ge=2, le=10_000, description="Number of grid values; if omitted: every value of the range.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_ends(self.low, self.high, self.log, self.step != 1)
        if self.points is not None and self.step != 1:
            raise ValueError("give either step or points: each of them defines the grid")
        return self


class CategoricalRange(_Range):
    """One of the listed choices."""

    type: Literal["categorical"]
    choices: tuple[Value, ...] = Field(strict=False, min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.choices)) < len(self.choices):  # 1, 1.0 and true are one choice to Optuna, as they are to Python
            raise ValueError("the choices must differ from each other")
        if any(isinstance(choice, float) and not math.isfinite(choice) for choice in self.choices):
            raise ValueError("a choice must be a finite number")
        return self


def _check_ends(low: float, high: float, log: bool, stepped: bool) -> None:
    if low > high:
        raise ValueError(f"the range is empty: low ({low:g}) is above high ({high:g})")
    if low == high:
        raise ValueError(f"the range holds one value only: write {low:g} instead of a range to fix the parameter")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must start above 0, not at {low:g}")
    if log and stepped:
        raise ValueError("a logarithmic range takes points, not a step")


Range = FloatRange | IntRange | CategoricalRange


def _kind(value: Any) -> str | None:
    if isinstance(value, bool | int | float | str):
        return "value"
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in ("float", "int", "categorical") else None


Dimension = Annotated[
    Annotated[FloatRange, Tag("float")]
    | Annotated[IntRange, Tag("int")]
    | Annotated[CategoricalRange, Tag("categorical")]
    | Annotated[Value, Tag("value")],
    Discriminator(
        _kind,
        custom_error_type="unknown_range",
        custom_error_message='must be a value, or a range whose "type" is "float", "int" or "categorical"',
    ),
]
"""A range to search, or a bare value that fixes the parameter."""

SearchSpace = dict[str, Dimension]


def searched(space: SearchSpace) -> dict[str, Range]:
    """The ranges of `space`, in the order in which samplers are asked for them: by name."""
    return {name: space[name] for name in sorted(space) if isinstance(space[name], Range)}  # type: ignore[misc]


def fixed(space: SearchSpace) -> Point:
    """The parameters that `space` fixes."""
    return {name: value for name, value in sorted(space.items()) if not isinstance(value, Range)}


def discrete_values(dimension: Range) -> int | None:
    """How many values a range has; None where it is continuous. Counts without listing them: there may be astronomically many."""
    match dimension:
        case CategoricalRange():
            return len(dimension.choices)
        case IntRange():
            return (dimension.high - dimension.low) // dimension.step + 1
        case FloatRange(step=None):
            return None
        case FloatRange():
            assert dimension.step is not None
            return n_steps(dimension.low, dimension.high, dimension.step)
    assert_never(dimension)


def contains(dimension: Range, value: Scalar) -> bool:
    """Whether a searched parameter may take `value`."""
    if isinstance(dimension, CategoricalRange):
        return any(type(choice) is type(value) and choice == value for choice in dimension.choices)
    if isinstance(value, bool | str):
        return False
    if isinstance(dimension, FloatRange) and dimension.step is not None:
        return step_equal_to(dimension.low, dimension.high, dimension.step, value) is not None
    if isinstance(dimension, IntRange) and not (isinstance(value, int) and (value - dimension.low) % dimension.step == 0):
        return False
    return dimension.low <= value <= dimension.high


def as_written(dimension: Range, value: Scalar) -> Scalar:
    """`value` as people write it, where it is a step of `dimension` up to the rounding of floats; any other value unchanged."""
    if not isinstance(dimension, FloatRange) or dimension.step is None or isinstance(value, str):
        return value
    step = step_equal_to(dimension.low, dimension.high, dimension.step, value)
    return value if step is None else step


def key_of(ranges: Mapping[str, Range], point: Point) -> tuple[tuple[str, Scalar], ...]:
    """What the trials of one point have in common, also where earlier versions stored its steps as floats add up."""
    return tuple((name, as_written(ranges[name], value) if name in ranges else value) for name, value in sorted(point.items()))


_PARSER: TypeAdapter[SearchSpace] = TypeAdapter(SearchSpace)


def parse_space(document: Mapping[str, Any]) -> SearchSpace:
    """A search space from its JSON form. Raises pydantic's ValidationError."""
    return _PARSER.validate_python(document)
