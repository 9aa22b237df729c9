"""Tables of measurements, and the report that states how they were made."""

import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


@dataclass
class Table:
    """A titled table of strings."""

    title: str
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Append a row."""
        self.rows.append(list(cells))

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return f"### {self.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(name: str, tables: list[Table], repeats: int, folder: Path | None) -> None:
    """Print the tables with what they were measured on; given a folder, also to `<name>_<cores>cores_<yyyymm>.md` in it."""
    text = f"# {name}\n\n{_circumstances(repeats)}\n\n" + "\n\n".join(table.markdown() for table in tables) + "\n"
    print(text)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}_{os.cpu_count()}cores_{datetime.now(UTC):%Y%m}.md").write_text(text, encoding="utf-8")


def _circumstances(repeats: int) -> str:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    versions = ", ".join(f"{package} {version(package)}" for package in ("optuna", "sqlalchemy", "psycopg"))
    return (
        f"Commit {commit or 'unknown'}, {datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, {platform.machine()},"
        f" Python {platform.python_version()}, {versions}."
        + (f" Median of {repeats} repeats (range); contenders take turns in each." if repeats > 1 else " One run.")
    )
