"""Runs the services of docker-compose.yml, with access to their containers through the engine and to their APIs through HTTP."""

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "stride-check"
ENGINES = {"docker": "docker", "docker-compose": "docker", "podman": "podman", "podman-compose": "podman"}

T = TypeVar("T")
Document = dict[str, Any]


class Broken(Exception):
    """A check failed."""


class Stack:
    """The services of docker-compose.yml, under a project name and on a port of their own."""

    def __init__(self, compose: list[str], engine: str, settings: Mapping[str, str]) -> None:
        self._compose = compose
        self._engine = engine
        self._port = _free_port()
        self._environment = os.environ | settings | {"STRIDE_PORT": str(self._port)}
        # No proxy: the services run on this machine.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def build(self) -> None:
        self.compose("build")

    def compose(self, *arguments: str) -> None:
        """Run a compose command; its output goes to standard error. Raises CalledProcessError when it fails."""
        command = [*self._compose, "-p", PROJECT, *arguments]
        print("+", shlex.join(command), file=sys.stderr, flush=True)
        subprocess.run(command, cwd=ROOT, env=self._environment, check=True, stdout=sys.stderr)

    def engine(self, *arguments: str) -> str:
        """The output of an engine command. Raises Broken when it fails."""
        command = [self._engine, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"{shlex.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def containers(self, service: str) -> list[str]:
        """The ids of the running containers of a service."""
        labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.service": service}
        filters = [f"--filter=label={name}={value}" for name, value in labels.items()]
        return self.engine("ps", "--quiet", *filters).split()

    def exec(self, service: str, *command: str) -> str:
        """The output of a command in the first container of a service."""
        return self.engine("exec", self.containers(service)[0], *command)

    def healthy(self, container: str) -> bool:
        if self._engine == "docker":
            return self.engine("inspect", "--format", "{{.State.Health.Status}}", container) == "healthy"
        # Podman relies on systemd for regular health checks, which not every machine has: run the check now.
        return subprocess.run([self._engine, "healthcheck", "run", container], capture_output=True, check=False).returncode == 0

    def versions(self) -> str:
        """The versions of the engine, compose and everything in the image, for the report."""
        inside = (
            "import os, platform, psycopg; from importlib.metadata import version;"
            "server = psycopg.connect(os.environ['STRIDE_DATABASE_URL']).info.parameter_status('server_version');"
            "print(f'PostgreSQL {server}, Python {platform.python_version()}, ' + ', '.join("
            "f'{name} {version(name)}' for name in ('stride', 'optuna', 'torch')))"
        )
        compose = subprocess.run([*self._compose, "version", "--short"], capture_output=True, text=True, check=False).stdout
        size = int(self.engine("image", "inspect", "--format", "{{.Size}}", "stride")) / 1e6
        engines = f"{self.engine('--version')}, {Path(self._compose[0]).name} {' '.join(compose.split())}"
        return f"{engines}; image of {size:.0f} MB with {self.exec('worker', 'python', '-c', inside)}"

    def answers(self, path: str) -> bool:
        try:
            self.get(path)
        except OSError:
            return False
        return True

    def get(self, path: str, host: str | None = None) -> Any:
        """The JSON at `path`. host: the name to ask the API by, if not its address."""
        return json.loads(self._ask(path, headers={} if host is None else {"Host": host}))

    def read(self, path: str) -> bytes:
        return self._ask(path)

    def items(self, path: str) -> list[Document]:
        """All items of a list, page after page."""
        items, cursor = [], ""
        while cursor is not None:
            page = self.get(f"{path}?limit=100" + (f"&cursor={cursor}" if cursor else ""))
            items += page["items"]
            cursor = page["next_cursor"]
        return items

    def post(self, path: str, document: Document) -> Any:
        return json.loads(self._ask(path, json.dumps(document).encode(), {"Content-Type": "application/json"}))

    def log(self, container: str, since: str) -> str:
        """What a container has logged since a Unix time."""
        done = subprocess.run([self._engine, "logs", "--since", since, container], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def show_logs(self) -> None:
        """Print the end of every container's log to standard error."""
        for container in self._all_containers():
            print(f"\n--- {self.engine('inspect', '--format', '{{.Name}}', container)}", file=sys.stderr, flush=True)
            subprocess.run([self._engine, "logs", "--tail", "20", container], stdout=sys.stderr, check=False)

    def down(self) -> None:
        """Remove all containers and volumes. The workers first: podman-compose only removes the first of them."""
        workers = self._all_containers("--filter=label=com.docker.compose.service=worker")
        if workers:
            self.engine("rm", "--force", *workers)
        self.compose("down", "--volumes")

    def _all_containers(self, *filters: str) -> list[str]:
        ours = f"--filter=label=com.docker.compose.project={PROJECT}"
        return self.engine("ps", "--all", "--quiet", ours, *filters).split()

    def _ask(self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", body, dict(headers or {}))
        with self._http.open(request, timeout=30) as response:
            content: bytes = response.read()
            return content


def wait(look: Callable[[], T | None], seconds: float, otherwise: str) -> T:
    """Call `look` until it returns something true, and return that. Raises Broken(otherwise) after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := look()):
        if time.monotonic() > deadline:
            raise Broken(f"{otherwise} within {seconds:g} s")
        time.sleep(0.2)
    return result


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
