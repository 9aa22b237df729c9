"""The training of users' functions: every form of data and of model."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from objectives.training import sources
from objectives.training.batches import Batch, pieces
from objectives.training.default_task import task_of
from objectives.training.functions import Functions
from objectives.training.sources import InMemory
from tests.unit.objectives.runs import timeless, weights_of
from tests.unit.objectives.training.users_functions import (
    CLASSES,
    PARTS,
    VALUES,
    Attention,
    Named,
    X,
    begun,
    functions,
    in_three,
    learned,
    loaders,
    network,
    tried,
)


class OfOne(nn.Module):
    """Takes all inputs as one dictionary or tuple."""

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.names = left, right

    def forward(self, inputs: Any) -> Tensor:
        outputs: Tensor = self.layer(torch.cat([inputs[name] for name in self.names], dim=1))
        return outputs


class Rows(Dataset[Any]):
    """Examples as dictionaries."""

    def __init__(self, part: slice) -> None:
        self.inputs, self.targets = X[part], CLASSES[part]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"left": self.inputs[index, :2], "right": self.inputs[index, 2:], "labels": self.targets[index]}


class Doubles(Dataset[Any]):
    """Examples as NumPy makes them."""

    def __init__(self, part: slice) -> None:
        self.inputs, self.targets = X[part].double().numpy(), CLASSES[part].tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.inputs[index], self.targets[index]


class InBatches(Doubles):
    """Four batches."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.inputs[index::4], torch.tensor(self.targets[index::4])


FORMS: dict[str, tuple[Any, Any]] = {
    "tensors": (None, network),
    "arrays": ([(X[part].numpy(), CLASSES[part].numpy()) for part in PARTS], network),
    "arrays of 64 bits": ([(X[part].double().numpy(), CLASSES[part].numpy()) for part in PARTS], network),
    "data sets of 64 bits": ([Doubles(part) for part in PARTS], network),
    "arrays of 16 bits": ([(X[part].half().numpy(), CLASSES[part].numpy().astype(np.uint16)) for part in PARTS], network),
    "a dictionary by name": (in_three(lambda part: {"right": X[part, 2:], "left": X[part, :2]}), lambda *_: Named()),
    "a dictionary as one": (in_three(lambda part: {"a": X[part, 2:], "b": X[part, :2]}), lambda *_: OfOne("a", "b")),
    "several inputs": (in_three(lambda part: (X[part, :2], X[part, 2:])), lambda *_: Named()),
    "several inputs as one": (in_three(lambda part: (X[part, :2], X[part, 2:])), lambda *_: OfOne(0, 1)),
    "loaders": (loaders(), network),
    "loaders that shuffle": (loaders(shuffle=True), network),
    "loaders with workers": ([*loaders(num_workers=1)[:1], *loaders()[1:]], network),
    "a sampler": (
        [loaders(sampler=WeightedRandomSampler([1.0] * 64, 64))[0], *loaders()[1:]],
        network,
    ),
    "data sets": ([Rows(part) for part in PARTS], lambda *_: Named()),
    "a loader of a data set that gives batches": (
        [*loaders()[:1], DataLoader(InBatches(PARTS[1]), batch_size=None), loaders()[2]],
        network,
    ),
    "values": (in_three(lambda part: X[part], VALUES), lambda *_: nn.Linear(4, 1)),
    "values without a column": (in_three(lambda part: X[part], VALUES[:, 0]), lambda *_: nn.Linear(4, 1)),
    "a lazy model": (None, lambda *_: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_and_model_is_trained(form: str) -> None:
    data, model = FORMS[form]
    of = functions(data, model)
    score = "r2" if "values" in form else "accuracy"
    assert tried(of).score_name == score
    run = begun(of, learning_rate=0.05 if score == "r2" else 0.3)
    assert learned(run)
    assert run.evaluate()[f"test_{score}"] > 0.5


def test_batches_of_a_loader_train_as_the_same_tensors_do() -> None:
    of_tensors, of_loaders = begun(functions()), begun(functions(loaders()))
    ours, theirs = [timeless(item) for item in of_tensors], [timeless(item) for item in of_loaders]
    assert [item.update_losses for item in ours] == [item.update_losses for item in theirs]
    assert torch.equal(weights_of(of_tensors), weights_of(of_loaders))


def test_the_batch_size_is_that_of_the_trial_whatever_the_loaders_is() -> None:
    seen: list[int] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(len(outputs))
        return nn.functional.cross_entropy(outputs, targets)

    next(iter(begun(functions(loaders(), loss=loss), batch_size=32)))
    assert seen[:2] == [32, 32]
    assert set(seen[2:]) == {5, 1}, "the validation loader keeps its own"


class Outputs(NamedTuple):
    logits: Tensor
    hidden: Tensor


class WithHidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Outputs:
        hidden = torch.tanh(self.hidden(inputs))
        return Outputs(self.out(hidden), hidden)


def test_outputs_that_hold_logits_need_no_loss_and_others_a_loss_of_their_own() -> None:
    assert learned(begun(functions(model=lambda *_: WithHidden()), learning_rate=0.3))
    penalized = functions(
        model=lambda *_: WithHidden(),
        loss=lambda outputs, targets: (
            nn.functional.cross_entropy(outputs.logits, targets) + 0.01 * outputs.hidden.square().mean()
        ),
        score=lambda outputs, targets: (outputs.logits.argmax(1) == targets).float().mean().item(),
    )
    found = tried(penalized)
    assert (found.score_name, found.loss_name) == ("score", "own")
    run = begun(penalized, learning_rate=0.3)
    assert learned(run)
    assert run.evaluate()["test_score"] > 0.5
    assert run.guessing == {}, "the loss of guessing is not known"


def test_the_loss_of_guessing_is_that_of_a_constant_prediction() -> None:
    run = begun(functions(), epochs=1)
    list(run)
    assert run.guessing["validation_loss"] == pytest.approx(math.log(2))
    of_values = begun(functions(in_three(lambda part: X[part], VALUES), lambda *_: nn.Linear(4, 1)), epochs=1, learning_rate=0.01)
    list(of_values)
    assert of_values.guessing["validation_loss"] == pytest.approx(VALUES[PARTS[1]].var(correction=0).item(), rel=1e-5)


@pytest.mark.parametrize("n", [1, 3, 16])
def test_microbatches_of_dictionaries_add_up_to_the_batch(n: int) -> None:
    data = in_three(lambda part: {"left": X[part, :2], "right": X[part, 2:]})
    whole = begun(functions(data, lambda *_: Named()))
    in_pieces = begun(functions(data, lambda *_: Named()), settings={"microbatch_size": n})
    list(whole), list(in_pieces)
    torch.testing.assert_close(weights_of(in_pieces), weights_of(whole))


@pytest.mark.parametrize("n", [1, 3, 5, 32, 40])
def test_microbatches_are_those_of_tensor_split(n: int) -> None:
    """Batch norm depends on which examples are in one."""
    found = pieces(Batch(X[:32], CLASSES[:32]), n)
    expected = [part for part in X[:32].tensor_split(n) if len(part)]
    assert [len(each.inputs) for each in found] == list(map(len, expected))
    assert all(map(torch.equal, (each.inputs for each in found), expected))


def test_the_parameters_of_training_reach_any_model() -> None:
    run = begun(
        functions(model=lambda *_: Attention()),
        optimizer="adamw",
        schedule="one-cycle",
        layer_decay=0.5,
        clip_norm=0.1,
        initialization="xavier-normal",
        early_stopping_patience=2,
        settings={"precision": "bfloat16", "microbatch_size": 8},
    )
    items = list(run)
    assert len({item.learning_rate for item in items}) == len(items)
    assert len(items[0].group_rates) > 1
    assert items[0].metrics["clipped_share"] > 0


def test_data_are_read_once_for_the_same_settings() -> None:
    asked: list[Any] = []

    def data(settings: Any) -> Any:
        asked.append(settings["precision"])
        return in_three(lambda part: X[part])

    of = Functions(model=network, data=data)
    for precision in ("float32", "float32", "bfloat16"):
        begun(of, settings={"precision": precision})
    assert asked == ["float32", "bfloat16"]


def test_data_that_are_split_at_random_are_split_alike_everywhere() -> None:
    found = []

    def data(_settings: Any) -> Any:
        order = torch.randperm(96)
        found.append(order)
        return [(X[order[part]], CLASSES[order[part]]) for part in PARTS]

    for seed in (1, 2):
        torch.manual_seed(seed)
        begun(Functions(model=lambda *_: network({}, {}), data=lambda settings: data(settings)), seed)
    assert torch.equal(*found)


class InPlace(nn.Module):
    """Changes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, inputs: Any) -> Tensor:
        given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        outputs: Tensor = self.layer(torch.cat([each.sub_(0.5) for each in given], dim=1))
        return outputs


@pytest.mark.parametrize("inputs", [lambda part: X[part], lambda part: (X[part, :2], X[part, 2:])])
def test_a_model_may_change_its_inputs(inputs: Any) -> None:
    before = X.clone()
    of = functions(in_three(inputs), model=lambda *_: InPlace())
    tried(of)
    one, another = begun(of), begun(of)
    assert repr([timeless(item) for item in one]) == repr([timeless(item) for item in another])
    assert one.evaluate() == one.evaluate()
    assert torch.equal(X, before)


def test_an_epoch_is_the_same_whether_its_examples_are_gathered_at_once_or_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = begun(functions())
    expected = repr([timeless(item) for item in at_once])
    monkeypatch.setattr(sources, "GATHERED_BYTES", 1_000)
    assert repr([timeless(item) for item in begun(functions())]) == expected


def test_no_more_examples_are_evaluated_at_once_than_are_trained_unless_they_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def sizes() -> set[int]:
        return {batch.n_examples for batch in InMemory(X, CLASSES).evaluation(10, torch.device("cpu"))}

    assert sizes() == {96}
    monkeypatch.setattr(sources, "EVALUATED_BYTES", 100)
    assert sizes() == {10, 6}


def test_a_score_is_that_of_all_outputs_and_only_predictions_are_kept_for_the_default_ones() -> None:
    scored: list[Any] = []

    def score(outputs: Tensor, targets: Tensor) -> float:
        scored.append((tuple(outputs.shape), len(targets)))
        return 0.0

    begun(functions(loaders(), score=score)).evaluate()
    assert scored == [((16, 2), 16)]
    by_default = task_of(lambda _: "cross-entropy", None, None)
    assert by_default.predictions(torch.eye(2), torch.tensor([0, 1])).shape == (2,)
