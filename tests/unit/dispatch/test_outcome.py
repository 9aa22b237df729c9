"""What a trial has measured, and the result that it makes; the rest is tested with real trainers in tests/integration/worker."""

import math
from typing import Any

import pytest

from service.dispatch.outcome import Completed, Curve, Failed, Infeasible, Pruned
from service.domain.measurement import MAX_STEP, Divergence, Measurement


def measured(step: int, loss: float = 1.0, **fields: Any) -> Measurement:
    rest = {"in_warmup": False, "learning_rate": 0.1, "seconds": 0.1, "group_rates": (), "update_losses": (), "best_step": None}
    others = {"fraction": 0.5, "metrics": {"loss": loss}, "divergence": None}
    return Measurement(step=step, **rest | others | fields)


def curve(*losses: float, **last: Any) -> Curve:
    """A curve of so many steps, the last one with these fields."""
    taken = Curve("loss")
    for step, loss in enumerate(losses, start=1):
        assert taken.take(measured(step, loss, **last if step == len(losses) else {})) is None
    return taken


@pytest.mark.parametrize(
    ("item", "type_", "says"),
    [
        (measured(2), "BadMeasurement", "step 2 was measured after step 2"),
        (measured(1), "BadMeasurement", "step 1 was measured after step 2"),
        (measured(MAX_STEP + 1), "BadMeasurement", "to at most 2,147,483,647"),
        (measured(3, metrics={"loss": 1.0, "a\0b": 2.0}), "BadMeasurement", "a name with letters that cannot be stored"),
        (measured(3, metrics={"los": 1.0, "accuracy": 2.0}), "MissingMetric", "step 3 measured no loss, only accuracy, los"),
    ],
)
def test_a_flawed_measurement_is_a_failure_and_no_part_of_the_curve(item: Measurement, type_: str, says: str) -> None:
    found = curve(2.0, 1.0)
    failure = found.take(item)
    assert isinstance(failure, Failed)
    assert failure.error.type == type_
    assert says in failure.error.message
    assert found.last is not None
    assert found.last.step == 2


def test_a_run_that_ends_has_the_value_of_its_last_step() -> None:
    result = curve(3.0, 1.0, 2.0).completed({"test_loss": 4.0, "test_r2": math.nan}, {})
    assert result == Completed(value=2.0, best_step=None, user_attrs={"test_loss": 4.0})


def test_a_run_that_chose_a_step_has_the_value_of_that() -> None:
    assert curve(3.0, 1.0, 2.0, best_step=2).completed({}, {}) == Completed(value=1.0, best_step=2)


def test_a_step_that_was_chosen_may_be_one_of_an_earlier_attempts() -> None:
    before = curve(3.0, 1.0)
    after = Curve("loss", before.last)
    after.go_on_after(before._steps)
    after.take(measured(3, 2.0, best_step=2))
    assert after.completed({}, {}) == Completed(value=1.0, best_step=2)


def test_a_step_that_was_never_measured_cannot_be_chosen() -> None:
    result = curve(3.0, 1.0, best_step=7).completed({}, {})
    assert isinstance(result, Failed)
    assert result.error.message == "step 2 named step 7 as its best_step, which was not measured"


def test_a_run_that_measured_nothing_has_failed() -> None:
    result = Curve("loss").completed({}, {})
    assert isinstance(result, Failed)
    assert result.error.type == "NothingMeasured"


def test_a_run_that_says_that_it_diverged_is_infeasible() -> None:
    divergence = Divergence(reason="training loss became nan", update=7, fraction=0.25)
    result = curve(3.0, math.nan, divergence=divergence).completed({}, {})
    assert result == Infeasible(step=2, fraction=0.25, evidence="training loss became nan")


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_without_a_number_a_run_is_infeasible_however_it_ends(loss: float) -> None:
    found = curve(3.0, loss)
    infeasible = Infeasible(step=2, fraction=0.5, evidence=f"loss was {loss} at step 2")
    assert found.completed({}, {}) == infeasible
    assert found.last is not None
    assert found.ended_at(found.last) == found.ended_at(found.last, stopped_by="a limit") == infeasible


def test_a_metric_that_blows_up_and_stays_finite_is_a_divergence_at_that_step() -> None:
    found = curve(2.3, 2.0)
    assert found.divergence is None
    found.take(measured(3, 1e8))
    evidence = "loss was 1e+08, above 1,000,000 times its first value, 2.3, at step 3"
    assert found.divergence == found.completed({}, {}) == Infeasible(step=3, fraction=0.5, evidence=evidence)


def test_a_step_of_an_earlier_attempt_is_the_first() -> None:
    after = Curve("loss", measured(1, 2.3))
    after.go_on_after([measured(1, 2.3)])
    after.take(measured(2, 1e8))
    assert after.divergence is not None


def test_a_metric_far_above_guessing_from_the_first_step_on_is_a_divergence_at_the_end() -> None:
    found = curve(1e8, 1e8)
    assert found.divergence is None
    assert found.completed({}, {"loss": 2.3}) == Infeasible(
        step=2, fraction=0.5, evidence="loss was 1e+08, above 1,000 times that of guessing, 2.3, at step 2"
    )
    assert found.completed({}, {"accuracy": 0.1}) == Completed(value=1e8, user_attrs={"guessing": {"accuracy": 0.1}})


def test_a_maximized_metric_does_not_blow_up() -> None:
    found = Curve("loss", is_minimized=False)
    for step, loss in enumerate((2.3, 1e30), start=1):
        found.take(measured(step, loss))
    assert found.completed({}, {"loss": 2.3}) == Completed(value=1e30, user_attrs={"guessing": {"loss": 2.3}})


def test_a_run_that_keeps_an_earlier_step_has_not_diverged_after_it() -> None:
    assert curve(2.3, 1.0, 1e30, best_step=2).completed({}, {}) == Completed(value=1.0, best_step=2)


def test_a_run_that_is_ended_early_is_pruned_with_its_value() -> None:
    found = curve(3.0, 1.0)
    assert found.last is not None
    assert found.ended_at(found.last) == Pruned(value=1.0, step=2)
    assert found.ended_at(found.last, stopped_by="a limit") == Pruned(value=1.0, step=2, stopped_by="a limit")


def test_a_run_may_have_a_value_that_it_measured_at_no_step() -> None:
    assert curve(3.0, 1.0).completed({}, {}, value=0.5) == Completed(value=0.5)
    assert curve(3.0, 1.0, best_step=1).completed({}, {}, value=0.5) == Completed(value=0.5, best_step=1)


@pytest.mark.parametrize(("value", "evidence"), [(math.nan, "loss was nan at step 2"), (1e30, "loss was 1e+30, above")])
def test_a_value_that_is_none_has_diverged_as_a_measured_one_has(value: float, evidence: str) -> None:
    result = curve(3.0, 1.0).completed({}, {}, value=value)
    assert isinstance(result, Infeasible)
    assert result.evidence.startswith(evidence)


def test_what_a_run_notes_is_stored_but_under_no_name_of_strides_own() -> None:
    noted = {"data": ["a\0b", {"c\0": 1}], "best_step": 7, "test_loss": 9.0}
    result = curve(3.0, 1.0).completed({"test_loss": 4.0}, {}, user_attrs=noted)
    assert result == Completed(value=1.0, user_attrs={"data": ["a\ufffdb", {"c\ufffd": 1}], "test_loss": 4.0})


def test_a_run_that_has_ended_itself_is_pruned_with_its_last_value() -> None:
    assert curve(3.0, 1.0).completed({}, {}, pruned="by itself") == Pruned(value=1.0, step=2, stopped_by="by itself")
