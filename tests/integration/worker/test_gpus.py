"""Workers that train on "auto", as processes."""

from functools import partial
from uuid import uuid4

from service.domain.job import FINAL
from service.store import jobs, leases, trial_reader, workers
from service.store.postgres import Database
from service.worker.number import worker_number
from service.worker.trainer.gpus import gpu_for
from tests.factories import submit_job
from tests.integration.worker.conftest import Start
from tests.polling import wait_until
from tests.processes import at_once, wait_for_the_others


def held_together() -> int:
    with worker_number() as number:
        wait_for_the_others()
        return number


def test_workers_of_one_machine_have_consecutive_numbers() -> None:
    with worker_number() as number:
        others = sorted(at_once([(held_together, ()) for _ in range(3)]))
    first = min(number, *others)
    # Workers of other tests may run meanwhile.
    assert len({number, *others}) == 4
    assert max(number, *others) < first + 40


def test_a_number_is_free_again_after_its_worker() -> None:
    with worker_number() as number:
        pass
    with worker_number() as following:
        assert following <= number + 40


def test_an_objective_is_told_the_device_that_its_worker_takes(database: Database, start_worker: Start) -> None:
    import torch  # not at the top: every process of the tests imports this file

    job = submit_job(
        database,
        objective={"name": "odd", "settings": {"how": "says where"}},
        search_space={"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}},
        budget={"trials": 1},
    )
    start_worker(STRIDE_DEVICE="auto")
    wait_until(lambda: database.transact(lambda conn: jobs.get(conn, job.id)).state in FINAL, "the end of the job")
    trial_id = database.transact(partial(trial_reader.trial_id, job=job, number=0))
    [line] = database.transact(partial(leases.log_tail, trial_id=trial_id)).splitlines()
    gpus = torch.cuda.device_count()
    assert line in {f"computes on {gpu_for(number, gpus)}" for number in range(max(1, gpus))}


def test_containers_take_numbers_by_how_long_they_are_there(database: Database) -> None:
    """Each numbers its workers from 0, and the hosts before it are added."""
    ids = {name: uuid4() for name in ("one:7", "one:8", "two:7", "three:6", "one:9", "gone:1", "lost:1")}
    for name, worker_id in [("gone:1", ids["gone:1"]), ("lost:1", ids["lost:1"]), *ids.items()]:
        lost_after_s = 0.0 if name == "lost:1" else 60.0
        database.transact(
            lambda conn, name=name, worker_id=worker_id, lost_after_s=lost_after_s: workers.register(
                conn, worker_id, name=name, objectives=[], device="auto", version="0", lost_after_s=lost_after_s
            )
        )
    database.transact(lambda conn: workers.stopped(conn, ids["gone:1"]))
    before = {name: database.transact(partial(workers.hosts_before, worker_id=worker_id)) for name, worker_id in ids.items()}
    assert {name: before[name] for name in ("one:7", "one:8", "one:9", "two:7", "three:6")} == {
        "one:7": 0,
        "one:8": 0,
        "one:9": 0,
        "two:7": 1,
        "three:6": 2,
    }
