"""Optimizers, and their parameter groups with different learning rates.

SGD with momentum, AdaGrad, RMSprop, Adam and AdamW are PyTorch's. The others need less tuning, and all leave the `lr` of their
groups to the schedule. Prodigy (Mishchenko and Defazio 2023, https://arxiv.org/abs/2306.06101) multiplies it by an estimate
of the step size, one for all groups. Schedule-Free SGD and AdamW (Defazio et al. 2024, https://arxiv.org/abs/2405.15682) average
the weights instead of lowering it. Hypergradient descent (`hypergradient.py`) multiplies it by a factor that it adapts.

Weights with different learning rates are in different groups. The rate may depend on depth (Howard and Ruder, "Universal Language
Model Fine-tuning", 2018, section 3.2, https://arxiv.org/abs/1801.06146) or on the name of a weight.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

import torch
from torch import nn

from objectives.contract import DataProblem
from objectives.training.hypergradient import HypergradientAdam, HypergradientSGD
from objectives.training.problems import untrainable

EVERYTHING = "all"
"""The name of the only group of a model with a single learning rate."""
UNLIMITED: float = torch.finfo(torch.float32).max
"""Of Prodigy: how many times larger an update may make its step size."""


@dataclass(frozen=True, kw_only=True)
class OptimizerChoice:
    """The optimizer of a trial; the catalog describes each field."""

    optimizer: str
    momentum: float
    nesterov: bool
    beta1: float
    beta2: float
    alpha: float
    eps: float
    weight_decay: float
    d_coef: float
    interpolation: float
    hypergradient_rate: float


@dataclass(frozen=True, kw_only=True)
class LayerGroup:
    """Weights with the same learning rate."""

    name: str
    multiplier: float
    """Factor of the learning rate."""
    parameters: list[nn.Parameter]
    frozen_epochs: int = 0
    """The epochs at the beginning of the run in which they are not trained."""


def layer_groups(
    model: nn.Module, layer_decay: float, multipliers: Mapping[str, float], unfreeze_every: int = 0
) -> list[LayerGroup]:
    """Divide the weights of `model` that are trained into groups by learning rate, in the model's order from the first layer on.

    A layer is a child module of the model with the normalization that follows it; in a resnet, a block. Weights that belong to no
    child module, such as embeddings of positions, are the first layer, under the name of the first of them. The multiplier of the
    last layer is 1, and that of each earlier layer is `layer_decay` times the next layer's. It is multiplied by the value of the
    longest pattern in `multipliers` that matches the weight's name (not the first: stored jobs do not keep their order).
    unfreeze_every: the epochs until a layer is trained after the next one is; 0: all are from the start.

    Raises DataProblem when a pattern matches no weight.
    """
    trained = [(name, weights) for name, weights in model.named_parameters() if weights.requires_grad]
    names = [name for name, _ in trained]
    for pattern in multipliers:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise DataProblem(f"learning_rate_multipliers: no weight is called {pattern!r}; the model has {', '.join(names)}.")
    if layer_decay == 1 and not multipliers and not unfreeze_every:
        return [LayerGroup(name=EVERYTHING, multiplier=1.0, parameters=[weights for _, weights in trained])]
    layer_of = _layers(trained)
    layers = list(dict.fromkeys(layer_of[name] for name in names))
    groups: dict[tuple[str, float], LayerGroup] = {}
    for name, weights in trained:
        layer = layer_of[name]
        matching = [pattern for pattern in multipliers if fnmatchcase(name, pattern)]
        by_name = multipliers[max(matching, key=lambda pattern: (len(pattern), pattern))] if matching else 1.0
        layers_after = len(layers) - 1 - layers.index(layer)
        multiplier = layer_decay**layers_after * by_name
        # If weights of one layer have different rates, each further group has the name of its first weight.
        known = [group for group in groups.values() if group.name == layer]
        label = name if known and (layer, multiplier) not in groups else layer
        new = LayerGroup(name=label, multiplier=multiplier, parameters=[], frozen_epochs=layers_after * unfreeze_every)
        groups.setdefault((layer, multiplier), new).parameters.append(weights)
    return list(groups.values())


def _layers(trained: list[tuple[str, nn.Parameter]]) -> dict[str, str]:
    """Maps the name of each weight to its layer: its child module's name, or for normalization that of the layer before it."""
    parts: dict[str, list[tuple[str, nn.Parameter]]] = {}
    for name, weights in trained:
        parts.setdefault(name.rpartition(".")[0].partition(".")[0], []).append((name, weights))
    layers: dict[str, str] = {}
    layer = ""
    for child, of_child in parts.items():
        if not layer or any(weights.dim() > 1 for _, weights in of_child):
            layer = child or of_child[0][0]
        layers |= {name: layer for name, _ in of_child}
    return layers


def new_optimizer(
    choice: OptimizerChoice, groups: list[LayerGroup], learning_rate: float, *, has_warmup: bool = False
) -> torch.optim.Optimizer:
    """The optimizer, each group at its multiple of `learning_rate`. Fused where PyTorch supports it: up to four times faster.

    has_warmup: the rate begins low, in which case Prodigy's estimate must not take gradients by it: it would become too large.
    Momentum must not be 0 here if a schedule cycles it: RMSprop would have no momentum buffer, and SGD no Nesterov momentum.
    Raises DataProblem where its package is missing, and where Prodigy would need several rates.
    """
    optimizer, arguments = _optimizer(choice, is_cuda=groups[0].parameters[0].is_cuda, has_warmup=has_warmup)
    described = [
        {
            "params": group.parameters,
            "lr": group.multiplier * learning_rate,
            # Prodigy decays weights whose rate is 0, too.
            "weight_decay": choice.weight_decay if group.multiplier > 0 else 0.0,
            "name": group.name,
            "multiplier": group.multiplier,
        }
        for group in groups
    ]
    if choice.optimizer == "prodigy" and len(rates := {group.multiplier for group in groups} - {0.0}) > 1:
        raise DataProblem(
            f"prodigy estimates one step size for all weights, and these have {len(rates)} different learning rates: give"
            " learning_rate_multipliers no other value than 0."
        )
    return optimizer(described, lr=learning_rate, weight_decay=0.0, **arguments)


def _optimizer(
    choice: OptimizerChoice, *, is_cuda: bool, has_warmup: bool
) -> tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]:
    betas = (choice.beta1, choice.beta2)
    match choice.optimizer:
        case "sgd":
            # PyTorch refuses Nesterov momentum without momentum.
            nesterov = choice.nesterov and choice.momentum > 0
            return torch.optim.SGD, {"momentum": choice.momentum, "nesterov": nesterov, "fused": True}
        case "adagrad":
            return torch.optim.Adagrad, {"eps": choice.eps, "fused": None if is_cuda else True}
        case "rmsprop":
            return torch.optim.RMSprop, {"alpha": choice.alpha, "eps": choice.eps, "momentum": choice.momentum}
        case "adam":
            return torch.optim.Adam, {"betas": betas, "eps": choice.eps, "fused": True}
        case "adamw":
            return torch.optim.AdamW, {"betas": betas, "eps": choice.eps, "fused": True}
        case "prodigy":
            return _packaged("prodigyopt", "Prodigy"), {
                "betas": betas,
                "eps": choice.eps,
                "d_coef": choice.d_coef,
                "growth_rate": UNLIMITED,
                # Not always: without a warm-up, steps would be proportional to the square of learning_rate.
                "safeguard_warmup": has_warmup,
            }
        case "schedule-free-sgd":
            return _packaged("schedulefree", "SGDScheduleFree"), {"momentum": choice.interpolation}
        case "schedule-free-adamw":
            betas = (choice.interpolation, choice.beta2)
            return _packaged("schedulefree", "AdamWScheduleFree"), {"betas": betas, "eps": choice.eps}
        case "hypergradient-sgd":
            return HypergradientSGD, {"hypergradient_rate": choice.hypergradient_rate, "momentum": choice.momentum}
        case "hypergradient-adam":
            return HypergradientAdam, {"hypergradient_rate": choice.hypergradient_rate, "betas": betas, "eps": choice.eps}
    raise ValueError(f"there is no optimizer {choice.optimizer!r}")


def _packaged(package: str, name: str) -> Callable[..., torch.optim.Optimizer]:
    """The optimizer of a package that is needed for nothing else."""
    try:
        found: Callable[..., torch.optim.Optimizer] = getattr(import_module(package), name)
    except ModuleNotFoundError as error:
        raise untrainable(f"The optimizer {name} needs {package}: pip install 'stride-lr[optimizers]'") from error
    return found


def momentum_of(group: Mapping[str, Any]) -> float | None:
    """The momentum of a parameter group, or Adam's beta1, which schedules may cycle; None if the optimizer has neither."""
    if _is_schedule_free(group):
        return None
    if "betas" in group:
        return float(group["betas"][0])
    momentum: float | None = group.get("momentum")
    return momentum


def _is_schedule_free(group: Mapping[str, Any]) -> bool:
    """Whether its momentum, or beta1, is the interpolation between two kinds of weights, which must not change."""
    return "weight_lr_power" in group


def set_rates(optimizer: torch.optim.Optimizer, learning_rate: float, momentum: float | None) -> None:
    """Set every group's learning rate to its multiple of `learning_rate`, and its momentum, or Adam's beta1, unless None."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["multiplier"]
        if momentum is not None and not _is_schedule_free(group):
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            elif "momentum" in group:
                group["momentum"] = momentum


def begin_count(group: dict[str, Any]) -> None:
    """Of a group whose weights are about to have their first gradients: Schedule-Free's AdamW counts the updates of a group."""
    if "k" in group:
        group["k"] = 0


def factors_of(group: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """By name, the numbers that the next update will multiply by: each must be a finite 32-bit float."""
    yield "learning_rate", group["lr"]
    if "d" in group:
        yield "Prodigy's step size", group["d"] * max(group["d"], group["lr"] * group["d"] / group["d0"])
    if "factor" in group:
        yield "the adapted learning rate", group["lr"] * group["factor"]


@contextmanager
def training_weights(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """The model has the weights at which gradients are taken; outside, those that are evaluated and kept.

    They differ under Schedule-Free alone, which keeps the average outside.
    """
    if not _is_schedule_free(optimizer.param_groups[0]):
        yield
        return
    optimizer.train()  # type: ignore[attr-defined]
    yield
    optimizer.eval()  # type: ignore[attr-defined]
