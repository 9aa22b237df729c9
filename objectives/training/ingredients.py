"""What training is made of, as parameters that any objective may take: each can be searched, or fixed by a job. No torch here.

Names and defaults are PyTorch's where it has the thing (but one eps for all optimizers). Durations are in epochs, or parts of the
run, so that a policy keeps its meaning while batch size and epochs are searched.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from objectives.contract import APPLIES_WHEN, Parameter, Scalar

WITH_MOMENTUM = ("sgd", "rmsprop")
ADAMS = ("adam", "adamw")
CYCLING = ("cyclical", "one-cycle")
SCHEDULES = (
    "constant",
    "step",
    "multi-step",
    "exponential",
    "polynomial",
    "cosine",
    "cosine-restarts",
    "cyclical",
    "one-cycle",
    "plateau",
    "warmup-stable-decay",
)
_NOT_CYCLING = tuple(name for name in SCHEDULES if name not in CYCLING)

LEARNING_RATE = Parameter(
    name="learning_rate",
    type="float",
    default=0.02,
    space={"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 9},
    description="Step size of gradient descent; the largest, under a schedule.",
    low=0.0,
    low_open=True,
)

EPOCHS = Parameter(
    name="epochs",
    type="int",
    default=10,
    space={"type": "int", "low": 2, "high": 20},
    description="Passes over the training set.",
    low=1,
)

BATCHES = (
    Parameter(
        name="batch_size",
        type="int",
        default=32,
        space={"type": "categorical", "choices": [16, 32, 64, 128]},
        description="Examples per update.",
        low=1,
    ),
    Parameter(
        name="learning_rate_scaling",
        type="categorical",
        default="none",
        description="Multiply the learning rate by batch_size / reference_batch_size (linear: Goyal et al. 2017), or by its root"
        " (sqrt: Krizhevsky 2014). A warm-up then starts from the rate before scaling up.",
        choices=("none", "linear", "sqrt"),
    ),
    Parameter(
        name="reference_batch_size",
        type="int",
        default=32,
        description="The batch size at which learning_rate is meant as it stands.",
        low=1,
        applies_when=({"learning_rate_scaling": ("linear", "sqrt")},),
    ),
)

OPTIMIZER = (
    Parameter(
        name="optimizer",
        type="categorical",
        default="sgd",
        description="sgd: gradient descent with momentum; adagrad, rmsprop, adam, adamw: a rate of its own for each weight.",
        choices=("sgd", "adagrad", "rmsprop", "adam", "adamw"),
    ),
    Parameter(
        name="momentum",
        type="float",
        default=0.9,
        space={"type": "float", "low": 0.0, "high": 0.99, "points": 4},
        description="Part of the last step that is kept in the next; 0 is plain gradient descent.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=(
            {"optimizer": WITH_MOMENTUM, "schedule": _NOT_CYCLING},
            {"optimizer": WITH_MOMENTUM, "cycle_momentum": (False,)},
        ),
    ),
    Parameter(
        name="nesterov",
        type="categorical",
        default=False,
        description="Take the gradient where momentum is about to lead (Nesterov 1983; Sutskever et al. 2013).",
        choices=(False, True),
        applies_when=({"optimizer": ("sgd",)},),
    ),
    Parameter(
        name="beta1",
        type="float",
        default=0.9,
        description="Adam's decay of the mean gradient.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=(
            {"optimizer": ADAMS, "schedule": _NOT_CYCLING},
            {"optimizer": ADAMS, "cycle_momentum": (False,)},
        ),
    ),
    Parameter(
        name="beta2",
        type="float",
        default=0.999,
        description="Adam's decay of the mean squared gradient.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=({"optimizer": ADAMS},),
    ),
    Parameter(
        name="alpha",
        type="float",
        default=0.99,
        description="RMSprop's decay of the mean squared gradient.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=({"optimizer": ("rmsprop",)},),
    ),
    Parameter(
        name="eps",
        type="float",
        default=1e-8,
        description="Added to the root of the mean squared gradient.",
        low=0.0,
        low_open=True,
        applies_when=({"optimizer": ("adagrad", "rmsprop", *ADAMS)},),
    ),
    Parameter(
        name="weight_decay",
        type="float",
        default=0.0,
        description="Pull towards zero: of the gradient, or under adamw of the weights themselves (Loshchilov and Hutter 2019).",
        low=0.0,
    ),
    Parameter(
        name="layer_decay",
        type="float",
        default=1.0,
        description="Each layer learns at this multiple of the next one's rate, the last layer at learning_rate (Howard and Ruder"
        " 2018: 1/2.6).",
        low=0.0,
        low_open=True,
        high=1.0,
    ),
)

SCHEDULE = (
    Parameter(
        name="schedule",
        type="categorical",
        default="constant",
        description="How the learning rate moves, update by update, over the run.",
        choices=SCHEDULES,
    ),
    Parameter(
        name="warmup_fraction",
        type="float",
        default=0.0,
        description="Part of the run in which the rate rises linearly, before the schedule begins.",
        low=0.0,
        high=1.0,
        high_open=True,
    ),
    Parameter(
        name="step_size",
        type="int",
        default=3,
        description="Epochs between two drops of the rate.",
        low=1,
        applies_when=({"schedule": ("step",)},),
    ),
    Parameter(
        name="gamma",
        type="float",
        default=0.1,
        description="What each drop multiplies the rate by.",
        low=0.0,
        low_open=True,
        high=1.0,
        applies_when=({"schedule": ("step", "multi-step")},),
    ),
    Parameter(
        name="decay_per_epoch",
        type="float",
        default=0.9,
        description="What an epoch multiplies the rate by, evenly over its updates; for cyclical, the height of its cycles.",
        low=0.0,
        low_open=True,
        high=1.0,
        applies_when=({"schedule": ("exponential",)}, {"schedule": ("cyclical",), "cycle_mode": ("exp_range",)}),
    ),
    Parameter(
        name="power",
        type="float",
        default=1.0,
        description="The rate is that power of the part of the run that is left; 1: a straight line to zero.",
        low=0.0,
        low_open=True,
        applies_when=({"schedule": ("polynomial",)},),
    ),
    Parameter(
        name="final_fraction",
        type="float",
        default=0.0,
        description="Where the cosine ends, as a part of learning_rate.",
        low=0.0,
        high=1.0,
        applies_when=({"schedule": ("cosine", "cosine-restarts")},),
    ),
    Parameter(
        name="restart_epochs",
        type="int",
        default=2,
        description="Epochs until the first restart.",
        low=1,
        applies_when=({"schedule": ("cosine-restarts",)},),
    ),
    Parameter(
        name="restart_factor",
        type="int",
        default=2,
        description="How many times longer each cycle is than the one before (Loshchilov and Hutter 2017: 2).",
        low=1,
        applies_when=({"schedule": ("cosine-restarts",)},),
    ),
    Parameter(
        name="cycle_mode",
        type="categorical",
        default="triangular",
        description="triangular: cycles of one height; triangular2: each half as high; exp_range: lower with every update.",
        choices=("triangular", "triangular2", "exp_range"),
        applies_when=({"schedule": ("cyclical",)},),
    ),
    Parameter(
        name="rise_epochs",
        type="int",
        default=2,
        description="Epochs in which the rate rises; it falls in as many (Smith 2017: 2 to 10).",
        low=1,
        applies_when=({"schedule": ("cyclical",)},),
    ),
    Parameter(
        name="base_fraction",
        type="float",
        default=0.25,
        description="Where the cycles begin, as a part of learning_rate, their top (Smith 2017: 1/3 or 1/4).",
        low=0.0,
        high=1.0,
        applies_when=({"schedule": ("cyclical",)},),
    ),
    Parameter(
        name="pct_start",
        type="float",
        default=0.3,
        description="Part of the cycle in which the rate rises.",
        low=0.0,
        high=1.0,
        low_open=True,
        high_open=True,
        applies_when=({"schedule": ("one-cycle",)},),
    ),
    Parameter(
        name="div_factor",
        type="float",
        default=25.0,
        description="The cycle begins at learning_rate divided by this.",
        low=1.0,
        applies_when=({"schedule": ("one-cycle",)},),
    ),
    Parameter(
        name="final_div_factor",
        type="float",
        default=1e4,
        description="The cycle ends at its beginning divided by this.",
        low=1.0,
        applies_when=({"schedule": ("one-cycle",)},),
    ),
    Parameter(
        name="cycle_momentum",
        type="categorical",
        default=True,
        description="Move momentum, or Adam's beta1, against the rate (Smith 2018).",
        choices=(False, True),
        applies_when=({"schedule": CYCLING, "optimizer": (*WITH_MOMENTUM, *ADAMS)},),
    ),
    Parameter(
        name="base_momentum",
        type="float",
        default=0.85,
        description="Momentum where the rate is highest.",
        low=0.0,
        low_open=True,
        high=1.0,
        high_open=True,
        applies_when=({"schedule": CYCLING, "optimizer": (*WITH_MOMENTUM, *ADAMS), "cycle_momentum": (True,)},),
    ),
    Parameter(
        name="max_momentum",
        type="float",
        default=0.95,
        description="Momentum where the rate is lowest.",
        low=0.0,
        low_open=True,
        high=1.0,
        high_open=True,
        applies_when=({"schedule": CYCLING, "optimizer": (*WITH_MOMENTUM, *ADAMS), "cycle_momentum": (True,)},),
    ),
    Parameter(
        name="plateau_factor",
        type="float",
        default=0.1,
        description="What the rate is multiplied by when the validation loss stops falling.",
        low=0.0,
        low_open=True,
        high=1.0,
        high_open=True,
        applies_when=({"schedule": ("plateau",)},),
    ),
    Parameter(
        name="plateau_patience",
        type="int",
        default=10,
        description="Epochs without a new lowest validation loss that are let pass before that.",
        low=0,
        applies_when=({"schedule": ("plateau",)},),
    ),
    Parameter(
        name="decay_fraction",
        type="float",
        default=0.2,
        description="Last part of the run, in which the rate falls to zero (Hägele et al. 2024: 0.2).",
        low=0.0,
        low_open=True,
        high=1.0,
        applies_when=({"schedule": ("warmup-stable-decay",)},),
    ),
)

NETWORK = (
    Parameter(
        name="initialization",
        type="categorical",
        default="he-normal",
        description="How weights start: Xavier (Glorot and Bengio 2010), He et al. 2015, orthogonal (Saxe et al. 2014), each with"
        " the gain of the activation; default: as PyTorch builds the layers.",
        choices=("default", "xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "orthogonal"),
    ),
    Parameter(
        name="zero_output",
        type="categorical",
        default=True,
        description="Start the output layer at zero: the first loss is that of guessing.",
        choices=(False, True),
        applies_when=({"initialization": ("xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "orthogonal")},),
    ),
    Parameter(
        name="activation",
        type="categorical",
        default="relu",
        description="What follows each hidden layer.",
        choices=("relu", "leaky-relu", "gelu", "tanh", "sigmoid"),
    ),
    Parameter(
        name="normalization",
        type="categorical",
        default="usual",
        description="Before the activation of a hidden layer: batch norm, layer norm or none; usual: batch in resnet, else none.",
        choices=("usual", "none", "batch", "layer"),
    ),
    Parameter(
        name="dropout",
        type="float",
        default=0.0,
        description="Part of the hidden layers' outputs that training sets to zero.",
        low=0.0,
        high=1.0,
        high_open=True,
    ),
)

CLIPPING = (
    Parameter(
        name="clip_norm",
        type="float",
        default=0.0,
        description="Largest norm of the whole gradient, to which larger ones are scaled (Pascanu et al. 2013); 0: none.",
        low=0.0,
    ),
    Parameter(
        name="clip_value",
        type="float",
        default=0.0,
        description="Largest absolute value of a gradient's element; 0: none.",
        low=0.0,
    ),
)

EARLY_STOPPING = (
    Parameter(
        name="early_stopping_patience",
        type="int",
        default=0,
        description="End after so many epochs without a new lowest validation loss, with the weights that had it; 0: never.",
        low=0,
    ),
)

CLASSIFICATION_LOSS = (
    Parameter(
        name="loss",
        type="categorical",
        default="cross-entropy",
        description="What is minimized; binary-cross-entropy and mse ask of each class by itself whether it is the one.",
        choices=("cross-entropy", "binary-cross-entropy", "mse"),
    ),
    Parameter(
        name="label_smoothing",
        type="float",
        default=0.0,
        description="Part of the target that is spread over all classes (Szegedy et al. 2016); in training only.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=({"loss": ("cross-entropy",)},),
    ),
)

REGRESSION_LOSS = (
    Parameter(
        name="loss",
        type="categorical",
        default="mse",
        description="What is minimized, on targets in units of their standard deviation.",
        choices=("mse", "mae", "huber"),
    ),
    Parameter(
        name="huber_delta",
        type="float",
        default=1.0,
        description="Errors up to which Huber's loss is quadratic; beyond, it is linear.",
        low=0.0,
        low_open=True,
        applies_when=({"loss": ("huber",)},),
    ),
)

EVERYWHERE = (
    LEARNING_RATE,
    EPOCHS,
    *BATCHES,
    *OPTIMIZER,
    *SCHEDULE,
    *NETWORK,
    *CLIPPING,
    *EARLY_STOPPING,
)
"""The parameters of every objective that learns from examples."""


def with_defaults(parameters: Sequence[Parameter], **defaults: Scalar) -> tuple[Parameter, ...]:
    """The parameters, some with another default."""
    assert defaults.keys() <= {parameter.name for parameter in parameters}
    return tuple(replace(parameter, default=defaults.get(parameter.name, parameter.default)) for parameter in parameters)


SETTINGS: dict[str, Any] = {
    "milestones": {
        "type": "array",
        "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "maxItems": 100,
        "default": [0.5, 0.75],
        "description": "Parts of the run after which the rate drops, under the multi-step schedule (He et al. 2016).",
        APPLIES_WHEN: [{"schedule": ["multi-step"]}],
    },
    "learning_rate_multipliers": {
        "type": "object",
        "additionalProperties": {"type": "number", "minimum": 0},
        "maxProperties": 100,
        "default": {},
        "description": "What to multiply the learning rate by, by name of a weight, with * and ? as in file names; the longest"
        " that fits counts. 0 freezes.",
    },
    "microbatch_size": {
        "type": ["integer", "null"],
        "minimum": 1,
        "default": None,
        "description": "Most examples computed at once: the gradients of larger batches are accumulated. null: all at once.",
    },
    "precision": {
        "type": "string",
        "enum": ["float32", "bfloat16"],
        "default": "float32",
        "description": "bfloat16: mixed precision, with weights in float32.",
    },
    "threads": {
        "type": "integer",
        "minimum": 1,
        "maximum": 256,
        "default": 1,
        "description": "CPU threads that the run computes with.",
    },
    "fold": {
        "type": "integer",
        "minimum": 0,
        "maximum": 4,
        "default": 0,
        "description": "Which fifth of the data is the test set; validation is cut from the rest.",
    },
}
"""The settings of every objective that learns from examples, as JSON Schema."""
