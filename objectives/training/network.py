"""The network of a run: what a function `model` returns, checked, and with its initial weights."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.parameter import is_lazy

from objectives.contract import DataProblem
from objectives.training.batches import Batch, described, moved
from objectives.training.forward import Forward
from objectives.training.generators import named_generator, named_seed
from objectives.training.initialization import initialize
from objectives.training.problems import untrainable
from objectives.training.randomness import Randomness, generators_in, state_of
from objectives.training.ranks import Ranks
from objectives.training.sets import ThreeSets

CPU = torch.device("cpu")


def new_network(
    new_model: Callable[[], Any],
    data: ThreeSets,
    params: Mapping[str, Any],
    seed: int,
    pretrained: Mapping[str, Tensor] | None = None,
    ranks: Ranks | None = None,
) -> tuple[nn.Module, Randomness]:
    """The network that `new_model` returns, on the CPU, with its initial weights, and the generators that it will draw from.

    pretrained: weights, by name, that take the place of those drawn. All ranks begin with the same weights, and each draws
    numbers of its own in training. Raises DataProblem when it cannot be trained.
    """
    randomness = Randomness(named_seed(seed, "initialization"))
    randomness.hold(data.generators, data.states)
    with randomness.in_use():
        model = new_model()
        if not isinstance(model, nn.Module):
            raise untrainable(f"model returned {described(model)}: it must return a torch.nn.Module.")
        if any(is_lazy(each) for each in (*model.parameters(), *model.buffers())):
            _find_shapes(model, data.training.first(params["batch_size"]))
        _check_weights(model)
        generator = named_generator(seed, "initialization")
        initialize(model, params["initialization"], generator, zero_output=params.get("zero_output", False))
        model.load_state_dict({**model.state_dict(), **(pretrained or {})})
    randomness.seed(named_seed(seed, dropout_of(ranks)))
    of_model = [each for each in generators_in([model]) if each not in data.generators]
    randomness.hold([*data.generators, *of_model], [*data.states, *map(state_of, of_model)])
    return model, randomness


def dropout_of(ranks: Ranks | None) -> str:
    """The name of the random numbers that are drawn in training."""
    return f"dropout of rank {ranks.rank}" if ranks is not None and ranks.rank else "dropout"


def synchronized(model: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """The model with a batch norm that takes its statistics from the shares of all ranks. Raises DataProblem on the CPU."""
    if ranks.n == 1 or not any(isinstance(module, BatchNorm) for module in model.modules()):
        return model
    if device.type != "cuda":
        raise DataProblem(
            "batch norm takes its statistics from the whole batch, which PyTorch can compute over several processes on GPUs only:"
            " choose another normalization, or processes 1."
        )
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return converted


def _find_shapes(model: nn.Module, batch: Batch) -> None:
    """Have lazy modules find the shapes of their weights."""
    inputs = moved(batch, CPU).inputs
    model.eval()
    with torch.no_grad():
        Forward(model, "float32", CPU)(inputs)


def _check_weights(model: nn.Module) -> None:
    trained = [(name, weights) for name, weights in model.named_parameters() if weights.requires_grad]
    if not trained:
        raise untrainable("The model has no weights to train: at least one parameter must have requires_grad=True.")
    for name, weights in trained:
        if weights.dtype != torch.float32:
            raise untrainable(
                f"The weights {name} are {str(weights.dtype).removeprefix('torch.')}: weights that are trained must be float32;"
                ' the setting "precision": "bfloat16" computes with fewer bits.'
            )
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse:
            raise untrainable(
                f"The embedding {name or 'that the model is'} has sparse gradients, which cannot be clipped or measured: make it"
                " without sparse=True."
            )
