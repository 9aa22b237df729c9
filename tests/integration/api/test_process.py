"""The API in a process of its own."""

import subprocess
import sys

SCRIPT = """
import sys
import threading

from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.postgres import Database

settings = Settings(database_url=sys.argv[1], objective_modules="tests.quadratic")
database = Database(settings.database_url)
with TestClient(create_app(settings, database), "http://127.0.0.1") as client:
    for objective in ("image-classification", "quadratic"):
        for sampler in ("tpe", "gp"):
            job = {"objective": {"name": objective}, "strategy": {"type": "bayesian", "sampler": sampler}}
            assert len(client.post("/v1/jobs?dry_run=true", json=job).json()["first_points"]) == 5
            assert client.post("/v1/jobs", json=job).status_code == 202
    job = {"objective": {"name": "quadratic"}, "strategy": {"type": "random", "sampler": "qmc"}}
    assert client.post("/v1/jobs?dry_run=true", json=job).status_code == 200
    newest = client.get("/v1/jobs").json()["items"][0]["id"]
    for path in ("/", f"/jobs/{newest}", "/assets/plotly.js"):
        assert client.get(path).status_code == 200, path
    for path in ("/v1/jobs", "/v1/objectives", "/v1/workers", "/dashboard", "/api/studies", "/docs", "/readyz"):
        assert client.get(path).status_code == 200, path
    assert client.get("/v1/best-lr?objective=quadratic").json()["items"] == []
database.close()
print([name for name in sys.modules if name.partition(".")[0] == "torch"])
print([thread.name for thread in threading.enumerate() if not thread.daemon])
"""


def test_the_api_never_imports_torch_whatever_it_serves(database_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, database_url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[]", "['MainThread']"]
