"""What parameters and settings mean: as declared, as it follows from roles, and from names where nothing is declared."""

from typing import Any

import pytest

from objectives.catalog import BUILTIN, load_catalog
from objectives.contract import DEFINES_MEASURE, ROLE, Objective, Parameter, RateShift
from objectives.entries.reinforcement_learning import REINFORCEMENT_LEARNING
from objectives.meaning import RATE_SHIFTS, declared, measure_defining_settings, threads_of
from objectives.own_modules import CatalogProblem
from service.api.meaning import meaning_of
from service.domain.meaning import ParameterMeaning
from tests.factories import MEANING


def objective(*parameters: Parameter, **settings: dict[str, Any]) -> Objective:
    schema = {"type": "object", "properties": settings}
    return Objective(name="mine", description="", module="mine", metrics=(), parameters=parameters, settings_schema=schema)


def number(name: str, **declarations: Any) -> Parameter:
    return Parameter(name=name, type="float", default=0.5, description="", **declarations)


def meanings(of: Objective) -> dict[str, tuple[Any, ...]]:
    return {each.name: (each.role, each.scale, each.rate_shift) for each in declared(of).parameters}


def test_where_nothing_is_declared_the_usual_names_mean_what_they_usually_do() -> None:
    names = ("learning_rate", "batch_size", "epochs", "momentum", "optimizer", "beta1", "alike")
    advised = ("schedule", "weight_decay", "dropout", "normalization", "clip_norm")
    assert meanings(objective(*map(number, (*names, "warmup_fraction", *advised)))) == {
        "learning_rate": ("learning_rate", "log", None),
        "batch_size": ("batch_size", "log", RATE_SHIFTS["batch_size"]),
        "epochs": ("duration", "linear", None),
        "momentum": ("momentum", "decay", RATE_SHIFTS["momentum"]),
        "optimizer": ("optimizer", "linear", None),
        "beta1": (None, "decay", None),
        "alike": (None, "linear", None),
        "warmup_fraction": ("warmup", "linear", None),
        **{name: (name, "linear", None) for name in advised},
    }
    settings = declared(objective(dataset={}, fold={}, width={}, threads={}))
    assert measure_defining_settings(settings) == {"dataset": True, "fold": True}
    assert threads_of(settings, {"threads": 3}) == 3
    loss = declared(objective(number("loss"), number("label_smoothing")))
    assert [each.defines_measure for each in loss.parameters] == [("validation_loss", "training_loss"), ("training_loss",)]


@pytest.mark.parametrize(
    "other",
    [
        objective(number("momentum"), number("lr", role="learning_rate"), dataset={}, threads={}),
        objective(number("momentum"), number("decay", scale="decay"), dataset={}, threads={}),
        objective(number("momentum"), dataset={}, threads={}, arena={DEFINES_MEASURE: True}),
        objective(number("momentum"), dataset={}, threads={}, cores={ROLE: "threads"}),
    ],
    ids=["a role", "a scale", "a measure", "threads"],
)
def test_an_objective_that_declares_anything_is_taken_at_its_word(other: Objective) -> None:
    assert meanings(other)["momentum"] == (None, "linear", None)
    assert "dataset" not in measure_defining_settings(declared(other))
    assert threads_of(other, {"threads": 3, "cores": 1}) == 1


def test_scale_and_rate_shift_follow_from_the_role_unless_they_are_declared() -> None:
    shift = RateShift(power=0.5, sd=0.1)
    of = objective(
        number("lr", role="learning_rate"),
        number("bs", role="batch_size", rate_shift=shift),
        number("mu", role="momentum", scale="linear"),
    )
    assert meanings(of) == {
        "lr": ("learning_rate", "log", None),
        "bs": ("batch_size", "log", shift),
        "mu": ("momentum", "linear", None),
    }


def test_filling_in_twice_changes_nothing() -> None:
    for of in (*BUILTIN, objective(number("momentum"), dataset={})):
        assert declared(declared(of)) == declared(of)


MEASURES = {
    "image-classification": {"dataset", "path", "fold", "image_size"},
    "tabular-classification": {"dataset", "path", "fold", "target"},
    "tabular-regression": {"dataset", "path", "fold", "target"},
    "text-classification": {"dataset", "path", "fold", "text", "target", "max_length"},
    "sequence-to-sequence": {"dataset", "path", "fold", "target_path", "max_length"},
    "long-range": {"problem", "length", "fold"},
    "fine-tuning": {"dataset", "path", "fold", "image_size"},
    "few-shot-regression": {"shots", "fold"},
    "few-shot-classification": {"shots", "ways", "fold"},
}
"""The settings by which each built-in objective's measure is another one."""


SUPERVISED = [builtin for builtin in BUILTIN if "fold" in builtin.settings_schema["properties"]]


@pytest.mark.parametrize("builtin", SUPERVISED, ids=lambda builtin: builtin.name)
def test_the_built_in_objectives_declare_what_their_names_meant(builtin: Objective) -> None:
    known = meaning_of(builtin)
    names = {parameter.name for parameter in builtin.parameters}
    inner = (
        {"inner_learning_rate": ParameterMeaning(role=None, scale="log", rate_shift=None)} if "few-shot" in builtin.name else {}
    )
    assert known.parameters == {name: meaning for name, meaning in MEANING.parameters.items() if name in names} | inner
    assert MEANING.parameters.keys() - names <= {"normalization", "dropout"}
    assert {*known.measure} == MEASURES[builtin.name]
    assert known.threads == "threads"
    changing = {"loss", "label_smoothing", "huber_delta", "beam_width", "algorithm"}
    assert {name for names in known.measured_with.values() for name in names} == changing & {
        *names,
        *builtin.settings_schema["properties"],
    }
    assert ("loss" in known.measured_with.get("validation_loss", ())) == ("loss" in names)


def test_reinforcement_learning_has_iterations_in_place_of_epochs_and_is_measured_in_an_environment() -> None:
    known = meaning_of(REINFORCEMENT_LEARNING)
    roles = {name: each.role for name, each in known.parameters.items() if each.role is not None}
    assert roles == {name: name for name in roles if name not in ("iterations", "warmup_fraction")} | {
        "iterations": "duration",
        "warmup_fraction": "warmup",
    }
    assert {*known.measure} == {"environment", "evaluation_episodes", "max_episode_steps"}
    assert (known.threads, known.step_word, known.measured_with) == ("threads", "iteration", {})


USERS = """
from objectives.contract import Metric, Objective, Parameter, RateShift

OBJECTIVES = (
    Objective(
        name="mine",
        description="",
        module="mine",
        metrics=(Metric(name="loss", direction="minimize", description=""),),
        parameters=({parameters}),
    ),
)
"""


@pytest.mark.parametrize(
    ("declarations", "problem"),
    [
        (["role='learning_rate'", "role='learning_rate'"], "has 2 parameters of the role 'learning_rate': one may have it"),
        (["role='rate'"], "has a parameter of the role 'rate'; there are: learning_rate, batch_size"),
        (["scale='square'"], "has a parameter of the scale 'square'; there are: linear, log, decay"),
        (["rate_shift=RateShift(power=1, sd=1), scale='linear'"], "a0 has a rate_shift, a power law, on a linear scale"),
        (["defines_measure=('los',)"], "a0 defines what 'los' measures, but there is no such metric"),
    ],
)
def test_a_meaning_that_cannot_be_is_a_catalog_problem(
    declarations: list[str], problem: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"users_{abs(hash(problem))}"
    parameters = "".join(
        f"Parameter(name='a{at}', type='float', default=0.5, description='', {given})," for at, given in enumerate(declarations)
    )
    (tmp_path / f"{name}.py").write_text(USERS.format(parameters=parameters))
    with pytest.raises(CatalogProblem, match=problem):
        load_catalog([name])


def test_a_rate_shift_is_a_power_law_and_so_on_no_linear_scale() -> None:
    shift = RateShift(power=1.0, sd=0.2)
    assert meanings(objective(number("width", rate_shift=shift)))["width"] == (None, "log", shift)
    assert meanings(objective(number("bs", role="batch_size", scale="linear")))["bs"] == ("batch_size", "linear", None)


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        (
            "{'cores': {'type': 'integer', 'x-role': 'thread'}}",
            "setting cores has the role 'thread'; the roles of settings are threads and data_path",
        ),
        ("{'cores': {'type': ['integer', 'null'], 'x-role': 'threads'}}", "its type must be integer"),
        ("{'file': {'type': 'integer', 'x-role': 'data_path'}}", "its type must be string"),
        (
            "{'a': {'type': 'integer', 'x-role': 'threads'}, 'b': {'type': 'integer', 'x-role': 'threads'}}",
            "has 2 settings with the role threads: one may have it",
        ),
    ],
)
def test_a_role_that_a_setting_cannot_have_is_a_catalog_problem(
    properties: str, problem: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"users_{abs(hash(problem))}"
    module = USERS.format(parameters="").replace(
        "parameters=()", f"parameters=(), settings_schema={{'properties': {properties}}}"
    )
    (tmp_path / f"{name}.py").write_text(module)
    with pytest.raises(CatalogProblem, match=problem):
        load_catalog([name])
