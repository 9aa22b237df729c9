"""The runs in a study of stock Optuna, read through stock Optuna."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from objectives.contract import DataProblem
from objectives.data.files import unreadable
from service.analysis.words.numbers import counted
from service.domain.imported import MAX_ATTRIBUTES
from service.domain.measurement import MAX_STEP
from service.domain.space import Scalar
from service.domain.training_seeds import TRAINING_SEED
from service.domain.trial import storable
from service.imports.run import Log, Measured, Missing, Run
from service.imports.table import listed

RATES = ("learning_rate", "lr")
JOB = "job"
"""The user attribute of a study that Stride has made: its job."""
METRIC = "value"
"""What is optimized is called, where the study does not name it."""
LONGEST_NAME = 200
"""Of an attribute."""
CONSTRAINTS = "constraints"
"""The system attribute in which Optuna keeps what a trial violates."""


def log_of_study(
    storage: str,
    name: str | None,
    *,
    place: str,
    learning_rate: str | None = None,
    metric: str | None = None,
    direction: Literal["minimize", "maximize"] | None = None,
    missing: Missing | None = None,
) -> Log:
    """The runs of a study.

    storage: a URL, or the file of a journal. name: None: the only study there. place: the storage in words. learning_rate: the
    parameter; None: learning_rate, or lr. metric: what the objective's value is called. direction: as whoever imports it
    believes. missing: what a failed trial is. Raises DataProblem.
    """
    study = _load(storage, name, place)
    said = f"study {study.study_name!r} of {place}"
    if JOB in study.user_attrs:
        raise DataProblem(f"The {said} is that of a job, which has its answer already: stride best-lr {study.user_attrs[JOB]}.")
    if len(study.directions) > 1:
        raise DataProblem(
            f"The {said} has {len(study.directions)} objectives: a learning rate is best for one. Import a log of one of them."
        )
    if direction is not None and direction != (found := _direction(study)):
        raise DataProblem(f"The {said} was made to {found} its value, not to {direction} it: leave out --direction.")
    trials = study.get_trials(deepcopy=False)
    usable = [trial for trial in trials if trial.state.is_finished() and not _violates(trial)]
    trained = [trial for trial in usable if trial.state is not TrialState.FAIL]
    if not trained:
        raise DataProblem(f"The {said} has no trial that is complete or pruned, within its constraints.")
    rate = _rate(trained, learning_rate, said)
    space, partial = _space(trained)
    if rate in partial:
        raise DataProblem(f"The {said} has trials without {rate}, such as trial {partial[rate]}: every run needs its rate.")
    metric = metric or _metric(study)
    read = [trial for trial in usable if space.keys() <= trial.params.keys()]
    shift = int(any(0 in trial.intermediate_values for trial in read))
    runs = [_run(trial, rate, _steps(trial, metric, said, shift), space, said, missing, metric) for trial in read]
    return Log(
        source=said,
        runs=runs,
        learning_rate=rate,
        metric=metric,
        direction=_direction(study),
        space=space,
        notes=_notes(trials, read, partial, missing),
    )


def _load(storage: str, name: str | None, place: str) -> Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        opened = _opened(storage)
        every = opened.get_all_studies()
        names = sorted(found.study_name for found in every if JOB not in found.user_attrs)
        if name is None and len(names) == 1:
            name = names[0]
        if name is None or name not in {found.study_name for found in every}:
            there = f"it has: {listed(names)}" if names else "it has none"
            problem = f"There is no study {name!r} in {place}" if name is not None else f"Name a study of {place} with --study"
            raise DataProblem(f"{problem}; {there}.")
        return optuna.load_study(study_name=name, storage=opened)
    except (OptunaError, sa.exc.SQLAlchemyError, OSError, RuntimeError, ValueError, ImportError, KeyError) as error:
        if isinstance(error, DataProblem):
            raise
        raise unreadable(place, "a storage of Optuna", _cause(error)) from error


def _cause(error: Exception) -> Exception:
    """What the database's driver says, where an error hides it."""
    if isinstance(error, OptunaError) and isinstance(error.__cause__, Exception):
        return _cause(error.__cause__)
    return error.orig if isinstance(error, sa.exc.DBAPIError) and isinstance(error.orig, Exception) else error


def _opened(storage: str) -> BaseStorage:
    """Without creating what is not there. Raises what Optuna and SQLAlchemy raise."""
    if "://" not in storage:
        if not Path(storage).is_file():
            raise FileNotFoundError("there is no such file; a database is named by a URL, such as sqlite:///study.db")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that journals are experimental is for who writes one
            return JournalStorage(JournalFileBackend(storage))
    if storage.startswith("redis"):
        return JournalStorage(JournalRedisBackend(storage))
    url = sa.make_url(storage)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        raise FileNotFoundError(f"there is no file {url.database}")
    return RDBStorage(storage, skip_table_creation=True)


def _direction(study: Study) -> Literal["minimize", "maximize"]:
    return "maximize" if study.direction is StudyDirection.MAXIMIZE else "minimize"


def _metric(study: Study) -> str:
    return study.metric_names[0] if study.metric_names else METRIC


def _violates(trial: FrozenTrial) -> bool:
    constraints = trial.system_attrs.get(CONSTRAINTS)
    return isinstance(constraints, Sequence) and any(isinstance(each, int | float) and each > 0 for each in constraints)


def _rate(trials: Sequence[FrozenTrial], wanted: str | None, said: str) -> str:
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    there = f"its trials have {', '.join(names)}" if names else "its trials have no parameters"
    if wanted is not None:
        if wanted not in names:
            raise DataProblem(f"The {said} has no parameter {wanted!r} (--learning-rate); {there}.")
        return wanted
    found = [name for name in RATES if name in names]
    if len(found) != 1:
        problem = "has both learning_rate and lr" if found else "has no parameter called learning_rate or lr"
        raise DataProblem(f"The {said} {problem}: name the learning rate with --learning-rate; {there}.")
    return found[0]


def _space(trials: Sequence[FrozenTrial]) -> tuple[dict[str, Mapping[str, Any] | Scalar], dict[str, int]]:
    """The ranges of the parameters that all trials have; and the others, each with the first trial that lacks it."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    lacking = {name: trial.number for name in names for trial in reversed(trials) if name not in trial.params}
    return {name: _range([trial.distributions[name] for trial in trials]) for name in names if name not in lacking}, lacking


def _range(distributions: Sequence[BaseDistribution]) -> Mapping[str, Any] | Scalar:
    """The range of a parameter, as wide as that of any trial: Optuna lets a study change it."""
    first = distributions[0]
    if isinstance(first, CategoricalDistribution):
        choices = [_choice(choice, first) for choice in first.choices]
        return choices[0] if len(choices) == 1 else {"type": "categorical", "choices": choices}
    ranges = [each for each in distributions if isinstance(each, FloatDistribution | IntDistribution)]
    whole = all(isinstance(each, IntDistribution) for each in ranges)
    low, high = min(each.low for each in ranges), max(each.high for each in ranges)
    if low == high:
        return low
    log = any(each.log for each in ranges)
    step = ranges[0].step if all(each == first for each in distributions) and not log else None
    found: dict[str, Any] = {"type": "int" if whole else "float", "low": low, "high": high}
    if log:
        found["log"] = True
    elif step is not None and not (whole and step == 1):
        found["step"] = step
    return found


def _choice(choice: Any, among: CategoricalDistribution) -> Scalar:
    """A choice as Stride stores it: numbers, texts, true and false; where others are among them, such as None, as text."""
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in among.choices):
        return float(choice) if any(isinstance(each, float) for each in among.choices) else int(choice)
    return choice if isinstance(choice, bool | str) else str(choice)


def _run(
    trial: FrozenTrial,
    rate: str,
    steps: Sequence[Measured],
    space: Mapping[str, object],
    said: str,
    missing: Missing | None,
    metric: str,
) -> Run:
    where = f"trial {trial.number} of the {said}"
    params = {name: _value(trial, name) for name in trial.params if name in space}
    value = params[rate]
    if isinstance(value, bool | str) or not (math.isfinite(value) and value > 0):
        raise DataProblem(f"In {where}, {rate} is {value!r}, which is no learning rate: that is a finite number above 0.")
    others = {name: each for name, each in trial.params.items() if name not in space}
    seed = trial.user_attrs.get(TRAINING_SEED)
    run = Run(
        where=where,
        params=params,
        steps=steps,
        seed=seed if type(seed) is int and 0 <= seed < 2**63 else None,
        attributes=_attributes({**trial.user_attrs, **others}),
    )
    if trial.state is TrialState.COMPLETE:
        value = trial.values[0]
        return replace(run, value=value, steps=steps or [Measured(step=1, metrics={metric: value})], has_steps=bool(steps))
    if trial.state is TrialState.PRUNED:
        return replace(run, ending="pruned", reason="Optuna's pruner")
    if (steps and not math.isfinite(steps[-1].metrics[metric])) or missing == "diverged":
        return replace(run, ending="diverged", reason=f"it failed in the {said}, and counts as diverged")
    return replace(run, ending="failed", reason=f"it failed in the {said}")


def _value(trial: FrozenTrial, name: str) -> Scalar:
    known = trial.distributions[name]
    if isinstance(known, CategoricalDistribution):
        return _choice(trial.params[name], known)
    return int(trial.params[name]) if isinstance(known, IntDistribution) else float(trial.params[name])


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    """What an import takes of what is noted at a trial, which may be any JSON of Python's: the first attributes with a name that
    can be stored."""
    named = {
        storable(name): _json(each) for name, each in given.items() if 0 < len(name) <= LONGEST_NAME and name != TRAINING_SEED
    }
    return dict(islice(named.items(), MAX_ATTRIBUTES))


def _json(value: Any) -> Any:
    """The value as JSON has it: nan and infinities as text, and whatever is no JSON."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return list(map(_json, value))
    if isinstance(value, dict):
        return {storable(str(name)): _json(each) for name, each in value.items()}
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _steps(trial: FrozenTrial, metric: str, said: str, shift: int) -> list[Measured]:
    """Its intermediate values. shift: 1 where steps are counted from 0 there, since they are counted from 1 here."""
    reported = sorted(trial.intermediate_values.items())
    if reported and not (reported[0][0] + shift >= 1 and reported[-1][0] + shift <= MAX_STEP):
        raise DataProblem(
            f"In trial {trial.number} of the {said}, step {reported[0][0]} was reported: steps are counted from 0 or 1."
        )
    return [Measured(step=step + shift, metrics={metric: float(value)}) for step, value in reported]


def _notes(
    trials: Sequence[FrozenTrial], read: Sequence[FrozenTrial], partial: Mapping[str, int], missing: Missing | None
) -> list[str]:
    counts = {
        "waiting or running": sum(not trial.state.is_finished() for trial in trials),
        "violating the study's constraints": sum(trial.state.is_finished() and _violates(trial) for trial in trials),
    }
    counts["failed before they had all parameters"] = len(trials) - len(read) - sum(counts.values())
    notes = [f"Left out, {what}: {counted(n, 'trial', 'trials')}." for what, n in counts.items() if n]
    if partial:
        notes.append(f"Not every trial has {', '.join(partial)}: kept as attributes of trials, not as parameters of the job.")
    failed = sum(trial.state is TrialState.FAIL for trial in read)
    if failed and missing is None:
        notes.append(
            f"{counted(failed, 'trial', 'trials')} failed. With Optuna a trial that returns nan fails, too: --missing diverged"
            " counts them as diverged."
        )
    return notes
