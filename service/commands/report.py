"""report: what a job's page shows, as one file."""

import os
import sys
from pathlib import Path

from service.commands.api_client import ApiClient
from service.commands.tables import ID_LENGTH
from service.errors import ConfigurationError

STANDARD_OUTPUT = "-"


def report(url: str | None, job: str, output: str | None) -> None:
    """Write a job's report to a file, by default to one in this folder that is named by its job; to - : to standard output.

    Raises ConfigurationError where it cannot be written.
    """
    with ApiClient(url) as client:
        job_id = client.job_id(job)
        page = client.text(f"/v1/jobs/{job_id}/report", "text/html")
    content = page.encode()
    if output == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
        return
    path = Path(output or f"stride-{job_id[:ID_LENGTH]}.html")
    try:
        written = write(path, content)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}.") from error
    print(f"{written} ({len(content) / 1e6:.1f} MB) holds the report: it opens in a browser without a network, and prints.")


def write(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all, also over one that there is; returns where it is."""
    path = path.resolve()  # where a link leads
    if path.exists() and not path.is_file():  # a device; a folder is an error
        path.write_bytes(content)
        return path
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
