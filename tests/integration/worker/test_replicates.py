"""Each replicate of a point is trained with its own seed, and goes on with it after a pause."""

import pytest

from service.domain.training_seeds import replicate_seed
from service.domain.trial import TrialState
from service.store import trial_reader
from service.store.postgres import Database
from tests.integration.worker.supervised import curve_of, stepping_job, supervised, told
from tests.quadratic import expected_loss, noise

NOISY = {"seed_noise": 1.0}


def test_a_replicate_has_the_same_seed_at_every_point_and_others_at_every_replicate(database: Database) -> None:
    job = stepping_job(
        database, epochs=1, epoch_s=0.0, settings=NOISY, strategy="random", budget={"trials": 6}, replicates=3, seed=8
    )
    with supervised(database) as worker:
        for _ in range(6):
            worker.run_trial()
    with database.transaction() as conn:
        trials = trial_reader.page(conn, job, limit=6)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert [trial.user_attrs["replicate"] for trial in trials] == [0, 1, 2, 0, 1, 2]
    added = [(trial.value or 0.0) - expected_loss(float(trial.params["learning_rate"])) for trial in trials]
    assert added == pytest.approx([noise(replicate_seed(8, replicate), 1.0) for replicate in (0, 1, 2, 0, 1, 2)])
    assert len({round(value, 9) for value in added}) == 3


def test_a_trial_that_goes_on_from_a_checkpoint_goes_on_with_its_seed(database: Database) -> None:
    first = [{"learning_rate": 0.1}]
    job = stepping_job(database, settings=NOISY, try_first=first, budget={"trials": 2}, replicates=2, seed=8)
    with supervised(database) as worker:
        worker.run_trial()
        last = worker.pause_after(job, 3, number=1)
    with supervised(database) as another:
        claim = another.run_trial()
    assert (claim.lease.number, claim.lease.attempt, claim.training_seed) == (1, 2, replicate_seed(8, 1))
    assert [payload["step"] for payload in told(database, job, "trial.resumed")] == [last]
    losses = [item.metrics["loss"] for item in curve_of(database, job, 1)]
    assert losses == pytest.approx([expected_loss(0.1, step / 12) + noise(replicate_seed(8, 1), 1.0) for step in range(1, 13)])
