"""The objectives that a job can name: Stride's own, and those of the user's modules. No torch here.

Whoever submits or checks a job reads this catalog; only a trainer process goes on to `import_start`.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from objectives.contract import Metric, Objective, Parameter, Run


class CatalogProblem(ValueError):
    """A module of objectives cannot be used; the message names the module and says why."""


class Start(Protocol):
    """What an objective's module offers: begin one run. Parameters and settings left out take their defaults."""

    def __call__(self, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run: ...


IMAGE_CLASSIFICATION = Objective(
    name="image-classification",
    description="A small network learns which of n classes an image shows.",
    module="objectives.image_classification",
    metrics=(
        Metric(
            name="validation_loss",
            direction="minimize",
            description="Mean cross-entropy on the validation set, in nats.",
        ),
        Metric(
            name="validation_accuracy",
            direction="maximize",
            description="Part of the validation set that is classified correctly.",
        ),
        Metric(
            name="training_loss",
            direction="minimize",
            description="Mean cross-entropy over the updates of the epoch, in nats.",
        ),
    ),
    parameters=(
        Parameter(
            name="learning_rate",
            type="float",
            default=0.02,
            space={"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 9},
            description="Step size of gradient descent, constant over the run.",
            low=0.0,
            low_open=True,
        ),
        Parameter(
            name="batch_size",
            type="int",
            default=32,
            space={"type": "categorical", "choices": [16, 32, 64, 128]},
            description="Images per update.",
            low=1,
        ),
        Parameter(
            name="epochs",
            type="int",
            default=10,
            space={"type": "int", "low": 2, "high": 20},
            description="Passes over the training set.",
            low=1,
        ),
        Parameter(
            name="momentum",
            type="float",
            default=0.9,
            space={"type": "float", "low": 0.0, "high": 0.99, "points": 4},
            description="Part of the last step that is kept in the next; 0 is plain gradient descent.",
            low=0.0,
            high=1.0,
            high_open=True,
        ),
    ),
    settings_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "dataset": {
                "type": "string",
                "enum": ["digits"],
                "default": "digits",
                "description": "digits: 1,797 handwritten digits of 8x8 pixels.",
            },
            "model": {
                "type": "string",
                "enum": ["mlp", "cnn"],
                "default": "mlp",
                "description": "mlp: two hidden layers; cnn: two convolutions.",
            },
            "threads": {
                "type": "integer",
                "minimum": 1,
                "default": 1,
                "description": "CPU threads that the run computes with.",
            },
        },
    },
)

BUILTIN = (IMAGE_CLASSIFICATION,)


def load_catalog(modules: Sequence[str] = ()) -> dict[str, Objective]:
    """Return the built-in objectives and those in the `OBJECTIVES` of each named module, by name.

    Raises CatalogProblem when a module cannot be imported, has no `OBJECTIVES`, or repeats a name.
    """
    catalog = {objective.name: objective for objective in BUILTIN}
    for module_name in modules:
        for objective in _objectives_of(module_name):
            if objective.name in catalog:
                raise CatalogProblem(f"{module_name} repeats the objective name {objective.name!r}.")
            catalog[objective.name] = objective
    return catalog


def import_start(objective: Objective) -> Start:
    """Import the objective's training code, which may bring torch along."""
    start: Start | None = getattr(_import(objective.module), "start", None)
    if not callable(start):
        raise CatalogProblem(f"{objective.module} has no function `start`, which {objective.name!r} needs.")
    return start


def default_params(objective: Objective) -> dict[str, bool | int | float | str]:
    """Return the value that each parameter takes when a job leaves it out."""
    return {parameter.name: parameter.default for parameter in objective.parameters}


def default_settings(objective: Objective) -> dict[str, Any]:
    """Return the value that each setting takes when a job leaves it out; one without a default stays out."""
    properties = objective.settings_schema.get("properties", {})
    return {name: schema["default"] for name, schema in properties.items() if "default" in schema}


def _objectives_of(module_name: str) -> tuple[Objective, ...]:
    objectives = getattr(_import(module_name), "OBJECTIVES", None)
    if not isinstance(objectives, tuple) or not all(isinstance(entry, Objective) for entry in objectives):
        raise CatalogProblem(f"{module_name} has no `OBJECTIVES`, a tuple of Objective.")
    return objectives


def _import(module_name: str) -> Any:
    try:
        return import_module(module_name)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise CatalogProblem(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
