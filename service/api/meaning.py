"""Makes what a job stores of the meaning of its parameters and settings from what their objective declares."""

from collections import defaultdict

from objectives.contract import Objective, Parameter
from objectives.meaning import measure_defining_settings, threads_setting
from service.domain.meaning import NOTHING_KNOWN, Meaning, ParameterMeaning, RateShift, Role


def meaning_of(objective: Objective) -> Meaning:
    """The meaning of the parameters and settings of `objective`, in which the catalog has filled in missing declarations."""
    parameters = {parameter.name: _meaning_of(parameter) for parameter in objective.parameters}
    defining = measure_defining_settings(objective) | {each.name: each.defines_measure for each in objective.parameters}
    measured_with = defaultdict[str, list[str]](list)
    for name, metrics in defining.items():
        for metric in () if isinstance(metrics, bool) else metrics:
            measured_with[metric].append(name)
    return Meaning(
        step_word=objective.step_word,
        parameters={name: known for name, known in parameters.items() if known != NOTHING_KNOWN},
        measure=tuple(name for name, metrics in defining.items() if metrics is True),
        measured_with={metric: tuple(names) for metric, names in measured_with.items()},
        threads=threads_setting(objective),
    )


def _meaning_of(parameter: Parameter) -> ParameterMeaning:
    shift = parameter.rate_shift
    return ParameterMeaning(
        role=None if parameter.role is None else Role(parameter.role),
        scale=parameter.scale or "linear",
        rate_shift=None if shift is None else RateShift(power=shift.power, sd=shift.sd),
    )
