"""What not tuning costs, on real training: an optimizer that sets its own rate beside one whose rate is searched."""

from service.analysis.comparison.comparison import compare
from service.api.comparisons import read
from service.domain.comparison import PAIRED_SEEDS
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.worker.supervised import supervised

SEEDS, RATES = 3, 5
RATE = {"type": "float", "low": 1e-3, "high": 1.0, "log": True, "points": RATES}


def test_prodigy_is_compared_with_the_tuned_rate_of_sgd_by_paired_seeds(database: Database) -> None:
    free, tuned = (
        submit_job(
            database,
            objective={"name": "tabular-classification", "settings": {"dataset": "wine"}},
            metric="validation_loss",
            search_space={"epochs": 4, **space},
            strategy="grid",
            budget={"trials": SEEDS * points},
            replicates=SEEDS,
        )
        for points, space in (
            (1, {"optimizer": "prodigy", "learning_rate": 1.0}),
            (RATES, {"optimizer": "sgd", "learning_rate": RATE}),
        )
    )
    with supervised(database) as worker:
        for _ in range(SEEDS * (1 + RATES)):
            worker.run_trial()
    found = compare(read(database, [free.id, tuned.id]))
    of_free, of_tuned = found.jobs
    assert (of_free.trials, of_tuned.trials) == (SEEDS, SEEDS * RATES)
    assert of_free.learning_rate is not None
    assert of_free.learning_rate.mean == 1.0
    [above] = [each.difference for each in found.jobs if each.difference is not None]
    assert above.rests_on == PAIRED_SEEDS
    assert above.estimate.low < above.estimate.mean < above.estimate.high
    assert "optimizer=prodigy searched no learning rate: it took 3 trials, and optimizer=sgd 15." in found.because
