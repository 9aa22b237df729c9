"""The same study for each contender: Stride, stock Optuna on the same PostgreSQL, and Optuna in memory."""

import random
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import optuna
import psycopg
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from benchmarks.jobs import spec_of
from benchmarks.loss import loss_of
from service.dispatch.claim import Claimer
from service.dispatch.submit import submit
from service.domain.job import Job
from service.domain.space import searched
from service.domain.spec import JobSpec
from service.search.samplers import distribution
from service.store.postgres import Database, stock_url

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 1000},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
    "epochs": {"type": "int", "low": 2, "high": 20},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "points": 10},
}
PARTS = 20
SAMPLERS = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}


class Bench:
    """A database, and the contenders on it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.url = stock_url(database.url.render_as_string(hide_password=False))
        self.distributions: dict[str, BaseDistribution] = {
            name: distribution(dimension) for name, dimension in searched(self.spec("random").search_space).items()
        }

    @staticmethod
    def spec(sampler: str, pruner: object = "none") -> JobSpec:
        strategies: dict[str, object] = {"random": "random", "grid": "grid", "tpe": "bayesian"}
        return spec_of(
            {
                # A name of its own, so that claims see no other job.
                "objective": {"name": f"none-{uuid4()}"},
                "search_space": SPACE,
                "strategy": strategies[sampler],
                "pruner": pruner,
                "metric": "loss",
                "budget": {"trials": 1_000_000},
            }
        )

    def history(self, count: int, seed: int = 1) -> list[dict[str, Any]]:
        """The parameters of finished trials."""
        rng = random.Random(seed)
        return [
            {
                "batch_size": rng.choice([16, 32, 64, 128]),
                "epochs": rng.randint(2, 20),
                "learning_rate": 10 ** rng.uniform(-5, 0),
                "momentum": rng.uniform(0, 0.99),
            }
            for _ in range(count)
        ]

    def stock_study(
        self, sampler: str, history: list[dict[str, Any]], pruner: optuna.pruners.BasePruner | None = None
    ) -> optuna.Study:
        storage = RDBStorage(self.url, skip_table_creation=True, skip_compatibility_check=True)
        study = optuna.create_study(
            storage=storage,
            study_name=str(uuid4()),
            sampler=SAMPLERS[sampler](seed=1),
            pruner=pruner or optuna.pruners.NopPruner(),
        )
        self.fill(study._study_id, history)
        return study

    def memory_study(self, sampler: str, history: list[dict[str, Any]]) -> optuna.Study:
        study = optuna.create_study(sampler=SAMPLERS[sampler](seed=1), pruner=optuna.pruners.NopPruner())
        study.add_trials(
            create_trial(
                state=TrialState.COMPLETE,
                params=params,
                distributions=self.distributions,
                value=loss_of(params),
                intermediate_values={part: loss_of(params, part / PARTS) for part in range(1, PARTS + 1)},
                system_attrs={"constraints": [-1.0]},
            )
            for params in history
        )
        return study

    def job(self, sampler: str, history: list[dict[str, Any]], pruner: object = "none") -> tuple[Job, Claimer]:
        """A job whose study holds `history`, and a claimer that has read it."""
        job, _ = self.database.transact(lambda conn: submit(conn, self.spec(sampler, pruner)))
        self.fill(job.study_id, history)
        claimer = Claimer(self.database, uuid4(), [job.spec.objective.name], lease_s=600)
        self.database.transact(lambda conn: claimer.cache.snapshot(conn, job))
        return job, claimer

    def fill(self, study_id: int, history: list[dict[str, Any]]) -> None:
        """Store `history` in bulk: stock Optuna would take minutes for 10,000 trials."""
        with psycopg.connect(self.database.url.set(drivername="postgresql").render_as_string(hide_password=False)) as conn:
            ids = [
                row[0]
                for row in conn.execute(
                    "INSERT INTO optuna.trials (study_id, number, state, datetime_start, datetime_complete)"
                    " SELECT %s, number, 'COMPLETE', now(), now() FROM generate_series(0, %s) AS number RETURNING trial_id",
                    (study_id, len(history) - 1),
                )
            ]
            self._copy(
                conn,
                "optuna.trial_params (trial_id, param_name, param_value, distribution_json)",
                (
                    (trial_id, name, known.to_internal_repr(params[name]), distribution_to_json(known))
                    for trial_id, params in zip(ids, history, strict=True)
                    for name, known in self.distributions.items()
                ),
            )
            self._copy(
                conn,
                "optuna.trial_values (trial_id, objective, value, value_type)",
                ((trial_id, 0, loss_of(params), "FINITE") for trial_id, params in zip(ids, history, strict=True)),
            )
            self._copy(
                conn,
                "optuna.trial_system_attributes (trial_id, key, value_json)",
                ((trial_id, "constraints", "[-1.0]") for trial_id in ids),
            )
            self._copy(
                conn,
                "optuna.trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)",
                (
                    (trial_id, part, loss_of(params, part / PARTS), "FINITE")
                    for trial_id, params in zip(ids, history, strict=True)
                    for part in range(1, PARTS + 1)
                ),
            )
        with psycopg.connect(
            self.database.url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
        ) as conn:
            conn.execute("ANALYZE")

    @staticmethod
    def _copy(conn: psycopg.Connection[Any], target: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with conn.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
