"""What a job trains, as a user submits it: an objective of the catalog by its name, or one that the job itself declares."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from service.domain.meaning import RateShift, Role, Scale
from service.domain.space import Range, Value

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Text = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")]
Direction = Literal["minimize", "maximize"]
Bound = Annotated[float, Field(allow_inf_nan=False)]

EXTERNAL = "external"
"""The name of an objective that a job declares itself; no objective of the catalog has it."""


class Document(BaseModel):
    """A part of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ObjectiveChoice(Document):
    """Which objective to train, and its settings."""

    name: Name
    settings: dict[str, Any] = Field(
        default_factory=dict, description="They follow the objective's JSON Schema; see GET /v1/objectives."
    )


class DeclaredMetric(Document):
    """A metric that the clients of a job report."""

    name: Name
    direction: Direction
    description: Text = ""


class DeclaredParameter(Document):
    """A parameter that the clients of a job set, described as GET /v1/objectives describes those of the catalog."""

    name: Name
    type: Literal["float", "int", "categorical"]
    default: Value | None = Field(
        None, description="The value where the job's search space leaves it out. If omitted: one in the middle of `space`."
    )
    space: Annotated[Range, Field(discriminator="type")] | None = Field(
        None, description="The range that is searched where the job gives no search space."
    )
    description: Text = ""
    low: Bound | None = Field(None, description="The smallest legal value; null: there is none.")
    low_open: bool = False
    high: Bound | None = Field(None, description="The largest legal value; null: there is none.")
    high_open: bool = False
    choices: list[Value] | None = Field(
        None,
        min_length=1,
        max_length=1_000,
        description="The legal values of a categorical parameter: texts, true, false. If omitted: those of `space`.",
    )
    applies_when: list[dict[Name, list[Value]]] = Field(default_factory=list, max_length=100)
    role: Annotated[Role, Field(strict=False)] | None = Field(
        None,
        description="What it is to training. If no parameter has a role, they follow from usual names, such as lr, batch_size"
        " and momentum.",
    )
    scale: Scale | None = None
    rate_shift: RateShift | None = None
    defines_measure: bool | list[Name] = False


def _kind_of_steps(value: Any) -> str | None:
    return {int: "count", str: "parameter"}.get(type(value))


_Steps = Annotated[
    Annotated[int, Field(ge=1, le=2**31 - 1), Tag("count")] | Annotated[Name, Tag("parameter")],
    Discriminator(
        _kind_of_steps,
        custom_error_type="unknown_steps",
        custom_error_message="must be a whole number, the name of a parameter, or null",
    ),
]


class ExternalObjective(ObjectiveChoice):
    """An objective that the job declares itself. Its clients claim the trials, train them anywhere, and report by HTTP."""

    name: Literal["external"]
    parameters: list[DeclaredParameter] = Field(min_length=1, max_length=100)
    metrics: list[DeclaredMetric] = Field(
        min_length=1,
        max_length=100,
        description="The first is the default. Training_loss, validation_loss, gradient_norm and learning_rate/NAME, of a group"
        " of parameters, may be reported beside them.",
    )
    steps: _Steps | None = Field(
        None,
        description="How many measurements a trial reports, or the parameter that says so; null: not known, and no pruner.",
    )
    step_word: Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00]*$")] = Field(
        "step", description="What a step is called: epoch, update, episode."
    )
    settings: dict[Name, Value] = Field(
        default_factory=dict,
        max_length=100,
        description="What is trained, such as the model and the data. Jobs whose settings are equal measure the same; a job"
        " without settings measures what no other does.",
    )


def _kind(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) else getattr(value, "name", None)
    return EXTERNAL if name == EXTERNAL else "catalog"


AnyObjective = Annotated[
    Annotated[ObjectiveChoice, Tag("catalog")] | Annotated[ExternalObjective, Tag(EXTERNAL)], Discriminator(_kind)
]
