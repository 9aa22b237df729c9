"""A job gives exactly the trials that Optuna gives in memory with samplers that are seeded the same way."""

import math
import sys
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from service.domain.parts import is_pruning_step, parts_done
from service.domain.space import fixed, searched
from service.domain.spec import JobSpec
from service.domain.strategy import NoPruner
from service.domain.trial import FEASIBLE, violation
from service.search.pruners import pruner
from service.search.samplers import distribution, silenced, view_name
from service.search.strategies import strategy_of
from service.store.postgres import Database
from tests.factories import job_spec, submit_job
from tests.integration.dispatch.training import SPACE, claimer_of, curve_of, fails, run_job, stored

CASES: dict[str, dict[str, Any]] = {
    "random uniform": {"strategy": "random", "budget": {"trials": 25}},
    "random uniform, successive halving": {"strategy": "random", "pruner": "successive_halving", "budget": {"trials": 25}},
    "qmc": {"strategy": {"type": "random", "sampler": "qmc"}, "budget": {"trials": 25}},
    "tpe": {"strategy": "bayesian", "budget": {"trials": 30}},
    "tpe, successive halving": {"strategy": "bayesian", "pruner": "successive_halving", "budget": {"trials": 30}},
    "tpe, hyperband": {"strategy": "bayesian", "pruner": {"type": "hyperband", "parts": 8}, "budget": {"trials": 40}},
    "tpe, median": {"strategy": "bayesian", "pruner": {"type": "median", "startup_trials": 3}, "budget": {"trials": 30}},
    "tpe, percentile": {
        "strategy": "bayesian",
        "pruner": {"type": "percentile", "percentile": 30.0, "startup_trials": 3},
        "budget": {"trials": 30},
    },
    "gp": {"strategy": {"type": "bayesian", "sampler": "gp"}, "budget": {"trials": 14}},
}


def in_memory(spec: JobSpec) -> list[FrozenTrial]:
    """The same search by Optuna alone; where there is a pruner, it gets the steps as parts of the schedule."""
    with silenced():
        distributions = {name: distribution(dimension) for name, dimension in searched(spec.search_space).items()}
        study = optuna.create_study(study_name=view_name(spec.seed), pruner=pruner(spec.pruner))
        for number in range(spec.budget.trials or 0):
            study.sampler = strategy_of(spec).sampler(spec.seed, number)
            trial = study.ask(distributions)
            _train(study, trial, spec, fixed(spec.search_space) | trial.params)
    return study.trials


def _train(study: optuna.Study, trial: optuna.Trial, spec: JobSpec, params: dict[str, Any]) -> None:
    before, done = 0.0, 0
    for item in curve_of(params):
        loss = item.metrics["loss"]
        if isinstance(spec.pruner, NoPruner):
            trial.report(loss, item.step)
        elif not item.in_warmup:
            reached = parts_done(item.fraction, spec.pruner.parts)
            for part in range(done + 1, reached + 1):
                trial.report(min(loss, sys.float_info.max), part)
            done = reached
        if math.isinf(loss):
            _constrain(study, trial, violation(item.fraction))
            study.tell(trial, loss)
            return
        if fails(trial.number):
            study.tell(trial, state=TrialState.FAIL)
            return
        asked = not isinstance(spec.pruner, NoPruner) and is_pruning_step(
            before, item.fraction, item.in_warmup, spec.pruner.parts
        )
        if asked and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
        before = before if item.in_warmup else item.fraction
    _constrain(study, trial, FEASIBLE)
    study.tell(trial, loss)


def _constrain(study: optuna.Study, trial: optuna.Trial, entry: float) -> None:
    study._storage.set_trial_system_attr(trial._trial_id, "constraints", [entry])


def seen(trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    """What must be equal."""
    return [
        {
            "number": trial.number,
            "params": trial.params,
            "state": trial.state,
            "values": trial.values,
            "distributions": trial.distributions,
            "constraints": trial.system_attrs.get("constraints"),
            "rungs": {key: value for key, value in trial.system_attrs.items() if key.startswith("completed_rung")},
        }
        for trial in trials
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_job_gives_exactly_the_trials_of_optuna_in_memory(database: Database, case: str) -> None:
    overrides = CASES[case] | {"search_space": SPACE, "seed": 11}
    overrides["budget"] = overrides["budget"] | {"failures": 1000}
    job = submit_job(database, **overrides)
    run_job(database, claimer_of(database))
    found, expected = seen(stored(database, job)), seen(in_memory(job_spec(**overrides)))
    assert found == expected
    states = {trial["state"] for trial in expected}
    assert states >= {TrialState.COMPLETE, TrialState.FAIL}
    assert any(math.isinf(trial["values"][0]) for trial in expected if trial["state"] is TrialState.COMPLETE)
    if "pruner" in overrides:
        assert TrialState.PRUNED in states


def test_two_claimers_taking_turns_give_the_trials_of_one(database: Database) -> None:
    overrides = CASES["tpe, hyperband"] | {"search_space": SPACE, "seed": 3}
    overrides["budget"] = {"trials": 25, "failures": 1000}
    alone = submit_job(database, **overrides)
    run_job(database, claimer_of(database))
    shared = submit_job(database, **overrides)
    run_job(database, claimer_of(database), claimer_of(database))
    assert seen(stored(database, shared)) == seen(stored(database, alone))


def test_another_seed_gives_other_trials(database: Database) -> None:
    first, second = (submit_job(database, search_space=SPACE, seed=seed, budget={"trials": 3}) for seed in (1, 2))
    run_job(database, claimer_of(database))
    assert [trial.params for trial in stored(database, first)] != [trial.params for trial in stored(database, second)]
