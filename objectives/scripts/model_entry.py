"""What a file with `model` and `data` declares: the parameters of Stride's training, and those of its own. No torch here."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import DEFINES_MEASURE, DataProblem, Metric, Parameter
from objectives.entries.own_model import OWN_MODEL
from objectives.entries.supervised import SETTINGS_EVERYWHERE, training_loss, validation_loss
from objectives.meaning import USUAL_DATA
from objectives.scripts.ranges import Flaw, own_parameter, with_points, with_ranges

BATCH_SIZE = "batch_size"
LOSSES = {
    "cross-entropy": "Mean cross-entropy, in nats,",
    "mse": "Mean squared error",
    "own": "Mean of what the function loss returns",
}


def parameters_of(space: Mapping[str, Any], name: str, n_examples: int | None = None) -> tuple[Parameter, ...]:
    """Those of Stride's training, with the ranges and values that the file gives, and the file's own. Raises Flaw.

    n_examples: of the training set, which no batch exceeds; None: not known yet.
    """
    known = {parameter.name for parameter in OWN_MODEL}
    own = [own_parameter(each, dimension, name) for each, dimension in space.items() if each not in known]
    given = {each: dimension for each, dimension in space.items() if each in known}
    if n_examples is not None:
        given |= _batch_size(given, n_examples, name)
    return (*with_ranges(OWN_MODEL, given, name), *map(with_points, own))


def settings_schema(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of the settings: those of Stride's training, with the file's defaults, and its own. Raises Flaw."""
    ours = {
        name: {**schema, "default": settings[name]} if name in settings else schema
        for name, schema in SETTINGS_EVERYWHERE.items()
    }
    own = {name: _setting(name, default) for name, default in settings.items() if name not in ours}
    return {"type": "object", "additionalProperties": False, "properties": {**ours, **own}}


def metrics_of(score: str, loss: str) -> tuple[Metric, ...]:
    """score: the name of what `score` returns; loss: one of LOSSES."""
    what = f"On the validation set: {_SCORES.get(score, 'what the function score returns')}."
    return (
        validation_loss(LOSSES[loss]),
        Metric(name=f"validation_{score}", direction="maximize", description=what),
        training_loss(LOSSES[loss]),
    )


def default_values(space: Mapping[str, Any], settings: Mapping[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """All parameters and all settings of a run to which no job gives another. Raises DataProblem."""
    try:
        params = {parameter.name: parameter.default for parameter in parameters_of(space, name)}
        schema = settings_schema(settings)
    except Flaw as flaw:
        raise DataProblem(str(flaw)) from None
    return params, {each: setting["default"] for each, setting in schema["properties"].items()}


_SCORES = {"accuracy": "the fraction that is classified correctly", "r2": "the coefficient of determination"}


def _batch_size(given: Mapping[str, Any], n_examples: int, name: str) -> dict[str, Any]:
    """The batch sizes to search, as the file gives them, or by default those that the examples fill. Raises Flaw."""
    usual = next(parameter for parameter in OWN_MODEL if parameter.name == BATCH_SIZE)
    assert usual.space is not None
    sizes = [size for size in usual.space["choices"] if size <= n_examples]
    if BATCH_SIZE not in given and sizes:
        return {} if sizes == usual.space["choices"] else {BATCH_SIZE: {"type": "categorical", "choices": sizes}}
    of_file = own_parameter(BATCH_SIZE, given.get(BATCH_SIZE, min(usual.space["choices"])), name)
    largest = max((of_file.space or {}).get("choices", [(of_file.space or {}).get("high", of_file.default)]))
    if largest > n_examples:
        said = f"{name}'s training set holds {n_examples} examples, fewer than a batch of {largest}"
        raise Flaw(f'{said}: give smaller sizes in search_space, such as {{"batch_size": {max(1, n_examples // 4)}}}')
    return {}


def _setting(name: str, default: Any) -> dict[str, Any]:
    types = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): ["null", "string", "number", "boolean"]}
    if type(default) not in types:
        raise Flaw(f"settings[{name!r}] is {default!r}: it must be a number, text, True, False or None")
    described = {"type": types[type(default)], "default": default, "description": "As the file's functions take it."}
    return described | ({DEFINES_MEASURE: True} if name in USUAL_DATA else {})
