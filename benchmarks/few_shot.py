"""Whether learning to adapt helps: MAML and Reptile with their defaults, and a network trained from scratch on the same shots.

Run:    python -m benchmarks.few_shot          minutes

Both answer the queries of the same 100 test episodes, 20 of each fold, with networks of one architecture. The one from scratch
gets what is best for it on as many validation episodes: gradient descent or Adam, the learning rate, and the number of steps. An
error is the mean squared error of a curve's queries, or the fraction of an episode's queries that are classified wrong. The
promise: a lower one at 5 and at 10 shots, p < 0.01 by Wilcoxon's signed-rank test of the pairs, one-sided.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import wilcoxon
from torch import Tensor, nn

from benchmarks.tables import Table, publish
from objectives.catalog import default_params, default_settings
from objectives.contract import Objective
from objectives.data.episodes import Episodes, EpisodeSets, joined
from objectives.data.few_shot_digits import few_shot_digits
from objectives.data.sinusoids import sinusoids
from objectives.entries.few_shot_classification import FEW_SHOT_CLASSIFICATION
from objectives.entries.few_shot_regression import FEW_SHOT_REGRESSION
from objectives.models.few_shot import outputs_of_each
from objectives.training.few_shot import new_learner, new_network
from objectives.training.losses import Loss, classification_loss, regression_loss

SHOTS = (5, 10)
ALGORITHMS = ("maml", "reptile")
BELOW = 0.01
"""The p-value that is promised."""
KEPT = "yes"
OPTIMIZERS: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
ADAM = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
"""Its learning rates."""
FOLDS = range(5)
OF_FOLD = 20
"""Episodes of each fold's validation set, and of its test set."""
SEED = 0
HEAD = [
    "objective",
    "shots",
    "algorithm",
    "test score, mean of five folds (range)",
    "error, mean (median)",
    "from scratch, mean (median)",
    "trained by",
    "better, of 100",
    "p",
    "kept",
]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of episodes."""

    objective: Objective
    episodes: Callable[[int, int], EpisodeSets]
    """By fold and number of shots."""
    n_outputs: int
    loss: Loss
    error: Callable[[Tensor, Tensor], Tensor]
    """Of outputs (episodes, queries, n_outputs) and targets (episodes, queries): that of each episode."""
    rates: Mapping[str, Sequence[float]]
    """Learning rates that are tried from scratch, of each optimizer."""
    steps: Sequence[int]
    """Numbers of steps that are tried."""


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """A training from scratch."""

    optimizer: str
    learning_rate: float
    steps: int


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.squeeze(2) - targets).square().mean(dim=1)


def _wrong(outputs: Tensor, classes: Tensor) -> Tensor:
    return (outputs.argmax(dim=2) != classes).float().mean(dim=1)


WAYS: int = default_settings(FEW_SHOT_CLASSIFICATION)["ways"]
KINDS = (
    Kind(
        objective=FEW_SHOT_REGRESSION,
        episodes=lambda fold, shots: sinusoids(fold, shots=shots),
        n_outputs=1,
        loss=regression_loss("mse"),
        error=_squared,
        rates={"sgd": (0.0001, 0.001, 0.01, 0.1), "adam": ADAM},
        steps=(1, 3, 10, 30, 100, 300, 1_000, 3_000),
    ),
    Kind(
        objective=FEW_SHOT_CLASSIFICATION,
        episodes=lambda fold, shots: few_shot_digits(fold, ways=WAYS, shots=shots),
        n_outputs=WAYS,
        loss=classification_loss("cross-entropy", WAYS),
        error=_wrong,
        rates={"sgd": (0.01, 0.1), "adam": ADAM},
        steps=(10, 30, 100, 300, 1_000),
    ),
)


def prove(out: Path | None) -> int:
    """Train, compare, and publish the table; the number of comparisons that were lost."""
    table = Table("With their defaults and seed 0, on 100 test episodes", HEAD)
    for kind, shots in product(KINDS, SHOTS):
        for row in compared(kind, shots):
            table.add(*row)
    publish("few_shot", [table], 1, out)
    return sum(kept != KEPT for *_, kept in table.rows)


def compared(kind: Kind, shots: int) -> Iterator[list[str]]:
    """The table's row of each algorithm."""
    from_scratch, best = scratch_errors(kind, shots)
    for algorithm in ALGORITHMS:
        adapted, scores = adapted_errors(kind, shots, algorithm)
        p = wilcoxon(adapted, from_scratch, alternative="less").pvalue
        yield [
            kind.objective.name,
            str(shots),
            algorithm,
            f"{fmean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f})",
            *(f"{errors.mean():.4f} ({np.median(errors):.4f})" for errors in (adapted, from_scratch)),
            described(best, kind),
            str((adapted < from_scratch).sum()),
            f"{p:.1e}",
            KEPT if p < BELOW else "NO",
        ]


def described(best: Scratch, kind: Kind) -> str:
    """A training from scratch, and where it stands at the edge of what was tried."""
    rate = f"rate {best.learning_rate}{_edge(best.learning_rate, kind.rates[best.optimizer])}"
    return f"{best.optimizer}, {rate}, steps {best.steps}{_edge(best.steps, kind.steps)}"


def _edge(value: float, tried: Sequence[float]) -> str:
    return " (lowest tried)" if value == min(tried) else " (highest tried)" if value == max(tried) else ""


def adapted_errors(kind: Kind, shots: int, algorithm: str) -> tuple[NDArray[np.float32], list[float]]:
    """The error of each test episode, of networks that have learned to adapt on the training episodes of its fold.

    And the score of each fold on all of its test episodes.
    """
    objective = kind.objective
    errors, scores = [], []
    for fold in FOLDS:
        settings = default_settings(objective) | {"shots": shots, "algorithm": algorithm, "fold": fold}
        run = import_module(objective.module).start({}, settings, SEED, "cpu", 1)
        for _ in run:
            pass
        scores.append(next(score for name, score in run.evaluate().items() if name != "test_loss"))
        test = kind.episodes(fold, shots).test.first(OF_FOLD)
        learner = new_learner(test, kind.loss, kind.n_outputs, default_params(objective), settings)
        learner.load_state_dict(run.state_dict()["model"])
        outputs = learner.eval()(test.support_inputs, test.support_targets, test.query_inputs).outputs
        errors.append(kind.error(outputs, test.query_targets).detach())
    return torch.cat(errors).numpy(), scores


def scratch_errors(kind: Kind, shots: int) -> tuple[NDArray[np.float32], Scratch]:
    """The error of each test episode, of networks from scratch, and what was best for them on the validation episodes."""
    sets = [kind.episodes(fold, shots) for fold in FOLDS]
    validation = joined([of_fold.validation.first(OF_FOLD) for of_fold in sets])
    test = joined([of_fold.test.first(OF_FOLD) for of_fold in sets])
    tried: dict[Scratch, float] = {}
    for optimizer, rates in kind.rates.items():
        for rate in rates:
            for steps, errors in _trained(kind, validation, optimizer, rate, max(kind.steps)):
                tried[Scratch(optimizer=optimizer, learning_rate=rate, steps=steps)] = errors.nan_to_num(torch.inf).mean().item()
    best = min(tried, key=lambda each: tried[each])
    *_, (_, errors) = _trained(kind, test, best.optimizer, best.learning_rate, best.steps)
    return errors.numpy(), best


def _trained(kind: Kind, episodes: Episodes, optimizer: str, rate: float, steps: int) -> Iterator[tuple[int, Tensor]]:
    """Errors (episodes,) after each number of steps that is tried, up to `steps`.

    Each episode has a network with initial weights of its own. All are trained at once: in neither optimizer does a weight
    depend on another.
    """
    torch.manual_seed(SEED)
    params, settings = default_params(kind.objective), default_settings(kind.objective)
    networks = [new_network(episodes, kind.n_outputs, params, settings) for _ in range(len(episodes))]
    weights = [nn.Parameter(torch.stack(same).detach()) for same in zip(*(each.parameters() for each in networks), strict=True)]
    stepper = OPTIMIZERS[optimizer](weights, lr=rate)
    outputs = partial(outputs_of_each, networks[0], weights)
    for step in range(1, steps + 1):
        loss = kind.loss(outputs(episodes.support_inputs).flatten(0, 1), episodes.support_targets.flatten())
        stepper.zero_grad()
        (len(episodes) * loss).backward()
        stepper.step()
        if step in kind.steps:
            yield step, kind.error(outputs(episodes.query_inputs), episodes.query_targets).detach()


if __name__ == "__main__":
    torch.set_num_threads(1)
    prove(None)
