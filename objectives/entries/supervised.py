"""Parameters, settings and metrics that the catalog entries of all supervised objectives share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from objectives.contract import Metric, Parameter, Scalar
from objectives.parameters import batches, clipping, computing, data, duration, network, optimizer, schedule

EVERYWHERE = (
    optimizer.LEARNING_RATE,
    duration.EPOCHS,
    *batches.bounded(batches.BATCHES, batches.EACH_PROCESS),
    *optimizer.OPTIMIZER,
    *schedule.SCHEDULE,
    *schedule.SNAPSHOTS,
    *network.NETWORK,
    *clipping.CLIPPING,
    *duration.EARLY_STOPPING,
)
"""The parameters of every supervised objective."""

SETTINGS_EVERYWHERE: Mapping[str, Any] = {
    **schedule.SETTINGS,
    **optimizer.SETTINGS,
    **batches.SETTINGS,
    **computing.SETTINGS,
}
"""The settings of every supervised objective, whatever its data."""

MLP: Mapping[str, Any] = {
    "hidden_layers": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 2,
        "description": "Number of hidden layers of the mlp.",
    },
    "width": {
        "type": "integer",
        "minimum": 1,
        "maximum": 65_536,
        "default": 128,
        "description": "Units of each hidden layer of the mlp.",
    },
}


def settings_schema(
    of_objective: Mapping[str, Any], files: Sequence[str] = (), *, paths: Sequence[str] = ("path",)
) -> dict[str, Any]:
    """The settings schema of a supervised objective.

    files: the data sets that are read from local files. paths: the settings that must name these.
    """
    local = {
        "if": {"properties": {"dataset": {"enum": list(files)}}, "required": ["dataset"]},
        "then": {"properties": {name: {"type": "string"} for name in paths}, "required": list(paths)},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **of_objective,
            **(data.path(files) if files else {}),
            **SETTINGS_EVERYWHERE,
            **computing.PROCESSES,
            **data.FOLD,
        },
        **(local if files else {}),
    }


def validation_loss(what: str) -> Metric:
    return Metric(
        name="validation_loss",
        direction="minimize",
        description=f"{what} on the validation set. A job that searches over the loss function should optimize another metric.",
    )


def training_loss(what: str) -> Metric:
    return Metric(name="training_loss", direction="minimize", description=f"{what} over the updates of the epoch.")


def with_defaults(parameters: Sequence[Parameter], **defaults: Scalar) -> tuple[Parameter, ...]:
    """The parameters, with the defaults of some replaced."""
    assert defaults.keys() <= {parameter.name for parameter in parameters}
    return tuple(replace(parameter, default=defaults.get(parameter.name, parameter.default)) for parameter in parameters)


CLASSIFICATION_METRICS = (
    validation_loss("Mean loss (by default cross-entropy, in nats) without label smoothing"),
    Metric(
        name="validation_accuracy",
        direction="maximize",
        description="Fraction of the validation set that is classified correctly.",
    ),
    training_loss("Mean loss (by default cross-entropy, in nats)"),
)
