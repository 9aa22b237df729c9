"""`stride up`: PostgreSQL, the API and workers on this machine, kept running until Ctrl-C, then stopped in order."""

import time
from contextlib import suppress
from importlib.util import find_spec

import structlog

from service.commands.local_service import LocalService, running
from service.processes import die_with
from service.settings import Settings

CHECK_EVERY_S = 0.2

log = structlog.get_logger()


def run_everything(settings: Settings, *, parent: int | None) -> None:
    """Run until SIGINT or SIGTERM. Raises StrideError, with nothing left running, when something cannot be started."""
    if parent is not None:
        die_with(parent)
    with running(settings) as service, suppress(KeyboardInterrupt):
        _print_start(settings, service)
        while True:
            time.sleep(CHECK_EVERY_S)
            service.restart_what_ended()


def _print_start(settings: Settings, service: LocalService) -> None:
    url = service.url
    option = "" if url == settings.url else f" --url {url}"
    print(
        f"""Stride is running.

  Jobs       {url}/
  API        {url}
  Dashboard  {url}/dashboard
  Docs       {url}/docs
  {service.stored}
  Workers    {settings.workers}

Try, in another terminal:

  echo 'objective: {{name: image-classification}}' | stride submit - --watch{option}

Ctrl-C stops everything.""",
        flush=True,
    )
    if settings.workers and find_spec("torch") is None:
        log.warning("torch.missing", hint="the built-in objectives need it: install Stride with its extra train")
