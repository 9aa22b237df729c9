"""The settings: read once when a process starts, then passed down; never imported as values."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "STRIDE_"


class Settings(BaseSettings):
    """Everything an operator may set, each as the environment variable STRIDE_<NAME>; an empty one is as if it were not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    database_url: str | None = Field(
        None, description="PostgreSQL 16 to 18, as postgresql://...; unset: an embedded one in data_dir."
    )
    data_dir: Path | None = Field(None, description="Folder of the embedded PostgreSQL; unset: stride in the user's data folder.")
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names, separated by commas, that the API answers to beside localhost and the address of host; *.example.org:"
        " all that end so; *: any.",
    )
    url: str = Field("http://127.0.0.1:8000", description="Where the command line finds the API.")
    workers: int = Field(2, ge=0, le=1024, description="Worker processes that `stride up` starts.")
    objective_modules: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Python modules with OBJECTIVES of your own, separated by commas; must not import torch at their top level.",
    )
    objective_files: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Training scripts, separated by commas, each as FILE or FILE:NAME: a worker offers the objectives in them.",
    )
    objective_direction: str | None = Field(
        None,
        pattern="^(minimize|maximize)$",
        description="minimize or maximize: direction of the Optuna objectives in objective_files, and of objective_command;"
        " unset: minimize.",
    )
    objective_learning_rate: str | None = Field(
        None,
        description="The parameter that is the learning rate, in objective_files and objective_command; unset: learning_rate or"
        " lr.",
    )
    objective_steps: int | None = Field(
        None,
        ge=1,
        description="How many steps an Optuna objective in objective_files, or objective_command, reports; unset: not known, so"
        " trials are not pruned.",
    )
    objective_command: str | None = Field(
        None,
        description="A command that trains, with {learning_rate} and further {names} where their values go: a worker offers it,"
        " and starts it in its working directory.",
    )
    objective_params: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="What the parameters of objective_command may be, separated by spaces: NAME=16,32,64, NAME=1e-5:1:log,"
        " NAME=2:20 or NAME=0.9.",
    )
    objective_metric: str = Field(
        "validation_loss",
        description="The metric that objective_command reports, or a function in objective_files that declares none.",
    )
    objective_name: str | None = Field(
        None, description="Name of the objective of objective_command; unset: that of its script or program."
    )
    data_folders: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        description="Folders, separated by commas, in which jobs may name data files; none: jobs can use bundled data only.",
    )
    device: str = Field(
        "auto", description="Where workers train: auto (a GPU, each worker the next one; else the CPU), cpu, cuda or cuda:N."
    )
    heartbeat_s: float = Field(10.0, gt=0, description="Seconds between renewals of a lease; at most a third of lease_s.")
    lease_s: float = Field(30.0, gt=0, description="Seconds after its last renewal at which a lease may be taken over.")
    database_timeout_s: float = Field(10.0, gt=0, description="Seconds a transaction may take; less than lease_s.")
    poll_s: float = Field(
        1.0, gt=0, description="Longest time in seconds that an idle worker waits before it looks for work again."
    )
    grace_s: float = Field(
        30.0, ge=0, description="Seconds that a worker, when asked to stop, waits for the current step to end."
    )
    checkpoint_s: float = Field(30.0, gt=0, description="Seconds of training between checkpoints of a trial.")
    checkpoint_dir: Path | None = Field(
        None, description="Folder of the checkpoints, shared by all workers and the API; unset: in PostgreSQL."
    )
    checkpoint_max_bytes: int = Field(
        33_554_432,
        gt=0,
        le=1_000_000_000,
        description="Largest checkpoint kept in PostgreSQL, in bytes; larger ones need checkpoint_dir.",
    )
    retention_days: float | None = Field(
        None, gt=0, le=36_500, description="Days after which the events and measurements of ended jobs are deleted; unset: never."
    )
    max_body_bytes: int = Field(1_048_576, gt=0, description="Largest request body the API reads, in bytes.")
    import_max_bytes: int = Field(33_554_432, gt=0, description="Largest body of an import the API reads, in bytes.")
    log_format: str = Field("text", pattern="^(text|json)$", description="text for people, json for machines.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        lists = {
            field: tuple(name.strip() for name in listed.split(",") if name.strip())
            for field in ("allowed_hosts", "objective_modules", "objective_files", "data_folders")
            if isinstance(listed := values.get(field), str)
        }
        if isinstance(params := values.get("objective_params"), str):
            lists["objective_params"] = tuple(params.split())
        return values | lists

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.heartbeat_s > self.lease_s / 3 * (1 + 1e-9):  # 0.4 is a third of 1.2
            raise ValueError(
                f"{PREFIX}HEARTBEAT_S ({self.heartbeat_s:g}) must be at most a third of {PREFIX}LEASE_S ({self.lease_s:g})"
            )
        if self.database_timeout_s >= self.lease_s:
            text = (
                f"{PREFIX}DATABASE_TIMEOUT_S ({self.database_timeout_s:g}) must be less than {PREFIX}LEASE_S ({self.lease_s:g})"
            )
            raise ValueError(text)
        for name in self.allowed_hosts:
            if not (re.fullmatch(r"\*|(\*\.)?[\w.-]+", name) or _is_address(name.strip("[]"))):
                text = f"{PREFIX}ALLOWED_HOSTS: {name!r} should be a host name or address alone, without scheme and port"
                raise ValueError(text)
        return self


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
