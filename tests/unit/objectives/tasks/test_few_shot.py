"""The two few-shot objectives; what they share with others is tested there."""

from typing import Any

import pytest

from objectives.contract import DataProblem, Run
from objectives.tasks import few_shot_classification, few_shot_regression
from tests.unit.objectives.runs import train

STARTS = {"regression": few_shot_regression.start, "classification": few_shot_classification.start}
KINDS = [(kind, algorithm) for kind in STARTS for algorithm in ("maml", "reptile")]
each_kind = pytest.mark.parametrize(("kind", "algorithm"), KINDS)


def begin(kind: str, algorithm: str = "maml", settings: dict[str, Any] | None = None, **params: Any) -> Run:
    given = {"algorithm": algorithm, "shots": 5, "width": 16, **(settings or {})}
    return STARTS[kind]({"batch_size": 100, "epochs": 2, "inner_steps": 2} | params, given, 0, "cpu", 1)


@pytest.mark.parametrize(("kind", "algorithm", "score", "least"), [(*KINDS[0], "r2", 0.3), (*KINDS[2], "accuracy", 0.4)])
def test_it_learns_to_adapt(kind: str, algorithm: str, score: str, least: float) -> None:
    run = begin(kind, algorithm, learning_rate=0.01, batch_size=20, epochs=3)
    first, *_, last = train(run)
    assert last.metrics["training_loss"] < first.metrics["training_loss"]
    assert last.metrics[f"validation_{score}"] > least
    assert run.evaluate()[f"test_{score}"] > least


@each_kind
def test_a_run_continued_from_a_checkpoint_is_the_run_never_stopped(kind: str, algorithm: str) -> None:
    whole, stopped, continued = (begin(kind, algorithm) for _ in range(3))
    expected = train(whole)
    begun = train(stopped, 1)
    continued.load_state_dict(stopped.state_dict())
    assert begun + train(continued) == expected
    assert continued.evaluate() == whole.evaluate()


@each_kind
def test_a_batch_computed_in_pieces_is_the_same_batch(kind: str, algorithm: str) -> None:
    (whole,) = train(begin(kind, algorithm, epochs=1, optimizer="sgd"))
    (in_pieces,) = train(begin(kind, algorithm, {"microbatch_size": 30}, epochs=1, optimizer="sgd"))
    for name in ("training_loss", "validation_loss", "gradient_norm"):
        assert in_pieces.metrics[name] == pytest.approx(whole.metrics[name], rel=1e-3), name


def test_a_layer_keeps_its_name_and_its_inner_rates_belong_to_the_last_one() -> None:
    (measured,) = train(begin("regression", epochs=1, layer_decay=0.5, schedule="constant"))
    assert [(rate.group, rate.learning_rate / measured.learning_rate) for rate in measured.group_rates] == [
        ("1", 0.25),
        ("3", 0.5),
        ("5", 1.0),
    ]


def test_units_of_adapted_networks_are_counted_where_they_are_dead() -> None:
    """A high rate turns a third of them off."""
    (alive,), (dead,) = (train(begin("regression", "reptile", epochs=1, learning_rate=rate)) for rate in (1e-9, 0.1))
    assert alive.metrics["dead_units"] < 0.1 < dead.metrics["dead_units"]


@pytest.mark.parametrize("params", [{"learning_rate": 100.0}, {"inner_learning_rate": 100.0}])
def test_a_far_too_high_rate_is_divergence(params: dict[str, float]) -> None:
    *_, last = train(begin("regression", **params))
    assert last.divergence is not None


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(DataProblem, match=r"^batch_size 5000 exceeds the 1000 episodes of the training set\.$"):
        begin("classification", batch_size=5_000)


@pytest.mark.parametrize("kind", STARTS)
def test_snapshots_are_averaged_after_each_has_adapted(kind: str) -> None:
    run = begin(kind, schedule="cosine-restarts", restart_epochs=1, restart_factor=1, snapshot_ensemble=2)
    first, last = train(run)
    assert first.metrics["ensemble_validation_loss"] == pytest.approx(first.metrics["validation_loss"])
    assert last.metrics["ensemble_validation_loss"] != last.metrics["validation_loss"]
    assert "ensemble_test_loss" in run.evaluate()


def test_it_computes_with_fewer_bits() -> None:
    *_, last = train(begin("classification", "maml", {"precision": "bfloat16"}, epochs=2))
    assert last.divergence is None
