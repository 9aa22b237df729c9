"""The network from scratch that few-shot learning is compared with."""

import pytest

from benchmarks.few_shot import KINDS, Scratch, described


@pytest.mark.parametrize(
    ("optimizer", "learning_rate", "steps", "said"),
    [
        ("adam", 0.03, 300, "adam, rate 0.03, steps 300"),
        ("adam", 0.1, 3_000, "adam, rate 0.1 (highest tried), steps 3000 (highest tried)"),
        ("sgd", 0.0001, 1, "sgd, rate 0.0001 (lowest tried), steps 1 (lowest tried)"),
    ],
)
def test_the_table_says_where_the_best_training_stands_at_the_edge(
    optimizer: str, learning_rate: float, steps: int, said: str
) -> None:
    assert described(Scratch(optimizer=optimizer, learning_rate=learning_rate, steps=steps), KINDS[0]) == said
