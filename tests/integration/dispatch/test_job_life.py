"""A job against a simple model of it: whatever happens to it, in whatever order, both agree.

The rules are all that workers, users, foreign scripts and time may do to a job. After each of them the database is compared with
the model: the job, its events, its trials, and every attempt at them.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from service.dispatch import lifecycle
from service.domain.job import FINAL
from service.store.postgres import Database, psycopg_url
from tests.conftest import execute
from tests.databases import Databases
from tests.integration.dispatch.job_actions import JobActions
from tests.integration.dispatch.job_model import RESULTS, TRIALS
from tests.integration.dispatch.job_rows import assert_database_agrees
from tests.stock_optuna import stock

EXAMPLES, STEPS = 30, 40
WORKERS_DO = (
    *("claims", "reports", "finishes") * 2,
    *("is quick", "loses its trainer", "gives back", "stops reporting"),
)
USERS_DO = ("pauses", "resumes", "resumes", "cancels", "deletes")
MAX_PARALLEL = st.sampled_from([None, 1, 2])
OPTUNAS_NAMES = {"infeasible": "COMPLETE", "failed": "FAIL"}


class JobLife(JobActions):
    """Rules and invariants."""

    @initialize(grid=st.booleans(), max_parallel=MAX_PARALLEL)
    def submit(self, grid: bool, max_parallel: int | None) -> None:
        self.read_by_optuna: tuple[int, list[str]] | None = None
        self.begin(grid, max_parallel)

    def teardown(self) -> None:
        if hasattr(self, "job") and self.model.state not in FINAL:
            self.database.transact(lambda conn: lifecycle.cancel(conn, self.job.id))

    # Few rules, each with many actions: with many rules Hypothesis leaves most of them out of every run.

    @rule(action=st.sampled_from(WORKERS_DO), which=st.integers(0, 20), result=st.sampled_from(sorted(RESULTS)))
    def a_worker(self, action: str, which: int, result: str) -> None:
        if action == "claims":
            self.claim()
        elif action == "is quick":
            self.a_trial_is_quick(result)
        elif self.held:
            claim, lease = self.pick(which)
            match action:
                case "reports":
                    self.report(claim, lease)
                case "finishes":
                    self.finish(claim, lease, result)
                case "loses its trainer":
                    self.trainer_dies(claim, lease)
                case "gives back":
                    self.give_back(claim, lease)
                case "stops reporting":
                    self.worker_stops_reporting(claim, lease)

    @rule(action=st.sampled_from(USERS_DO), grid=st.booleans(), max_parallel=MAX_PARALLEL)
    def a_user(self, action: str, grid: bool, max_parallel: int | None) -> None:
        match action:
            case "pauses":
                self.pause()
            case "resumes":
                self.resume()
            case "cancels" if not self.is_young():
                self.cancel()
            case "deletes" if not self.is_young():
                self.delete(grid, max_parallel)

    @rule(action=st.sampled_from(("sweeps", "sweeps", "time is over", "enqueues", "tells")))
    def somebody(self, action: str) -> None:
        match action:
            case "sweeps":
                self.sweeps()
            case "time is over" if self.model.state == "running" and not self.is_young():
                self.time_is_over()
            case "enqueues" if len(self.model.trials) < 2 * TRIALS:
                self.foreign_enqueues()
            case "tells" if len(self.model.trials) < 2 * TRIALS:
                self.foreign_tells()

    @invariant()
    def the_database_agrees_with_the_model(self) -> None:
        if not hasattr(self, "job"):
            return
        assert_database_agrees(self.database, self.job, self.model)

    @invariant()
    def stock_optuna_reads_the_same(self) -> None:
        """Asked when the trials have changed: to read them takes Optuna longer than all else here."""
        if hasattr(self, "job"):
            expected = (self.job.study_id, [OPTUNAS_NAMES.get(trial.state, trial.state.upper()) for trial in self.model.trials])
            if expected != self.read_by_optuna:
                trials = self.storage.get_all_trials(self.job.study_id, deepcopy=False)
                assert [(trial.number, trial.state.name) for trial in trials] == list(enumerate(expected[1]))
                self.read_by_optuna = expected


@pytest.fixture
def one_database(postgres_url: str, databases: Databases) -> Iterator[Database]:
    """One for all runs: each has its own job."""
    with databases.borrow() as url:
        # A thousand transactions, none of which has to be durable.
        execute(postgres_url, f"ALTER DATABASE {psycopg_url(url).database} SET synchronous_commit = off")
        database = Database(url)
        yield database
        database.close()


@pytest.mark.timeout(400)  # a thousand transactions: half a minute on an idle machine, two on one that is busy with other tests
def test_whatever_happens_to_a_job_it_is_what_a_simple_model_says(one_database: Database) -> None:
    with stock(one_database.url.render_as_string(hide_password=False)) as storage:
        run_state_machine_as_test(
            lambda: JobLife(one_database, storage),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                derandomize=True,
                phases=[Phase.generate],  # shrinking takes minutes: add Phase.shrink by hand
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
