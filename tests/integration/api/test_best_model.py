"""GET /v1/jobs/{id}/best-model: the weights of the best trial, or one sentence on why there are none."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import optuna
import pytest
from safetensors import safe_open
from starlette.testclient import TestClient

from service.app import create_app
from service.dispatch.attempt import Claim
from service.dispatch.outcome import Completed, Failed
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.job import Job
from service.domain.trial import TrialError
from service.settings import Settings
from service.store import checkpoints
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.training import Worker, diverged
from tests.stock_optuna import stock

CONTENT = b"\x02\0\0\0\0\0\0\0{}"
"""The smallest safetensors file."""


@pytest.fixture
def job(database: Database) -> Job:
    return submit_job(database, budget={"trials": 20})


def keep(database: Database, claim: Claim, content: bytes = CONTENT, *, folder: Path | None = None) -> Path | None:
    """Store a model of the trial, which still runs; returns its file if it is one."""
    path = None if folder is None else f"{claim.job.id}/{claim.lease.number}-{claim.lease.id}-4.safetensors"
    model = Checkpoint(
        kind=Kind.MODEL,
        step=4,
        size=len(content),
        sha256=hashlib.sha256(content).digest(),
        content=content if folder is None else None,
        path=path,
    )
    database.transact(lambda conn: checkpoints.insert(conn, claim.lease, model))
    if folder is None:
        return None
    file = folder / str(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def trained(
    database: Database, worker: Worker, value: float, content: bytes | None = CONTENT, folder: Path | None = None
) -> Claim:
    """A complete trial, with a model if there is content."""
    claim = worker.claim()
    if content is not None:
        keep(database, claim, content, folder=folder)
    worker.finish(claim, Completed(value=value))
    return claim


def client_of(database: Database, folder: Path | None) -> TestClient:
    settings = Settings.model_validate({"objective_modules": "tests.quadratic", "checkpoint_dir": folder})
    return TestClient(create_app(settings, database), "http://127.0.0.1", raise_server_exceptions=False)


def refused(client: TestClient, job_id: Any, status: int, slug: str) -> str:
    """What the problem says."""
    answer = client.get(f"/v1/jobs/{job_id}/best-model")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:stride:{slug}"
    return str(body["detail"])


def test_the_model_of_the_best_trial_is_served_from_the_database(
    client: TestClient, database: Database, worker: Worker, job: Job
) -> None:
    for value, content in ((0.5, b"worse"), (0.2, CONTENT), (0.2, b"as good, later"), (0.9, b"worst")):
        trained(database, worker, value, content)
    answer = client.get(f"/v1/jobs/{job.id}/best-model")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-stride-trial"] == "1"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert f'filename="stride-{str(job.id)[:8]}-trial-1.safetensors"' in answer.headers["content-disposition"]


def test_the_model_of_the_best_trial_is_served_from_a_folder(
    database: Database, worker: Worker, job: Job, tmp_path: Path
) -> None:
    content = CONTENT + bytes(3_000_000)
    trained(database, worker, 0.2, content, tmp_path)
    with client_of(database, tmp_path) as client:
        answer = client.get(f"/v1/jobs/{job.id}/best-model")
    assert (answer.status_code, answer.content == content) == (200, True)
    assert answer.headers["x-stride-trial"] == "0"
    assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'


def test_what_is_served_is_a_file_that_safetensors_opens(
    client: TestClient, database: Database, worker: Worker, job: Job, tmp_path: Path
) -> None:
    trained(database, worker, 0.2)
    file = tmp_path / "best-model"
    file.write_bytes(client.get(f"/v1/jobs/{job.id}/best-model").content)
    with safe_open(file, "np") as opened:
        assert list(opened.keys()) == []


def test_a_later_better_trial_takes_its_place(client: TestClient, database: Database, worker: Worker, job: Job) -> None:
    for value, content in ((0.5, b"first"), (0.2, b"better")):
        trained(database, worker, value, content)
        assert client.get(f"/v1/jobs/{job.id}/best-model").content == content


def test_a_job_that_is_not_there_is_a_404(client: TestClient) -> None:
    assert "no job" in refused(client, uuid4(), 404, "job-not-found").lower()


def test_before_any_trial_trained_through_it_is_a_409(client: TestClient, database: Database, worker: Worker, job: Job) -> None:
    said = "No trial has been trained to its end yet, so there is no best model: ask again when one has."
    assert refused(client, job.id, 409, "nothing-finished") == said
    keep(database, worker.claim())
    worker.train(1, lambda claim: Failed(error=TrialError(type="ValueError", message="no")))
    worker.train(1, diverged)
    assert refused(client, job.id, 409, "nothing-finished") == said


def test_an_objective_without_weights_is_a_404_that_says_so(
    client: TestClient, database: Database, worker: Worker, job: Job
) -> None:
    trained(database, worker, 0.2, None)
    said = refused(client, job.id, 404, "no-model")
    assert said.startswith("Trial 0 is the best, but no model of it is kept")
    assert "no `model`" in said


def test_the_model_of_a_trial_that_is_not_the_best_is_never_served_in_its_place(
    client: TestClient, database: Database, database_url: str, worker: Worker, job: Job
) -> None:
    """A user's own script found a better one, of which there are no weights here."""
    trained(database, worker, 0.5)
    with stock(database_url) as storage:
        study = optuna.load_study(study_name=job.study_name, storage=storage)
        study.tell(study.ask({"learning_rate": optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)}), 0.1)
    said = refused(client, job.id, 404, "no-model")
    assert said.startswith("Trial 1 is the best")
    assert "another program trained it" in said


def test_a_model_damaged_in_the_database_is_not_served(client: TestClient, database: Database, worker: Worker, job: Job) -> None:
    trained(database, worker, 0.2)
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.checkpoints SET content = 'x'")
    assert refused(client, job.id, 404, "no-model").startswith("The model of trial 0 is damaged")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda file: file.write_bytes(CONTENT[:-1]), "is damaged"),
        (lambda file: file.unlink(), "cannot be read from"),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be read from"),
    ],
    ids=["truncated", "gone", "a folder"],
)
def test_a_model_damaged_or_gone_in_the_folder_is_not_served(
    database: Database, worker: Worker, job: Job, tmp_path: Path, damage: Any, says: str
) -> None:
    claim = worker.claim()
    file = keep(database, claim, folder=tmp_path)
    worker.finish(claim, Completed(value=0.2))
    damage(file)
    with client_of(database, tmp_path) as client:
        said = refused(client, job.id, 404, "no-model")
    assert said.startswith("The model of trial 0")
    assert says in said


def test_an_api_without_the_folder_says_which_setting_it_lacks(
    client: TestClient, database: Database, worker: Worker, job: Job, tmp_path: Path
) -> None:
    trained(database, worker, 0.2, folder=tmp_path)
    assert "STRIDE_CHECKPOINT_DIR" in refused(client, job.id, 404, "no-model")


def test_deleting_the_job_removes_its_model_and_its_file(database: Database, worker: Worker, job: Job, tmp_path: Path) -> None:
    claim = worker.claim()
    file = keep(database, claim, folder=tmp_path)
    assert file is not None
    worker.finish(claim, Completed(value=0.2))
    with client_of(database, tmp_path) as client:
        assert client.post(f"/v1/jobs/{job.id}/cancel").status_code == 200
        assert client.delete(f"/v1/jobs/{job.id}").status_code == 204
        refused(client, job.id, 404, "job-not-found")
    assert not file.exists()


def confirming_job(database: Database) -> Job:
    return submit_job(database, budget={"trials": 10, "confirm": 4})


def test_the_answered_points_weights_are_served_and_on_request_the_best_trials(
    client: TestClient, database: Database, worker: Worker
) -> None:
    """The best trial was lucky: trained again, its point is worse than the other one."""
    job = confirming_job(database)
    values = [0.5, 0.01, 0.3, 0.5, 0.6, 0.7]
    for number, value in enumerate(values):
        trained(database, worker, value, f"trial {number}".encode())
    again = []
    for number in range(6, 10):
        claim = worker.claim()
        keep(database, claim, f"trial {number}".encode())
        lucky = claim.params["learning_rate"] == claimed_rates(database, job)[1]
        again.append((claim.lease.number, lucky))
        worker.finish(claim, Completed(value=0.9 + 0.01 * number if lucky else 0.3 + 0.01 * number))
    database.transact(lambda conn: checkpoints.prune(conn, ended_within_s=checkpoints.EVER_S))
    found = client.get(f"/v1/jobs/{job.id}/best-lr").json()
    answered = [candidate for candidate in found["confirmed"]["candidates"] if candidate["is_answered"]]
    assert [candidate["is_best_trial"] for candidate in answered] == [False]
    served = client.get(f"/v1/jobs/{job.id}/best-model")
    number = int(served.headers["x-stride-trial"])
    assert served.content == f"trial {number}".encode()
    assert number >= 6
    assert not dict(again)[number]
    params = client.get(f"/v1/jobs/{job.id}/trials/{number}").json()["params"]
    assert params["learning_rate"] == found["learning_rate"]
    best = client.get(f"/v1/jobs/{job.id}/best-model", params={"of": "best-trial"})
    assert (best.headers["x-stride-trial"], best.content) == ("1", b"trial 1")
    assert client.get(f"/v1/jobs/{job.id}/best-model", params={"of": "luck"}).status_code == 422


def claimed_rates(database: Database, job: Job) -> list[float]:
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        return [trial.params["learning_rate"] for trial in optuna.load_study(study_name=job.study_name, storage=storage).trials]


def test_before_anything_is_confirmed_the_best_trials_weights_are_served(
    client: TestClient, database: Database, worker: Worker
) -> None:
    job = confirming_job(database)
    for value in (0.5, 0.2):
        trained(database, worker, value, str(value).encode())
    served = client.get(f"/v1/jobs/{job.id}/best-model")
    assert (served.headers["x-stride-trial"], served.content) == ("1", b"0.2")
