"""The API's documents as tables for people."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.box import SIMPLE
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from service.analysis.words.age import age
from service.analysis.words.numbers import chosen, number, value_in_trial, values

Document = Mapping[str, Any]

PIPE_WIDTH = 160
ID_LENGTH = 8
STATE_STYLES = {"running": "cyan", "paused": "yellow", "completed": "green", "failed": "red", "cancelled": "yellow"}


def console(*, stderr: bool = False) -> Console:
    """The console to print on; where it is not a terminal, it is wide enough for whole lines."""
    output = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not output.is_terminal:
        output.width = max(output.width, PIPE_WIDTH)
    return output


def jobs_table(jobs: list[Document]) -> RenderableType:
    """A row per job. Its learning rate is that of the best trial, which is not always the one that `stride best-lr` answers."""
    if not jobs:
        return "There are no jobs yet: stride submit FILE"
    table = Table(box=SIMPLE)
    for column in ("job", "name", "strategy", "state", "trials", "best trial", "its lr", "age"):
        table.add_column(column, no_wrap=column != "name")  # in a narrow terminal, names wrap
    for job in jobs:
        spec, best = job["spec"], job["best"]
        table.add_row(
            job["id"][:ID_LENGTH],
            plain(job["name"] or spec["objective"]["name"]),
            "imported" if job.get("source") else spec["strategy"]["type"],
            state(job),
            trials_done(job),
            number(best and best["value"]),
            number(learning_rate(job)),
            age(datetime.fromisoformat(job["created_at"])),
        )
    return table


def job_details(job: Document, page_url: str | None = None) -> RenderableType:
    """Everything about one job. page_url: where its page is."""
    spec, best, counts = job["spec"], job["best"], trial_counts(job)
    return pairs(
        {
            "job": job["id"],
            "name": job["name"],
            "state": state(job),
            "reason": job["reason"],
            "waiting for": job["waiting_for"],
            "source": job.get("source"),
            "objective": f"{spec['objective']['name']} {values(spec['objective']['settings'])}",
            "search space": space(spec["search_space"]),
            "fixed": values(fixed(spec["search_space"])),
            "strategy": " ".join(map(str, spec["strategy"].values())),
            "pruner": spec["pruner"]["type"],
            "budget": values({name: most for name, most in job["budget"].items() if most is not None}),
            "phase": job["phase"],
            "trials": trials_done(job) + (f": {counts}" if counts else ""),
            f"best {spec['metric']}": best_trial(best, job),
            "last failure": _failure(job),
            "created": moment(job["created_at"]),
            "started": job["started_at"] and moment(job["started_at"]),
            "finished": job["finished_at"] and moment(job["finished_at"]),
            "study": job["study_name"],
            "page": page_url,
        }
    )


def plan_table(plan: Document) -> RenderableType:
    """What a job would do."""
    spec, epochs = plan["spec"], plan["epochs"]
    most = epochs and epochs["at_most"]
    return pairs(
        {
            "objective": f"{spec['objective']['name']} {values(spec['objective']['settings'])}",
            "search space": space(spec["search_space"]),
            "fixed": values(fixed(spec["search_space"])),
            "strategy": " ".join(map(str, spec["strategy"].values())),
            "trials": _planned(plan),
            f"{plan['step_word']}s": most and f"about {number(epochs['expected'])}, at most {most}",
            "first points": "\n".join(values(chosen(point, searched(plan), rate_name(plan))) for point in plan["first_points"]),
        }
    )


def _planned(plan: Document) -> str:
    confirm = plan["spec"]["budget"]["confirm"]
    return number(plan["trials"]) + (f", {confirm} of them to confirm the best points" if confirm else "")


UNOFFERED = "No worker offers it now."


def objectives_table(objectives: list[Document]) -> RenderableType:
    """The objectives, with their metrics, parameters and settings."""
    table = Table(box=SIMPLE, show_lines=True)
    for column, width in (("objective", 30), ("metrics", None), ("parameters", None), ("settings", 40)):
        table.add_column(column, max_width=width)  # descriptions and lists of choices wrap before ranges do
    for objective in objectives:
        default = objective["search_space"]
        parameters = [
            f"{parameter['name']}: {dimension(default.get(parameter['name'], parameter['default']))}"
            for parameter in objective["parameters"]
        ]
        settings = [f"{name}: {_choices(schema)}" for name, schema in objective["settings_schema"].get("properties", {}).items()]
        table.add_row(
            plain(f"{objective['name']}\n{objective['description']}" + ("" if objective["offered"] else f"\n{UNOFFERED}")),
            plain("\n".join(f"{metric['name']} ({metric['direction']})" for metric in objective["metrics"])),
            plain("\n".join(parameters)),
            plain("\n".join(settings)),
        )
    return table


def plain(text: str) -> Text:
    """`text`, which may come from any user, with ? for characters that would control the terminal."""
    return Text("".join(sign if sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf") else "?" for sign in text))


def state(job: Document) -> Text:
    """The job's state, in its colour."""
    return Text(job["state"], style=STATE_STYLES.get(job["state"], ""))


def finished(job: Document) -> int:
    """How many of the job's trials have ended."""
    trials = job["progress"]["trials"]
    return int(trials["complete"] + trials["infeasible"] + trials["pruned"] + trials["failed"])


def planned(job: Document) -> int | None:
    """How many trials the job's budget allows; None where it does not limit their number."""
    trials: int | None = job["progress"]["trials"]["planned"]
    return trials


def trials_done(job: Document) -> str:
    """Ended and planned trials, as 12/64, or 12 where the budget does not limit their number."""
    return str(finished(job)) if planned(job) is None else f"{finished(job)}/{planned(job)}"


def trial_counts(job: Document) -> str:
    """How many trials are in each state: 2 running, 9 complete, 1 pruned"""
    trials = job["progress"]["trials"]
    states = ("waiting", "running", "complete", "infeasible", "pruned", "failed")
    return ", ".join(f"{trials[name]} {name}" for name in states if trials[name])


def learning_rate(job: Document) -> Any:
    """The learning rate of the job's best trial; None where there is none."""
    best = job["best"]
    return best and best["params"].get(rate_name(job))


def best_rate(job: Document) -> str:
    """The best trial's value and learning rate; empty while there is no such trial."""
    if job["best"] is None:
        return ""
    rate = learning_rate(job)
    return f"best trial {number(job['best']['value'])}" + ("" if rate is None else f" at learning rate {number(rate)}")


def best_trial(best: Document | None, job: Document) -> str | None:
    """The best trial's value and the parameters chosen for it; None while there is no such trial."""
    if best is None:
        return None
    return value_in_trial(best["value"], best["number"], chosen(best["params"], searched(job), rate_name(job)))


def searched(job: Document) -> set[str]:
    """The parameters that a job or a dry run searches."""
    return {name for name, wanted in job["spec"]["search_space"].items() if isinstance(wanted, Mapping)}


def rate_name(job: Document) -> str | None:
    """The name of the objective's learning rate; None where it has none."""
    name: str | None = job["roles"].get("learning_rate")
    return name


def space(dimensions: Document) -> str:
    """A line for each parameter that is searched."""
    searched = {name: wanted for name, wanted in dimensions.items() if isinstance(wanted, Mapping)}
    return "\n".join(f"{name}: {dimension(wanted)}" for name, wanted in sorted(searched.items()))


def fixed(dimensions: Document) -> Document:
    """The parameters that have one value: an objective may have dozens."""
    return {name: wanted for name, wanted in dimensions.items() if not isinstance(wanted, Mapping)}


def dimension(wanted: Any) -> str:
    """A range of the search space, or a fixed value."""
    if not isinstance(wanted, Mapping):
        return number(wanted)
    if wanted["type"] == "categorical":
        return " | ".join(map(number, wanted["choices"]))
    marks = [mark for mark in ("log", "step", "points") if wanted.get(mark) and (mark, wanted[mark]) != ("step", 1)]
    options = ", ".join(mark if mark == "log" else f"{mark} {number(wanted[mark])}" for mark in marks)
    return f"{number(wanted['low'])} to {number(wanted['high'])}" + (f" ({options})" if options else "")


def moment(text: str) -> str:
    """A time, to the second."""
    return text[:19].replace("T", " ") + " UTC"


def pairs(named: Mapping[str, str | Text | None]) -> RenderableType:
    """One line for each name whose value is not empty."""
    table = Table.grid(padding=(0, 2))
    for name, value in named.items():
        if value:
            table.add_row(Text(name, style="dim"), value if isinstance(value, Text) else plain(value))
    return table


def _failure(job: Document) -> str | None:
    failure = job.get("last_failure")  # which older APIs do not send
    if failure is None:
        return None
    where = f"stride trial {job['id'][:ID_LENGTH]} {failure['number']}"
    return f"{failure['type']}: {failure['message']}\n(in trial {failure['number']}; with its traceback: {where})"


def _choices(schema: Document) -> str:
    """The values, or the types, that a setting may have."""
    allowed = schema.get("enum") or schema.get("type", "")
    return allowed if isinstance(allowed, str) else " | ".join(map(str, allowed))
