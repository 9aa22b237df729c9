"""The objectives that a job can name: Stride's own, and those of the user's modules. No torch here.

Whoever submits or checks a job reads this catalog; only a trainer process goes on to `import_start`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, get_args

from objectives.contract import APPLIES_WHEN, Conditions, Metric, Objective, Role, Run
from objectives.meaning import declared, measure_defining_settings
from objectives.training import ingredients

IMAGE_FILES = ("mnist", "cifar10", "cifar100", "image-folder", "image-parquet")
TABLE_FILES = ("csv", "parquet")
"""The data sets that are read from local files."""


class CatalogProblem(ValueError):
    """A module of objectives cannot be used; the message names the module and says why."""


class Start(Protocol):
    """What an objective's module offers: begin one run. Parameters and settings left out take their defaults."""

    def __call__(self, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run: ...


def _settings_schema(of_objective: Mapping[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """The schema of an objective that learns from examples. files: the data sets that are read from local files."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **of_objective,
            "path": {
                "type": ["string", "null"],
                "default": None,
                "description": "File or folder of a data set that is read from local files, below a folder that workers allow.",
                APPLIES_WHEN: [{"dataset": list(files)}],
            },
            **ingredients.SETTINGS,
        },
        "if": {"properties": {"dataset": {"enum": list(files)}}, "required": ["dataset"]},
        "then": {"properties": {"path": {"type": "string"}}, "required": ["path"]},
    }


def _validation_loss(what: str) -> Metric:
    return Metric(
        name="validation_loss",
        direction="minimize",
        description=f"{what} on the validation set. Jobs that search the loss should compare something else.",
    )


def _training_loss(what: str) -> Metric:
    return Metric(name="training_loss", direction="minimize", description=f"{what} over the updates of the epoch.")


_CLASSIFICATION_METRICS = (
    _validation_loss("Mean loss (by default cross-entropy, in nats) without label smoothing"),
    Metric(
        name="validation_accuracy",
        direction="maximize",
        description="Part of the validation set that is classified correctly.",
    ),
    _training_loss("Mean loss (by default cross-entropy, in nats)"),
)

_MLP: Mapping[str, Any] = {
    "hidden_layers": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 2,
        "description": "Of the mlp.",
    },
    "width": {
        "type": "integer",
        "minimum": 1,
        "maximum": 65_536,
        "default": 128,
        "description": "Units of each hidden layer of the mlp.",
    },
}

_TABLE_TARGET: Mapping[str, Any] = {
    "target": {
        "type": ["string", "null"],
        "default": None,
        "description": "Column of a local file to be learned; null: the last one.",
        APPLIES_WHEN: [{"dataset": list(TABLE_FILES)}],
    },
}

IMAGE_CLASSIFICATION = Objective(
    name="image-classification",
    description="A small network learns which of n classes an image shows.",
    module="objectives.tasks.image_classification",
    metrics=_CLASSIFICATION_METRICS,
    parameters=(*ingredients.EVERYWHERE, *ingredients.CLASSIFICATION_LOSS),
    settings_schema=_settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["digits", *IMAGE_FILES],
                "default": "digits",
                "description": "digits: 1,797 handwritten digits of 8x8 pixels. From local files: mnist, or Fashion-MNIST, as idx"
                " files; cifar10 and cifar100 in their binary versions; image-folder: a folder per class; image-parquet: as the"
                " Hugging Face hub has it.",
            },
            "model": {
                "type": "string",
                "enum": ["mlp", "cnn", "resnet"],
                "default": "mlp",
                "description": "mlp: fully connected layers; cnn: two convolutions; resnet: three residual blocks.",
            },
            **{name: {**schema, APPLIES_WHEN: [{"model": ["mlp"]}]} for name, schema in _MLP.items()},
            "image_size": {
                "type": "integer",
                "minimum": 4,
                "maximum": 1024,
                "default": 32,
                "description": "Height and width in pixels to which image-folder and image-parquet resize.",
                APPLIES_WHEN: [{"dataset": ["image-folder", "image-parquet"]}],
            },
        },
        IMAGE_FILES,
    ),
)

TABULAR_CLASSIFICATION = Objective(
    name="tabular-classification",
    description="A small network learns a class from the columns of a table.",
    module="objectives.tasks.tabular_classification",
    metrics=_CLASSIFICATION_METRICS,
    parameters=(*ingredients.EVERYWHERE, *ingredients.CLASSIFICATION_LOSS),
    settings_schema=_settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["breast-cancer", "wine", *TABLE_FILES],
                "default": "breast-cancer",
                "description": "breast-cancer: 569 tumours, 30 columns, benign or not; wine: 178 wines, 13 columns, three"
                " cultivars; csv and parquet: local files with a header.",
            },
            **_TABLE_TARGET,
            **_MLP,
        },
        TABLE_FILES,
    ),
)

TABULAR_REGRESSION = Objective(
    name="tabular-regression",
    description="A small network learns a number from the columns of a table.",
    module="objectives.tasks.tabular_regression",
    metrics=(
        _validation_loss("Mean loss (by default the squared error), of targets in units of their standard deviation,"),
        Metric(
            name="validation_r2",
            direction="maximize",
            description="Coefficient of determination on the validation set: 1 is perfect, 0 is as good as the mean.",
        ),
        _training_loss("Mean loss (by default the squared error), of targets in units of their standard deviation,"),
    ),
    parameters=ingredients.with_defaults((*ingredients.EVERYWHERE, *ingredients.REGRESSION_LOSS), learning_rate=0.001, epochs=20),
    settings_schema=_settings_schema(
        {
            "dataset": {
                "type": "string",
                "enum": ["diabetes", *TABLE_FILES],
                "default": "diabetes",
                "description": "diabetes: 442 patients, 10 columns, progress of the disease in a year; csv and parquet: local"
                " files with a header.",
            },
            **_TABLE_TARGET,
            **_MLP,
        },
        TABLE_FILES,
    ),
)

BUILTIN = tuple(map(declared, (IMAGE_CLASSIFICATION, TABULAR_CLASSIFICATION, TABULAR_REGRESSION)))


def load_catalog(modules: Sequence[str] = ()) -> dict[str, Objective]:
    """Return the built-in objectives and those in the `OBJECTIVES` of each named module, by name; what they mean is filled in.

    Raises CatalogProblem when a module cannot be imported, has no `OBJECTIVES`, repeats a name, says of a parameter that it
    applies beside one that there is not, or declares a meaning that cannot be.
    """
    catalog = {objective.name: objective for objective in BUILTIN}
    for module_name in modules:
        for objective in _objectives_of(module_name):
            if objective.name in catalog:
                raise CatalogProblem(f"{module_name} repeats the objective name {objective.name!r}.")
            _check_conditions(module_name, objective)
            _check_meaning(f"{module_name}: {objective.name}", objective)
            catalog[objective.name] = declared(objective)
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


def typed_params(objective: Objective, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` with whole numbers as floats where those are taken: JSON does not tell 1e20 from an integer."""
    floats = {parameter.name for parameter in objective.parameters if parameter.type == "float"}
    whole = {name for name, value in params.items() if isinstance(value, int) and not isinstance(value, bool)}
    return {name: float(value) if name in floats & whole else value for name, value in params.items()}


def default_settings(objective: Objective) -> dict[str, Any]:
    """Return the value that each setting takes when a job leaves it out; one without a default stays out."""
    properties = objective.settings_schema.get("properties", {})
    return {name: schema["default"] for name, schema in properties.items() if "default" in schema}


def all_values(objective: Objective, params: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` and `settings` by name, those left out at their defaults."""
    return {**default_settings(objective), **settings, **default_params(objective), **params}


def conditions(objective: Objective) -> dict[str, Conditions]:
    """Return where each parameter and setting means anything; nowhere named: always."""
    properties = objective.settings_schema.get("properties", {})
    of_settings = {name: schema[APPLIES_WHEN] for name, schema in properties.items() if APPLIES_WHEN in schema}
    return of_settings | {parameter.name: parameter.applies_when for parameter in objective.parameters}


def _objectives_of(module_name: str) -> tuple[Objective, ...]:
    objectives = getattr(_import(module_name), "OBJECTIVES", None)
    if not isinstance(objectives, tuple) or not all(isinstance(entry, Objective) for entry in objectives):
        raise CatalogProblem(f"{module_name} has no `OBJECTIVES`, a tuple of Objective.")
    return objectives


def _check_conditions(module_name: str, objective: Objective) -> None:
    known = default_params(objective).keys() | objective.settings_schema.get("properties", {}).keys()
    for what, cases in conditions(objective).items():
        for name, values in ((name, values) for case in cases for name, values in case.items()):
            where = f"{module_name}: {objective.name}'s {what} applies when {name!r} has certain values"
            if name not in known:
                raise CatalogProblem(f"{where}, but there is no such parameter or setting.")
            if not isinstance(values, tuple | list):
                raise CatalogProblem(f"{where}, which must be a tuple, not {values!r}.")


def _check_meaning(where: str, objective: Objective) -> None:
    roles = Counter(parameter.role for parameter in objective.parameters if parameter.role is not None)
    for role, count in roles.items():
        if role not in get_args(Role):
            raise CatalogProblem(f"{where} has a parameter of the role {role!r}; there are: {', '.join(get_args(Role))}.")
        if count > 1:
            raise CatalogProblem(f"{where} has {count} parameters of the role {role!r}: one may have it.")
    metrics = {metric.name for metric in objective.metrics}
    defining = {each.name: each.defines_measure for each in objective.parameters} | measure_defining_settings(objective)
    for name, measured in defining.items():
        if not isinstance(measured, bool) and (unknown := set(measured) - metrics):
            raise CatalogProblem(f"{where}'s {name} defines what {min(unknown)!r} measures, but there is no such metric.")


def _import(module_name: str) -> Any:
    try:
        return import_module(module_name)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise CatalogProblem(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
