"""Records the training that the pictures of /learn show: real runs of Stride's own objectives, with fixed seeds.

Run:    python -m benchmarks.lessons [lesson...]          all of them in about five minutes
Writes: service/api/pages/lessons/<lesson>.json, whose `made` says how it was made

Unless a function says otherwise, it trains the mlp on digits by gradient descent without momentum, with batches of 32, for ten
epochs. Losses are of the validation set, after the last epoch; null: the run diverged.
"""

import argparse
import json
import math
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.jobs import completed_job
from objectives.catalog import all_values, default_params, default_settings
from objectives.contract import Measurement, Run
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.tasks import image_classification, tabular_regression
from objectives.training.generators import named_generator
from objectives.training.hyperparameters import picked
from objectives.training.initialization import initialize
from objectives.training.schedules import Policy, Schedule, Span
from service.analysis.answer.best_lr import answer
from service.domain.trial import Trial, TrialState

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "service" / "api" / "pages" / "lessons"
MEASURED_CODE = ("objectives", "service/analysis/answer", "service/analysis/model")
"""What the recorded numbers depend on."""

BASE: Mapping[str, Any] = {"momentum": 0.0, "batch_size": 32, "epochs": 10}
FIRST_OF_TRUTH = 1_000
"""From here on are the training seeds of the truth, in the lesson on intervals; those of its jobs are smaller."""

Data = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", metavar="lesson", help=f"of {', '.join(LESSONS)}; left out: all")
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for name in parser.parse_args().lessons or LESSONS:
        path, made = FOLDER / f"{name}.json", made_now()
        path.write_text(as_json({"made": made} | LESSONS[name]()), encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes", flush=True)


def gradient_descent() -> Data:
    """Paths on (x**2 + 10 * y**2) / 2, whose largest curvature is 10: rates above 2/10 diverge."""
    return {
        "curvature": [1.0, 10.0],
        "paths": [{"learning_rate": rate, "points": _path(rate)} for rate in (0.02, 0.18, 0.205)],
    }


def _path(rate: float, steps: int = 20) -> list[list[float]]:
    point = nn.Parameter(torch.tensor([-9.0, 1.5]))
    optimizer = torch.optim.SGD([point], lr=rate)
    curvature, points = torch.tensor([1.0, 10.0]), [point.tolist()]
    for _ in range(steps):
        optimizer.zero_grad()
        (curvature * point**2).sum().div(2).backward()
        optimizer.step()
        points.append(point.tolist())
    return points


def learning_rate() -> Data:
    """The training loss of every update, at five rates."""
    runs = []
    for rate in (0.0003, 0.003, 0.03, 0.3, 1.5):
        steps = train({"learning_rate": rate})
        losses = [loss for step in steps for _, loss in step.update_losses]
        runs.append({"learning_rate": rate, "diverged": steps[-1].divergence is not None, "losses": losses})
    return {"epochs": BASE["epochs"], "runs": runs}


def response() -> Data:
    """The loss at rates five to a decade, with four seeds each."""
    rates = geometric(1e-4, 1e1, 5)
    return {
        "learning_rates": rates,
        "losses": [[last_loss({"learning_rate": rate}, seed) for seed in range(4)] for rate in rates],
    }


SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "constant": {},
    "step": {"step_size": 7},
    "exponential": {"decay_per_epoch": 0.85},
    "cosine": {},
    "cyclical": {"rise_epochs": 3, "cycle_momentum": False},
    "one-cycle": {"cycle_momentum": False},
    "plateau": {"plateau_patience": 3},
}
NOISY: Mapping[str, Any] = {"batch_size": 4, "epochs": 20}
"""Small batches, whose gradients are noisy, for a network of 8 units a layer, which cannot fit all of the data."""
NARROW: Mapping[str, Any] = {"width": 8}


def schedules() -> Data:
    """Each schedule at its own best rate of 7, by the mean training loss of the last epoch over three seeds.

    applied: the rates of the first update, and of the last one of each epoch.
    """
    found = []
    for name, params in SCHEDULES.items():
        tried = []
        for rate in geometric(0.01, 1.0, 3):
            chosen = {**NOISY, **params, "schedule": name, "learning_rate": rate}
            runs = [train(chosen, NARROW, seed) for seed in range(3)]
            tried.append(
                (worst_if_lost([training_loss(steps) for steps in runs]), rate, [step.learning_rate for step in runs[0]])
            )
        loss, rate, applied = min(tried)
        policy = picked(Policy, all_values(IMAGE_CLASSIFICATION, {**params, "schedule": name}, {}))
        first = Schedule(policy, Span(updates=100, updates_per_epoch=5)).multiplier(0)
        found.append({"schedule": name, "best_rate": rate, "loss": loss, "applied": [rate * first, *applied]})
    return {"schedules": found}


def decay() -> Data:
    """The mean training loss of each epoch over five seeds: a constant rate, one divided by ten after half the run, a cosine."""
    chosen = {**NOISY, "learning_rate": 0.1, "step_size": NOISY["epochs"] // 2}
    runs = []
    for schedule in ("constant", "step", "cosine"):
        trained = [train({**chosen, "schedule": schedule}, NARROW, seed) for seed in range(5)]
        losses = np.mean([[step.metrics["training_loss"] for step in steps] for steps in trained], axis=0)
        runs.append({"schedule": schedule, "losses": losses.tolist(), "applied": [step.learning_rate for step in trained[0]]})
    return {"learning_rate": 0.1, "runs": runs}


def adaptive() -> Data:
    """Percentiles over the weights of the rate that multiplies each weight's gradient, or its average, after every epoch."""
    runs = []
    for optimizer, rate in (("sgd", 0.1), ("adagrad", 0.01), ("adam", 0.001)):
        run = start({"optimizer": optimizer, "learning_rate": rate})
        runs.append({"optimizer": optimizer, "learning_rate": rate, "percentiles": [_effective(run) for _ in run]})
    return {"percents": [10, 50, 90], "epochs": BASE["epochs"], "runs": runs}


def _effective(run: Run) -> list[float]:
    """The 10th, 50th and 90th percentile, of the weights that have had a gradient."""
    state = run.state_dict()["optimizer"]  # type: ignore[index]
    group, rates = state["param_groups"][0], []
    for of_weights in state["state"].values():
        if "sum" in of_weights:
            mean_square = of_weights["sum"]
        elif "exp_avg_sq" in of_weights:
            mean_square = of_weights["exp_avg_sq"] / (1 - group["betas"][1] ** of_weights["step"])
        else:
            continue
        rates.append((group["lr"] / (mean_square[mean_square > 0].sqrt() + group["eps"])).flatten())
    if not rates:
        return [group["lr"]] * 3
    return np.percentile(torch.cat(rates).numpy(), [10, 50, 90]).tolist()


def momentum() -> Data:
    """The mean loss over three seeds, by rate, for six momenta."""
    rates = geometric(1e-4, 3.0, 5)
    curves = [
        {"momentum": each, "losses": [mean_loss({"learning_rate": rate, "momentum": each}, 3) for rate in rates]}
        for each in (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
    ]
    return {"learning_rates": rates, "curves": curves}


def batch_size() -> Data:
    """The mean loss over four seeds, by rate, for seven batch sizes; as many epochs for each."""
    rates = geometric(1e-3, 3.0, 6)
    curves = [
        {"batch_size": each, "losses": [mean_loss({"learning_rate": rate, "batch_size": each}, 4) for rate in rates]}
        for each in (4, 8, 16, 32, 64, 128, 256)
    ]
    return {"learning_rates": rates, "curves": curves}


def initialization() -> Data:
    """Ten hidden layers: how much their outputs differ between images before training, and the loss by epoch.

    Each at its own best rate of seven.
    """
    runs = []
    for name in ("he-normal", "orthogonal", "default"):
        tried = []
        for rate in geometric(0.001, 1.0, 2):
            params = {"initialization": name, "learning_rate": rate, "epochs": 15}
            curves = [validation_losses(train(params, {"hidden_layers": 10}, seed)) for seed in range(3)]
            tried.append((worst_if_lost([curve[-1] for curve in curves]), rate, curves))
        _, rate, curves = min(tried)
        runs.append(
            {
                "initialization": name,
                "best_rate": rate,
                "signal": _signal(name),
                "losses": np.mean(curves, axis=0).tolist(),
            }
        )
    return {"runs": runs}


def _signal(initialization: str) -> list[float]:
    """How much each hidden layer's outputs differ between images, in a new network: their standard deviation, over all units."""
    params = default_params(IMAGE_CLASSIFICATION) | {"initialization": initialization}
    settings = default_settings(IMAGE_CLASSIFICATION) | {"hidden_layers": 10}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = image_classification.model(params, settings)
        initialize(network, initialization, named_generator(0, "initialization"))
        signal, found = image_classification.data(settings).validation.inputs, []
        for module in network:
            signal = module(signal)
            if isinstance(module, nn.ReLU):
                found.append(signal.var(dim=0).mean().sqrt().item())
    return found


def overfitting() -> Data:
    """Both losses by epoch, means over 20 seeds, on the diabetes data."""
    params = {"momentum": 0.0, "learning_rate": 0.005, "epochs": 150}
    runs = [list(tabular_regression.start(params, {}, seed, "cpu", 1)) for seed in range(20)]
    losses = [[[step.metrics[name] for step in run] for run in runs] for name in ("training_loss", "validation_loss")]
    trained, validated = np.mean(losses, axis=1).tolist()
    return {**params, "training_loss": trained, "validation_loss": validated}


def range_test() -> Data:
    """The rate rises with every update of four epochs, until the loss is not finite; beside it, whole trainings."""
    params = default_params(IMAGE_CLASSIFICATION) | BASE
    settings = default_settings(IMAGE_CLASSIFICATION)
    examples = image_classification.data(settings).training
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = image_classification.model(params, settings)
    initialize(network, params["initialization"], named_generator(0, "initialization"))
    optimizer, order = torch.optim.SGD(network.parameters()), named_generator(0, "data order")
    batches = [batch for _ in range(4) for batch in torch.randperm(len(examples), generator=order).split(params["batch_size"])]
    rates, losses = np.geomspace(1e-4, 10.0, len(batches)).tolist(), []
    for rate, batch in zip(rates, batches, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(examples.inputs[batch]), examples.targets[batch])
        loss.backward()
        optimizer.step()
        if not math.isfinite(loss.item()):
            break
        losses.append(loss.item())
    whole = response()
    return {
        "learning_rates": rates[: len(losses)],
        "losses": losses,
        "trained": {"learning_rates": whole["learning_rates"], "losses": [worst_if_lost(each) for each in whole["losses"]]},
    }


def interval() -> Data:
    """The answers of 20 jobs of 24 random rates, and the mean loss over 24 further seeds at rates ten to a decade."""
    low, high = 1e-3, 3.0
    truth = geometric(low, high, 10)
    means = [worst_if_lost([last_loss({"learning_rate": rate}, FIRST_OF_TRUTH + seed) for seed in range(24)]) for rate in truth]
    jobs = []
    for seed in range(20):
        space = {"learning_rate": {"type": "float", "low": low, "high": high, "log": True}}
        job = completed_job({"objective": {"name": "digits"}, "search_space": space, "metric": "validation_loss", "seed": seed})
        drawn = np.random.default_rng(seed).uniform(math.log10(low), math.log10(high), 24)
        found = answer(job, [_trial(number, 10**power, 24 * seed + number) for number, power in enumerate(drawn.tolist())])
        assert found.interval is not None
        jobs.append({"learning_rate": found.learning_rate, "low": found.interval.low, "high": found.interval.high})
    return {"learning_rates": truth, "losses": means, "n_seeds": 24, "n_trials": 24, "jobs": jobs}


def _trial(number: int, rate: float, seed: int) -> Trial:
    loss = last_loss({"learning_rate": rate}, seed)
    return Trial(
        number=number,
        state=TrialState.COMPLETE if math.isfinite(loss) else TrialState.INFEASIBLE,
        value=loss,
        params={"learning_rate": rate},
        user_attrs={"training_seed": seed},
        diverged_at_step=None,
        error=None,
        started_at=None,
        finished_at=None,
    )


def start(params: Mapping[str, Any], settings: Mapping[str, Any] | None = None, seed: int = 0) -> Run:
    return image_classification.start({**BASE, **params}, settings or {}, seed, "cpu", 1)


def train(params: Mapping[str, Any], settings: Mapping[str, Any] | None = None, seed: int = 0) -> list[Measurement]:
    return list(start(params, settings, seed))


def last_loss(params: Mapping[str, Any], seed: int) -> float:
    """inf: diverged."""
    steps = train(params, seed=seed)
    return math.inf if steps[-1].divergence else validation_losses(steps)[-1]


def mean_loss(params: Mapping[str, Any], seeds: int) -> float:
    return worst_if_lost([last_loss(params, seed) for seed in range(seeds)])


def training_loss(steps: Sequence[Measurement]) -> float:
    """That of the last epoch; inf: diverged."""
    return math.inf if steps[-1].divergence else steps[-1].metrics["training_loss"]


def validation_losses(steps: Sequence[Measurement]) -> list[float]:
    return [step.metrics["validation_loss"] for step in steps]


def worst_if_lost(losses: Sequence[float]) -> float:
    """The mean; inf where a run diverged."""
    return fmean(losses) if all(map(math.isfinite, losses)) else math.inf


def geometric(low: float, high: float, per_decade: int) -> list[float]:
    """Rates from low to high, as many to a decade."""
    n = round(per_decade * math.log10(high / low)) + 1
    return [float(f"{rate:.4g}") for rate in np.geomspace(low, high, n)]


def made_now() -> Data:
    """What a record that begins now is made by."""
    code = subprocess.run(
        ["git", "log", "-1", "--format=%h", "--", *MEASURED_CODE], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    return {
        "by": "benchmarks/lessons.py",
        "commit": code,
        "on": f"{datetime.now(UTC):%Y-%m-%d}",
        "torch": torch.__version__.split("+")[0],
    }


def as_json(data: Data) -> str:
    """A line for each field. JSON knows no infinity: null."""
    fields = [f"{json.dumps(name)}: {json.dumps(short(value), allow_nan=False)}" for name, value in data.items()]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def short(value: Any) -> Any:
    """Numbers of four digits, which is more than a picture shows."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: short(each) for name, each in value.items()}
    return [short(each) for each in value] if isinstance(value, list | tuple) else value


LESSONS: Mapping[str, Callable[[], Data]] = {
    "gradient-descent": gradient_descent,
    "learning-rate": learning_rate,
    "response-curve": response,
    "schedules": schedules,
    "decay": decay,
    "adaptive-methods": adaptive,
    "momentum": momentum,
    "batch-size": batch_size,
    "initialization": initialization,
    "overfitting": overfitting,
    "range-test": range_test,
    "interval": interval,
}


if __name__ == "__main__":
    main()
