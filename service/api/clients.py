"""The clients that ask this API for trials: what its endpoints share of them."""

import asyncio
from typing import Annotated
from uuid import UUID
from weakref import WeakValueDictionary

from fastapi import Depends, Request

from service.dispatch.client_runs import ClientRuns
from service.dispatch.clients import Clients
from service.settings import Settings
from service.store.postgres import Database

RECEIVED_AT_ONCE = 4
"""Checkpoints: each is in memory."""


class ServedClients:
    """The clients, their runs, and whose turn it is to claim."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.clients = Clients(database, lease_s=settings.lease_s, seen_s=settings.heartbeat_s)
        self.runs = ClientRuns(self.clients)
        self.lease_s, self.retry_after_s = settings.lease_s, settings.poll_s
        self.receiving = asyncio.Semaphore(RECEIVED_AT_ONCE)
        """Held while a checkpoint is received and stored."""
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    def turn(self, job_id: UUID) -> asyncio.Lock:
        """To be held by whoever claims trials of the job: each point may follow from those before it, so one thread samples."""
        return self._turns.setdefault(job_id, asyncio.Lock())


def _clients(request: Request) -> ServedClients:
    clients: ServedClients = request.app.state.clients
    return clients


AskingClients = Annotated[ServedClients, Depends(_clients)]
