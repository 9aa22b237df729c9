"""The client of one Stride service."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from stride.client.external import external
from stride.client.http import RETRY_S, Http
from stride.client.job import Job
from stride.client.local import LocalStride

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A Stride service, at its URL. Its methods raise StrideError; while the service is away they wait for it, if it has answered
    before. It may be used by several threads.

    url: of the service; None: that in STRIDE_URL, else http://127.0.0.1:8000. retry_s: how many seconds the service may be away.
    Raises ValueError where the URL is none.
    """

    def __init__(self, url: str | None = None, *, retry_s: float = RETRY_S) -> None:
        self._http = Http(url or os.environ.get("STRIDE_URL") or DEFAULT_URL, retry_s)
        self._local: LocalStride | None = None

    @classmethod
    def local(cls, *, data_dir: str | os.PathLike[str] | None = None, workers: int = 0) -> Self:
        """A Stride of this machine, in processes that end with this one; its jobs stay in the data folder.

        Where another process runs one in that folder, as `stride run` does, it is joined. data_dir: the folder; None: as the
        command line chooses it. workers: worker processes, for jobs of the built-in objectives. Raises NotStarted.
        """
        if workers < 0:
            raise ValueError(f"workers is {workers}: it must be a number of processes, or 0")
        local = LocalStride(data_dir, workers)
        try:
            client = cls(local.url)
        except BaseException:
            local.stop()
            raise
        client._local = local
        return client

    @property
    def url(self) -> str:
        """Where the service is, and its pages, for a browser."""
        return self._http.url

    def submit(
        self,
        *,
        space: Mapping[str, Any] | None = None,
        metric: str | None = None,
        direction: str = "minimize",
        metrics: Mapping[str, str] | None = None,
        steps: int | str | None = None,
        settings: Mapping[str, Any] | None = None,
        trials: int | None = None,
        **document: Any,
    ) -> Job:
        """Submit a job: `objective` and whatever else POST /v1/jobs takes, or training of this process.

        space: what this process searches when it trains, as in @stride.objective: {"learning_rate": {"type": "float", "low":
        1e-4, "high": 1.0, "log": True}, "epochs": 20}; a bare value fixes a parameter. Then metric is the one that counts, by
        default validation_loss, with its direction; metrics: others that are reported, with their directions, beside
        training_loss, validation_loss and gradient_norm; steps: how many steps a trial reports, or the parameter that says so;
        None: it is not known, and trials cannot be pruned; settings: what is trained, such as {"model": "resnet"}: only jobs with
        the same settings are compared as such. trials: the budget, for short. Raises Refused, which says what is wrong with it.
        """
        if space is not None:
            if "objective" in document or "search_space" in document:
                raise TypeError("submit takes either space, for training in this process, or objective, which names another")
            document["objective"] = external(
                space, {metric or "validation_loss": direction} | dict(metrics or {}), steps, settings or {}
            )
        elif metric is not None:
            document["metric"] = metric
        if trials is not None:
            if "trials" in (budget := dict(document.get("budget") or {})):
                raise TypeError("submit was given trials, and a budget of trials, too: leave one of them out")
            document["budget"] = budget | {"trials": trials}
        return Job(self._http, self._http.post("/v1/jobs", document, key=str(uuid4())))

    def job(self, job_id: str) -> Job:
        """The job with this id, or the one whose id begins so, with 8 digits or more. Raises Refused."""
        return Job(self._http, self._http.get(f"/v1/jobs/{job_id}"))

    def close(self) -> None:
        """Close the connections, and end the Stride that `local` has started."""
        self._http.close()
        if self._local is not None:
            self._local.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"
