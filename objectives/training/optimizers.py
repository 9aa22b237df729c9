"""Optimizers, and which learning rate each group of layers has.

PyTorch's own: SGD with momentum, AdaGrad, RMSprop, Adam, AdamW. Weights are divided into groups where their rates differ: by
depth (Howard and Ruder, "Universal Language Model Fine-tuning", 2018, section 3.2, https://arxiv.org/abs/1801.06146) or by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from objectives.contract import DataProblem

EVERYTHING = "all"
"""The name of the group of a model that learns at one rate."""


@dataclass(frozen=True, kw_only=True)
class OptimizerChoice:
    """What a trial chooses; the catalog describes each field."""

    optimizer: str
    momentum: float
    nesterov: bool
    beta1: float
    beta2: float
    alpha: float
    eps: float
    weight_decay: float


@dataclass(frozen=True, kw_only=True)
class LayerGroup:
    """Weights that learn at the same rate."""

    name: str
    multiplier: float
    """Of the learning rate."""
    parameters: list[nn.Parameter]


def layer_groups(model: nn.Module, layer_decay: float, multipliers: Mapping[str, float]) -> list[LayerGroup]:
    """Divide the weights of `model` by their rates: layers in the model's order, from the first to the output.

    A layer is a part of the model, with the normalization that follows it; in a resnet, a block. The last one has the whole rate,
    each one before it `layer_decay` times that of the next; then the longest pattern of `multipliers` that fits a weight's name
    multiplies it: their order is lost where jobs are stored. Raises DataProblem when a pattern fits none.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in multipliers:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise DataProblem(f"learning_rate_multipliers: no weight is called {pattern!r}; the model has {', '.join(names)}.")
    if layer_decay == 1 and not multipliers:
        return [LayerGroup(name=EVERYTHING, multiplier=1.0, parameters=list(model.parameters()))]
    layer_of = _layers(model)
    layers = list(dict.fromkeys(layer_of.values()))
    groups: dict[tuple[str, float], LayerGroup] = {}
    for name, weights in model.named_parameters():
        layer = layer_of[name.partition(".")[0]]
        fitting = [pattern for pattern in multipliers if fnmatchcase(name, pattern)]
        by_name = multipliers[max(fitting, key=lambda pattern: (len(pattern), pattern))] if fitting else 1.0
        multiplier = layer_decay ** (len(layers) - 1 - layers.index(layer)) * by_name
        # Weights of one layer may have rates of their own: then the group carries the name of its first.
        known = [group for group in groups.values() if group.name == layer]
        label = name if known and (layer, multiplier) not in groups else layer
        group = groups.setdefault((layer, multiplier), LayerGroup(name=label, multiplier=multiplier, parameters=[]))
        group.parameters.append(weights)
    return list(groups.values())


def _layers(model: nn.Module) -> dict[str, str]:
    """By the name of each part of the model that has weights, the name of its layer: its own, or that of what it normalizes."""
    layers: dict[str, str] = {}
    layer = ""
    for name, part in model.named_children():
        dimensions = [weights.dim() for weights in part.parameters()]
        if dimensions:
            layer = name if max(dimensions) > 1 or not layer else layer
            layers[name] = layer
    return layers


def new_optimizer(choice: OptimizerChoice, groups: list[LayerGroup], learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer, each group at its multiple of `learning_rate`; fused where PyTorch has it: up to four times faster.

    Its momentum must not be 0 if it is to be moved later: RMSprop then keeps none, and SGD cannot be Nesterov's.
    """
    optimizer, arguments = _optimizer(choice, is_cuda=groups[0].parameters[0].is_cuda)
    described = [
        {"params": group.parameters, "lr": group.multiplier * learning_rate, "name": group.name, "multiplier": group.multiplier}
        for group in groups
    ]
    return optimizer(described, lr=learning_rate, weight_decay=choice.weight_decay, **arguments)


def _optimizer(choice: OptimizerChoice, *, is_cuda: bool) -> tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]:
    betas = (choice.beta1, choice.beta2)
    match choice.optimizer:
        case "sgd":
            # Without momentum there is nothing to look ahead along, and PyTorch refuses it.
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
    raise ValueError(f"there is no optimizer {choice.optimizer!r}")


def momentum_of(group: Mapping[str, Any]) -> float | None:
    """The momentum of a parameter group, or Adam's first beta; None where the optimizer has neither."""
    if "betas" in group:
        return float(group["betas"][0])
    momentum: float | None = group.get("momentum")
    return momentum


def set_rates(optimizer: torch.optim.Optimizer, learning_rate: float, momentum: float | None) -> None:
    """Give every group its multiple of `learning_rate`; and, unless it is None, `momentum`, as Adam's first beta if need be."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["multiplier"]
        if momentum is not None:
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            elif "momentum" in group:
                group["momentum"] = momentum
