"""Run any objective from a shell, with a flag for each parameter and setting of its catalog entry. No torch here."""

import argparse
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite, nan
from typing import Any, NoReturn

from objectives.bounds import crossing_of
from objectives.catalog import Start, default_settings
from objectives.contract import DataProblem, Measurement, Objective, Parameter
from objectives.meaning import threads_of

INTERRUPTED = 128 + signal.SIGINT
"""Exit status by which shells know that Ctrl-C ended a program."""


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message}\n")


def main(objective: Objective, start: Start, argv: Sequence[str] | None = None) -> None:
    """Train once and print one row per step, then the test metrics.

    Exits with status 2 and one line when an argument or the data cannot be used, and with 130 on Ctrl-C. A run that diverges
    exits with status 0.
    """
    parser = _parser(objective)
    arguments = vars(parser.parse_args(argv))
    params = {parameter.name: arguments[parameter.name] for parameter in objective.parameters}
    settings = {name: arguments[name] for name in default_settings(objective)}
    if (crossing := crossing_of(objective, {**settings, **params})) is not None:
        parser.error(f"argument {_flag(crossing.parameter.name)}: {crossing.text}")
    try:
        run = start(params, settings, arguments["seed"], arguments["device"], threads_of(objective, settings))
        for measurement in run:
            _print_step(measurement, [metric.name for metric in objective.metrics])
        print(", ".join(f"{name} {value:.4f}" for name, value in run.evaluate().items()))
    except DataProblem as problem:
        parser.error(str(problem))
    except KeyboardInterrupt:
        parser.exit(INTERRUPTED)


def _parser(objective: Objective) -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog=f"python -m {objective.module}",
        usage=f"python -m {objective.module} [--help] [--NAME VALUE ...]",
        description=objective.description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    params = parser.add_argument_group("hyperparameters")
    for parameter in objective.parameters:
        params.add_argument(
            _flag(parameter.name),
            type=_reader_of_parameter(parameter),
            choices=parameter.choices,
            default=parameter.default,
            help=parameter.description.replace("%", "%%"),
        )
    settings = parser.add_argument_group("settings")
    for name, schema in objective.settings_schema.get("properties", {}).items():
        settings.add_argument(
            _flag(name),
            type=_reader_of_setting(schema),
            choices=schema.get("enum"),
            default=schema["default"],
            help=schema.get("description", "").replace("%", "%%"),
        )
    run = parser.add_argument_group("run")
    run.add_argument("--seed", type=int, default=0, help="Seed of the initial weights, the data order and dropout.")
    run.add_argument("--device", default="auto", help="auto, cpu or cuda.")
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _reader_of_parameter(parameter: Parameter) -> Callable[[str], Any]:
    if parameter.type == "categorical":
        return _read_choice
    return _Number(
        whole=parameter.type == "int",
        low=parameter.low,
        low_open=parameter.low_open,
        high=parameter.high,
        high_open=parameter.high_open,
    )


def _read_choice(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text.lower(), text)


def _reader_of_setting(schema: Mapping[str, Any]) -> Callable[[str], Any]:
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "string" in kinds:
        return str
    if "array" in kinds:
        return partial(_read_list, _number(schema["items"]))
    if "object" in kinds:
        return partial(_read_pairs, _number(schema["additionalProperties"]))
    return _number(schema)


def _number(schema: Mapping[str, Any]) -> "_Number":
    low, high = schema.get("minimum"), schema.get("maximum")
    return _Number(
        whole="integer" in schema["type"],
        low=schema.get("exclusiveMinimum", low),
        low_open="exclusiveMinimum" in schema,
        high=schema.get("exclusiveMaximum", high),
        high_open="exclusiveMaximum" in schema,
    )


def _read_list(read: "_Number", text: str) -> list[int | float]:
    """Read a list such as `0.5,0.75`."""
    return [read(item) for item in text.split(",") if item]


def _read_pairs(read: "_Number", text: str) -> dict[str, int | float]:
    """Read pairs such as `1.*=0.1,3.weight=0`."""
    pairs = {}
    for item in filter(None, text.split(",")):
        name, equals, value = item.rpartition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"must be name=number, separated by commas, not {text!r}")
        pairs[name] = read(value)
    return pairs


@dataclass(frozen=True, kw_only=True)
class _Number:
    """Reads a finite number within bounds from the text of an argument."""

    whole: bool
    low: float | None
    high: float | None
    low_open: bool = False
    high_open: bool = False

    def __call__(self, text: str) -> int | float:
        try:
            number = int(text) if self.whole else float(text)
        except ValueError:
            number = nan
        if not isfinite(number) or self._is_below(number) or self._is_above(number):
            raise argparse.ArgumentTypeError(f"must be {self._rule()}, not {text!r}")
        return number

    def _is_below(self, number: float) -> bool:
        return self.low is not None and (number < self.low or (self.low_open and number == self.low))

    def _is_above(self, number: float) -> bool:
        return self.high is not None and (number > self.high or (self.high_open and number == self.high))

    def _rule(self) -> str:
        rule = "a whole number" if self.whole else "a number"
        bounds = []
        if self.low is not None:
            bounds.append(f"above {self.low:.12g}" if self.low_open else f"of at least {self.low:.12g}")
        if self.high is not None:
            bounds.append(f"below {self.high:.12g}" if self.high_open else f"of at most {self.high:.12g}")
        return f"{rule} {' and '.join(bounds)}" if bounds else rule


def _print_step(measurement: Measurement, metrics: Sequence[str]) -> None:
    values = {
        "learning_rate": measurement.learning_rate,
        **{name: measurement.metrics[name] for name in metrics},
        "seconds": measurement.seconds,
    }
    if measurement.step == 1:
        print("  ".join(["step", *values]), flush=True)
    cells = [f"{value:{len(name)}.4g}" for name, value in values.items()]
    print("  ".join([f"{measurement.step:4}", *cells]), flush=True)
    if measurement.divergence:
        print(f"diverged: {measurement.divergence.reason}")
