"""The faults, injected by one thread per lane, in the order of the schedule."""

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from tests.chaos.clock import JumpingClock
from tests.chaos.disk import FullDisk
from tests.chaos.processes import KeptProcess
from tests.chaos.record import Down, Record
from tests.chaos.schedule import Fault, Planned
from tests.chaos.stage import Stage
from tests.chaos.waits import Interval
from tests.tcp_proxy import Mode

LATENCY_S = 0.05
"""The largest delay of each message, each way: a transaction must still end in time."""
REPLY_S = 0.3
"""Seconds for which replies are dropped after a commit was seen."""
NO_COMMIT_S = 3.0
JUMP_S = 10_000


class Missed(Exception):
    """The fault found no target."""


@dataclass
class FaultInjection:
    """Injects the planned faults into a stage and records them."""

    stage: Stage
    record: Record
    full_disk: FullDisk | None = None
    clock: JumpingClock | None = None
    """The clock of the first worker."""

    def lane(self, planned: Sequence[Planned]) -> None:
        """Inject these faults, each at its time."""
        for item in planned:
            time.sleep(max(0.0, self.record.began_at + item.at_s - time.time()))
            at = time.time()
            try:
                whom = self._actions()[item.fault](item)
            except (Missed, psycopg.OperationalError) as error:
                self.record.missed.append((at, item.fault, str(error)))
            else:
                self.record.done.append((at, item.fault, whom))

    def _actions(self) -> dict[Fault, Callable[[Planned], str]]:
        return {
            Fault.KILL_WORKER: self._kill_worker,
            Fault.STOP_WORKER: self._stop_worker,
            Fault.KILL_TRAINER: self._kill_trainer,
            Fault.STOP_TRAINER: self._stop_trainer,
            Fault.KILL_API: self._kill_api,
            Fault.CRASH_POSTGRES: self._crash_postgres,
            Fault.TERMINATE_BACKENDS: self._terminate_backends,
            Fault.LATENCY: self._latency,
            Fault.BLACK_HOLE: lambda planned: self._wire(planned, Mode.BLACK_HOLE),
            Fault.RESET: lambda planned: self._wire(planned, Mode.RESET),
            Fault.LOSE_REPLY: self._lose_reply,
            Fault.PAUSE: self._pause,
            Fault.DAMAGE_CHECKPOINT: self._damage_checkpoint,
            Fault.FULL_DISK: self._fill_disk,
            Fault.CLOCK_JUMP: self._clock_jump,
        }

    def _kill_worker(self, planned: Planned) -> str:
        worker = self._worker(planned)
        pid = worker.pid
        self.record.killed.append((pid, time.time()))
        _send(pid, signal.SIGKILL)
        return f"{worker.log.stem}, process {pid}"

    def _stop_worker(self, planned: Planned) -> str:
        worker = self._worker(planned)
        return self._stop(worker.pid, worker, planned, trainer=False)

    def _kill_trainer(self, planned: Planned) -> str:
        worker = self._worker(planned)
        return self._kill_trainer_of(worker)

    def _kill_trainer_of(self, worker: KeptProcess) -> str:
        trainer = _trainer(worker)
        at = time.time()
        self.record.downs.append(Down(pid=worker.pid, during=Interval(at, at), trainer=True))
        _send(trainer, signal.SIGKILL)
        return f"trainer {trainer} of {worker.log.stem}"

    def _stop_trainer(self, planned: Planned) -> str:
        worker = self._worker(planned)
        return self._stop(_trainer(worker), worker, planned, trainer=True)

    def _kill_api(self, planned: Planned) -> str:
        _send(self.stage.api.pid, signal.SIGKILL)
        return "the API"

    def _stop(self, pid: int, worker: KeptProcess, planned: Planned, *, trainer: bool) -> str:
        begin, worker_pid = time.time(), worker.pid
        _send(pid, signal.SIGSTOP)
        try:
            time.sleep(planned.lasts_s)
        finally:
            with suppress(Missed):
                _send(pid, signal.SIGCONT)
            self.record.downs.append(Down(pid=worker_pid, during=Interval(begin, time.time()), trainer=trainer))
        return f"process {pid} of {worker.log.stem} for {planned.lasts_s:.1f} s"

    def _crash_postgres(self, planned: Planned) -> str:
        begin = time.time()
        self.stage.crash_postgres(planned.lasts_s)
        self.record.outages.append(Interval(begin, time.time()))
        return f"down for {time.time() - begin:.1f} s"

    def _terminate_backends(self, planned: Planned) -> str:
        """Ends a third of the sessions, at least one."""
        with self.stage.connect() as conn:
            pids = [
                pid for (pid,) in conn.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'stride' ORDER BY pid")
            ]
            if not pids:
                raise Missed("no session")
            chosen = random.Random(planned.pick).sample(pids, max(1, len(pids) // 3))
            conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::integer[]) AS pid", [chosen])
        return f"{len(chosen)} of {len(pids)}"

    def _latency(self, planned: Planned) -> str:
        self.stage.proxy.latency_s = LATENCY_S * planned.pick
        try:
            time.sleep(planned.lasts_s)
        finally:
            self.stage.proxy.latency_s = 0.0
        return f"{1000 * LATENCY_S * planned.pick:.0f} ms for {planned.lasts_s:.1f} s"

    def _wire(self, planned: Planned, mode: Mode) -> str:
        begin = time.time()
        self.stage.proxy.mode = mode
        try:
            time.sleep(planned.lasts_s)
        finally:
            self.stage.proxy.mode = Mode.PASS
            self.record.outages.append(Interval(begin, time.time()))
        return f"for {planned.lasts_s:.1f} s"

    def _lose_reply(self, planned: Planned) -> str:
        """Drops the reply to the next commit of any client, and other replies of that moment."""
        proxy = self.stage.proxy
        proxy.when(b"COMMIT", Mode.LOSE_REPLY)
        deadline = time.monotonic() + NO_COMMIT_S
        begin = time.time()
        try:
            while proxy.mode is not Mode.LOSE_REPLY:
                if time.monotonic() > deadline:
                    raise Missed("nobody committed")
                time.sleep(0.005)
            begin = time.time()
            time.sleep(REPLY_S)
        finally:
            proxy.when(b"", Mode.PASS)
            proxy.mode = Mode.PASS
        self.record.outages.append(Interval(begin, time.time()))
        return "the next commit's"

    def _pause(self, planned: Planned) -> str:
        jobs = self.record.open_jobs
        if not jobs:
            raise Missed("no open job")
        job_id = jobs[int(planned.pick * len(jobs))]
        if not self.stage.client.move(job_id, "pause"):
            raise Missed("the job was over")
        try:
            time.sleep(planned.lasts_s)
        finally:
            self.stage.client.move(job_id, "resume")
        return f"job {job_id} for {planned.lasts_s:.1f} s"

    def _damage_checkpoint(self, planned: Planned) -> str:
        """Corrupt the newest checkpoint of a running trial that has an intact older one, and kill its trainer."""
        with self.stage.connect() as conn:
            candidates = conn.execute(CANDIDATES, {"damaged": sorted(self.record.damaged)}).fetchall()
            if not candidates:
                raise Missed("no trial with two checkpoints")
            checkpoint, trial, path, worker_name = candidates[int(planned.pick * len(candidates))]
            if path is None:
                conn.execute(
                    "UPDATE stride.checkpoints SET content = overlay(content PLACING 'x' FROM 1) WHERE id = %s", [checkpoint]
                )
            elif self.full_disk is None or not self.full_disk.damage(path):
                raise Missed("its file is gone")
            self.record.damaged.add(trial)
        for worker in self.stage.workers:
            if worker_name.endswith(f":{worker.pid}"):
                return f"trial id {trial}, {self._kill_trainer_of(worker)}"
        return f"trial id {trial}, whose worker had ended"

    def _fill_disk(self, planned: Planned) -> str:
        assert self.full_disk is not None
        with self.full_disk.filled():
            time.sleep(planned.lasts_s)
        return f"for {planned.lasts_s:.1f} s"

    def _clock_jump(self, planned: Planned) -> str:
        assert self.clock is not None
        jump_s = JUMP_S if planned.pick < 0.5 else -JUMP_S
        with self.clock.ahead(jump_s):
            time.sleep(planned.lasts_s)
        return f"{jump_s:+} s for {planned.lasts_s:.1f} s"

    def _worker(self, planned: Planned) -> KeptProcess:
        running = [worker for worker in self.stage.workers if worker.is_running()]
        if not running:
            raise Missed("no worker is running")
        return running[int(planned.pick * len(running))]


# Each trial once: if a second one were damaged before a new one is taken, there would be nothing to resume from.
CANDIDATES = """
SELECT newest.id, trial_id, newest.path, worker.name
FROM optuna.trials AS trial
CROSS JOIN LATERAL (
    SELECT id, path, lease_id FROM stride.checkpoints
    WHERE trial_id = trial.trial_id AND kind = 'state' ORDER BY id DESC LIMIT 1
) AS newest
JOIN stride.leases AS lease USING (trial_id)
JOIN stride.workers AS worker ON worker.id = lease.worker_id
WHERE trial.state = 'RUNNING' AND lease.ended_at IS NULL AND trial_id <> ALL(%(damaged)s::integer[])
    AND (SELECT count(*) FROM stride.checkpoints WHERE trial_id = trial.trial_id AND kind = 'state') > 1
ORDER BY trial_id
"""


def _trainer(worker: KeptProcess) -> int:
    trainer = worker.trainer()
    if trainer is None:
        raise Missed(f"{worker.log.stem} has no trainer at the moment")
    return trainer


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise Missed(f"process {pid} has ended") from None
