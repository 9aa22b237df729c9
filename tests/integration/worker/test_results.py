"""What becomes of trials, as one worker process leaves them. It runs all jobs once; the tests look at what it stored."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from service.domain.job import FINAL, Job, JobState
from service.domain.lease import Outcome
from service.domain.measurement import GroupRate
from service.domain.training_seeds import training_seed
from service.domain.trial import FEASIBLE, Trial, TrialState
from service.store import jobs, leases, measurements, trial_reader
from service.store.postgres import Database
from tests.factories import LEARNING_RATE, submit_job
from tests.integration.worker.conftest import worker_processes
from tests.polling import wait_until

SPACE = {"learning_rate": LEARNING_RATE | {"low": 1e-5, "high": 0.4}, "epochs": 4, "momentum": 0.9}
DIVERGING = {"learning_rate": 0.9, "momentum": {"type": "float", "low": 0.0, "high": 0.9}, "epochs": 4}
ODD = {"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}}
SUBORDINATE = ODD | {
    "lookahead": {"type": "categorical", "choices": [False, True]},
    "flourish": {"type": "float", "low": 0.0, "high": 0.9},
}
"""Without meaning unless the mode, plain by default, is fancy."""


def quadratic(**overrides: Any) -> dict[str, Any]:
    settings = overrides.pop("settings", {})
    return {"search_space": SPACE, "budget": {"trials": 1}, "objective": {"name": "quadratic", "settings": settings}} | overrides


def odd(how: str, **overrides: Any) -> dict[str, Any]:
    return quadratic(search_space=ODD, **overrides) | {"objective": {"name": "odd", "settings": {"how": how}}}


NO_RUNS = {
    "a generator": "a generator, without state_dict, load_state_dict, evaluate: `start` must be a function that returns",
    "a class": "the class OddRun, not an object of it: `start` must be a function that returns an object",
    "nothing": "nothing, without __iter__, state_dict, load_state_dict, evaluate: `start` must be a function that",
    "a coroutine": "a coroutine, without __iter__, state_dict, load_state_dict, evaluate: `start` must be a function that",
    "a run without evaluate": "a _Lacking, without evaluate: `start` must be a function that returns an object with __iter__,",
}
"""What else than a run `start` returns, and what is said of it."""

JOBS: dict[str, dict[str, Any]] = {
    "healthy": quadratic(),
    "maximized": quadratic(metric="score"),
    "raises": quadratic(settings={"raise_at": 3}),
    "killed": quadratic(settings={"kill_at": 2}, max_attempts=3),
    "exits": quadratic(settings={"exit_at": 2}, max_attempts=1),
    "diverges": quadratic(search_space=DIVERGING),
    "diverges, maximized": quadratic(search_space=DIVERGING, metric="score"),
    "diverges, pruned": quadratic(search_space=DIVERGING, pruner="successive_halving"),
    "fails twice": quadratic(settings={"raise_at": 1}, budget={"trials": 9, "failures": 2}),
    "target": quadratic(search_space=SPACE, budget={"trials": 500, "target": 50.0}),
    "pruned": quadratic(search_space=SPACE | {"epochs": 8}, pruner="successive_halving", budget={"trials": 8}),
    "end of file": odd("end of file"),
    "strange letters": odd("strange letters", budget={"trials": 1, "failures": 1}),
    "no measurement": odd("no measurement"),
    "not a number": odd("not a number"),
    "not a number, pruned": odd("not a number", pruner="successive_halving"),
    "another metric": odd("another metric", budget={"trials": 9}),
    "blows up": odd("blows up"),
    "blows up, pruned": odd("blows up", pruner="successive_halving"),
    "text": odd("text"),
    "no text": odd("no text"),
    "beyond floats": odd("beyond floats"),
    "a pair": odd("a pair", budget={"trials": 9}),
    "no test metrics": odd("no test metrics"),
    "a value of its own": odd("a value of its own"),
    "a value in words": odd("a value in words"),
    "gives up": odd("gives up"),
    **{f"start returns {what}": odd(f"start returns {what}", budget={"trials": 9}) for what in NO_RUNS},
    "same step twice": odd("same step twice"),
    "step too large": odd("step too large"),
    "strange metric": odd("strange metric"),
    "strange test metric": odd("strange test metric"),
    "test is no number": odd("test is no number"),
    "telling": odd("telling"),
    "keeps step 1": odd("keeps step 1"),
    "keeps a step to come": odd("keeps a step to come"),
    "keeps half a step": odd("keeps half a step"),
    "diverges by fractions": odd("diverges by fractions"),
    "diverges by name": odd("diverges by name"),
    "keeps a step that it passed over": odd("keeps a step that it passed over"),
    "strange group": odd("strange group"),
    "group without a name": odd("group without a name"),
    "rates by name": odd("rates by name"),
    "no rates": odd("no rates"),
    "too many losses": odd("too many losses"),
    "too many losses in all": odd("too many losses in all"),
    "losses without updates": odd("losses without updates"),
    "an update by name": odd("an update by name"),
    "a loss by name": odd("a loss by name"),
    "no pairs": odd("no pairs"),
    "update zero": odd("update zero"),
    "update too large": odd("update too large"),
    "nothing ignored": odd("telling") | {"search_space": SUBORDINATE | {"mode": "fancy"}},
    "ignored": odd("telling") | {"search_space": SUBORDINATE},
    "ignored, but for a setting": odd("test is no number") | {"search_space": SUBORDINATE},
    "ignored, infeasible": odd("not a number") | {"search_space": SUBORDINATE},
    "one searched": odd("telling") | {"search_space": ODD | {"flourish": SUBORDINATE["flourish"]}},
    "ignored, failed": odd("no measurement") | {"search_space": SUBORDINATE},
    "chatty": odd("chatty"),
}


@dataclass(frozen=True)
class Ended:
    """A job that the worker has run to its end."""

    database: Database
    job: Job
    trials: list[Trial]

    @property
    def trial(self) -> Trial:
        [trial] = self.trials
        return trial

    @property
    def seed(self) -> int:
        """That its first trial was trained with."""
        return training_seed(self.job.spec, number=0)

    def of_trial(self, read: Callable[[sa.Connection, int], Any], number: int = 0) -> Any:
        with self.database.transaction() as conn:
            return read(conn, trial_reader.trial_id(conn, self.job, number))

    @property
    def constraints(self) -> Any:
        def read(conn: sa.Connection, trial_id: int) -> Any:
            query = "SELECT value_json::json FROM optuna.trial_system_attributes WHERE key = 'constraints' AND trial_id = %(id)s"
            return conn.exec_driver_sql(query, {"id": trial_id}).scalar()

        return self.of_trial(read)


Look = Callable[[str], Ended]


@pytest.fixture(scope="module")
def ended(shared_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Look:
    """The jobs by name, all run by one worker."""
    database = shared_database
    submitted = {
        name: submit_job(database, direction="maximize" if spec.get("metric") == "score" else "minimize", **spec)
        for name, spec in JOBS.items()
    }

    def all_final() -> bool:
        with database.transaction() as conn:
            return all(jobs.get(conn, job.id).state in FINAL for job in submitted.values())

    url = database.url.render_as_string(hide_password=False)
    with worker_processes(url, tmp_path_factory.mktemp("worker")) as start:
        worker = start()
        wait_until(lambda: all_final() or not worker.is_running(), "the end of all jobs", deadline_s=60)
        assert worker.is_running(), worker.log
        trainers = worker.trainers()
        assert len(trainers) == 1
        assert worker.stop() == 0

    def look(name: str) -> Ended:
        with database.transaction() as conn:
            job = jobs.get(conn, submitted[name].id)
            return Ended(database, job, trial_reader.page(conn, job, limit=1000))

    return look


def test_a_healthy_trial_is_complete_with_its_last_value_and_its_test_metrics(ended: Look) -> None:
    found = ended("healthy")
    assert found.job.state is JobState.COMPLETED
    trial = found.trial
    assert (trial.state, trial.error, found.constraints) == (TrialState.COMPLETE, None, [FEASIBLE])
    assert trial.value == pytest.approx(0.1 + math.log10(float(trial.params["learning_rate"]) / 0.01) ** 2)
    assert trial.user_attrs == {"training_seed": found.seed, "test_loss": pytest.approx(trial.value)}
    [attempt] = trial.attempts
    assert (attempt.attempt, attempt.outcome) == (1, Outcome.FINISHED)


def test_a_run_may_name_its_value_and_note_more(ended: Look) -> None:
    trial = ended("a value of its own").trial
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.25)
    assert trial.user_attrs == {"notes": [1, "two"], "test_loss": 2.0, "training_seed": ended("a value of its own").seed}


def test_a_run_that_gave_up_is_pruned(ended: Look) -> None:
    trial = ended("gives up").trial
    assert (trial.state, trial.value) == (TrialState.PRUNED, 1.0)
    assert (trial.user_attrs["pruned_at_step"], trial.user_attrs["stopped_by"]) == (2, "it gave up")


def test_every_step_is_stored(ended: Look) -> None:
    curve = ended("healthy").of_trial(measurements.of_trial)
    assert [(item.step, item.fraction) for item in curve] == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert [item.metrics["score"] for item in curve] == [-item.metrics["loss"] for item in curve]


def test_what_the_objective_printed_is_the_log(ended: Look) -> None:
    rate = ended("healthy").trial.params["learning_rate"]
    assert ended("healthy").of_trial(leases.log_tail) == f"training at {rate:g}\n"


def test_the_job_decides_which_metric_counts(ended: Look) -> None:
    trial = ended("maximized").trial
    assert trial.value is not None
    assert trial.value < 0


def test_an_objective_that_raises_fails_its_trial_with_type_message_and_traceback(ended: Look) -> None:
    found = ended("raises")
    assert found.trial.state is TrialState.FAILED
    error = found.trial.error
    assert error is not None
    assert (error.type, error.message) == ("RuntimeError", "told to raise")
    assert error.traceback is not None
    lines = error.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "RuntimeError: told to raise"
    assert any("quadratic.py" in line for line in lines)
    assert "RuntimeError: told to raise" in found.of_trial(leases.log_tail)
    assert [item.step for item in found.of_trial(measurements.of_trial)] == [1, 2]
    assert [attempt.outcome for attempt in found.trial.attempts] == [Outcome.FINISHED]


def test_a_trainer_that_is_killed_is_tried_again_and_fails_with_the_signal_named(ended: Look) -> None:
    found = ended("killed")
    assert found.trial.state is TrialState.FAILED
    assert found.trial.error is not None
    assert found.trial.error.type == "AttemptsExhausted"
    assert "SIGKILL" in found.trial.error.message
    # The first one measured a step, which counts as progress; the three after it, `max_attempts`, measured nothing new.
    assert [attempt.outcome for attempt in found.trial.attempts] == [Outcome.TRAINER_DIED] * 4
    assert [item.step for item in found.of_trial(measurements.of_trial)] == [1]
    assert "training at " in (found.trial.error.traceback or ""), "the last lines of its log"
    assert {attempt.reason for attempt in found.trial.attempts} == {"the trainer process was killed by SIGKILL"}
    assert found.of_trial(leases.log_tail).startswith("training at ")


def test_a_trainer_that_exits_fails_with_the_code_named(ended: Look) -> None:
    error = ended("exits").trial.error
    assert error is not None
    assert "exited with code 7" in error.message
    assert [attempt.outcome for attempt in ended("exits").trial.attempts] == [Outcome.TRAINER_DIED] * 2


def test_evidence_of_divergence_is_stored_whatever_its_numbers_are_made_of(ended: Look) -> None:
    trial = ended("diverges by fractions").trial
    assert trial.state is TrialState.INFEASIBLE
    assert trial.user_attrs["divergence"] == "it is lost"


@pytest.mark.parametrize("name", ["diverges", "diverges, maximized", "diverges, pruned"])
def test_a_diverged_run_is_infeasible(ended: Look, name: str) -> None:
    found = ended(name)
    assert found.job.state is JobState.COMPLETED
    assert found.trial.state is TrialState.INFEASIBLE
    assert found.trial.value == (-math.inf if found.job.spec.direction == "maximize" else math.inf)
    assert found.constraints == [0.75]
    assert found.trial.diverged_at_step == 1
    evidence = "loss became inf at update 1"
    diagnosis = {"diverged": evidence}
    assert found.trial.user_attrs == {"training_seed": found.seed, "divergence": evidence, "diagnosis": diagnosis}
    [item] = found.of_trial(measurements.of_trial)
    assert item.metrics["loss"] == math.inf


@pytest.mark.parametrize("name", ["not a number", "not a number, pruned"])
def test_a_run_that_measures_no_number_is_infeasible_and_never_pruned(ended: Look, name: str) -> None:
    trial = ended(name).trial
    assert (trial.state, trial.value) == (TrialState.INFEASIBLE, math.inf)
    assert trial.user_attrs["divergence"].startswith("loss was nan at step ")


@pytest.mark.parametrize("name", ["blows up", "blows up, pruned"])
def test_a_run_whose_metric_blows_up_is_infeasible_at_that_step_and_goes_no_further(ended: Look, name: str) -> None:
    found = ended(name)
    evidence = "loss was 1e+08, above 1,000,000 times its first value, 1, at step 3"
    assert (found.trial.state, found.trial.diverged_at_step) == (TrialState.INFEASIBLE, 3)
    assert found.trial.user_attrs["divergence"] == evidence
    assert found.trial.user_attrs["diagnosis"]["diverged"] == evidence
    assert [item.step for item in found.of_trial(measurements.of_trial)] == [1, 2, 3]


def test_an_integer_beyond_floats_is_infinite_and_so_infeasible(ended: Look) -> None:
    trial = ended("beyond floats").trial
    assert (trial.state, trial.user_attrs["divergence"]) == (TrialState.INFEASIBLE, "loss was inf at step 2")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text", "step 1 measured the loss '0.5', which is text: it must be a number"),
        ("no text", "step 1 measured 3, a name that is no text"),
        ("a pair", "the run yielded a tuple: it must yield objectives.contract.Measurement"),
    ],
)
def test_what_is_no_measurement_fails_the_trial_in_a_sentence(ended: Look, name: str, said: str) -> None:
    error = ended(name).trial.error
    assert error is not None
    assert (error.type, error.message) == ("BadMeasurement", said)


def test_an_objective_may_measure_nothing_on_a_test_set(ended: Look) -> None:
    trial = ended("no test metrics").trial
    assert (trial.state, trial.user_attrs) == (TrialState.COMPLETE, {"training_seed": ended("no test metrics").seed})


@pytest.mark.parametrize("what", NO_RUNS)
def test_a_start_that_returns_no_run_fails_the_job_with_its_first_trial_before_a_step(ended: Look, what: str) -> None:
    found = ended(f"start returns {what}")
    assert found.job.state is JobState.FAILED
    assert str(found.job.reason).startswith("no trial of this job can be trained: NotARun: odd has a `start` that returned ")
    error = found.trial.error
    assert error is not None
    assert (error.type, error.traceback) == ("NotARun", None)
    assert f"odd has a `start` that returned {NO_RUNS[what]}" in error.message
    assert re.search(r"odd\.py, line \d+\)$", error.message)
    assert found.of_trial(measurements.of_trial) == []
    assert found.of_trial(leases.log_tail) == f"{error.message}\n"


def test_too_many_failures_in_a_row_fail_the_job(ended: Look) -> None:
    found = ended("fails twice")
    assert found.job.state is JobState.FAILED
    assert found.job.reason == "2 trials failed in a row; the last one: RuntimeError: told to raise"
    assert len(found.trials) == 2


def test_a_target_ends_the_job(ended: Look) -> None:
    found = ended("target")
    assert found.job.state is JobState.COMPLETED
    assert str(found.job.reason).startswith("target reached: ")
    assert len(found.trials) == 1


def test_bad_trials_are_pruned_where_a_rung_ends(ended: Look) -> None:
    found = ended("pruned")
    pruned = [trial for trial in found.trials if trial.state is TrialState.PRUNED]
    assert pruned
    assert len(found.trials) == 8
    for trial in pruned:
        curve = found.of_trial(measurements.of_trial, trial.number)
        assert trial.user_attrs["pruned_at_step"] == curve[-1].step
        assert curve[-1].fraction in (0.25, 0.5)
        assert trial.value == curve[-1].metrics["loss"]


@pytest.mark.parametrize(
    ("name", "type_", "message"),
    [
        ("end of file", "EOFError", "the checkpoint is cut off"),
        ("strange letters", "RuntimeError", "a NUL \ufffd and half a letter ?"),
        ("no measurement", "NothingMeasured", "the objective ended without a single measurement"),
        ("a value in words", "BadMeasurement", "the run has the value 'low', which is text: it must be a number"),
        ("another metric", "MissingMetric", "step 1 measured no loss, only accuracy"),
        (
            "same step twice",
            "BadMeasurement",
            "step 1 was measured after step 1: steps are counted upwards from 1, to at most 2,147,483,647",
        ),
        (
            "step too large",
            "BadMeasurement",
            "step 2147483648 was measured after step 1: steps are counted upwards from 1, to at most 2,147,483,647",
        ),
        ("strange metric", "BadMeasurement", "step 1 measured 'a\\x00b', a name with letters that cannot be stored"),
        (
            "strange group",
            "BadMeasurement",
            "step 1 measured 'a\\x00b', a name with letters that cannot be stored",
        ),
        (
            "group without a name",
            "BadMeasurement",
            "step 1 measured group_rates that cannot be stored: 7 is no name of a group",
        ),
        (
            "rates by name",
            "BadMeasurement",
            "step 1 measured group_rates that cannot be stored: 'str' object has no attribute 'group'",
        ),
        (
            "no rates",
            "BadMeasurement",
            "step 1 measured group_rates that cannot be stored: object of type 'NoneType' has no len()",
        ),
        ("too many losses", "BadMeasurement", "step 1 measured 10,001 update_losses: at most 10,000 are stored"),
        (
            "too many losses in all",
            "BadMeasurement",
            "the run has measured 12,000 update_losses by step 2: at most 10,000 are stored",
        ),
        (
            "losses without updates",
            "BadMeasurement",
            "step 1 measured update_losses that cannot be stored: 'float' object is not subscriptable",
        ),
        (
            "an update by name",
            "BadMeasurement",
            "step 1 measured update_losses that cannot be stored: 'str' object cannot be interpreted as an integer",
        ),
        (
            "a loss by name",
            "BadMeasurement",
            "step 1 measured update_losses that cannot be stored: could not convert string to float: 'low'",
        ),
        (
            "no pairs",
            "BadMeasurement",
            "step 1 measured update_losses that cannot be stored: (1, 2.0, 3.0) is no update, counted from 1, and its loss",
        ),
        (
            "update zero",
            "BadMeasurement",
            "step 1 measured update_losses that cannot be stored: (0, 1.0) is no update, counted from 1, and its loss",
        ),
        (
            "keeps a step to come",
            "BadMeasurement",
            "step 1 named 9 as its best_step: it must be a step from 1 to 1",
        ),
        (
            "keeps half a step",
            "BadMeasurement",
            "step 1 named 0.5 as its best_step: it must be a step from 1 to 1",
        ),
        (
            "diverges by name",
            "BadMeasurement",
            "step 1 measured a divergence that cannot be stored: 'str' object has no attribute 'reason'",
        ),
        (
            "keeps a step that it passed over",
            "BadMeasurement",
            "step 3 named step 2 as its best_step, which was not measured",
        ),
    ],
)
def test_whatever_goes_wrong_in_an_objective_fails_its_trial_and_says_what(
    ended: Look, name: str, type_: str, message: str
) -> None:
    trial = ended(name).trial
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert (trial.error.type, trial.error.message) == (type_, message)
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.FINISHED]


def test_a_number_of_thousands_of_digits_fails_its_trial_too(ended: Look) -> None:
    trial = ended("update too large").trial
    assert trial.error is not None
    assert (trial.state, trial.error.type) == (TrialState.FAILED, "BadMeasurement")


def test_what_a_measurement_carries_beyond_its_metrics_is_stored(ended: Look) -> None:
    curve = ended("telling").of_trial(measurements.of_trial)
    assert [item.step for item in curve] == [1, 2]
    for item in curve:
        assert item.group_rates == (
            GroupRate(group="body", learning_rate=0.1, momentum=0.9),
            GroupRate(group="head", learning_rate=math.inf, momentum=None),
        )
        assert repr(item.update_losses) == "((1, 0.5), (2, nan))"
        assert item.best_step is None


def test_the_value_is_of_the_step_whose_weights_were_kept(ended: Look) -> None:
    found = ended("keeps step 1")
    curve = found.of_trial(measurements.of_trial)
    assert [(item.metrics["loss"], item.best_step) for item in curve] == [(1.0, 1), (2.0, 1)]
    assert (found.trial.state, found.trial.value) == (TrialState.COMPLETE, 1.0)
    assert found.trial.user_attrs == {"training_seed": found.seed, "test_loss": 2.0, "best_step": 1}


@pytest.mark.parametrize(
    ("name", "state", "names"),
    [
        ("nothing ignored", TrialState.COMPLETE, None),
        ("ignored", TrialState.COMPLETE, ["flourish", "lookahead"]),
        ("ignored, but for a setting", TrialState.COMPLETE, ["flourish"]),
        ("one searched", TrialState.COMPLETE, ["flourish"]),
        ("ignored, infeasible", TrialState.INFEASIBLE, ["flourish", "lookahead"]),
        ("ignored, failed", TrialState.FAILED, None),
    ],
)
def test_a_trial_names_the_searched_parameters_that_meant_nothing_in_it(
    ended: Look, name: str, state: TrialState, names: list[str] | None
) -> None:
    trial = ended(name).trial
    assert (trial.state, trial.user_attrs.get("ignored")) == (state, names)
    assert isinstance(trial.params.get("lookahead", False), bool)


def test_a_test_metric_that_is_no_number_is_left_out(ended: Look) -> None:
    found = ended("test is no number")
    assert (found.trial.state, found.trial.user_attrs) == (TrialState.COMPLETE, {"training_seed": found.seed})


def test_whatever_letters_the_name_of_a_test_metric_holds_it_is_stored(ended: Look) -> None:
    found = ended("strange test metric")
    assert found.trial.user_attrs == {"training_seed": found.seed, "a\ufffdb": 2.0}


def test_the_log_tail_is_bounded(ended: Look) -> None:
    log = ended("chatty").of_trial(leases.log_tail)
    assert log.endswith("line 19999\nno end of line")
    assert len(log.splitlines()) <= 200
