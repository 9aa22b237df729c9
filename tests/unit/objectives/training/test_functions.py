"""The training of users' functions: every form of data and of model, what is refused, and runs that go on elsewhere."""

import math
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, WeightedRandomSampler

from objectives.contract import DataProblem
from objectives.scripts.model_entry import default_values
from objectives.training.batches import Batch, pieces
from objectives.training.functions import Functions, start, try_out
from objectives.training.sources import Loaded
from objectives.training.supervised import SupervisedRun
from tests.unit.objectives.runs import timeless, weights_of

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(96, 4, generator=GENERATOR)
CLASSES = (X.sum(1) > 0).long()
VALUES = X.sum(1, keepdim=True)
PARTS = (slice(0, 64), slice(64, 80), slice(80, 96))


def in_three(inputs: Callable[[slice], Any], targets: Tensor = CLASSES) -> list[Any]:
    return [(inputs(part), targets[part]) for part in PARTS]


def network(_params: Any, _settings: Any, n_outputs: int = 2) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, n_outputs))


def functions(data: Any = None, model: Any = network, **more: Any) -> Functions:
    return Functions(model=model, data=lambda _: in_three(lambda part: X[part]) if data is None else data, **more)


def begun(of: Functions, seed: int = 0, *, device: str = "cpu", settings: Mapping[str, Any] | None = None, **params: Any) -> Any:
    defaults, of_settings = default_values({}, {}, "net")
    given = {"epochs": 4, "learning_rate": 0.1, "batch_size": 16} | params
    return start(of, {**defaults, **given}, {**of_settings, **(settings or {})}, seed, device, 1)


def tried(of: Functions, **params: Any) -> Any:
    defaults, settings = default_values({}, {}, "net")
    return try_out(of, {**defaults, **params}, settings)


def learned(run: SupervisedRun) -> bool:
    losses = [item.metrics["validation_loss"] for item in run]
    return losses[-1] < 0.8 * losses[0]


class Named(nn.Module):
    """Takes its inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        outputs: Tensor = self.layer(torch.cat([left, right], dim=1))
        return outputs


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


def loaders(**options: Any) -> list[DataLoader[Any]]:
    return [DataLoader(TensorDataset(X[part], CLASSES[part]), batch_size=5, **options) for part in PARTS]


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


# Models of other kinds.


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layer = kind(1, 8, num_layers=2, dropout=0.2, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.out(self.layer(inputs[:, :, None])[0][:, -1])
        return outputs


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, 1, 8))
        self.embedding = nn.Linear(1, 8)
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True), 1)
        self.out = nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = torch.cat([self.first.expand(len(inputs), -1, -1), self.embedding(inputs[:, :, None])], dim=1)
        outputs: Tensor = self.out(self.layers(tokens)[:, 0])
        return outputs


class Noisy(nn.Module):
    """Draws from generators of its own, of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.torch_generator = torch.Generator().manual_seed(1)
        self.numpy_generator = np.random.default_rng(1)
        self.python_generator = random.Random(1)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            scale = 1 + 0.1 * float(self.numpy_generator.normal()) + 0.1 * self.python_generator.random()
            inputs = scale * inputs + 0.1 * torch.randn(inputs.shape, generator=self.torch_generator)
        outputs: Tensor = self.layer(inputs)
        return outputs


class Augmented(Dataset[Any]):
    """Draws from the global generators."""

    def __init__(self, part: slice) -> None:
        self.part = part

    def __len__(self) -> int:
        return self.part.stop - self.part.start

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        place = self.part.start + index
        noise = 0.1 * torch.randn(4) + 0.1 * float(np.random.normal()) + 0.1 * random.random()
        return X[place] + noise, CLASSES[place]


class AugmentedByItsOwn(Augmented):
    """Draws from a generator of its own, too."""

    def __init__(self, part: slice) -> None:
        super().__init__(part)
        self.generator = np.random.default_rng(0)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        inputs, target = super().__getitem__(index)
        return inputs + 0.1 * float(self.generator.normal()), target


class Tied(nn.Module):
    """Two layers of the same weights, and one that is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.second.weight = self.first.weight
        self.frozen = nn.Linear(4, 4)
        self.frozen.requires_grad_(requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.out(torch.tanh(self.second(torch.tanh(self.first(self.frozen(inputs))))))
        return outputs


KINDS: dict[str, Functions] = {
    "dropout": functions(model=lambda *_: nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 2))),
    "batch norm": functions(model=lambda *_: nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))),
    "lstm": functions(model=lambda *_: Recurrent(nn.LSTM)),
    "gru": functions(model=lambda *_: Recurrent(nn.GRU)),
    "attention": functions(model=lambda *_: Attention()),
    "generators of its own": functions(model=lambda *_: Noisy()),
    "augmentation": functions([Augmented(part) for part in PARTS]),
    "augmentation by workers": functions(
        [DataLoader(Augmented(PARTS[0]), 8, num_workers=1), *in_three(lambda part: X[part])[1:]]
    ),
    "augmentation by workers that stay": functions(
        [
            DataLoader(AugmentedByItsOwn(PARTS[0]), 8, num_workers=2, persistent_workers=True),
            *in_three(lambda part: X[part])[1:],
        ]
    ),
    "a sampler": functions([loaders(sampler=WeightedRandomSampler([1.0] * 64, 64))[0], *loaders()[1:]]),
    "tied and frozen": functions(model=lambda *_: Tied()),
    "vectors only": functions(in_three(lambda part: X[part], X), lambda *_: nn.LayerNorm(4)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_goes_on_elsewhere_ends_bit_for_bit_as_one_that_was_never_interrupted(kind: str) -> None:
    of = KINDS[kind]
    tried(of)
    calm, interrupted, resumed = (begun(of, 3, optimizer="adam", learning_rate=0.01) for _ in range(3))
    expected = [timeless(item) for item in calm]
    steps = iter(interrupted)
    got = [timeless(next(steps)) for _ in range(2)]
    torch.rand(3), np.random.rand(3), random.random()  # others may draw meanwhile
    resumed.load_state_dict(interrupted.state_dict())
    got += [timeless(item) for item in resumed]
    assert repr(got) == repr(expected)
    assert torch.equal(weights_of(calm), weights_of(resumed))
    assert calm.evaluate() == resumed.evaluate()


@pytest.mark.parametrize("kind", ["dropout", "augmentation", "generators of its own"])
def test_two_runs_in_turns_do_not_disturb_each_other_nor_the_generators_of_others(kind: str) -> None:
    of = KINDS[kind]
    alone = [timeless(item) for item in begun(of, 3)]
    states = torch.get_rng_state(), random.getstate()
    one, other = iter(begun(of, 3)), iter(begun(of, 4))
    together = []
    for _ in range(4):
        together.append(timeless(next(one)))
        next(other)
    assert repr(together) == repr(alone)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


def test_workers_that_stay_draw_anew_in_every_epoch() -> None:
    stays = AugmentedByItsOwn(PARTS[0])
    loader = DataLoader(stays, 8, num_workers=1, persistent_workers=True)
    epoch = Loaded(loader, "it").training(64, torch.Generator(), torch.device("cpu"))
    one, another = (next(iter(list(epoch()))).inputs.sum().item() for _ in range(2))
    assert one != pytest.approx(another, abs=1e-3)


def test_another_seed_is_another_run() -> None:
    one, same, other = ([timeless(item) for item in begun(functions(), seed)] for seed in (1, 1, 2))
    assert repr(one) == repr(same) != repr(other)


def test_frozen_weights_stay_and_tied_ones_stay_tied() -> None:
    run = begun(KINDS["tied and frozen"], weight_decay=0.1, initialization="he-normal")
    before = run.state_dict()["model"]
    list(run)
    after = run.state_dict()["model"]
    assert torch.equal(before["frozen.weight"], after["frozen.weight"])
    assert torch.equal(after["first.weight"], after["second.weight"])
    assert not torch.equal(before["first.weight"], after["first.weight"])


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


# What is refused, before any trial.


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(X[0], CLASSES[0])])


def refused(data: Any = None, model: Any = network, **more: Any) -> Functions:
    return functions(data, model, **more)


WRONG: dict[str, tuple[Functions, str]] = {
    "two sets": (refused(in_three(lambda part: X[part])[:2]), "data returned a list of 2: it must return three sets"),
    "none": (Functions(model=network, data=lambda _: None), "data returned None: it must return three sets"),
    "a set of text": (refused(["a", "b", "c"]), "data: the training set is a value of type str: it must be (inputs, targets)"),
    "other lengths": (
        refused([(X, CLASSES[:5])] * 3),
        "data: the training set has inputs of shape (96, 4) and targets of shape (5,)",
    ),
    "empty": (refused([(X[:0], CLASSES[:0])] * 3), "data: the training set is empty: it must hold at least one example."),
    "endless": (refused([Endless()] * 3), "data: the training set is a Endless without a length"),
    "batch sampler": (
        refused([DataLoader(TensorDataset(X, CLASSES), batch_sampler=[[0, 1]])] * 3),
        "data: the training set's DataLoader makes its own batches: give it batch_size instead of batch_sampler",
    ),
    "words": (refused([(np.array(["a"] * 96), CLASSES)] * 3), "data: the training set's inputs are an array of <U1"),
    "a batch of one": (refused([DataLoader([(X[0],)] * 3)] * 3), "is a list of 1: it must be (inputs, targets)"),
    "no module": (refused(model=lambda *_: 3), "model returned a value of type int: it must return a torch.nn.Module."),
    "no weights": (refused(model=lambda *_: nn.ReLU()), "The model has no weights to train"),
    "sparse": (
        refused(in_three(lambda part: CLASSES[part]), lambda *_: nn.Sequential(nn.Embedding(2, 2, sparse=True))),
        "The embedding 0 has sparse gradients, which cannot be clipped or measured: make it without sparse=True.",
    ),
    "64 bits": (
        refused(model=lambda *_: nn.Linear(4, 2).double()),
        "The weights weight are float64: weights that are trained must",
    ),
    "shapes": (
        refused(model=lambda *_: nn.Linear(4, 1)),
        "The outputs have the shape (32, 1) and the integer targets (32,): the default loss takes outputs (n, classes)",
    ),
    "classes": (
        refused([*in_three(lambda part: X[part])[:2], (X[PARTS[2]], torch.arange(16))]),
        "The targets are classes from 0 to 15, and the model has 2 outputs: classes must be from 0 to 1.",
    ),
    "a class below 0": (
        refused([DataLoader(TensorDataset(X, CLASSES - 1))] * 3),
        "The targets are classes from -1 to 0, and the model has 2 outputs: classes must be from 0 to 1.",
    ),
    "shapes of values": (
        refused(in_three(lambda part: X[part], VALUES), lambda *_: nn.Linear(4, 3)),
        "The outputs have the shape (32, 3) and the targets, which are floats, (32, 1)",
    ),
    "outputs": (
        refused(model=lambda *_: OfTuple()),
        "The model returned a tuple of 2: write a function loss(outputs, targets) that takes it.",
    ),
    "loss": (refused(loss=lambda *_: 3.0), "loss returned a value of type float: it must return a scalar tensor"),
    "loss of all": (
        refused(loss=lambda outputs, _: outputs[:, 0]),
        "loss returned a tensor of shape (32,): it must return a scalar",
    ),
    "loss of nothing": (
        refused(loss=lambda outputs, _: outputs.detach().mean()),
        "The loss does not depend on the model's weights",
    ),
    "score": (refused(score=lambda outputs, _: outputs), "score returned a tensor of shape (16, 2): it must return one number"),
}


class OfTuple(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(inputs), inputs


@pytest.mark.parametrize("how", WRONG)
def test_what_cannot_be_trained_is_one_sentence(how: str) -> None:
    of, said = WRONG[how]
    with pytest.raises(DataProblem) as raised:
        tried(of)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.for_every_trial


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
