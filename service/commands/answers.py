"""The answer as a person would say it."""

from collections.abc import Iterator

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.commands.chart import PLAIN, PRETTY, chart
from service.commands.tables import Document, best_trial, number, plain, values

VERDICT_STYLES = {"confident": "bold green", "needs more trials": "bold yellow"}


def in_words(answer: Document, spec: Document, console: Console) -> RenderableType:
    """Which learning rate, how sure, how far one may move, and a chart. spec: of the job that the answer comes from."""
    signs = PRETTY if console.encoding.lower().startswith("utf") else PLAIN
    parts: list[RenderableType] = [_headline(answer)]
    parts += [plain(sentence) for sentence in _sentences(answer, spec)]
    lines = chart(answer, console.width, signs)
    if lines:
        parts.append(Text("\n" + f"expected {answer['metric']} by learning rate\n" + "\n".join(lines)))
        parts.append(
            Text(
                f"{signs.best} the rate, {signs.safe} the safe range, {signs.band} 90% of where the curve may lie\n", style="dim"
            )
        )
    if answer["by_batch_size"]:
        parts.append(_by_batch_size(answer))
    verdict = Text(f"{answer['verdict']}: ", style=VERDICT_STYLES.get(answer["verdict"], "bold red"))
    parts.append(verdict + plain(f"{answer['because']}."))
    return Group(*parts)


def _headline(answer: Document) -> Text:
    if answer["learning_rate"] is None:
        return Text("No learning rate can be told.", style="bold")
    line = Text("Learning rate ") + Text(number(answer["learning_rate"]), style="bold green")
    interval = answer["interval"]
    if interval is None:
        return line + ", that of the best trial"
    if answer["params"]:
        line += plain(f" with {values(answer['params'])}")
    return line + f"; the best one lies between {_rate(interval['low'])} and {_rate(interval['high'])} (90%)"


def _sentences(answer: Document, spec: Document) -> Iterator[str]:
    metric = answer["metric"]
    if safe := answer["safe_range"]:
        yield (
            f"From {_rate(safe['low'])} to {_rate(safe['high'])} you can expect to lose no more than"
            f" {number(safe['tolerance'])} of {metric}."
        )
    elif answer["interval"]:
        yield "No range about it is safe: too many trials diverge there."
    if edge := answer["divergence_edge"]:
        yield f"From about {_rate(edge['at'])} on ({_rate(edge['low'])} to {_rate(edge['high'])}) half of all trials diverge."
    if expected := answer["expected"]:
        yield f"Expect a {metric} of {number(expected['mean'])} ({number(expected['low'])} to {number(expected['high'])})."
    if answer["best_trial"]:
        yield f"The best {metric} was {best_trial(answer['best_trial'], spec)}."
    yield f"This rests on {_evidence(answer['evidence'])}."


def _evidence(evidence: Document) -> str:
    trials = f"{evidence['trials']} {'trial' if evidence['trials'] == 1 else 'trials'}"
    parts = [
        f"{evidence['infeasible']} diverged" if evidence["infeasible"] else "",
        f"{evidence['pruned']} pruned" if evidence["pruned"] else "",
    ]
    told = ", ".join(part for part in parts if part)
    seeds = "one training seed" if evidence["seeds"] == 1 else f"{evidence['seeds']} training seeds"
    # A seed for each trial is the default, and goes without saying.
    said = "" if evidence["seeds"] == evidence["trials"] else f" and {seeds}"
    return trials + (f" ({told})" if told else "") + said


def _by_batch_size(answer: Document) -> Table:
    table = Table("batch size", "trials", "learning rate", "90%", answer["metric"], box=SIMPLE)
    for each in answer["by_batch_size"]:
        interval = f"{_rate(each['interval']['low'])} to {_rate(each['interval']['high'])}"
        table.add_row(
            str(each["batch_size"]),
            str(each["trials"]),
            number(each["learning_rate"]),
            interval,
            number(each["expected"]["mean"]),
        )
    return table


def _rate(rate: float) -> str:
    return f"{rate:.2g}"
