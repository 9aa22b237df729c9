from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pytest

from objectives.catalog import BUILTIN, default_params, default_settings
from objectives.contract import Objective, Parameter
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.entries.tabular_regression import TABULAR_REGRESSION
from objectives.models.layers import ACTIVATIONS
from objectives.parameters.choices import SCHEDULES
from objectives.parameters.schedule import SCHEDULE
from objectives.parameters.steps import in_epochs, in_steps
from objectives.training.gradients import Clipping
from objectives.training.hyperparameters import picked
from objectives.training.optimizers import OptimizerChoice
from objectives.training.schedules import Policy

each_objective = pytest.mark.parametrize("objective", BUILTIN, ids=lambda objective: objective.name)

ADAM, SGD, ONE_CYCLE = {"optimizer": "adam"}, {"optimizer": "sgd"}, {"schedule": "one-cycle"}
KEEP = {"cycle_momentum": False}
OF_CYCLES = {"base_momentum", "max_momentum"}
BETAS = {"beta1", "beta2"}


def applying(values: Mapping[str, Any], objective: Objective = IMAGE_CLASSIFICATION) -> set[str]:
    """The parameters that mean something with these values, and defaults for what is left out; lists are several values."""
    defaults = {**default_params(objective), **default_settings(objective), "optimizer": "sgd", "schedule": "constant"}
    possible = {name: value if isinstance(value, list) else [value] for name, value in {**defaults, **values}.items()}
    return {parameter.name for parameter in objective.parameters if parameter.may_apply(possible)}


@pytest.mark.parametrize(
    ("values", "apply", "do_not"),
    [
        (SGD, {"momentum", "nesterov", "weight_decay"}, {"alpha", "eps", "cycle_momentum", *BETAS, *OF_CYCLES}),
        (ADAM, {"eps", *BETAS}, {"momentum", "nesterov", "alpha", "cycle_momentum"}),
        ({"optimizer": "adamw"}, {"eps", *BETAS}, {"momentum", "nesterov", "alpha"}),
        ({"optimizer": "rmsprop"}, {"momentum", "alpha", "eps"}, {"nesterov", *BETAS}),
        ({"optimizer": "adagrad"}, {"eps"}, {"momentum", "nesterov", "alpha", *BETAS}),
        (
            {"optimizer": "prodigy"},
            {"d_coef", "eps", "weight_decay", *BETAS},
            {"momentum", "interpolation", "hypergradient_rate", "layer_decay"},
        ),
        (
            {"optimizer": "schedule-free-sgd"},
            {"interpolation", "weight_decay"},
            {"momentum", "nesterov", "d_coef", "eps", *BETAS},
        ),
        ({"optimizer": "schedule-free-adamw"}, {"interpolation", "beta2", "eps"}, {"momentum", "beta1"}),
        ({"optimizer": "schedule-free-adamw"} | ONE_CYCLE, {"interpolation"}, {"cycle_momentum", *OF_CYCLES}),
        ({"optimizer": "hypergradient-sgd"}, {"momentum", "hypergradient_rate"}, {"nesterov", "eps", *BETAS}),
        ({"optimizer": "hypergradient-adam"}, {"eps", "hypergradient_rate", *BETAS}, {"momentum", "interpolation"}),
        (SGD | ONE_CYCLE, {"cycle_momentum", "nesterov", *OF_CYCLES}, {"momentum"}),
        (SGD | ONE_CYCLE | KEEP, {"cycle_momentum", "momentum"}, OF_CYCLES),
        (SGD | {"schedule": "cyclical"}, {"cycle_momentum", *OF_CYCLES}, {"momentum"}),
        (SGD | {"schedule": "cyclical"} | KEEP, {"momentum"}, OF_CYCLES),
        (ADAM | ONE_CYCLE, {"beta2", *OF_CYCLES}, {"beta1", "momentum"}),
        (ADAM | ONE_CYCLE | KEEP, BETAS, OF_CYCLES),
        ({"optimizer": "adagrad"} | ONE_CYCLE, {"pct_start"}, {"cycle_momentum", "momentum", *OF_CYCLES}),
        ({"optimizer": ["sgd", "adam"]}, {"momentum", "nesterov", "eps", *BETAS}, {"alpha"}),
        (SGD | {"schedule": ["one-cycle", "cosine"]}, {"momentum", "final_fraction", *OF_CYCLES}, {"gamma"}),
        (SGD | ONE_CYCLE | {"cycle_momentum": [False, True]}, {"momentum", *OF_CYCLES}, set()),
        ({"schedule": "cyclical"}, {"rise_epochs", "cycle_mode", "base_fraction"}, {"decay_per_epoch"}),
        ({"schedule": "cyclical", "cycle_mode": "exp_range"}, {"decay_per_epoch"}, set()),
        ({"schedule": "cosine", "cycle_mode": "exp_range"}, set(), {"decay_per_epoch"}),
        ({"learning_rate_scaling": "linear"}, {"reference_batch_size"}, set()),
        ({"learning_rate_scaling": "none"}, set(), {"reference_batch_size"}),
        ({"initialization": "default"}, set(), {"zero_output"}),
        ({"initialization": "orthogonal"}, {"zero_output"}, set()),
        ({"loss": "cross-entropy"}, {"label_smoothing"}, set()),
        ({"loss": "mse"}, set(), {"label_smoothing"}),
    ],
)
def test_parameters_mean_something_with_certain_values_of_others(
    values: dict[str, Any], apply: set[str], do_not: set[str]
) -> None:
    assert apply <= applying(values)
    assert do_not.isdisjoint(applying(values))


@pytest.mark.parametrize(("loss", "means_something"), [("huber", True), ("mse", False), ("mae", False)])
def test_hubers_delta_means_something_under_his_loss_alone(loss: str, means_something: bool) -> None:
    assert ("huber_delta" in applying({"loss": loss}, TABULAR_REGRESSION)) is means_something


OF_SCHEDULES: dict[str, set[str]] = {
    "constant": set(),
    "step": {"step_size", "gamma"},
    "multi-step": {"gamma"},
    "exponential": {"decay_per_epoch"},
    "polynomial": {"power"},
    "cosine": {"final_fraction"},
    "cosine-restarts": {"final_fraction", "restart_epochs", "restart_factor"},
    "cyclical": {"cycle_mode", "rise_epochs", "base_fraction", "cycle_momentum", "base_momentum", "max_momentum"},
    "one-cycle": {"pct_start", "div_factor", "final_div_factor", "cycle_momentum", "base_momentum", "max_momentum"},
    "plateau": {"plateau_factor", "plateau_patience"},
    "warmup-stable-decay": {"decay_fraction"},
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_has_its_own_parameters_and_no_others(schedule: str) -> None:
    of_any_schedule = {field.name for field in fields(Policy)} - {"schedule", "warmup_fraction", "milestones"}
    assert set().union(*OF_SCHEDULES.values()) == of_any_schedule
    assert applying({"schedule": schedule}) & of_any_schedule == OF_SCHEDULES[schedule]


@each_objective
def test_names_are_unique_among_parameters_and_settings(objective: Objective) -> None:
    names = [parameter.name for parameter in objective.parameters] + list(objective.settings_schema["properties"])
    assert len(set(names)) == len(names)


@each_objective
def test_what_a_parameter_depends_on_exists_and_can_have_the_values_named(objective: Objective) -> None:
    choices = {parameter.name: parameter.choices for parameter in objective.parameters}
    choices |= {name: tuple(schema.get("enum", ())) for name, schema in objective.settings_schema["properties"].items()}
    asked = [(name, values) for each in objective.parameters for case in each.applies_when for name, values in case.items()]
    assert len(asked) > 20
    for name, values in asked:
        assert values
        assert set(values) <= set(choices[name] or ())


@each_objective
@pytest.mark.parametrize("kind", [Policy, OptimizerChoice, Clipping])
def test_every_concern_of_training_finds_its_values_among_parameters_and_settings(objective: Objective, kind: type) -> None:
    values = in_epochs({**default_params(objective), **default_settings(objective)}, objective.step_word)
    assert vars(picked(kind, values)).items() <= {**values, "milestones": tuple(values["milestones"])}.items()


def test_parameters_that_count_steps_are_named_after_what_a_step_is() -> None:
    renamed = {each.name: each.description for each in in_steps(SCHEDULE, "update", observed="negative return")}
    assert renamed["rise_updates"] == "Updates in which the rate rises; it falls in as many (Smith 2017: 2 to 10)."
    assert renamed["plateau_patience"].startswith("Updates without a new lowest negative return")
    assert not [name for name, description in renamed.items() if "epoch" in name + description.lower()]
    values = {name: place for place, name in enumerate(renamed)}
    assert in_epochs(values, "update") == {each.name: place for place, each in enumerate(SCHEDULE)}


@dataclass(frozen=True)
class Pair:
    first: Any
    second: Any


def test_every_field_is_picked_by_name_and_lists_become_tuples() -> None:
    assert picked(Pair, {"second": [1, 2], "third": 3, "first": "abc"}) == Pair("abc", (1, 2))
    with pytest.raises(KeyError, match="second"):
        picked(Pair, {"first": 1})


def test_the_activations_offered_are_those_there_are() -> None:
    (activation,) = (parameter for parameter in IMAGE_CLASSIFICATION.parameters if parameter.name == "activation")
    assert activation.choices == tuple(ACTIVATIONS)


@pytest.mark.parametrize(
    ("possible", "expected"),
    [
        ({"a": [1], "b": ["x"]}, True),
        ({"a": [1], "b": ["y"]}, False),
        ({"a": [3, 2], "b": ["y", "x"]}, True),
        ({"a": [3], "b": ["z", "y"]}, True),
        ({"a": [3], "b": ["x"]}, False),
    ],
)
def test_one_case_is_enough_and_all_of_a_case_must_be_possible(possible: dict[str, list[Any]], expected: bool) -> None:
    cases = ({"a": (1, 2), "b": ("x",)}, {"b": ("z",)})
    parameter = Parameter(name="c", type="float", default=0.0, space=None, description="", applies_when=cases)
    assert parameter.may_apply(possible) is expected
    assert Parameter(name="c", type="float", default=0.0, space=None, description="").may_apply(possible)
