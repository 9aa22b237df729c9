"""Hypergradient descent, against the equations of the paper, written out on one vector."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from objectives.training.hypergradient import Hypergradient, HypergradientAdam, HypergradientSGD

LR, RATE, MOMENTUM, BETAS, EPS, WEIGHT_DECAY = 0.05, 0.3, 0.6, (0.7, 0.9), 0.01, 0.1
CURVATURES = np.array([4.0, 1.0, 0.25, 2.0])
START = np.array([1.0, -2.0, 3.0, 0.5])
Vector = NDArray[np.float64]


def optimizer_of(kind: str, groups: list[dict[str, Any]], **overrides: Any) -> Hypergradient:
    shared: dict[str, Any] = {"lr": LR, "hypergradient_rate": RATE, "weight_decay": WEIGHT_DECAY} | overrides
    if kind == "sgd":
        return HypergradientSGD(groups, momentum=MOMENTUM, **shared)
    return HypergradientAdam(groups, betas=BETAS, eps=EPS, **shared)


def stepped(optimizer: Hypergradient, parts: list[torch.Tensor]) -> None:
    """An update on the loss sum(curvature * weight^2 / 2)."""
    for part, curvature in zip(parts, np.split(CURVATURES, len(parts)), strict=True):
        part.grad = part.detach() * torch.from_numpy(curvature).view_as(part)
    optimizer.step()


def written_out(kind: str, n_updates: int) -> tuple[Vector, float]:
    """The weights and the factor after n updates: g, v and m, u as the paper has them, of all weights as one vector."""
    weights, factor = START.copy(), 1.0
    last, v, m = np.zeros(4), np.zeros(4), np.zeros(4)
    for t in range(1, n_updates + 1):
        g = CURVATURES * weights + WEIGHT_DECAY * weights
        if t > 1:
            factor *= 1 + RATE * (g @ last) / np.sqrt((g @ g) * (last @ last))
        if kind == "sgd":
            v = MOMENTUM * v + g
            last = v
        else:
            m = BETAS[0] * m + (1 - BETAS[0]) * g
            v = BETAS[1] * v + (1 - BETAS[1]) * g**2
            last = (m / (1 - BETAS[0] ** t)) / (np.sqrt(v / (1 - BETAS[1] ** t)) + EPS)
        weights = weights - LR * factor * last
    return weights, factor


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_updates_are_those_of_the_papers_equations(kind: str) -> None:
    parts = [torch.tensor(part).reshape(1, 2) for part in np.split(START, 2)]
    optimizer = optimizer_of(kind, [{"params": parts}])
    for n_updates in range(1, 8):
        stepped(optimizer, parts)
        weights, factor = written_out(kind, n_updates)
        assert torch.cat(parts).flatten().tolist() == pytest.approx(weights.tolist(), rel=1e-12)
        assert optimizer.param_groups[0]["factor"] == pytest.approx(factor, rel=1e-12)
    assert optimizer.param_groups[0]["factor"] > 1.2
    assert optimizer.param_groups[0]["lr"] == LR


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize(("lr", "rises"), [(1e-3, True), (5.0, False)])
def test_a_rate_that_is_too_low_rises_and_one_that_is_too_high_falls(kind: str, lr: float, rises: bool) -> None:
    """The second gradient and the first direction: along the descent they agree, beyond the minimum they do not."""
    weights = torch.tensor(START)
    optimizer = optimizer_of(kind, [{"params": [weights]}], lr=lr)
    for _ in range(2):
        stepped(optimizer, [weights])
    assert (optimizer.param_groups[0]["factor"] > 1) is rises


def test_each_group_has_a_factor_of_its_own_and_one_without_gradients_keeps_its() -> None:
    steep, still = torch.tensor(START[:2]), torch.zeros(2, dtype=torch.float64)
    optimizer = optimizer_of("sgd", [{"params": [steep]}, {"params": [still]}])
    for _ in range(3):
        stepped(optimizer, [steep, still])
    moved, kept = (group["factor"] for group in optimizer.param_groups)
    assert moved != 1.0
    assert kept == 1.0
