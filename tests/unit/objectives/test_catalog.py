import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator

from objectives.catalog import BUILTIN, default_params, default_settings, import_start, load_catalog
from objectives.contract import APPLIES_WHEN, ROLE, Objective, Parameter, may_apply
from objectives.declarations import conditions
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.own_modules import CatalogProblem

TRAINING_LIBRARIES = {"torch", "numpy", "sklearn"}

USER_MODULE = """
from objectives.contract import Metric, Objective, Parameter

def start(params, settings, seed, device, threads): ...

OBJECTIVES = (
    Objective(
        name="{name}",
        description="A user's own.",
        module="{module}",
        metrics=(Metric(name="loss", direction="minimize", description="To be small."),),
        parameters=(Parameter(name="lr", role="learning_rate", type="float", default=0.1, description=""),),
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
each_objective_of_files = pytest.mark.parametrize(
    "objective",
    [objective for objective in BUILTIN if "path" in objective.settings_schema["properties"]],
    ids=lambda objective: objective.name,
)
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
    searched = {parameter.role for parameter in objective.parameters if parameter.space is not None}
    assert searched == {"learning_rate", "batch_size", "duration", "momentum"}


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


@each_objective_of_files
def test_a_data_set_of_files_needs_paths_and_a_bundled_one_takes_none(objective: Objective) -> None:
    schema = Draft202012Validator(dict(objective.settings_schema))
    properties = objective.settings_schema["properties"]
    paths = [
        name
        for name, of_setting in properties.items()
        if of_setting.get(ROLE) == "data_path" and all("dataset" in case for case in of_setting[APPLIES_WHEN])
    ]
    bundled = default_settings(objective)["dataset"]
    for dataset in properties["dataset"]["enum"]:
        is_bundled = schema.is_valid({"dataset": dataset})
        assert schema.is_valid({"dataset": dataset, **dict.fromkeys(paths, "somewhere")})
        for name in paths:
            assert schema.is_valid({"dataset": dataset, **dict.fromkeys(set(paths) - {name}, "somewhere")}) == is_bundled
            assert may_apply(conditions(objective)[name], {"dataset": (dataset,)}) != is_bundled
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
            r"^broken cannot be imported: ModuleNotFoundError: No module named 'no_such_library' \(FILE, line 1\)$",
        ),
        ("1 / 0", r"^broken cannot be imported: ZeroDivisionError: division by zero \(FILE, line 1\)$"),
        ("x = 1\n\ndef f(:", r"^broken cannot be imported: SyntaxError: invalid syntax \(FILE, line 3\)$"),
        (
            "\nimport sys\nsys.exit('no licence')",
            r"^broken cannot be imported: it ends the process: SystemExit: no licence \(FILE, line 3",
        ),
        (
            "import json\njson.loads('{')",
            r"^broken cannot be imported: JSONDecodeError: .* \(FILE, line 2, through .*decoder\.py",
        ),
        ("", r"^broken has no `OBJECTIVES`: it must be a tuple or a list of objectives.contract.Objective \(FILE\)$"),
        ("\nOBJECTIVES = ('mine',)", r"^broken has a str at `OBJECTIVES\[0\]`: it must be .* \(FILE, line 2\)$"),
        ("OBJECTIVES = {}", r"^broken has `OBJECTIVES` of type dict: it must be a tuple or a list of .* \(FILE, line 1\)$"),
        ("OBJECTIVES = []", r"^broken has no objective in its `OBJECTIVES`: it must be .* \(FILE, line 1\)$"),
        (
            CONDITIONAL.format(condition={"rate": (1,)}),
            r"^broken: mine's size applies when 'rate' has certain values, but there is no such parameter or setting"
            r" \(FILE, line 4\)$",
        ),
        (
            CONDITIONAL.format(condition={"size": 1}),
            r"^broken: mine's size applies when 'size' has certain values, which must be a tuple, not 1 \(FILE, line 4\)$",
        ),
        (
            USER_MODULE.format(name="image-classification", module="broken"),
            r"^broken repeats the objective name 'image-classification', the one of objectives.tasks.image_classification: choose"
            r" another \(FILE, line 8\)$",
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_named_in_one_sentence(
    write_module: WriteModule, tmp_path: Path, text: str, message: str
) -> None:
    write_module("broken", text)
    with pytest.raises(CatalogProblem, match=message.replace("FILE", re.escape(str(tmp_path / "broken.py")))):
        load_catalog(["broken"])


@pytest.mark.parametrize("written", ["({})", "[{}]", "({},)"])
def test_objectives_may_be_a_list_or_a_tuple_or_one(write_module: WriteModule, written: str) -> None:
    start, of = USER_MODULE.format(name="mine", module="my_objectives").split("OBJECTIVES = ")
    one = of.strip().removeprefix("(").removesuffix(")").strip().removesuffix(",")
    write_module("my_objectives", f"{start}OBJECTIVES = {written.format(one)}")
    assert list(load_catalog(["my_objectives"])) == [*load_catalog(), "mine"]


SETTING = "settings_schema={{'properties': {{'a': {{{}}}}}}}"
LR = "Parameter(name='lr', role='learning_rate', type='float', default=0.1, description='')"


@pytest.mark.parametrize(
    ("parameters", "others", "message"),
    [
        ("", "", 'mine has no learning rate: declare the parameter that is one with role="learning_rate"'),
        (LR.replace("role='learning_rate', ", ""), "", "mine has no learning rate"),
        (LR.replace("'float'", "'int'"), "", "mine's lr is the learning rate: its type must be float, not int"),
        (LR.replace("'float'", "'number'"), "", "mine's lr is of the type 'number'; there are: float, int, categorical"),
        (LR.replace("0.1", "None"), "", "mine's lr has default=None: it must be a number, text, True or False"),
        (LR.replace("0.1", "0.1, low='0'"), "", "mine's lr has low='0': it must be a number, or None"),
        (LR.replace("0.1", "0.1, bounds=(1,)"), "", "mine's lr has bounds=(1,): it must be a tuple of Bound"),
        (
            LR.replace("0.1", "0.1, bounds=(Bound(end='high', given_by='n', counts='examples'),)"),
            "",
            "mine's lr has a bound that 'n' gives, but there is no such parameter or setting",
        ),
        (LR.replace("0.1", "0.1, space=(0, 1)"), "", "mine's lr has a space that is a tuple: write"),
        (
            LR.replace("0.1", "0.1, applies_when={'lr': (1,)}"),
            "",
            "mine's lr applies when {'lr': (1,)}: it must be a tuple of dict",
        ),
        (
            LR.replace("0.1", "0.1, defines_measure='loss'"),
            "",
            "mine's lr has defines_measure='loss': it must be True, or a tuple",
        ),
        (f"{LR}, {LR.replace(chr(34), '').replace(repr('learning_rate'), 'None')}", "", "mine has several parameters 'lr'"),
        (f"{LR}, Parameter(name='m', type='categorical', default='a', description='')", "", "mine's m is categorical and has no"),
        (f"{LR}, 'momentum'", "", "mine's parameters[1] must be a Parameter, not a str"),
        (LR, "metrics=()", "mine has no metric: give at least one"),
        (LR, "metrics=Metric(name='loss', direction='minimize', description='')", "mine's metrics must be a tuple of Metric"),
        (
            LR,
            "metrics=(Metric(name='loss', direction='min', description=''),)",
            "mine's loss has the direction 'min'; there are: ",
        ),
        (LR, "settings_schema={'type': 'objekt'}", "mine's settings_schema must be a JSON Schema of an object: 'objekt' is not"),
        (LR, "settings_schema={'properties': {'a': 3}}", "mine's settings_schema must be a JSON Schema of an object: its a is 3"),
        (
            LR,
            SETTING.format("'type': 'integer', 'default': 'x'"),
            "mine's setting a has a default that no job may give: 'x' is not",
        ),
        (
            LR,
            SETTING.format("'enum': ['x', 'y'], 'default': 'z'"),
            "mine's setting a has a default that no job may give: 'z' is not",
        ),
        (
            LR,
            SETTING.format("'type': 'string', 'default': '../x', 'x-role': 'data_path'"),
            "mine's setting a has a default that no job may give: contains ..",
        ),
        (LR, "step_word=None", "has an objective whose step_word is None: it must be text"),
    ],
)
def test_a_declaration_that_cannot_be_is_named(write_module: WriteModule, parameters: str, others: str, message: str) -> None:
    given = {"metrics": "metrics=(Metric(name='loss', direction='minimize', description=''),)"}
    given |= {others.partition("=")[0]: others} if others else {}
    write_module(
        "broken",
        "from objectives.contract import Bound, Metric, Objective, Parameter\n\n"
        "def start(params, settings, seed, device, threads): ...\n"
        f"OBJECTIVES = [Objective(name='mine', description='', module='broken', parameters=[{parameters}], "
        f"{', '.join(given.values())})]\n",
    )
    with pytest.raises(CatalogProblem, match=rf"^broken: {re.escape(message)}.* \(.*broken\.py, line 4\)$"):
        load_catalog(["broken"])


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("", "has no function `start` in its module"),
        ("start = 3", "has no function `start` in its module"),
        (
            "def start(params, settings, seed, device, threads): yield",
            "has a `start` that is a generator: `start` must be a function",
        ),
        (
            "async def start(params, settings, seed, device, threads): ...",
            "has an async `start`: `start` must be a function that",
        ),
        ("def start(params, seed): ...", "has a `start` that does not take (params, settings, seed, device, threads): too many"),
    ],
)
def test_a_start_that_can_begin_no_run_is_named_when_the_module_is_read(
    write_module: WriteModule, start: str, message: str
) -> None:
    text = USER_MODULE.format(name="mine", module="broken")
    write_module("broken", text.replace("def start(params, settings, seed, device, threads): ...", start))
    with pytest.raises(CatalogProblem, match=rf"^broken: mine {re.escape(message)}.*line \d+\)$"):
        load_catalog(["broken"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import json\nimport torch\n", r"\(FILE/broken.py, line 2\)"),
        ("from torch import nn\n", r"\(FILE/broken.py, line 1\)"),
        ("\n\nimport helper\n", r"\(FILE/broken.py, line 3, through FILE/helper.py, line 2\)"),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None\n", r"\(FILE/broken.py, line 2\)"),
        ("import importlib.util\nassert importlib.util.find_spec('torch')\n", None),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n", None),
    ],
    ids=["plain", "from", "in another module", "handled", "asked for", "for types"],
)
def test_a_module_that_imports_torch_is_refused_with_file_and_line(tmp_path: Path, text: str, said: str | None) -> None:
    (tmp_path / "helper.py").write_text("\nimport torch\n")
    (tmp_path / "broken.py").write_text(text + USER_MODULE.format(name="mine", module="broken"))
    code = "import sys; from objectives.own_modules import *; from objectives.catalog import load_catalog\ntry:\n"
    code += "    print([*load_catalog(['broken'])][-1])\nexcept CatalogProblem as problem: print(problem)\n"
    code += "assert 'torch' not in sys.modules"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    if said is None:
        assert found.stdout == "mine\n"
    else:
        assert re.search(
            "^broken imports torch, which the API must not load: .*" + said.replace("FILE", str(tmp_path)), found.stdout
        )


@pytest.mark.parametrize(("default", "is_refused"), [(3, False), ("x", True)])
def test_a_default_is_judged_by_the_whole_schema(write_module: WriteModule, default: object, is_refused: bool) -> None:
    """A definition elsewhere in it counts, and what it requires beside the setting does not."""
    schema = {
        "$defs": {"size": {"type": "integer"}},
        "properties": {"size": {"$ref": "#/$defs/size", "default": default}},
        "required": ["path"],
    }
    text = USER_MODULE.format(name="mine", module="sized")
    write_module("sized", text.replace("metrics=", f"settings_schema={schema},\n        metrics="))
    with pytest.raises(CatalogProblem, match=r"mine's setting size .* 'x' is not of type") if is_refused else nullcontext():
        load_catalog(["sized"])


@pytest.mark.parametrize("name", ["my_objectives.py", "./my_objectives", "folder/my_objectives.py", "/folder/my_objectives.py"])
def test_a_file_in_place_of_a_module_is_told_its_modules_name(name: str) -> None:
    with pytest.raises(
        CatalogProblem, match=rf"^{re.escape(name)} is a file's name: write my_objectives, that of its module, with"
    ):
        load_catalog([name])


def test_a_module_named_twice_repeats_its_names(write_module: WriteModule) -> None:
    write_module("my_objectives", USER_MODULE.format(name="mine", module="my_objectives"))
    with pytest.raises(CatalogProblem, match="repeats the objective name 'mine'"):
        load_catalog(["my_objectives", "my_objectives"])


def test_start_is_imported_from_the_module_of_the_objective() -> None:
    assert import_start(IMAGE_CLASSIFICATION).__module__ == "objectives.tasks.image_classification"


def test_a_module_without_start_is_named(write_module: WriteModule) -> None:
    write_module("my_objectives", USER_MODULE.format(name="mine", module="my_objectives"))
    (mine,) = (each for each in load_catalog(["my_objectives"]).values() if each.name == "mine")
    write_module("without_start", "")
    with pytest.raises(CatalogProblem, match="without_start has no function `start`, which 'mine' needs"):
        import_start(replace(mine, module="without_start"))


def _is_legal(parameter: Parameter, value: bool | int | float | str) -> bool:
    if parameter.type == "categorical":
        return value in (parameter.choices or ())
    assert not isinstance(value, str)
    above = parameter.low is None or value > parameter.low or (value == parameter.low and not parameter.low_open)
    below = parameter.high is None or value < parameter.high or (value == parameter.high and not parameter.high_open)
    return above and below
