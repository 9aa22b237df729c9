"""Assembles the ASGI application of the API process from settings, database and catalog."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline

from service.api import (
    across_jobs,
    advice,
    answers,
    claims,
    client_checkpoints,
    client_reports,
    comparisons,
    events,
    health,
    imports,
    jobs,
    models,
    objectives,
    problems,
    query,
    report,
    trials,
    workers,
)
from service.api.body_limit import BodyLimit
from service.api.catalog import Catalog
from service.api.clients import ServedClients
from service.api.dashboard import Dashboard
from service.api.hosts import AllowedHosts
from service.api.kept_answers import KeptAnswers
from service.api.origins import OwnOrigin
from service.api.pages import assets, errors, learn
from service.api.pages import compare as compare_page
from service.api.pages import job as job_page
from service.api.pages import jobs as jobs_page
from service.api.pages import new as new_page
from service.api.pages import trial as trial_page
from service.api.pages.pace import Pace
from service.dispatch.sweeper import sweep, tidy_up
from service.errors import DatabaseUnavailable
from service.settings import Settings
from service.store import checkpoint_files
from service.store.postgres import Database
from service.version import VERSION

log = structlog.get_logger()

SWEEP_S = 5.0


def create_app(settings: Settings, database: Database) -> FastAPI:
    """The API on `database`. It starts whether or not the database can be reached.

    It never imports torch, unless clients claim trials of a job whose sampler needs it.
    """

    stopping = threading.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sweeper = threading.Thread(target=_sweep_until, args=(stopping, database, settings), name="sweeper", daemon=True)
        sweeper.start()
        yield
        stopping.set()

    app = FastAPIOffline(
        title="Stride",
        version=VERSION,
        description="Which learning rate, how sure are you, and how far may I move?",
        lifespan=lifespan,
        redoc_url=None,
        separate_input_output_schemas=False,
        swagger_ui_parameters={"defaultModelsExpandDepth": 0},
    )
    app.state.settings = settings
    app.state.database = database
    app.state.catalog = Catalog(database, settings.objective_modules)
    app.state.answers = KeptAnswers()
    app.state.clients = ServedClients(database, settings)
    app.state.pace = Pace()
    app.state.stopping = stopping
    problems.install(app)
    query.install(app)
    errors.install(app)
    for resource in (
        jobs,
        imports,
        events,
        trials,
        claims,
        client_reports,
        client_checkpoints,
        answers,
        advice,
        across_jobs,
        comparisons,
        report,
        models,
        objectives,
        workers,
        health,
    ):
        app.include_router(resource.router, dependencies=[Depends(query.check_names)])

    for page in (assets, jobs_page, job_page, trial_page, new_page, compare_page, learn):
        app.include_router(page.router)  # they take any query: links from elsewhere add to it

    app.add_middleware(Dashboard, database=database)
    larger = {client_checkpoints.PATH: settings.checkpoint_max_bytes, imports.PATH: settings.import_max_bytes}
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, larger=larger)
    app.add_middleware(OwnOrigin, allowed=settings.allowed_hosts)
    app.add_middleware(AllowedHosts, allowed=(settings.host, *settings.allowed_hosts))  # the last one is asked first
    return app


def _sweep_until(stopping: threading.Event, database: Database, settings: Settings) -> None:
    """Workers sweep too; this thread does it while no worker runs."""
    while not stopping.wait(SWEEP_S):
        try:
            sweep(database)
            checkpoint_files.delete(settings.checkpoint_dir, tidy_up(database))
        except DatabaseUnavailable as error:
            database.outage.failed(error)
        except Exception as error:  # any error: the next sweep must still run, since jobs reach their deadlines
            log.warning("sweep.failed", error=f"{type(error).__name__}: {error}")
