"""stride import: what ran elsewhere, read from a file or a study of Optuna, becomes a finished job with an answer."""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from objectives.contract import DataProblem
from objectives.scripts.ranges import Flaw, written
from service.analysis.words.numbers import counted, number
from service.commands import answers, tables
from service.commands.api_client import ApiClient, Refused
from service.commands.options import BadUsage
from service.commands.output import print_document
from service.imports.document import Named, Wanted, document_of
from service.imports.run import Log, Missing, Shorter
from service.settings import Settings

Direction = Literal["minimize", "maximize"]
OWN = "Stride's database"
HIGHER_IS_BETTER = re.compile(
    r"(?<![a-z])(acc|accuracy|auc|auroc|auprc|f1|r2|bleu|rouge|m?ap|m?iou|dice|precision|recall|returns?|rewards?|scores?)(?![a-z])",
    re.IGNORECASE,
)
"""In names of metrics that are rarely minimized: an answer that minimized them unasked would be the worst rate."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; empty where it says nothing."""

    file: Path | None
    study: str | None
    storage: str | None
    learning_rate: str | None
    metric: str | None
    direction: str | None
    params: Sequence[str]
    step: str | None
    run: str | None
    diverged: str | None
    seed: str | None
    missing: str | None
    shorter: str | None
    where: Sequence[str]
    name: str | None
    objective: str | None
    settings: Sequence[str]


def import_runs(url: str | None, options: Options, settings: Settings, *, as_json: bool) -> None:
    """Import, and print the job and its answer."""
    ranges = _ranges(options.params)
    try:
        log = _of_study(options, settings) if options.file is None else _of_file(options, options.file)
        for note in log.notes:
            print(note, file=sys.stderr)
        with ApiClient(url) as client:
            wanted = Wanted(
                name=options.name,
                objective=None if options.objective is None else _named(client, options.objective),
                settings=_settings(options.settings),
                space=ranges,
                step_word=options.step or "step",
            )
            if wanted.objective is not None and (options.file is None or options.direction is not None):
                _check_direction(log, wanted.objective)
            document = document_of(log, wanted)
            job = client.post("/v1/imports", document, key=_key(document))
            _say_what(job, log)
            if as_json:
                print_document(job, lambda _: "", as_json)
                return
            before = "" if job["state"] == "completed" else ", since it was imported before and extended"
            print(f"Job {job['id']} is {job['state']}{before}.")
    except (DataProblem, Flaw) as error:
        raise BadUsage(str(error)) from error
    answers.best_lr(url, job["id"], as_json=False)


def _of_file(options: Options, file: Path) -> Log:
    from service.imports.files import read_table
    from service.imports.runs import Columns, log_of, where

    if options.study is not None or options.storage is not None:
        raise BadUsage("--study and --storage name what to import in place of FILE: give either.")
    if options.learning_rate is None or options.metric is None:
        raise BadUsage("Name the columns of the learning rate and of the metric: --learning-rate lr --metric val_loss.")
    columns = Columns(
        learning_rate=options.learning_rate,
        metric=options.metric,
        params=[each.partition("=")[0] for each in options.params if each.partition("=")[0] != options.learning_rate],
        step=options.step,
        run=options.run,
        diverged=options.diverged,
        seed=options.seed,
    )
    table = where(read_table(file), dict(_pair(each, "--where") for each in options.where))
    direction = _direction(options.direction)
    if direction is None and options.objective is None and HIGHER_IS_BETTER.search(options.metric):
        raise BadUsage(f"Is a higher {options.metric} better? Say --direction maximize, or --direction minimize.")
    return log_of(
        table,
        columns,
        direction=direction or "minimize",
        missing=_missing(options.missing),
        shorter=_shorter(options.shorter),
    )


def _of_study(options: Options, settings: Settings) -> Log:
    """Of any storage, or of Stride's own database."""
    if options.study is None and options.storage is None:
        raise BadUsage("Name what to import: a FILE, or a study of Optuna with --study, and with --storage where it is.")
    given = {"--step": options.step, "--run": options.run, "--diverged": options.diverged, "--seed": options.seed}
    if options.shorter is not None:
        raise BadUsage("--shorter judges the runs of a FILE: a study says which trials were pruned.")
    if of_files := [option for option, value in given.items() if value is not None] + ["--where"] * bool(options.where):
        raise BadUsage(f"{of_files[0]} names a column of a FILE: a study says that itself.")
    if unknown := [each for each in options.params if "=" not in each]:
        raise BadUsage(f"--param {unknown[0]} names a column of a FILE: a study says what its parameters are.")
    from service.imports.optuna_study import log_of_study

    storage, place = options.storage, options.storage
    if storage is None:
        from service.commands.configuration import database_url
        from service.store.postgres import stock_url

        storage, place = stock_url(database_url(settings)), OWN
    return log_of_study(
        storage,
        options.study,
        place=_without_password(str(place)),
        learning_rate=options.learning_rate,
        metric=options.metric,
        direction=_direction(options.direction),
        missing=_missing(options.missing),
    )


def _without_password(place: str) -> str:
    """The storage as it may be shown and stored."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if "://" not in place:
        return place
    # Up to the last @, which a password may hold, though it should be written %40 there.
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", place)
    try:
        return make_url(hidden).render_as_string()
    except ArgumentError:
        return "the storage"


def _direction(text: str | None) -> Direction | None:
    if text not in (None, "minimize", "maximize"):
        raise BadUsage(f"--direction {text} should be minimize or maximize.")
    return cast("Direction | None", text)


def _missing(text: str | None) -> Missing | None:
    if text not in (None, "diverged", "failed"):
        raise BadUsage(f"--missing {text} should be diverged or failed.")
    return cast("Missing | None", text)


def _shorter(text: str | None) -> Shorter | None:
    if text not in (None, "completed", "pruned", "failed"):
        raise BadUsage(f"--shorter {text} should be completed, pruned or failed.")
    return cast("Shorter | None", text)


def _ranges(params: Sequence[str]) -> Mapping[str, Any]:
    """The ranges that are given, by the names of the parameters."""
    try:
        return written([each for each in params if "=" in each], of_arguments=False)
    except Flaw as flaw:
        raise BadUsage(f"{flaw}.") from flaw


def _settings(given: Sequence[str]) -> Mapping[str, Any]:
    pairs = [_pair(each, "--setting") for each in given]
    return {name: _scalar(value) for name, value in pairs}


def _scalar(text: str) -> Any:
    """A number, true or false as JSON has them, else text."""
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadUsage(f"{option} {text} should look like {option} NAME=VALUE.")
    return name, value


def _named(client: ApiClient, name: str) -> Named:
    """Raises Refused when the API has no such objective."""
    every = client.get("/v1/objectives")["items"]
    found = next((each for each in every if each["name"] == name), None)
    if found is None:
        raise Refused(f"There is no objective {name!r}; there are: {', '.join(each['name'] for each in every)}.")
    rate = next((each["name"] for each in found["parameters"] if each["role"] == "learning_rate"), None)
    if rate is None:
        raise Refused(f"The objective {name} has no learning rate.")
    return Named(
        name=name,
        learning_rate=rate,
        types={each["name"]: each["type"] for each in found["parameters"]},
        directions={each["name"]: each["direction"] for each in found["metrics"]},
        duration=next((each["name"] for each in found["parameters"] if each["role"] == "duration"), None),
    )


def _check_direction(log: Log, objective: Named) -> None:
    """Raise BadUsage where the objective's metric is better in the other direction: the answer would be the worst rate."""
    if objective.directions.get(log.metric, log.direction) != log.direction:
        raise BadUsage(
            f"{log.source} is to {log.direction} {log.metric}, but {objective.name} {objective.directions[log.metric]}s it:"
            " one of them must be wrong."
        )


def _key(document: Mapping[str, Any]) -> str:
    """The same for the same import: sent again, it is the same job."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _say_what(job: Any, log: Log) -> None:
    """What was read."""
    rates = [float(run.params[log.learning_rate]) for run in log.runs]
    counts = job["progress"]["trials"]
    ended = [f"{counts[state]} {said}" for state, said in _SAID.items() if counts[state]]
    among = f" ({', '.join(ended)})" if ended else ""
    runs = counted(len(rates), "run", "runs")
    aim = "lower" if log.direction == "minimize" else "higher"
    tried = f"{log.learning_rate} from {number(min(rates))} to {number(max(rates))}"
    said = f"{runs} of {log.source}{among}: {tried}. {aim.capitalize()} {log.metric} is better."
    print(tables.plain(said).plain, file=sys.stderr)


_SAID = {"infeasible": "diverged", "pruned": "pruned", "failed": "failed"}
