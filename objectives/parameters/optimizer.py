"""The optimizer. Names and defaults are PyTorch's, except that eps has the same default for all optimizers."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import Parameter
from objectives.parameters.choices import (
    HYPERGRADIENT,
    NOT_CYCLING,
    OPTIMIZERS,
    SCHEDULE_FREE,
    WITH_BETA1,
    WITH_BETA2,
    WITH_MOMENTUM,
    WITH_RATES_BY_LAYER,
)

LEARNING_RATE = Parameter(
    name="learning_rate",
    type="float",
    role="learning_rate",
    default=0.02,
    space={"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 9},
    description="Step size of gradient descent; under a schedule, its largest value.",
    low=0.0,
    low_open=True,
)

OPTIMIZER = (
    Parameter(
        name="optimizer",
        type="categorical",
        role="optimizer",
        default="sgd",
        description="sgd: gradient descent with momentum; adagrad, rmsprop, adam, adamw: adaptive rates for each weight; prodigy:"
        " Adam with an estimate of the step size, which learning_rate multiplies, usually by 1; schedule-free: averages"
        " weights in place of a schedule; hypergradient: adapts the rate while it trains.",
        choices=OPTIMIZERS,
    ),
    Parameter(
        name="momentum",
        type="float",
        role="momentum",
        default=0.9,
        space={"type": "float", "low": 0.0, "high": 0.99, "points": 4},
        description="Fraction of the last update that is added to the next; 0: plain gradient descent.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=(
            {"optimizer": WITH_MOMENTUM, "schedule": NOT_CYCLING},
            {"optimizer": WITH_MOMENTUM, "cycle_momentum": (False,)},
        ),
    ),
    Parameter(
        name="nesterov",
        type="categorical",
        default=False,
        description="Use Nesterov momentum: the gradient at the look-ahead point (Nesterov 1983; Sutskever et al. 2013).",
        choices=(False, True),
        applies_when=({"optimizer": ("sgd",)},),
    ),
    Parameter(
        name="beta1",
        type="float",
        scale="decay",
        default=0.9,
        description="Decay rate of Adam's moving average of the gradient.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=(
            {"optimizer": WITH_BETA1, "schedule": NOT_CYCLING},
            {"optimizer": WITH_BETA1, "cycle_momentum": (False,)},
        ),
    ),
    Parameter(
        name="beta2",
        type="float",
        scale="decay",
        default=0.999,
        description="Decay rate of Adam's moving average of the squared gradient.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=({"optimizer": WITH_BETA2},),
    ),
    Parameter(
        name="alpha",
        type="float",
        scale="decay",
        default=0.99,
        description="Decay rate of RMSprop's moving average of the squared gradient.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=({"optimizer": ("rmsprop",)},),
    ),
    Parameter(
        name="eps",
        type="float",
        default=1e-8,
        description="Added to the denominator, the square root of the averaged squared gradient.",
        low=0.0,
        low_open=True,
        applies_when=({"optimizer": ("adagrad", "rmsprop", *WITH_BETA2)},),
    ),
    Parameter(
        name="d_coef",
        type="float",
        default=1.0,
        description="Factor of Prodigy's estimate of the step size (Mishchenko and Defazio 2023: 0.5 to 2 if 1 does not do).",
        low=0.0,
        low_open=True,
        applies_when=({"optimizer": ("prodigy",)},),
    ),
    Parameter(
        name="interpolation",
        type="float",
        default=0.9,
        description="Share of the average in the weights at which Schedule-Free takes gradients: its beta (Defazio et al. 2024).",
        low=0.0,
        low_open=True,
        high=1.0,
        high_open=True,
        applies_when=({"optimizer": SCHEDULE_FREE},),
    ),
    Parameter(
        name="hypergradient_rate",
        type="float",
        default=0.02,
        description="Largest relative change of the learning rate at an update by hypergradient descent (Baydin et al. 2018); 0:"
        " none.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=({"optimizer": HYPERGRADIENT},),
    ),
    Parameter(
        name="weight_decay",
        type="float",
        role="weight_decay",
        default=0.0,
        description="L2 penalty, added to the gradient; under adamw, schedule-free-adamw and prodigy decoupled weight"
        " decay (Loshchilov and Hutter 2019).",
        low=0.0,
    ),
    Parameter(
        name="layer_decay",
        type="float",
        default=1.0,
        description="Each layer's learning rate is this multiple of the next layer's; the last layer has learning_rate (Howard"
        " and Ruder 2018: 1/2.6).",
        low=0.0,
        low_open=True,
        high=1.0,
        applies_when=({"optimizer": WITH_RATES_BY_LAYER},),
    ),
)

UNFREEZING = (
    Parameter(
        name="unfreeze_every",
        type="int",
        default=0,
        description="Gradual unfreezing: the last layer is trained first, and after every so many epochs one layer more, from the"
        " last to the first (Howard and Ruder 2018: 1); 0: all layers from the start.",
        low=0,
    ),
)

SETTINGS: Mapping[str, Any] = {
    "learning_rate_multipliers": {
        "type": "object",
        "additionalProperties": {"type": "number", "minimum": 0},
        "maxProperties": 100,
        "default": {},
        "description": "Multipliers of the learning rate by name of a weight, with the wildcards * and ?; the longest pattern"
        " that matches is used. 0 freezes the weights.",
    },
}
