"""Which weights of another network go into this one: all but those of the last layer, which may have other classes."""

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor, nn

from objectives.contract import DataProblem
from objectives.data.checkpoint import type_name

NAMED = 3
"""So many of the weights that do not fit are named in a message."""


def without_prefix(weights: Mapping[str, Tensor], known: Collection[str]) -> Mapping[str, Tensor]:
    """The weights, without what all names begin with, such as Lightning's "model.", if all names are known without it."""
    stripped = weights
    while not stripped.keys() <= set(known) and all("." in name for name in stripped):
        if len({name.partition(".")[0] for name in stripped}) > 1:
            break
        stripped = {name.partition(".")[2]: value for name, value in stripped.items()}
    return stripped if stripped.keys() <= set(known) else weights


def transferred(
    weights: Mapping[str, Tensor], network: nn.Module, source: str, *, new_head: bool
) -> tuple[dict[str, Tensor], str]:
    """The weights that `network` takes over, by name, and a sentence about them for the trial's log.

    source: where the weights are from, as messages name it. The last layer is left out, to be drawn, where its shape is another
    or `new_head` says so, or where there is none. Raises DataProblem, which names the first weights that do not fit, when other
    layers do not fit.
    """
    state = network.state_dict()
    expected = {name: value.shape for name, value in state.items()}
    last = list(expected)[-1].rpartition(".")[0]
    head = [name for name in expected if name.rpartition(".")[0] == last]
    body = [name for name in expected if name not in head]
    given = [name for name in head if name in weights]
    has_part = not new_head and 0 < len(given) < len(head) and all(weights[name].shape == expected[name] for name in given)
    flaws = [
        _listed(
            [
                f"{name} is {tuple(weights[name].shape)} instead of {tuple(expected[name])}"
                for name in body
                if name in weights and weights[name].shape != expected[name]
            ]
        ),
        _listed(
            [
                f"{name} is {type_name(weights[name])} instead of {type_name(value)}"
                for name, value in state.items()
                if name in weights and value.is_floating_point() and not weights[name].is_floating_point()
            ]
        ),
        _listed([f"{name} is missing" for name in (expected if has_part else body) if name not in weights]),
        _listed([f"the network has no {name}" for name in weights if name not in expected]),
    ]
    if any(flaws):
        raise DataProblem(f"{source} does not fit the network: {'; '.join(filter(None, flaws))}.")
    is_kept = not new_head and all(name in weights and weights[name].shape == expected[name] for name in head)
    taken = {name: weights[name] for name in (*body, *(head if is_kept else ()))}
    told = "with its last layer" if is_kept else f"all but the last layer, {last}, which is new"
    return taken, f"Took the weights of {source}, {told}."


def _listed(flaws: Sequence[str]) -> str:
    further = [f"and {len(flaws) - NAMED} more so"] if len(flaws) > NAMED else []
    return ", ".join([*flaws[:NAMED], *further])
