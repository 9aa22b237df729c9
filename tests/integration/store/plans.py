"""How PostgreSQL means to run each statement that is sent to it, and what is wrong with that."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import psycopg
import sqlalchemy as sa

from service.store import queries

GROWING = {
    f"optuna.{name}"
    for name in (
        "trials",
        "trial_params",
        "trial_values",
        "trial_intermediate_values",
        "trial_user_attributes",
        "trial_system_attributes",
        "studies",
        "study_directions",
        "study_system_attributes",
    )
} | {f"stride.{name}" for name in ("jobs", "leases", "measurements", "checkpoints", "events", "workers")}
MAY_READ_ALL = {"prune_checkpoints"}
"""Runs every ten seconds in one process of all, over tables with a row or two for a job: reading them whole is as good."""
SMALL_INDEXES = re.compile(r"_open_|_waiting_|^(jobs_deadline_at_idx|jobs_idempotency_key_key|workers_seen_at_idx)$")
"""Partial ones, over what is open or of these days: they may be read from end to end."""


@dataclass(frozen=True)
class Plan:
    """How PostgreSQL means to run a statement."""

    statement: str
    nodes: list[dict[str, Any]]

    @property
    def file(self) -> str | None:
        """The query file that the statement stands in."""
        return _FILES.get(self.statement)

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def needed(self) -> set[str]:
        """The indexes that the statement's header names."""
        header = " ".join(line.removeprefix("--").strip() for line in self.statement.splitlines() if line.startswith("--"))
        named = [word for part in re.findall(r"Needs ([^.]*)\.", header) for word in re.split(r"[\s,]+", part)]
        return {word for word in named if word.endswith(("_idx", "_key", "_pkey"))}

    def whole_tables(self) -> list[str]:
        """The growing tables of which it reads everything, by a sequential scan or by an index without a condition."""
        found = []
        for node in self.nodes:
            table = f"{node.get('Schema')}.{node.get('Relation Name')}"
            if node["Node Type"] == "Seq Scan" and table in GROWING:
                found.append(f"Seq Scan on {table}")
            index = node.get("Index Name")
            if index is not None and "Index Cond" not in node and not SMALL_INDEXES.search(index):
                found.append(f"{node['Node Type']} of all of {index}")
        return found


_FILES: Mapping[str, str] = {
    file.read_text(encoding="utf-8"): file.name.removesuffix(".sql")
    for file in files(queries).iterdir()
    if file.name.endswith(".sql")
}


@dataclass
class Plans:
    """Of all statements sent while they were being collected."""

    all: list[Plan] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    """Of ours, in the database."""

    @property
    def files(self) -> set[str]:
        return {plan.file for plan in self.all if plan.file is not None}

    def check(self) -> None:
        """None reads a whole table, and no function of ours is called: its expression stands in the plan, open to indexes."""
        ours = re.compile(rf"\b({'|'.join(self.functions)})\(")
        calls = [plan.statement for plan in self.all if ours.search(str(plan.nodes))]
        assert not calls, "calls a function:\n" + "\n\n".join(calls)
        wrong = [
            f"reads all: {', '.join(found)}\n{plan.statement}"
            for plan in self.all
            if (found := plan.whole_tables()) and plan.file not in MAY_READ_ALL
        ]
        assert not wrong, "\n\n".join(wrong)

    def check_named_indexes(self) -> None:
        """Each uses the indexes that its file says it needs. Holds for long studies only: in a short one others are as good."""
        wrong = [
            f"not used: {', '.join(missing)}\n{plan.statement}" for plan in self.all if (missing := plan.needed - plan.indexes)
        ]
        assert not wrong, "\n\n".join(wrong)


@contextmanager
def plans_collected() -> Iterator[Plans]:
    """Has every statement explained that any engine of this process sends."""
    plans = Plans()

    def explain(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        verb = re.sub(r"--[^\n]*\n", "", statement).split(maxsplit=1)[0].upper()
        if verb in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            raw: psycopg.Connection[Any] = cursor.connection
            found = raw.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}", parameters[0] if many else parameters).fetchone()
            assert found is not None
            plans.all.append(Plan(statement, list(_nodes(found[0][0]["Plan"]))))
            if not plans.functions:
                rows = raw.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'stride'::regnamespace")
                plans.functions = [name for (name,) in rows]

    sa.event.listen(sa.Engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", explain)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)
