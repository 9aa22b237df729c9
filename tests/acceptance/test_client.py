"""The Python client on a real service: what becomes of trials that are trained in other processes than workers'."""

import os
import re
import signal
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

import stride
import stride.client.job
from stride.client import BestLearningRate, Job
from stride.client.job import progress
from stride.integrations.pytorch import follow
from tests.acceptance.clients import SPACE, Counter, lines, loss, own_stride, train
from tests.acceptance.conftest import DEADLINE_S, REPOSITORY, RunningStride, running_stride
from tests.folders import data_folder
from tests.polling import wait_until

LEASE = {"STRIDE_LEASE_S": "3", "STRIDE_HEARTBEAT_S": "0.5", "STRIDE_DATABASE_TIMEOUT_S": "2"}


@pytest.fixture(scope="module")
def service() -> Iterator[RunningStride]:
    """One without workers, whose leases expire soon."""
    with data_folder() as folder, running_stride(folder / "data", "--workers", "0", **LEASE) as running:
        yield running


@pytest.fixture
def client(service: RunningStride) -> Iterator[stride.Client]:
    with stride.Client(service.url) as client:
        yield client


def submitted(client: stride.Client, *, epochs: int = 3, steps: int | str = "epochs", trials: int = 1, **document: Any) -> Job:
    given = {"strategy": "random"} | document
    return client.submit(space=SPACE | {"epochs": epochs}, steps=steps, trials=trials, **given)


def measured(service: RunningStride, job: Job) -> list[Any]:
    items: list[Any] = service.ask("GET", f"/v1/jobs/{job.id}/trials/0/measurements")["items"]
    return items


def trials_of(service: RunningStride, job: Job) -> list[Any]:
    items: list[Any] = service.ask("GET", f"/v1/jobs/{job.id}/trials?limit=100")["items"]
    return sorted(items, key=lambda trial: trial["number"])


def train_all(job: Job) -> list[stride.Trial]:
    """Train all trials as they should be; returns them."""
    trained = []
    for trial in job.trials():
        with trial:
            for step in trial.steps(trial.params["epochs"]):
                trial.report(validation_loss=loss(trial.params, step))
        trained.append(trial)
    return trained


def test_a_job_is_trained_here_and_answered(service: RunningStride, client: stride.Client) -> None:
    job = submitted(client, trials=12, name="trained here", settings={"model": "quadratic"})
    trained = train_all(job)
    assert job.watch(quiet=True) is job
    assert job.state == "completed"
    stored = trials_of(service, job)
    assert [each.number for each in trained] == list(range(12))
    assert [(each.params, each.seed, each.value) for each in trained] == [
        (trial["params"] | {"epochs": 3}, trial["user_attrs"]["training_seed"], trial["value"]) for trial in stored
    ]
    assert {type(each.params["batch_size"]) for each in trained} == {int}
    answer = job.best_lr()
    assert isinstance(answer, BestLearningRate)
    assert answer.learning_rate is not None
    assert 0.001 < answer.learning_rate < 0.1
    assert answer.interval is not None
    assert answer.interval.low <= answer.learning_rate <= answer.interval.high
    assert answer.document["metric"] == "validation_loss"
    assert str(answer).startswith("learning rate 0.0")
    assert progress(job.document).startswith("completed 12/12, best validation_loss ")
    assert client.job(job.id[:8]).id == job.id
    assert len(train_all(job.extend(trials=2))) == 2
    job.delete()
    with pytest.raises(stride.Refused, match="no job") as raised:
        _ = job.state
    assert (raised.value.status, raised.value.kind) == (404, "job-not-found")


def test_a_claim_whose_lease_ended_before_its_answer_came_is_made_anew(
    service: RunningStride, client: stride.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, ended = submitted(client, trials=2), uuid4()
    [lost] = service.ask("POST", f"/v1/jobs/{job.id}/claims", {"worker": "stopped", "tokens": [str(ended)]})["trials"]
    service.ask("POST", f"/v1/jobs/{job.id}/trials/{lost['number']}/finish", {"token": lost["token"], "value": 1.0})
    tokens = chain([ended], iter(uuid4, None))
    monkeypatch.setattr(stride.client.job, "uuid4", lambda: next(tokens))
    trial = next(job.trials(worker="stopped"))
    assert trial.number == 1


def test_what_piles_up_is_sent_in_requests_of_a_size_that_is_taken(service: RunningStride, client: stride.Client) -> None:
    names = [f"{'m' * 90} {number}" for number in range(70)]
    job = submitted(client, metrics=dict.fromkeys(names, "minimize"))
    for trial in job.trials():
        with trial:
            for _ in range(200):  # 1.7 MB
                trial.report(validation_loss=1.0, **dict.fromkeys(names, 1.0))
        assert trial.result == "completed"
    assert trials_of(service, job)[0]["last_step"] == 200


def test_an_exception_is_a_failed_trial_and_nan_a_diverged_one(
    service: RunningStride, client: stride.Client, caplog: pytest.LogCaptureFixture
) -> None:
    job, results = submitted(client, trials=6), []
    for trial in job.trials():
        with trial:
            trial.set_user_attr("was", trial.number)
            match trial.number:
                case 0:
                    raise ValueError("no such thing")
                case 1:
                    trial.report(validation_loss=float("nan"))
                case 2:
                    trial.report(validation_loss=1.0, validation_lose=1.0)
                case 3:
                    trial.report(training_loss=1.0)
                case 4:
                    pass
                case 5:
                    for _ in trial.steps(3):
                        trial.report(validation_loss=0.5, **{"learning_rate/head": 0.2})  # as `steps` adds of parameter groups
        results.append(trial.result)
    assert results == ["failed", "infeasible", "failed", "failed", "failed", "completed"]
    stored = trials_of(service, job)
    errors = {trial["number"]: trial["error"] for trial in stored if trial["error"]}
    assert (errors[0]["type"], errors[0]["message"]) == ("ValueError", "no such thing")
    assert 'raise ValueError("no such thing")' in service.ask("GET", f"/v1/jobs/{job.id}/trials/0")["error"]["traceback"]
    assert "validation_lose" in errors[2]["message"]
    assert "was not given validation_loss" in errors[3]["message"]
    assert 4 in errors
    assert "no such thing" in caplog.text


def test_a_pruned_block_is_ended_by_its_next_report(client: stride.Client) -> None:
    job, told = submitted(client, trials=4, epochs=3, pruner={"type": "percentile", "percentile": 1, "startup_trials": 1}), {}
    for trial in job.trials():
        with trial:
            stops = []
            told[trial.number] = stops
            for step in range(3):
                stops.append(trial.report(step, validation_loss=float(trial.number)))
        stops.append(trial.result)
    assert told[0] == [False, False, False, "completed"]
    pruned = [stops for stops in told.values() if stops[-1] == "pruned"]
    assert pruned
    assert all(stops.index(True) == len(stops) - 2 for stops in pruned)  # a second report after it did not come back


@pytest.mark.parametrize(("checkpoint_s", "earliest"), [("0", 12), ("1000", 1)], ids=["stored at each step", "stored at the end"])
def test_a_trial_that_is_interrupted_goes_on_where_it_was(
    client: stride.Client, monkeypatch: pytest.MonkeyPatch, checkpoint_s: str, earliest: int
) -> None:
    monkeypatch.setenv("STRIDE_CHECKPOINT_S", checkpoint_s)
    job, begun = submitted(client, epochs=20), []
    with pytest.raises(KeyboardInterrupt):
        for trial in job.trials():
            with trial:
                for step in trial.steps(20, counter := Counter()):
                    counter.n += 1
                    trial.report(validation_loss=1.0)
                    if step == 12:
                        raise KeyboardInterrupt
    for trial in job.trials():
        with trial:
            for step in trial.steps(20, counter := Counter()):
                counter.n += 1
                begun.append((step, counter.n))
                trial.report(validation_loss=loss(trial.params, step))
    assert (trial.attempt, trial.result) == (2, "completed")
    (first, _), *_ = begun
    assert earliest <= first <= 12
    assert begun == [(step, step + 1) for step in range(first, 20)]


def test_a_loop_of_the_guide_that_is_interrupted_goes_on_bit_for_bit(
    service: RunningStride, client: stride.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    monkeypatch.setenv("STRIDE_CHECKPOINT_S", "0")
    guide = (REPOSITORY / "docs" / "guide" / "callbacks.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^```python\n(# digits_updates\.py\n.*?)^```$", guide, flags=re.MULTILINE | re.DOTALL)
    [block] = re.findall(r"^## By the client\n.*?^```python\n(.*?)^```$", guide, flags=re.MULTILINE | re.DOTALL)
    module: dict[str, Any] = {"__name__": "digits_updates"}
    exec(script, module)
    whole, interrupted = (submitted(client, steps=4, seed=1) for _ in range(2))
    exec(block, {"job": whole, "train": module["train"]})
    updates: list[Any] = []

    def count(optimizer: Any, *_: Any) -> None:
        updates.append(optimizer)
        if len(updates) == 120:
            raise KeyboardInterrupt

    hook = register_optimizer_step_post_hook(count)
    try:
        with pytest.raises(KeyboardInterrupt):
            exec(block, {"job": interrupted, "train": module["train"]})
        exec(block, {"job": interrupted, "train": module["train"]})
    finally:
        hook.remove()
    assert len(updates) == 120 + 100
    expected, found = (
        [(each["step"], each["metrics"], each["learning_rate"]) for each in measured(service, job)]
        for job in (whole, interrupted)
    )
    assert len(expected) == 4
    assert found == expected


def test_callbacks_leave_out_what_a_job_does_not_declare(service: RunningStride, client: stride.Client) -> None:
    job = submitted(client, metrics={"accuracy": "maximize"})
    told = {"validation_loss": 0.5, "accuracy": 0.75, "training_loss": 0.25, "learning_rate/head": 0.125}
    for trial in job.trials():
        with trial, follow(Counter()) as training:
            training.report(**told, validation_accuracy=0.5)
    assert trial.result == "completed"
    assert [each["metrics"] for each in measured(service, job)] == [told]


def test_a_killed_client_is_taken_over_from_its_checkpoint(service: RunningStride, client: stride.Client, tmp_path: Path) -> None:
    job = submitted(client, epochs=12)
    first = train(service.url, job.id, tmp_path / "first", step_s=0.1, STRIDE_CHECKPOINT_S="0.2")
    wait_until(lambda: len(lines(tmp_path / "first")) > 6, "its steps")
    first.kill()
    second = train(service.url, job.id, tmp_path / "second")
    second.join(DEADLINE_S)
    assert second.exitcode == 0
    *steps, end, _ = lines(tmp_path / "second")
    assert end == "trial 0 completed"
    at = 12 - len(steps)
    assert at > 0
    assert steps == [f"trial 0 attempt 2 step {step} counted {step + 1}" for step in range(at, 12)]
    assert [each["step"] for each in measured(service, job)] == list(range(1, 13))


def test_a_client_that_lost_its_lease_goes_on_with_the_next_trial(
    service: RunningStride, client: stride.Client, tmp_path: Path
) -> None:
    job = submitted(client, epochs=8)
    first = train(service.url, job.id, tmp_path / "first", step_s=0.2)
    wait_until(lambda: len(lines(tmp_path / "first")) > 1, "its first steps")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    try:
        (taken,) = train_all(job)
        assert (taken.attempt, taken.result) == (2, "completed")
        job.extend(trials=1)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    first.join(DEADLINE_S)
    assert first.exitcode == 0
    said = lines(tmp_path / "first")
    assert any(line.startswith("warning: The lease of trial 0 was lost") for line in said), said
    assert [line for line in said if "step" not in line and "warning" not in line] == [
        "trial 0 None",
        "trial 1 completed",
        "over",
    ]
    assert [trial["state"] for trial in trials_of(service, job)] == ["complete", "complete"]


def test_training_goes_on_while_the_service_is_restarted(service: RunningStride, client: stride.Client) -> None:
    job = submitted(client, epochs=6)
    for trial in job.trials():
        with trial:
            for step in trial.steps(6):
                if step == 2:
                    (api, *_) = service.processes()["api"]
                    api.kill()
                    api.wait(DEADLINE_S)
                trial.report(validation_loss=loss(trial.params, step))
    assert trial.result == "completed"
    assert len(measured(service, job)) == 6


def test_a_paused_job_gives_its_trial_back_and_goes_on_when_it_is_resumed(client: stride.Client) -> None:
    job, attempts = submitted(client, epochs=6), []
    resume = threading.Timer(1.0, job.resume)
    for trial in job.trials():
        with trial:
            for step in trial.steps(6, counter := Counter()):
                attempts.append((trial.attempt, step))
                if (trial.attempt, step) == (1, 2):
                    job.pause()
                    wait_until(lambda trial=trial: trial._leased.answer == "stop", "the heartbeat to say so")
                    resume.start()
                counter.n += 1
                trial.report(validation_loss=loss(trial.params, step))
    assert attempts == [(1, 0), (1, 1), (1, 2), (2, 3), (2, 4), (2, 5)]
    assert trial.result == "completed"


def test_two_clients_share_a_job(service: RunningStride, client: stride.Client, tmp_path: Path) -> None:
    job = submitted(client, trials=8)
    both = [train(service.url, job.id, tmp_path / name, step_s=0.02) for name in ("first", "second")]
    for each in both:
        each.join(DEADLINE_S)
    said = [line for name in ("first", "second") for line in lines(tmp_path / name) if "completed" in line]
    assert sorted(said) == [f"trial {number} completed" for number in range(8)]
    assert job.state == "completed"


def test_trials_that_no_block_trains_are_given_back(client: stride.Client) -> None:
    job = submitted(client)
    with pytest.raises(RuntimeError, match="write `with trial:`"):
        for _ in job.trials():
            pass
    for _ in job.trials():
        break
    (trained,) = train_all(job)
    assert trained.number == 0


def test_mistakes_are_told_in_a_sentence(service: RunningStride, client: stride.Client) -> None:
    with pytest.raises(stride.Unreachable, match=r"does not answer at http://127.0.0.1:9: connection refused. Start it with"):
        stride.Client("http://127.0.0.1:9").job("12345678")
    with pytest.raises(stride.Refused, match="/objective"):
        client.submit(space={"learning_rate": {"type": "float", "low": 1.0, "high": 0.1}})
    with pytest.raises(ValueError, match="looks like http"):
        stride.Client("localhost")
    with pytest.raises(TypeError, match="either space"):
        client.submit(space=SPACE, objective={"name": "quadratic"})
    built_in = client.submit(objective={"name": "image-classification"})
    with pytest.raises(stride.Refused) as raised:
        next(iter(built_in.trials()))
    assert raised.value.kind == "not-external"
    built_in.cancel()


def test_a_client_joins_the_stride_of_its_data_folder(service: RunningStride, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIDE_URL", "http://127.0.0.1:9")
    with stride.Client.local(data_dir=service.folder) as client:
        assert client.url == service.url
        assert client._local is not None
        own = psutil.Process(client._local._process.pid)
        assert len(train_all(submitted(client))) == 1
    assert not own.is_running()
    assert service.process.poll() is None
    with pytest.raises(stride.NotStarted, match="The data folder /proc/nowhere cannot be used"):
        stride.Client.local(data_dir="/proc/nowhere")


def test_a_stride_of_its_own_ends_with_a_killed_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIDE_URL", "http://127.0.0.1:9")
    owner = own_stride(tmp_path / "data", tmp_path / "url")
    wait_until(lambda: bool(lines(tmp_path / "url")), "its Stride", deadline_s=200)
    (url,) = lines(tmp_path / "url")
    with stride.Client(url) as client:
        assert len(train_all(submitted(client))) == 1
    started = psutil.Process(owner.pid).children(recursive=True)
    assert any("postgres" in process.name() for process in started)
    owner.kill()
    _, left = psutil.wait_procs(started, DEADLINE_S)
    assert not left
