"""What clients store of their training beside what they measure: checkpoints and logs."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.testclient import TestClient

from service.api import client_checkpoints
from service.api.clients import RECEIVED_AT_ONCE
from service.store.postgres import Database
from tests.integration.api.asking import ask
from tests.integration.api.clients.external_client import asking, step, trial_id
from tests.integration.api.conftest import SETTINGS


def test_a_log_and_its_checkpoints_are_kept(client: TestClient, database: Database) -> None:
    asks = asking(client)
    trial = asks.only()
    assert asks.read(trial, 404)["type"] == "urn:stride:no-checkpoint"
    assert asks.to(trial, "heartbeat", log="epoch 1\n")["answer"] == "go_on"
    assert ask(client, f"{asks.job}/trials/0/log")["log"] == "epoch 1\n"
    asks.measure(trial, 1.0, 0.9)
    assert asks.keep(trial, 1, b"one")["answer"] == "go_on"
    assert asks.keep(trial, 2, b"two")["answer"] == "go_on"
    assert asks.read(trial) == (2, b"two")
    with database.transaction() as conn:  # as a damaged disk would
        conn.exec_driver_sql(
            "UPDATE stride.checkpoints SET content = 'twx' WHERE step = 2 AND trial_id = %(id)s", {"id": trial_id(conn, asks)}
        )
    assert asks.read(trial) == (1, b"one")
    assert asks.events().count("checkpoint.damaged") == 1


def test_checkpoints_are_bytes_of_a_step_that_was_measured_and_not_too_many(client: TestClient) -> None:
    asks = asking(client)
    trial = asks.only()
    assert "was not measured" in asks.keep(trial, 1, b"x", 422)["errors"][0]["detail"]
    asks.measure(trial, 1.0)
    assert "is empty" in asks.keep(trial, 1, b"", 422)["errors"][0]["detail"]
    asks.keep(trial, 1, b"x", 415, **{"content-type": "application/json"})
    asks.keep(trial, 1, bytes(200_000))  # more than other bodies may have
    asks.keep(trial, 1, bytes(SETTINGS.checkpoint_max_bytes + 1), 413)
    asks.to(trial, "measurements", 413, measurements=[step(1, 0.5)], padding="x" * 200_000)


def test_checkpoints_that_do_not_go_on_coming_leave_room_for_others(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_checkpoints, "SILENT_S", 0.2)
    asks = asking(client)
    trials = asks.claim(RECEIVED_AT_ONCE + 1)
    for trial in trials:
        asks.measure(trial, 1.0)

    async def stopped() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async def store() -> list[int]:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(client.app), base_url="http://127.0.0.1")
        contents = [*(stopped() for _ in range(RECEIVED_AT_ONCE)), b"x"]
        async with http, asyncio.timeout(20):
            answers = await asyncio.gather(
                *(
                    http.put(
                        f"{asks.job}/trials/{trial['number']}/checkpoint",
                        params={"token": trial["token"], "step": 1},
                        content=content,
                        headers={"content-type": "application/octet-stream"},
                    )
                    for trial, content in zip(trials, contents, strict=True)
                )
            )
        return [answer.status_code for answer in answers]

    assert client.portal is not None
    assert client.portal.call(store) == [408] * RECEIVED_AT_ONCE + [200]
