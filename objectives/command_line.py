"""Run any objective from a shell, with the flags that its catalog entry implies. No torch here."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, NoReturn

from objectives.catalog import Start, default_settings
from objectives.contract import DataProblem, Measurement, Objective, Parameter


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message}\n")


def main(objective: Objective, start: Start, argv: Sequence[str] | None = None) -> None:
    """Train once and print a row per step, then the test metrics.

    Exits with status 2 and one line when an argument or the data cannot be used. A run that diverges is no failure.
    """
    parser = _parser(objective)
    arguments = vars(parser.parse_args(argv))
    params = {parameter.name: arguments[parameter.name] for parameter in objective.parameters}
    settings = {name: arguments[name] for name in default_settings(objective)}
    try:
        run = start(params, settings, arguments["seed"], arguments["device"], settings.get("threads", 1))
        for measurement in run:
            _print_step(measurement)
        print(", ".join(f"{name} {value:.4f}" for name, value in run.evaluate().items()))
    except DataProblem as problem:
        parser.error(str(problem))


def _parser(objective: Objective) -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog=f"python -m {objective.module}",
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
            help=parameter.description,
        )
    settings = parser.add_argument_group("settings")
    for name, schema in objective.settings_schema.get("properties", {}).items():
        settings.add_argument(
            _flag(name),
            type=_reader_of_setting(schema),
            choices=schema.get("enum"),
            default=schema["default"],
            help=schema.get("description"),
        )
    run = parser.add_argument_group("run")
    run.add_argument("--seed", type=int, default=0, help="Fixes initialization and data order.")
    run.add_argument("--device", default="auto", help="auto, cpu or cuda.")
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _reader_of_parameter(parameter: Parameter) -> Callable[[str], Any]:
    if parameter.type == "categorical":
        return str
    return _Number(
        whole=parameter.type == "int",
        low=parameter.low,
        low_open=parameter.low_open,
        high=parameter.high,
        high_open=parameter.high_open,
    )


def _reader_of_setting(schema: Mapping[str, Any]) -> Callable[[str], Any]:
    if schema["type"] == "string":
        return str
    return _Number(whole=schema["type"] == "integer", low=schema.get("minimum"), high=schema.get("maximum"))


@dataclass(frozen=True, kw_only=True)
class _Number:
    """Reads a finite number within bounds from an argument's text."""

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
            bounds.append(f"above {self.low:g}" if self.low_open else f"of at least {self.low:g}")
        if self.high is not None:
            bounds.append(f"below {self.high:g}" if self.high_open else f"of at most {self.high:g}")
        return f"{rule} {' and '.join(bounds)}" if bounds else rule


def _print_step(measurement: Measurement) -> None:
    values = {"learning_rate": measurement.learning_rate, **measurement.metrics, "seconds": measurement.seconds}
    if measurement.step == 1:
        print("  ".join(["step", *values]), flush=True)
    cells = [f"{value:{len(name)}.4g}" for name, value in values.items()]
    print("  ".join([f"{measurement.step:4}", *cells]), flush=True)
    if measurement.divergence:
        print(f"diverged: {measurement.divergence.reason}")
