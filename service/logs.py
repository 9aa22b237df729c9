"""Logging to stderr: one line per event, with its ids as fields, as text for people or as JSON for machines."""

import logging
import sys

import optuna
import structlog

from service.settings import Settings


def configure(settings: Settings) -> None:
    """Configure logging for this process."""
    # Optuna's messages about storages and studies would be about the in-memory view of a single ask.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
