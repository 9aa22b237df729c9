"""The catalog entry of reinforcement learning."""

from dataclasses import replace

from objectives.contract import DEFINES_MEASURE, Bound, Metric, Objective, Parameter
from objectives.entries.supervised import MLP, with_defaults
from objectives.parameters import batches, clipping, computing, duration, network, optimizer, schedule
from objectives.parameters.steps import in_steps

STEP = "iteration"
OBSERVED = "negative mean return"
PPO = ({"algorithm": ("ppo",)},)

COLLECTING = (
    Parameter(
        name="iterations",
        type="int",
        role="duration",
        default=20,
        space={"type": "int", "low": 5, "high": 20},
        description="How often transitions are collected and learned from.",
        low=1,
        high=2**31 - 1,  # steps beyond it cannot be stored
    ),
    Parameter(
        name="transitions",
        type="int",
        default=2048,
        description="Transitions of an iteration, rounded up to a multiple of parallel_environments.",
        low=1,
    ),
)

LEARNING = (
    Parameter(
        name="discount",
        type="float",
        scale="decay",
        default=0.99,
        description="Factor that a reward loses in weight by with every transition until it comes.",
        low=0.0,
        high=1.0,
    ),
    Parameter(
        name="gae_lambda",
        type="float",
        scale="decay",
        default=0.95,
        description="Weight of later transitions in advantages (Schulman et al. 2016); 0: the next value alone, 1: all rewards.",
        low=0.0,
        high=1.0,
    ),
    Parameter(
        name="passes",
        type="int",
        default=10,
        description="Passes over the transitions of an iteration.",
        low=1,
        applies_when=PPO,
    ),
    Parameter(
        name="clip_ratio",
        type="float",
        default=0.2,
        description="How far an action's probability may move from that of the policy that took it, as a fraction of it, before"
        " there is nothing more to win (Schulman et al. 2017: 0.2).",
        low=0.0,
        low_open=True,
        applies_when=PPO,
    ),
    Parameter(
        name="value_weight",
        type="float",
        default=0.5,
        description="Weight of the value loss beside the policy loss.",
        low=0.0,
    ),
    Parameter(
        name="entropy_weight",
        type="float",
        default=0.0,
        description="Weight of the policy's entropy, which is rewarded: 0.01 where a policy settles too early.",
        low=0.0,
    ),
)

REINFORCEMENT_LEARNING = Objective(
    name="reinforcement-learning",
    description="A policy learns to act in an environment of Gymnasium: PPO, or an actor-critic.",
    module="objectives.tasks.reinforcement_learning",
    metrics=(
        Metric(
            name="mean_return",
            direction="maximize",
            description="Mean sum of rewards of episodes in which the policy takes its most probable actions.",
        ),
    ),
    parameters=(
        replace(
            optimizer.LEARNING_RATE, default=3e-4, space={"type": "float", "low": 1e-5, "high": 0.1, "log": True, "points": 9}
        ),
        *COLLECTING,
        *(
            replace(
                each,
                default=64,
                space={"type": "categorical", "choices": [32, 64, 128, 256]},
                description="Transitions per update.",
                bounds=(Bound(end="high", given_by="transitions", counts="transitions of an iteration"),),
            )
            if each.role == "batch_size"
            else each
            for each in with_defaults(batches.BATCHES, reference_batch_size=64)
        ),
        *with_defaults(optimizer.OPTIMIZER, optimizer="adam"),
        *in_steps(schedule.SCHEDULE, STEP, observed=OBSERVED),
        *(
            each
            for each in with_defaults(network.NETWORK, initialization="orthogonal", activation="tanh")
            # Both make the policy that learns another than the one that acted.
            if each.name not in ("normalization", "dropout")
        ),
        *LEARNING,
        *clipping.CLIPPING,
        *in_steps(duration.EARLY_STOPPING, STEP, observed=OBSERVED),
    ),
    settings_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "environment": {
                "type": "string",
                "pattern": r"^([A-Za-z0-9_-]+/)?[A-Za-z0-9_.-]+-v[0-9]+$",
                "maxLength": 100,
                "default": "CartPole-v1",
                "description": "Id in Gymnasium, with its version, such as CartPole-v1, Acrobot-v1 or Pendulum-v1. Observations"
                " must be vectors; Atari's, such as ALE/Pong-v5, are the console's memory.",
                DEFINES_MEASURE: True,
            },
            "max_episode_steps": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": 1_000_000,
                "default": None,
                "description": "Steps after which an episode is cut, in training and where the policy is measured; null: the"
                " environment's own limit, or 1,000 where it has none.",
                DEFINES_MEASURE: True,
            },
            "algorithm": {
                "type": "string",
                "enum": ["ppo", "actor-critic"],
                "default": "ppo",
                "description": "ppo: several passes over the transitions of an iteration, with a clipped objective; actor-critic:"
                " one, and no clipping.",
            },
            "parallel_environments": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1024,
                "default": 8,
                "description": "Environments in which transitions are collected, in turn, in one process.",
            },
            "evaluation_episodes": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "default": 10,
                "description": "Episodes that measure the policy after every iteration, the same ones for all trials.",
                DEFINES_MEASURE: True,
            },
            "hidden_layers": {**MLP["hidden_layers"], "description": "Number of hidden layers, which policy and value share."},
            "width": {**MLP["width"], "default": 64, "description": "Units of each hidden layer."},
            **schedule.SETTINGS,
            **optimizer.SETTINGS,
            **computing.SETTINGS,
        },
    },
    step_word=STEP,
)
