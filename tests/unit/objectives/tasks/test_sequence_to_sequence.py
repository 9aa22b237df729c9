"""Dates in words to ISO 8601: what is learned, and what does not change it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from objectives.contract import DataProblem
from objectives.data.characters import PADDING
from objectives.models.translator import Translated
from objectives.tasks.sequence_to_sequence import guessing_loss, start, token_loss
from objectives.training.supervised import SupervisedRun
from tests.unit.objectives.runs import train, weights_of

N_TARGETS = 6
TARGETS = torch.tensor([[2, 3, 5, PADDING], [5, PADDING, PADDING, PADDING]])


def begin(folder: Path, beam_width: int = 1, **params: Any) -> SupervisedRun:
    """Numbers to be spelled digit by digit, in 100 lines."""
    words = "nul een twee drie vier vijf zes zeven acht negen".split()
    numbers = [f"{n:02}" for n in range(100)]
    (folder / "source").write_text("".join(f"{number}\n" for number in numbers))
    (folder / "target").write_text("".join(f"{words[int(a)]} {words[int(b)]}\n" for a, b in numbers))
    settings = {"dataset": "parallel-text", "path": str(folder / "source"), "target_path": str(folder / "target"), "width": 16}
    run = start({"epochs": 4, "batch_size": 4, "dropout": 0.0} | params, settings | {"beam_width": beam_width}, 0, "cpu", 1)
    assert isinstance(run, SupervisedRun)
    return run


def test_numbers_are_spelled(tmp_path: Path) -> None:
    run = begin(tmp_path, epochs=20, learning_rate=0.01)
    first, *_, last = train(run)
    assert last.metrics["validation_loss"] < 0.5 * first.metrics["validation_loss"]
    assert last.metrics["validation_exact_match"] > 0.3
    assert run.evaluate()["test_exact_match"] > 0.3


def test_a_resumed_run_ends_as_one_that_is_not_interrupted(tmp_path: Path) -> None:
    whole = begin(tmp_path, beam_width=2)
    expected = train(whole)
    interrupted = begin(tmp_path, beam_width=2)
    done = train(interrupted, 2)
    resumed = begin(tmp_path, beam_width=2)
    resumed.load_state_dict(interrupted.state_dict())
    assert repr([*done, *train(resumed)]) == repr(expected)
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert resumed.evaluate() == whole.evaluate()


def test_a_loss_is_the_mean_over_tokens_and_then_over_translations() -> None:
    """So that it does not depend on the batches that translations of different length are in."""
    logits = torch.randn(2, 4, N_TARGETS, generator=torch.Generator().manual_seed(0))
    log_probabilities = logits.log_softmax(dim=2)
    first = -(log_probabilities[0, 0, 2] + log_probabilities[0, 1, 3] + log_probabilities[0, 2, 5]) / 3
    second = -log_probabilities[1, 0, 5]
    loss = token_loss()(Translated(logits, None), TARGETS)
    torch.testing.assert_close(loss, (first + second) / 2)
    assert token_loss(0.1)(Translated(logits, None), TARGETS) != loss


def test_the_loss_of_guessing_is_that_of_the_tokens_frequencies() -> None:
    frequencies = torch.tensor([0.25, 0.25, 0.5]).log()
    expected = -(frequencies.sum() / 3 + frequencies[2]) / 2
    assert guessing_loss(TARGETS, N_TARGETS) == pytest.approx(expected.item())


def test_a_translation_counts_if_every_token_is_right(tmp_path: Path) -> None:
    run = begin(tmp_path)
    found = torch.tensor([[2, 3, 5, PADDING], [5, 5, PADDING, PADDING]])
    predicted: Tensor = run._task.predictions(Translated(torch.zeros(2, 4, N_TARGETS), found), TARGETS)
    assert run._task.score(predicted, TARGETS) == 0.5


def test_a_character_that_training_has_not_seen_twice_is_never_right(tmp_path: Path) -> None:
    """Though the model learns that all of them are unknown."""
    for name, first in (("source", 0x4E00), ("target", 0x5E00)):
        (tmp_path / name).write_text("".join(f"{chr(first + n)}\n" for n in range(20)), encoding="utf-8")
    settings = {
        "dataset": "parallel-text",
        "path": str(tmp_path / "source"),
        "target_path": str(tmp_path / "target"),
        "width": 16,
    }
    run = start({"epochs": 10, "batch_size": 4, "learning_rate": 0.01}, settings, 0, "cpu", 1)
    *_, last = train(run)
    assert last.metrics["validation_loss"] < 0.3
    assert last.metrics["validation_exact_match"] == 0.0


def test_a_missing_file_of_translations_is_named(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("a\n")
    with pytest.raises(DataProblem, match=r"^target_path is not set: it must name the file of the translations\.$"):
        start({}, {"dataset": "parallel-text", "path": str(tmp_path / "source")}, 0, "cpu", 1)
