"""Runs of users' functions that go on elsewhere, and what they draw."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from objectives.training.functions import Functions
from objectives.training.sources import Loaded
from tests.unit.objectives.runs import timeless, weights_of
from tests.unit.objectives.training.users_functions import (
    CLASSES,
    PARTS,
    Attention,
    X,
    begun,
    functions,
    in_three,
    loaders,
    tried,
)


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layer = kind(1, 8, num_layers=2, dropout=0.2, batch_first=True)
        self.out = nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.out(self.layer(inputs[:, :, None])[0][:, -1])
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
