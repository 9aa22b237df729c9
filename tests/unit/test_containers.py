"""docker-compose.yml, its settings in .env.example, and deploy/gpu.yml: what can be checked without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]

NOT_SET_BY_USERS = {
    "STRIDE_DATABASE_URL": "the file runs a PostgreSQL of its own",
    "STRIDE_DATA_DIR": "there is no embedded PostgreSQL in a container",
    "STRIDE_HOST": "the API listens on all addresses of its container; the ports say who reaches it",
    "STRIDE_URL": "for the command line, which runs outside of the containers",
    "STRIDE_WORKERS": "for `stride up`; the number of containers is given by --scale",
}
OF_THE_FILE = {
    "POSTGRES_PASSWORD": "of the database that the file runs",
    "STRIDE_PORT": "the port on this machine; in the container it is the default",
    "PIP_EXTRA_INDEX_URL": "of the build",
    "STRIDE_DATA_MOUNT": "a mount",
    "STRIDE_OBJECTIVES_MOUNT": "a mount",
    "STRIDE_CHECKPOINTS_MOUNT": "a mount",
}
"""Variables of .env.example that are read by the file, and not by Stride in a container."""

SETTINGS = {f"STRIDE_{name.upper()}" for name in Settings.model_fields}
IN_EXAMPLE = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE, flags=re.MULTILINE))


@pytest.mark.parametrize("service", ["api", "worker"])
def test_every_setting_reaches_the_containers(service: str) -> None:
    passed = SERVICES[service]["environment"].keys() & SETTINGS
    assert passed == SETTINGS - (NOT_SET_BY_USERS.keys() - {"STRIDE_DATABASE_URL"}) - {"STRIDE_PORT"}
    fixed = {name for name in passed if (value := SERVICES[service]["environment"][name]) is not None and name not in value}
    assert fixed == {"STRIDE_DATABASE_URL"}


def test_every_setting_that_can_be_made_is_in_the_example_and_no_other() -> None:
    assert IN_EXAMPLE.keys() == SETTINGS - NOT_SET_BY_USERS.keys() | OF_THE_FILE.keys()


def test_what_the_file_takes_from_the_environment_is_in_the_example() -> None:
    named = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) | {
        name for service in SERVICES.values() for name, value in service["environment"].items() if value is None
    }
    assert named - IN_EXAMPLE.keys() == {"PIP_INDEX_URL", "PIP_FIND_LINKS"}  # of the build, for machines behind a proxy
    assert OF_THE_FILE.keys() <= named


def test_the_example_shows_the_defaults() -> None:
    of_the_file = {"STRIDE_DATA_FOLDERS": "/data"}
    for name in IN_EXAMPLE.keys() & SETTINGS - of_the_file.keys() - OF_THE_FILE.keys():
        default = Settings.model_fields[name.removeprefix("STRIDE_").lower()].default
        shown = "" if default in (None, ()) else f"{default:g}" if isinstance(default, float) else str(default)
        assert IN_EXAMPLE[name] == shown, name
    for name in IN_EXAMPLE.keys() & set(re.findall(r"\$\{([A-Z_]+):-", COMPOSE)) - {*OF_THE_FILE, "STRIDE_ALLOWED_HOSTS"}:
        assert f"${{{name}:-{IN_EXAMPLE[name]}}}" in COMPOSE


def test_the_example_as_it_is_and_with_every_line_in_use_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS & IN_EXAMPLE.keys():
        monkeypatch.setenv(name, IN_EXAMPLE[name])
    expected = Settings().model_copy(update={"data_folders": ()})
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    assert expected == Settings()


def test_migrating_needs_no_objectives() -> None:
    assert "STRIDE_OBJECTIVE_MODULES" not in SERVICES["migrate"]["environment"]
    assert "volumes" not in SERVICES["migrate"]


def test_only_the_api_is_published_and_on_loopback_alone() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"api": ["127.0.0.1:${STRIDE_PORT:-8000}:8000"]}


def test_api_and_workers_share_what_both_read() -> None:
    of_api, of_worker = ([mount.rpartition("}")[2] for mount in SERVICES[name]["volumes"]] for name in ("api", "worker"))
    assert of_api == [":/objectives:ro", ":/checkpoints"]
    assert of_worker == [":/data:ro", *of_api]


def test_a_worker_may_take_its_grace_period_to_stop() -> None:
    assert float(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > Settings().grace_s


def test_gpus_are_given_to_the_workers() -> None:
    gpu = yaml.safe_load((ROOT / "deploy" / "gpu.yml").read_text(encoding="utf-8"))["services"]
    assert gpu.keys() == {"worker"}
    [device] = gpu["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


def test_every_stage_that_installs_takes_the_arguments_of_the_build() -> None:
    arguments = SERVICES["migrate"]["build"]["args"].keys()
    for stage in re.split(r"^FROM ", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE):
        installs = re.search(r"^RUN .*\bpip (install|wheel)", stage, flags=re.MULTILINE)
        assert installs is None or arguments == set(re.findall(r"^ARG ([A-Z_]+)$", stage, flags=re.MULTILINE)), stage
