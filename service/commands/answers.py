"""The answer as a person would say it."""

from collections.abc import Iterator

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.commands.chart import PLAIN, PRETTY, chart
from service.commands.tables import Document, best_trial, number, plain, values

VERDICT_STYLES = {"confident": "bold green", "any rate will do": "bold green", "needs more trials": "bold yellow"}


def in_words(answer: Document, job: Document, console: Console) -> RenderableType:
    """Which learning rate, how sure, how far one may move, and a chart. job: that the answer comes from."""
    signs = PRETTY if console.encoding.lower().startswith("utf") else PLAIN
    parts: list[RenderableType] = [_headline(answer)]
    parts += [plain(sentence) for sentence in _sentences(answer, job)]
    lines = chart(answer, console.width, signs)
    if lines:
        given = ", with these parameters" if answer["params"] else ""
        parts.append(Text("\n" + f"expected {answer['metric']} by learning rate{given}\n" + "\n".join(lines)))
        legend = [f"{signs.best} the rate"] if answer["learning_rate"] is not None else []
        legend += [f"{signs.safe} the safe range"] if answer["safe_range"] else []
        legend.append(f"{signs.band} 90% of where the curve may lie")
        parts.append(Text(", ".join(legend) + "\n", style="dim"))
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
        return line + plain(f" with {values(answer['params'])}")
    return line + f"; the best one lies {_within(interval, answer['learning_rate'])} (90%)"


def _sentences(answer: Document, job: Document) -> Iterator[str]:
    seed, metric = answer["training_seed"], answer["metric"]
    if seed is not None:
        yield f"All of this holds for training seed {seed} alone: another one may want another rate."
    # Where nothing else is searched there are no parameters to speak of, and both kinds of interval and range are one.
    alone = not answer["params"]
    if not alone:
        yield from _intervals(answer)
    yield from _safe_ranges(answer, alone=alone)
    if edge := answer["divergence_edge"]:
        yield f"From about {_rate(edge['at'])} on ({_rate(edge['low'])} to {_rate(edge['high'])}) half of all trials diverge."
    if expected := answer["expected"]:
        yield f"Expect a {metric} of {number(expected['mean'])} ({number(expected['low'])} to {number(expected['high'])})."
    if answer["best_trial"]:
        yield f"The best {metric} was {best_trial(answer['best_trial'], job)}{_why_not_the_best_trial(answer, job)}."
    yield f"This rests on {_evidence(answer['evidence'])}."
    if hopeless := answer["evidence"]["hopeless"]:
        trials, count = ("trial", "counts") if hopeless == 1 else ("trials", "count")
        yield f"{hopeless} {trials} exploded, or hardly learned beyond a rate that diverged, and {count} as diverged."


def _intervals(answer: Document) -> Iterator[str]:
    if at_params := answer["interval_at_params"]:
        yield f"With these parameters the best rate lies {_within(at_params, answer['learning_rate'])} (90%)."
    if interval := answer["interval"]:
        yield f"Over all parameters searched it lies {_within(interval, answer['learning_rate'])} (90%)."


def _safe_ranges(answer: Document, *, alone: bool) -> Iterator[str]:
    """alone: no parameters but the rate are searched."""
    safe, retuned = answer["safe_range"], answer["safe_range_retuned"]
    if safe:
        given = "" if alone else ", with these parameters,"
        yield (
            f"From {_to(safe, answer['learning_rate'])}{given} you can expect to lose no more than"
            f" {number(safe['tolerance'])} of {answer['metric']}."
        )
    elif answer["interval"]:
        yield f"{'No' if alone else 'With these parameters no'} range about it is safe: too many trials diverge there."
    if retuned and not alone:
        yield f"If you tune the others again at each rate: from {_to(retuned, answer['learning_rate'])}."


def _why_not_the_best_trial(answer: Document, job: Document) -> str:
    """Why the answer is not the best trial's point, as the end of a sentence; empty where it is, and where there is no curve."""
    rate, best = answer["learning_rate"], answer["best_trial"]["params"]
    if rate is None or answer["interval"] is None:
        return ""
    tried, others = best.get(job["roles"].get("learning_rate")), {name: best.get(name) for name in answer["params"]}
    same = values(others) == values(answer["params"])
    if same and number(tried) == number(rate):
        return ""
    edge = answer["divergence_edge"]
    if same and edge and tried is not None and rate < edge["low"] <= tried:
        return "; the answer stays below that rate since trials diverge there"
    return f"; a single trial may be lucky, so the answer follows the curve through all {answer['evidence']['trials']}"


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
        interval = _to(each["interval"], each["learning_rate"])
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


def _within(interval: Document, rate: float | None) -> str:
    low, high = _ends(interval, rate)
    return f"at {low}" if low == high else f"between {low} and {high}"


def _to(interval: Document, rate: float | None) -> str:
    return " to ".join(_ends(interval, rate))


def _ends(interval: Document, rate: float | None) -> tuple[str, str]:
    """With three digits; with as many as the rate has, where it would lie outside for rounding."""
    for digits in (3, 4):
        low, high = f"{interval['low']:.{digits}g}", f"{interval['high']:.{digits}g}"
        if rate is None or float(low) <= float(number(rate)) <= float(high):
            break
    return low, high
