"""What deploy/check-compose checks of settings, mounts, host names, and an outage of PostgreSQL."""

import json
import re
import shutil
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

from stack import ROOT, Broken, Document, Stack, wait

LEASE_S = 6
OUTAGE_S = 3 * LEASE_S
TABLE_ROWS = 120
LINES_IN_OUTAGE = 6
"""Most lines that a worker may log about an outage as long as that: its begin, a few tries, its end."""

VALUES = {
    "STRIDE_LEASE_S": str(LEASE_S),
    "STRIDE_HEARTBEAT_S": "2",
    "STRIDE_DATABASE_TIMEOUT_S": "5",
    "STRIDE_LOG_LEVEL": "info",
    "STRIDE_LOG_FORMAT": "json",
    "STRIDE_ALLOWED_HOSTS": "stride.example",
    "STRIDE_OBJECTIVE_MODULES": "parabola",
    "STRIDE_DATA_FOLDERS": "/data",
    "STRIDE_DEVICE": "cpu",
    "STRIDE_POLL_S": "0.5",
    "STRIDE_GRACE_S": "20",
    "STRIDE_CHECKPOINT_S": "2",
    "STRIDE_CHECKPOINT_DIR": "/checkpoints",
    "STRIDE_CHECKPOINT_MAX_BYTES": "1000000",
    "STRIDE_RETENTION_DAYS": "30",
    "STRIDE_MAX_BODY_BYTES": "500000",
    "STRIDE_IMPORT_MAX_BYTES": "2000000",
}
"""A value for every setting in .env.example, different from the default where that is possible."""

FLOWERS: Document = {
    "name": "check-compose, a mounted table",
    "objective": {"name": "tabular-classification", "settings": {"dataset": "csv", "path": "flowers.csv", "target": "kind"}},
    "search_space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 0.1, "log": True}, "epochs": 2},
    "strategy": "random",
    "budget": {"trials": 2},
}
PARABOLA: Document = {
    "name": "check-compose, an outage",
    "objective": {"name": "parabola"},
    "search_space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}, "epochs": 30},
    "strategy": "random",
    "budget": {"trials": 8},
}
Holds = Callable[[str], None]


def mounts(folder: Path) -> dict[str, str]:
    """Fill `folder` with a table and an objective; the variables of docker-compose.yml that mount them."""
    folder.chmod(0o755)  # the container's user is another one
    rows = (f"{number % 7},{number % 11},{'rose' if number % 7 > 3 else 'tulip'}" for number in range(TABLE_ROWS))
    (folder / "data").mkdir()
    (folder / "data" / "flowers.csv").write_text("\n".join(["length,width,kind", *rows]) + "\n", encoding="utf-8")
    shutil.copytree(ROOT / "deploy" / "mounted", folder / "objectives", ignore=shutil.ignore_patterns("__pycache__"))
    return {"STRIDE_DATA_MOUNT": str(folder / "data"), "STRIDE_OBJECTIVES_MOUNT": str(folder / "objectives")}


def check_settings(stack: Stack, holds: Holds) -> None:
    """Check that every setting in .env.example reaches a worker. Raises Broken."""
    listed = set(re.findall(r"^#?(STRIDE_[A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), flags=re.MULTILINE))
    of_the_file = {"STRIDE_PORT", "STRIDE_DATA_MOUNT", "STRIDE_OBJECTIVES_MOUNT", "STRIDE_CHECKPOINTS_MOUNT"}
    if listed - of_the_file != VALUES.keys():
        raise Broken(f"no value to check, or no setting any more: {sorted((listed - of_the_file) ^ VALUES.keys())}")
    inside = "import json, os; from service.settings import Settings; Settings(); print(json.dumps(dict(os.environ)))"
    for service in ("worker", "api"):
        seen = json.loads(stack.exec(service, "python", "-c", inside))
        # Beside what is set, the file lists the API's own name.
        wrong = {name: seen.get(name) for name, value in VALUES.items() if value not in seen.get(name, "").split(",")}
        if wrong:
            raise Broken(f"these settings did not reach {service}: {wrong}")
    holds(f"all {len(VALUES)} settings of .env.example have their values inside a worker and the API")


def check_hosts(stack: Stack, holds: Holds) -> None:
    """Check which host names the API answers to. Raises Broken."""
    inside = "import urllib.request; print(urllib.request.urlopen('http://api:8000/healthz').status)"
    if stack.exec("worker", "python", "-c", inside) != "200":
        raise Broken("a worker cannot reach the API by the name of its service")
    stack.get("/healthz", host="stride.example")
    try:
        stack.get("/healthz", host="evil.example")
    except urllib.error.HTTPError as error:
        if error.code != 421:
            raise Broken(f"another host name was answered with {error.code}") from error
    else:
        raise Broken("another host name was answered")
    holds("the API answers to `api` inside, to the name in STRIDE_ALLOWED_HOSTS, and 421 to another")


def check_mounts(stack: Stack, job_id: str, holds: Holds) -> None:
    """Train on a mounted table, and read a finished job's checkpoints and best model. Raises Broken."""
    _complete(stack, stack.post("/v1/jobs", FLOWERS)["id"])
    holds("two trials trained on a table in the mounted data folder")
    models = stack.exec("api", "sh", "-c", "find /checkpoints -type f | wc -l")
    if int(models) == 0:
        raise Broken("there is no file in /checkpoints")
    size = len(stack.read(f"/v1/jobs/{job_id}/best-model"))
    holds(f"workers and API share /checkpoints: {models} files, and the API gave out the best model, {size} bytes")


def check_outage(stack: Stack, holds: Holds) -> float:
    """Stop PostgreSQL for several leases during a job of a mounted objective; the seconds it was down. Raises Broken."""
    job_id = stack.post("/v1/jobs", PARABOLA)["id"]
    wait(lambda: _measured(stack, job_id), 60, "no trial of the mounted objective was under way")
    since = f"{time.time():.0f}"
    [postgres] = stack.containers("postgres")
    stack.engine("stop", "--time", "20", postgres)
    began = time.monotonic()
    time.sleep(OUTAGE_S)
    stack.engine("start", postgres)
    seconds = time.monotonic() - began
    trials = _complete(stack, job_id)
    for trial in trials:
        steps = [item["step"] for item in stack.items(f"/v1/jobs/{job_id}/trials/{trial['number']}/measurements")]
        outcomes = [attempt["outcome"] for attempt in trial["attempts"]]
        if steps != list(range(1, 31)) or outcomes.count("finished") != 1:
            raise Broken(f"trial {trial['number']} has measurements {steps} and attempts {outcomes}")
    down = f"{seconds:.0f} s, {seconds / LEASE_S:.0f} leases"
    holds(f"PostgreSQL stopped for {down}, during a job of a mounted objective: all of its trials are complete")
    lines = [
        sum("database." in line for line in stack.log(container, since).splitlines()) for container in stack.containers("worker")
    ]
    if not all(2 <= count <= LINES_IN_OUTAGE for count in lines):
        raise Broken(f"the workers logged {lines} lines about the outage: 2 to {LINES_IN_OUTAGE} are expected of each")
    holds(f"lines that each worker logged about it: {', '.join(map(str, lines))}")
    return seconds


def _measured(stack: Stack, job_id: str) -> bool:
    running = [trial for trial in stack.items(f"/v1/jobs/{job_id}/trials") if trial["state"] == "running"]
    return any((trial.get("last_step") or 0) > 2 for trial in running)


def _complete(stack: Stack, job_id: str) -> list[Document]:
    """Wait for the end of the job; its trials. Raises Broken unless all are complete."""

    def ended() -> Document | None:
        job: Document = stack.get(f"/v1/jobs/{job_id}")
        return job if job["state"] in ("completed", "failed", "cancelled") else None

    def ended_after_an_outage() -> Document | None:
        try:
            return ended()
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return None

    job = wait(ended_after_an_outage, 600, "the job did not end")
    trials = stack.items(f"/v1/jobs/{job_id}/trials")
    if job["state"] != "completed" or {trial["state"] for trial in trials} != {"complete"}:
        raise Broken(f"{job['name']} is {job['state']} ({job['reason']}), its trials: {[trial['state'] for trial in trials]}")
    return trials
