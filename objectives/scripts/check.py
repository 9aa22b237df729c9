"""What works with a training script: a few steps are trained, saved, and repeated in other processes."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from objectives.catalog import default_params, default_settings
from objectives.contract import Measurement, NoState, RunLost, RunRaised
from objectives.own_modules import CatalogProblem
from objectives.scripts.entry import ScriptObjective
from objectives.scripts.run import ScriptRun, Scripts

STEPS = 2
"""Steps of a run that is compared."""
SEED, OTHER_SEED = 1, 2
SPEED = "samples_per_second"
"""The metric of Stride's own training that no run repeats."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one thing that Stride does with a script."""

    name: str
    works: bool
    text: str
    """What was seen; where it does not work, what would make it."""


class _Failed(Exception):
    """A run raised, or its process ended."""


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """The first steps of a run, and what it gave after the first."""

    steps: list[Measurement]
    state: Any
    no_state: str
    """Why there is no state."""
    weights: Mapping[str, Any] | None


def findings(script: ScriptObjective, device: str, note: Callable[[str], None] = lambda _: None) -> Iterator[Finding]:
    """Each as soon as it is known. note: told what is done next. Each run has a process of its own."""
    params = default_params(script.objective)
    note(f"training {STEPS} steps")
    try:
        first = _begun(script, params, SEED, device)
    except _Failed as failed:
        yield Finding(name="training", works=False, text=str(failed))
        return
    yield _training(first, script)
    note("training them again, twice with the same seed and once with another")
    try:
        same, again = _twice(script, params, device)
        yield _seeds(first, same, _begun(script, params, OTHER_SEED, device))
        yield _trial_after_trial(same, again)
    except _Failed as failed:
        yield Finding(name="seeds", works=False, text=f"a second run {failed}")
    note("resuming after the first step, in another process")
    yield _resume(first, script, params, device)
    yield _best_model(first, script)
    yield _diagnosis(first)
    yield _audit(first, script)
    note("training at the highest learning rate")
    yield _divergence(script, params, device)
    yield _pruning(script)


def _begun(
    script: ScriptObjective, params: Mapping[str, Any], seed: int, device: str, state: Any = None, count: int = STEPS
) -> _Begun:
    """A run in a process of its own. Raises _Failed."""
    with _process_of(script) as scripts:
        return _run(scripts, script, params, seed, device, state, count)


def _twice(script: ScriptObjective, params: Mapping[str, Any], device: str) -> tuple[_Begun, _Begun]:
    """Two runs with one seed, one after the other in one process. Raises _Failed."""
    with _process_of(script) as scripts:
        return _run(scripts, script, params, SEED, device), _run(scripts, script, params, SEED, device)


@contextmanager
def _process_of(script: ScriptObjective) -> Iterator[Scripts]:
    scripts = Scripts({script.objective.name: script.function})
    try:
        yield scripts
    finally:
        scripts.drop()


def _run(
    scripts: Scripts,
    script: ScriptObjective,
    params: Mapping[str, Any],
    seed: int,
    device: str,
    state: Any = None,
    count: int = STEPS,
) -> _Begun:
    try:
        run = scripts.start(script.objective.name, params, default_settings(script.objective), seed, device, 1)
        if state is not None:
            run.load_state_dict(state)
        return _first_steps(run, count)
    except (RunRaised, RunLost, CatalogProblem) as error:
        kind = f"{error.type}: " if isinstance(error, RunRaised) else ""
        raise _Failed(f"ended with {kind}{error}") from error


def _first_steps(run: ScriptRun, count: int) -> _Begun:
    steps: list[Measurement] = []
    state, no_state, weights = None, "", None
    for step in run:
        steps.append(step)
        if len(steps) == 1:
            try:
                state, weights = run.state_dict(), run.weights()
            except NoState as none:
                no_state = str(none)
        if len(steps) == count:
            break
    return _Begun(steps=steps, state=state, no_state=no_state, weights=weights)


def _training(first: _Begun, script: ScriptObjective) -> Finding:
    metric = script.function.metric
    values = " and ".join(f"{step.metrics[metric]:.6g}" for step in first.steps)
    only = "" if len(first.steps) == STEPS else ", its only step"
    return Finding(name="training", works=True, text=f"{metric} was {values}{only}, in {first.steps[0].seconds:.2g} s a step")


def _seeds(first: _Begun, same: _Begun, other: _Begun) -> Finding:
    if _values(same) != _values(first):
        text = (
            "the same seed gave other values: something draws random numbers from a generator that the seed does not reach, or"
            " imports torch or NumPy within the function"
        )
        return Finding(name="seeds", works=False, text=text)
    if _values(other) == _values(first):
        text = "another seed gave the same values: the script sets its own seed, or draws nothing at random"
        return Finding(name="seeds", works=False, text=text)
    return Finding(name="seeds", works=True, text="the same seed gives the same values, and another seed others")


def _trial_after_trial(first: _Begun, again: _Begun) -> Finding:
    if _values(again) == _values(first):
        text = "a second run in the same process gives the same values"
        return Finding(name="trial after trial", works=True, text=text)
    text = (
        "a second run in the same process gave other values: something outside of the function, such as a model at the top of the"
        " file, goes on from one trial to the next. Make it in the function"
    )
    return Finding(name="trial after trial", works=False, text=text)


def _resume(first: _Begun, script: ScriptObjective, params: Mapping[str, Any], device: str) -> Finding:
    if first.state is None:
        why = "an Optuna objective saves no state" if script.function.kind == "optuna" else first.no_state
        return Finding(name="resume", works=False, text=f"{why}: a trial that is interrupted starts anew")
    if len(first.steps) < STEPS:
        return Finding(name="resume", works=True, text="a state was saved; a run of one step has nothing to resume")
    try:
        resumed = _begun(script, params, SEED, device, first.state, count=1)
    except _Failed as failed:
        return Finding(name="resume", works=False, text=f"the resumed run {failed}")
    [*_, wanted], got = first.steps, resumed.steps[0] if resumed.steps else None
    if got is None or got.step != wanted.step:
        went_on = "ended" if got is None else f"went on with step {got.step}"
        text = f"after step 1 the resumed run {went_on}: begin after the step in what trial.restored() returns"
        return Finding(name="resume", works=False, text=text)
    metric = script.function.metric
    if _repeatable(got) != _repeatable(wanted):
        cause = "what is saved lacks something, such as the optimizer's state, or a counter of the function's own"
        if script.function.kind == "model":
            cause = "something in the model or the data keeps a state, or draws random numbers, that Stride does not know of"
        was = f"{got.metrics[metric]!r} at step {got.step} instead of {wanted.metrics[metric]!r}"
        text = f"{metric} was {was}: {cause}"
        return Finding(name="resume", works=False, text=text)
    return Finding(name="resume", works=True, text="step 2 is the same in another process, to the last digit")


def _best_model(first: _Begun, script: ScriptObjective) -> Finding:
    if first.weights:
        return Finding(name="best model", works=True, text=f"{len(first.weights)} tensors were saved under model")
    text = 'no weights are kept: give steps the model, or trial.save a dictionary with "model": model.state_dict()'
    if script.function.kind == "optuna":
        text = "an Optuna objective keeps no weights: a function under @stride.objective can"
    return Finding(name="best model", works=False, text=text)


def _diagnosis(first: _Begun) -> Finding:
    measured = first.steps[0].metrics
    if "training_loss" not in measured:
        return Finding(name="diagnosis", works=False, text="report training_loss, and gradient_norm where it is known")
    more = [name for name in ("validation_loss", "gradient_norm") if name not in measured]
    text = "from training_loss" + (f"; {' and '.join(more)} would tell more" if more else " and the other metrics")
    return Finding(name="diagnosis", works=True, text=text)


def _audit(first: _Begun, script: ScriptObjective) -> Finding:
    """Whether the rates that were applied are known, and checked against the schedule."""
    if script.function.kind == "model":
        text = "the rate of every update is checked against the schedule's, as Stride sets it"
        return Finding(name="audit", works=True, text=text)
    applied = "the applied rate is in the curve, but"
    if not _reports_rates(first, script):
        applied = "give stride.steps the optimizer, or say learning_rate= in the report, where a schedule changes the rate;"
    text = f"{applied} only Stride's own training is checked against a schedule"
    return Finding(name="audit", works=False, text=text)


def _reports_rates(first: _Begun, script: ScriptObjective) -> bool:
    """Whether a step had another rate than that of the trial."""
    usual = default_params(script.objective)[script.function.learning_rate]
    return any(step.learning_rate != usual for step in first.steps)


def _divergence(script: ScriptObjective, params: Mapping[str, Any], device: str) -> Finding:
    rate = script.function.learning_rate
    space = next(each.space for each in script.objective.parameters if each.name == rate) or {}
    highest = max(space.get("choices", [space.get("high", params[rate])]))
    try:
        begun = _begun(script, {**params, rate: highest}, SEED, device, count=5)
    except _Failed as failed:
        text = f"at {rate} {highest:g} the run {failed}: report nan or inf instead, so that the rate counts as too high"
        return Finding(name="divergence", works=False, text=text)
    last = begun.steps[-1].metrics[script.function.metric]
    seen = "diverged" if not math.isfinite(last) else f"came to {last:.3g} in {len(begun.steps)} steps"
    return Finding(name="divergence", works=True, text=f"at {rate} {highest:g}, the highest, the run {seen}")


def _pruning(script: ScriptObjective) -> Finding:
    if script.function.steps is not None:
        steps = script.function.steps
        text = f"a run has {steps} steps" if isinstance(steps, int) else f"a run has as many steps as {steps} says"
        return Finding(name="pruning", works=True, text=text)
    text = "the number of steps is not known: say it with --steps, or steps= of @stride.objective"
    return Finding(name="pruning", works=False, text=text)


def _values(begun: _Begun) -> list[Mapping[str, float]]:
    return [_repeatable(step) for step in begun.steps]


def _repeatable(step: Measurement) -> Mapping[str, float]:
    """What is measured but how fast it was."""
    return {name: value for name, value in step.metrics.items() if name != SPEED}
