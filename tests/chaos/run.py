"""Jobs under torment, and the same jobs in peace: what is stored must be the same.

`python -m tests.chaos --minutes 2 --seed 1` starts its own PostgreSQL, a proxy before it, the API and three workers, keeps them
alive as a supervisor would, submits jobs, and has the faults of a seeded schedule happen to all of them. When the time is up the
faults stop, the jobs run to their end, and the promises are checked. `--long` adds what only root on Linux can do: a full disk
under the checkpoints, and a jumping clock. Exit code 1, and all logs kept, when a promise was broken.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from tests.chaos import verify
from tests.chaos.clock import JumpingClock, jumping_clock
from tests.chaos.disk import FullDisk, small_disk
from tests.chaos.faults import Torment
from tests.chaos.history import History, JobHistory, read_history
from tests.chaos.jobs import Submission, submissions
from tests.chaos.report import Outcome, markdown
from tests.chaos.schedule import Fault, schedule
from tests.chaos.stage import Stage
from tests.chaos.timeline import waits
from tests.chaos.verify import Check, check
from tests.chaos.waits import Wait

HEARTBEAT_S, LEASE_S, TIMEOUT_S, CHECKPOINT_S = 0.5, 2.0, 1.5, 0.5
SLACK_S = 5.0
"""Beyond lease time and database timeout, that an open job may stand still."""
OPEN_JOBS = 4
"""At a time: one more than workers."""
LOOK_S = 0.5
DONE_WITHIN_S = 300.0
"""What jobs get to end, once nothing happens to them any more."""
WARM_AT_LEAST_S = 5.0
PROVED_SEED, PROVED_MINUTES = 1, 20.0
COMMON = {"STRIDE_OBJECTIVE_MODULES": "tests.quadratic", "STRIDE_DEVICE": "cpu", "STRIDE_GRACE_S": "2", "STRIDE_POLL_S": "0.2"}
QUICK = {
    "STRIDE_HEARTBEAT_S": str(HEARTBEAT_S),
    "STRIDE_LEASE_S": str(LEASE_S),
    "STRIDE_DATABASE_TIMEOUT_S": str(TIMEOUT_S),
    "STRIDE_CHECKPOINT_S": str(CHECKPOINT_S),
}
SETTINGS = (
    f"Three workers; heartbeat {HEARTBEAT_S:g} s, lease {LEASE_S:g} s, database timeout {TIMEOUT_S:g} s, checkpoint every"
    f" {CHECKPOINT_S:g} s. The calm run has Stride's own defaults for these."
)


@dataclass(frozen=True, kw_only=True)
class Tormented:
    """What is left of a tormented run."""

    submitted: Sequence[Submission]
    history: History
    torment: Torment
    shown: Mapping[str, Mapping[str, int]]
    """By name of the job, the progress that the API shows."""
    mistakes: Sequence[str]
    """Answers 500, and processes that ended of their own accord."""
    warm_s: float
    until: float
    not_possible: Sequence[str]


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
    """Twenty minutes with everything, for `make prove`; the report goes into the folder `out`. Returns how many promises broke."""
    name = f"chaos_{os.cpu_count()}cores_{datetime.now(UTC):%Y%m}.md"
    return report(PROVED_SEED, PROVED_MINUTES, True, out / name)


def report(seed: int, minutes: float, long: bool, file: Path | None) -> int:
    """Run, print the report, and write it to `file`; returns how many promises were broken. Everything is kept if any was."""
    folder = Path(tempfile.mkdtemp(prefix="stride-chaos-"))
    outcome = run(folder, seed=seed, minutes=minutes, long=long)
    text = markdown(outcome)
    print(text)
    if file is not None:
        file.write_text(text, encoding="utf-8")
    broken = sum(bool(check.violations) for check in outcome.checks)
    if broken:
        print(f"{broken} promises were broken. Logs, faults and databases are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return broken


def run(folder: Path, *, seed: int, minutes: float, long: bool = False) -> Outcome:
    """Torment, calm, compare. All that a post-mortem needs is left in `folder`."""
    tormented = _tormented(folder, seed, 60 * minutes, long)
    comparable = [submission for submission in tormented.submitted if submission.kind.comparable]
    calm = _calm(folder / "calm", comparable)
    found = list(waits(tormented.history, tormented.torment, tormented.warm_s, tormented.until))
    checks = list(_checks(tormented, calm, found))
    return Outcome(
        seed=seed,
        minutes=minutes,
        settings=SETTINGS,
        not_possible=tormented.not_possible,
        torment=tormented.torment,
        history=tormented.history,
        calm=calm,
        waits=found,
        checks=checks,
    )


def _tormented(folder: Path, seed: int, seconds: float, long: bool) -> Tormented:
    not_possible: list[str] = []
    with ExitStack() as undo:
        disk = undo.enter_context(small_disk(folder / "checkpoints")) if long else None
        clock = jumping_clock(folder) if long else None
        if long and disk is None:
            not_possible.append("a full disk, since none can be mounted here")
        if long and clock is None:
            not_possible.append("a clock jump, since its library cannot be built here (no C compiler?)")
        settings = COMMON | QUICK | ({} if disk is None else {"STRIDE_CHECKPOINT_DIR": str(disk.folder)})
        stage = undo.enter_context(Stage(folder / "tormented", settings, {} if clock is None else clock.environment))
        jobs = submissions(seed)
        torment = Torment(stage, full_disk=disk, clock=clock)
        submitted = [next(jobs)]
        torment.submitted.append(stage.client.submit(submitted[0].document))
        torment.open_jobs = list(torment.submitted)
        warm_s = _warm_up(stage)
        lanes = schedule(seed, seconds, also=_possible(disk, clock))
        torment.began_at = time.time()
        with ThreadPoolExecutor(len(lanes)) as pool:
            running = [pool.submit(torment.lane, lane) for lane in lanes.values()]
            while time.time() < torment.began_at + seconds:
                _keep_submitting(stage, torment, jobs, submitted)
                time.sleep(LOOK_S)
            for lane in running:
                lane.result()
        _wait_until_done(stage, torment)
        shown = {job["name"]: job["progress"]["trials"] for job in map(stage.client.job, torment.submitted)}
        with stage.connect() as conn:
            history = read_history(conn)
        _keep_record(folder / "faults.log", torment)
        return Tormented(
            submitted=submitted,
            history=history,
            torment=torment,
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
    """Wait until every worker has trained, if it gets a trial; returns what a new one may take until its first measurement."""
    deadline = time.monotonic() + DONE_WITHIN_S
    with stage.connect() as conn:
        while time.monotonic() < deadline:
            row = conn.execute(WARM).fetchone()
            assert row is not None
            workers, took_s, open_jobs = row
            if workers == len(stage.workers) or not open_jobs:
                return float(max(WARM_AT_LEAST_S, 2 * took_s))
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


def _keep_submitting(stage: Stage, torment: Torment, jobs: Iterator[Submission], submitted: list[Submission]) -> None:
    """See which jobs are over, and submit others in their place."""
    _look(stage, torment)
    while len(torment.open_jobs) < OPEN_JOBS:
        submitted.append(next(jobs))
        job_id = stage.client.submit(submitted[-1].document)
        torment.submitted.append(job_id)
        torment.open_jobs = [*torment.open_jobs, job_id]


def _wait_until_done(stage: Stage, torment: Torment) -> None:
    """Until no job is open; one that never ends is told of by the checks."""
    deadline = time.monotonic() + DONE_WITHIN_S
    while torment.open_jobs and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        _look(stage, torment)


def _look(stage: Stage, torment: Torment) -> None:
    torment.open_jobs = [job_id for job_id in torment.open_jobs if stage.client.job(job_id)["finished_at"] is None]


def _calm(folder: Path, jobs: Sequence[Submission]) -> list[JobHistory]:
    """The same jobs on a stage of their own, in peace."""
    with Stage(folder, COMMON) as stage:
        open_jobs = [stage.client.submit(job.document) for job in jobs]
        deadline = time.monotonic() + DONE_WITHIN_S * max(1.0, len(jobs) / 10)
        while open_jobs and time.monotonic() < deadline:
            time.sleep(LOOK_S)
            open_jobs = [job_id for job_id in open_jobs if stage.client.job(job_id)["finished_at"] is None]
        with stage.connect() as conn:
            return list(read_history(conn).jobs)


def _checks(left: Tormented, calm: Sequence[JobHistory], found: Sequence[tuple[JobHistory, Wait]]) -> Iterator[Check]:
    jobs, names = left.history.jobs, [submission.document["name"] for submission in left.submitted]
    comparable = [submission.document["name"] for submission in left.submitted if submission.kind.comparable]

    def each(of_job: Callable[[JobHistory], Iterable[str]]) -> Iterator[str]:
        return chain.from_iterable(map(of_job, jobs))

    yield check("every job that was submitted is there once, and reached its budget", verify.unfinished(jobs, names))
    yield check("trial numbers are 0 to n-1, each with a result", each(verify.wrong_numbers))
    yield check("each trial was started and finished exactly once", each(verify.double_results))
    yield check("no lease is open, attempts are 1 to n", each(verify.open_leases))
    yield check("no event is lost", each(verify.lost_events))
    yield check("the API shows what the rows say", each(lambda job: verify.wrong_progress(job, left.shown[job.name])))
    yield check(
        "curves have no gaps, measure the same when trained again, equal Optuna's copy, and end with the trial",
        each(verify.broken_curves),
    )
    yield check(
        f"attempts go back by at most one checkpoint interval ({CHECKPOINT_S:g} s) and a step, two when the newest was damaged",
        each(lambda job: verify.too_far_back(job, CHECKPOINT_S)),
    )
    yield check("only what was damaged is found damaged", verify.undamaged_discards(left.history, left.torment.damaged))
    yield check("the calm run reached every budget", verify.unfinished(calm, comparable))
    yield check(
        "grid and random jobs are, trial for trial and step for step, what they are in peace",
        verify.changed_results(calm, {job.name: job for job in jobs}),
    )
    longest_s = LEASE_S + TIMEOUT_S + SLACK_S
    yield check(
        f"no open job stood still for more than {longest_s:g} s that somebody could have gone on in",
        (
            f"job {job.name} stood still for {wait.counted_s:.1f} s of the {wait.during.end - wait.during.begin:.1f} s from"
            f" {datetime.fromtimestamp(wait.during.begin, UTC):%H:%M:%S}"
            for job, wait in found
            if wait.counted_s > longest_s
        ),
    )
    yield check("no process ended of its own accord, and the API made no mistake (500)", left.mistakes)


def _keep_record(file: Path, torment: Torment) -> None:
    """The faults in the order of their beginnings, for a post-mortem."""
    lines = [(at, f"{fault}: {whom}") for at, fault, whom in torment.done]
    lines += [(at, f"{fault}: missed, {why}") for at, fault, why in torment.missed]
    file.write_text("".join(f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f} {text}\n" for at, text in sorted(lines)))
