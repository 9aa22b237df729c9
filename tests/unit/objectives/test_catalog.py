import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator

from objectives.catalog import BUILTIN, CatalogProblem, conditions, default_params, default_settings, import_start, load_catalog
from objectives.contract import Objective, Parameter, may_apply
from objectives.entries.image_classification import IMAGE_CLASSIFICATION

TRAINING_LIBRARIES = {"torch", "numpy", "sklearn"}

USER_MODULE = """
from objectives.contract import Metric, Objective

OBJECTIVES = (
    Objective(
        name="{name}",
        description="A user's own.",
        module="{module}",
        metrics=(Metric(name="loss", direction="minimize", description="To be small."),),
        parameters=(),
    ),
)
"""

CONDITIONAL = """
from objectives.contract import Objective, Parameter

SIZE = Parameter(name="size", type="int", default=1, space=None, description="", applies_when=({condition},))
OBJECTIVES = (Objective(name="mine", description="", module="broken", metrics=(), parameters=(SIZE,)),)
"""

WriteModule = Callable[[str, str], None]

each_objective = pytest.mark.parametrize("objective", BUILTIN, ids=lambda objective: objective.name)
each_parameter = pytest.mark.parametrize(
    "parameter",
    [
        pytest.param(parameter, id=f"{objective.name}, {parameter.name}")
        for objective in BUILTIN
        for parameter in objective.parameters
    ],
)
each_searched_parameter = pytest.mark.parametrize(
    "parameter",
    [
        pytest.param(parameter, id=f"{objective.name}, {parameter.name}")
        for objective in BUILTIN
        for parameter in objective.parameters
        if parameter.space is not None
    ],
)


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteModule:
    """Writes a module that can be imported for the time of the test."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str) -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text)

    return write


@pytest.mark.parametrize("module", ["objectives.contract", "objectives.catalog", "objectives.command_line"])
def test_what_the_api_imports_brings_no_training_library(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert TRAINING_LIBRARIES.isdisjoint(done.stdout.split())


@each_parameter
def test_the_default_value_is_legal(parameter: Parameter) -> None:
    assert _is_legal(parameter, parameter.default)


@each_searched_parameter
def test_the_default_space_holds_legal_values_only(parameter: Parameter) -> None:
    space = parameter.space
    assert space is not None
    values = space["choices"] if space["type"] == "categorical" else [space["low"], space["high"]]
    assert all(_is_legal(parameter, value) for value in values)


@each_searched_parameter
def test_the_default_value_lies_in_the_default_space(parameter: Parameter) -> None:
    space = parameter.space
    assert space is not None
    if space["type"] == "categorical":
        assert parameter.default in space["choices"]
    else:
        assert space["low"] <= parameter.default <= space["high"]


@each_searched_parameter
def test_the_default_space_of_a_float_has_points_for_a_grid(parameter: Parameter) -> None:
    if parameter.type == "float":
        assert parameter.space is not None
        assert parameter.space["points"] >= 2


@each_objective
def test_the_default_space_is_of_the_four_that_matter_most(objective: Objective) -> None:
    searched = {parameter.name for parameter in objective.parameters if parameter.space is not None}
    assert searched == {"learning_rate", "batch_size", "epochs", "momentum"}


@each_objective
def test_the_default_space_of_the_learning_rate_covers_the_usual_rates(objective: Objective) -> None:
    (learning_rate,) = (p for p in objective.parameters if p.name == "learning_rate")
    assert learning_rate.space is not None
    assert learning_rate.space["log"]
    assert learning_rate.space["low"] <= 0.001
    assert learning_rate.space["high"] >= 0.1


@each_objective
def test_the_default_settings_satisfy_the_schema(objective: Objective) -> None:
    Draft202012Validator(dict(objective.settings_schema)).validate(default_settings(objective))


@each_objective
def test_a_data_set_of_files_needs_a_path_and_a_bundled_one_takes_none(objective: Objective) -> None:
    schema = Draft202012Validator(dict(objective.settings_schema))
    bundled = default_settings(objective)["dataset"]
    for dataset in objective.settings_schema["properties"]["dataset"]["enum"]:
        is_bundled = schema.is_valid({"dataset": dataset})
        assert schema.is_valid({"dataset": dataset, "path": "somewhere"})
        assert may_apply(conditions(objective)["path"], {"dataset": (dataset,)}) != is_bundled
    assert schema.is_valid({"dataset": bundled})


@each_objective
def test_the_schema_refuses_an_unknown_setting(objective: Objective) -> None:
    assert not Draft202012Validator(dict(objective.settings_schema)).is_valid({"colour": "blue"})


def test_default_params_name_every_parameter() -> None:
    params = default_params(IMAGE_CLASSIFICATION)
    assert list(params) == [parameter.name for parameter in IMAGE_CLASSIFICATION.parameters]
    assert {"learning_rate": 0.02, "batch_size": 32, "epochs": 10, "momentum": 0.9}.items() <= params.items()


def test_the_catalog_holds_the_built_in_objectives() -> None:
    assert list(load_catalog().values()) == list(BUILTIN)


def test_the_catalog_adds_the_objectives_of_a_named_module(write_module: WriteModule) -> None:
    write_module("my_objectives", USER_MODULE.format(name="mine", module="my_objectives"))
    assert list(load_catalog(["my_objectives"])) == [*load_catalog(), "mine"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import no_such_library",
            r"^broken cannot be imported: ModuleNotFoundError: No module named 'no_such_library'$",
        ),
        ("1 / 0", r"^broken cannot be imported: ZeroDivisionError: division by zero$"),
        ("", r"^broken has no `OBJECTIVES`"),
        ("OBJECTIVES = ('mine',)", r"^broken has no `OBJECTIVES`"),
        (
            CONDITIONAL.format(condition={"rate": (1,)}),
            r"^broken: mine's size applies when 'rate' has certain values, but there is no such parameter or setting\.$",
        ),
        (
            CONDITIONAL.format(condition={"size": 1}),
            r"^broken: mine's size applies when 'size' has certain values, which must be a tuple, not 1\.$",
        ),
        (
            USER_MODULE.format(name="image-classification", module="broken"),
            r"^broken repeats the objective name 'image-classification'\.$",
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_named_in_one_sentence(write_module: WriteModule, text: str, message: str) -> None:
    write_module("broken", text)
    with pytest.raises(CatalogProblem, match=message):
        load_catalog(["broken"])


def test_a_module_named_twice_repeats_its_names(write_module: WriteModule) -> None:
    write_module("my_objectives", USER_MODULE.format(name="mine", module="my_objectives"))
    with pytest.raises(CatalogProblem, match="repeats the objective name 'mine'"):
        load_catalog(["my_objectives", "my_objectives"])


def test_start_is_imported_from_the_module_of_the_objective() -> None:
    assert import_start(IMAGE_CLASSIFICATION).__module__ == "objectives.tasks.image_classification"


def test_a_module_without_start_is_named(write_module: WriteModule) -> None:
    write_module("my_objectives", USER_MODULE.format(name="mine", module="my_objectives"))
    with pytest.raises(CatalogProblem, match="my_objectives has no function `start`, which 'mine' needs"):
        import_start(load_catalog(["my_objectives"])["mine"])


def _is_legal(parameter: Parameter, value: bool | int | float | str) -> bool:
    if parameter.type == "categorical":
        return value in (parameter.choices or ())
    assert not isinstance(value, str)
    above = parameter.low is None or value > parameter.low or (value == parameter.low and not parameter.low_open)
    below = parameter.high is None or value < parameter.high or (value == parameter.high and not parameter.high_open)
    return above and below
