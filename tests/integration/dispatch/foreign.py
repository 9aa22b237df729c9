"""What a user's own Optuna script does to a job's study."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from service.domain.job import Job
from service.store.postgres import Database
from tests.stock_optuna import stock

RATE = FloatDistribution(1e-5, 1.0, log=True)


@contextmanager
def foreign(database: Database, job: Job) -> Iterator[optuna.Study]:
    """A user's own Optuna script on the job's study."""
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        yield optuna.load_study(study_name=job.study_name, storage=storage, sampler=optuna.samplers.RandomSampler(1))


def known(number: int, attrs: dict[str, Any] | None = None) -> optuna.trial.FrozenTrial:
    """A finished trial of a foreign script."""
    params = {"learning_rate": 10 ** -(number / 3)}
    return create_trial(value=float(number), params=params, distributions={"learning_rate": RATE}, system_attrs=attrs)
