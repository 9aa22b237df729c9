"""Jobs while faults are injected, and the same jobs in a calm run: what is stored must be the same.

`python -m tests.chaos --minutes 2 --seed 1` starts its own PostgreSQL, a proxy before it, the API and three workers, keeps them
running as a supervisor would, submits jobs, and injects the faults of a seeded schedule into all of them. When the time is up the
faults stop, the jobs run to their end, and the promises are checked. `--long` adds what only root on Linux can do: a full disk
under the checkpoints, and a jumping clock. Exit code 1, and all logs kept, when a promise was broken.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.clock import JumpingClock, jumping_clock
from tests.chaos.disk import FullDisk, small_disk
from tests.chaos.faults import FaultInjection
from tests.chaos.history import JobHistory, read_history
from tests.chaos.jobs import Submission, submissions
from tests.chaos.promises import CHECKPOINT_S, HEARTBEAT_S, LEASE_S, TIMEOUT_S, FaultyRun, check_all
from tests.chaos.record import Record
from tests.chaos.report import Outcome, markdown
from tests.chaos.schedule import Fault, schedule
from tests.chaos.stage import Stage
from tests.chaos.timeline import waits

OPEN_JOBS = 4
"""Open jobs at a time: one more than workers."""
LOOK_S = 0.5
DONE_WITHIN_S = 300.0
"""Seconds for the jobs to end after the last fault."""
WARM_AT_LEAST_S = 30.0
"""What a new trainer gets to import torch: on two cores that others use too it has taken 20 s. A hang of that length is seen."""
PROVED_SEED, PROVED_MINUTES = 1, 20.0
COMMON = {"STRIDE_OBJECTIVE_MODULES": "tests.quadratic", "STRIDE_DEVICE": "cpu", "STRIDE_GRACE_S": "2", "STRIDE_POLL_S": "0.2"}
QUICK = {
    "STRIDE_HEARTBEAT_S": str(HEARTBEAT_S),
    "STRIDE_LEASE_S": str(LEASE_S),
    "STRIDE_DATABASE_TIMEOUT_S": str(TIMEOUT_S),
    "STRIDE_CHECKPOINT_S": str(CHECKPOINT_S),
}
CALM = {"QUADRATIC_PACE": "0"}
"""In the calm run no step has to last long enough for a fault to hit it."""
CALM_WORKERS = 2
SETTINGS = (
    f"Three workers; heartbeat {HEARTBEAT_S:g} s, lease {LEASE_S:g} s, database timeout {TIMEOUT_S:g} s, checkpoint every"
    f" {CHECKPOINT_S:g} s. The calm run has two workers, Stride's own defaults for these, and quadratics that do not sleep."
)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="for how long faults happen")
    parser.add_argument("--seed", type=int, default=1, help="of the schedule and of the jobs")
    parser.add_argument("--long", action="store_true", help="with a full disk and a jumping clock")
    parser.add_argument("--report", type=Path, help="file for the report")
    arguments = parser.parse_args()
    if report(arguments.seed, arguments.minutes, arguments.long, arguments.report):
        sys.exit(1)


def prove(out: Path) -> int:
    """Twenty minutes with all faults, for `make prove`; reports to the folder `out`. Returns how many promises were broken."""
    name = f"chaos_{os.cpu_count()}cores_{datetime.now(UTC):%Y%m}.md"
    return report(PROVED_SEED, PROVED_MINUTES, True, out / name)


def report(seed: int, minutes: float, long: bool, file: Path | None) -> int:
    """Run, print the report, and write it to `file`; returns how many promises were broken. Everything is kept if any was."""
    folder = Path(tempfile.mkdtemp(prefix="stride-chaos-"))
    print(f"Logs, and what is kept if a promise is broken: {folder}", file=sys.stderr)
    outcome = run(folder, seed=seed, minutes=minutes, long=long)
    text = markdown(outcome)
    print(text)
    if file is not None:
        file.write_text(text, encoding="utf-8")
    broken = sum(bool(check.violations) for check in outcome.checks)
    if broken:
        print(f"{broken} promises were broken. Logs, faults.log and databases are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return broken


def run(folder: Path, *, seed: int, minutes: float, long: bool = False) -> Outcome:
    """The faulty run, the calm run, and their comparison. Leaves in `folder` what a post-mortem needs."""
    faulty = _faulty_run(folder, seed, 60 * minutes, long)
    comparable = [submission for submission in faulty.submitted if submission.kind.comparable]
    calm = _calm(folder / "calm", comparable)
    found = list(waits(faulty.history, faulty.record, faulty.warm_s, faulty.until))
    checks = list(check_all(faulty, calm, found))
    return Outcome(
        seed=seed,
        minutes=minutes,
        settings=f"{SETTINGS} A trainer counts as out of reach for {faulty.warm_s:.1f} s when it is new, and from its first claim"
        " of each objective on.",
        not_possible=faulty.not_possible,
        record=faulty.record,
        history=faulty.history,
        calm=calm,
        waits=found,
        checks=checks,
    )


def _faulty_run(folder: Path, seed: int, seconds: float, long: bool) -> FaultyRun:
    not_possible: list[str] = []
    with ExitStack() as undo:
        disk = undo.enter_context(small_disk(folder / "checkpoints")) if long else None
        clock = jumping_clock(folder) if long else None
        if long and disk is None:
            not_possible.append("a full disk, since none can be mounted here")
        if long and clock is None:
            not_possible.append("a clock jump, since its library cannot be built here (no C compiler?)")
        settings = COMMON | QUICK | ({} if disk is None else {"STRIDE_CHECKPOINT_DIR": str(disk.folder)})
        stage = undo.enter_context(Stage(folder / "faulty", settings, {} if clock is None else clock.environment))
        jobs = submissions(seed)
        record = Record()
        injection = FaultInjection(stage, record, full_disk=disk, clock=clock)
        submitted = [next(jobs)]
        record.submitted.append(stage.client.submit(submitted[0].document))
        record.open_jobs = list(record.submitted)
        warm_s = _warm_up(stage)
        lanes = schedule(seed, seconds, also=_possible(disk, clock))
        record.began_at = time.time()
        with ThreadPoolExecutor(len(lanes)) as pool:
            running = [pool.submit(injection.lane, lane) for lane in lanes.values()]
            while time.time() < record.began_at + seconds:
                _keep_submitting(stage, record, jobs, submitted)
                time.sleep(LOOK_S)
            for lane in running:
                lane.result()
        _wait_until_done(stage, record)
        shown = {job["name"]: job["progress"]["trials"] for job in map(stage.client.job, record.submitted)}
        with stage.connect() as conn:
            history = read_history(conn)
        (folder / "faults.log").write_text(record.text(), encoding="utf-8")
        return FaultyRun(
            submitted=submitted,
            history=history,
            record=record,
            shown=shown,
            mistakes=[*stage.client.mistakes, *stage.own_ends()],
            warm_s=warm_s,
            until=time.time(),
            not_possible=not_possible,
        )


def _possible(disk: FullDisk | None, clock: JumpingClock | None) -> frozenset[Fault]:
    found = {Fault.FULL_DISK: disk, Fault.CLOCK_JUMP: clock}
    return frozenset(fault for fault, means in found.items() if means is not None)


def _warm_up(stage: Stage) -> float:
    """Wait until every worker that gets a trial has trained; returns how long the slowest took until its first measurement.

    They all import torch at the same time here: one that does so later takes no longer.
    """
    deadline = time.monotonic() + DONE_WITHIN_S
    with stage.connect() as conn:
        while time.monotonic() < deadline:
            row = conn.execute(WARM).fetchone()
            assert row is not None
            workers, took_s, open_jobs = row
            if workers == len(stage.workers) or not open_jobs:
                return float(max(WARM_AT_LEAST_S, took_s))
            time.sleep(LOOK_S)
    raise TimeoutError(f"no worker trained within {DONE_WITHIN_S:g} s: see {stage.logs}")


WARM = """
SELECT count(*), coalesce(max(extract(epoch FROM first_at - started_at)), 0)::float8,
    (SELECT count(*) FROM stride.jobs WHERE finished_at IS NULL)
FROM (
    SELECT worker.started_at, min(measured.at) AS first_at
    FROM stride.workers AS worker
    JOIN stride.leases AS lease ON lease.worker_id = worker.id
    JOIN chaos.measured USING (trial_id)
    GROUP BY worker.id
) AS trained
"""


def _keep_submitting(stage: Stage, record: Record, jobs: Iterator[Submission], submitted: list[Submission]) -> None:
    """Replace jobs that have ended by new ones."""
    _look(stage, record)
    while len(record.open_jobs) < OPEN_JOBS:
        submitted.append(next(jobs))
        job_id = stage.client.submit(submitted[-1].document)
        record.submitted.append(job_id)
        record.open_jobs = [*record.open_jobs, job_id]


def _wait_until_done(stage: Stage, record: Record) -> None:
    """Wait until no job is open; the checks report jobs that never end."""
    deadline = time.monotonic() + DONE_WITHIN_S
    while record.open_jobs and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        _look(stage, record)


def _look(stage: Stage, record: Record) -> None:
    record.open_jobs = [job_id for job_id in record.open_jobs if stage.client.job(job_id)["finished_at"] is None]


def _calm(folder: Path, jobs: Sequence[Submission]) -> list[JobHistory]:
    """Run the same jobs on another stage without faults."""
    with Stage(folder, COMMON | CALM, workers=CALM_WORKERS) as stage:
        open_jobs = [stage.client.submit(job.document) for job in jobs]
        deadline = time.monotonic() + DONE_WITHIN_S * max(1.0, len(jobs) / 10)
        while open_jobs and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            open_jobs = [job_id for job_id in open_jobs if stage.client.job(job_id)["finished_at"] is None]
        with stage.connect() as conn:
            return list(read_history(conn).jobs)
