"""The optimizers and schedules that other parameters depend on."""

HYPERGRADIENT = ("hypergradient-sgd", "hypergradient-adam")
SCHEDULE_FREE = ("schedule-free-sgd", "schedule-free-adamw")
OPTIMIZERS = ("sgd", "adagrad", "rmsprop", "adam", "adamw", "prodigy", *SCHEDULE_FREE, *HYPERGRADIENT)
WITH_RATES_BY_LAYER = tuple(name for name in OPTIMIZERS if name != "prodigy")
WITH_MOMENTUM = ("sgd", "rmsprop", "hypergradient-sgd")
WITH_BETA1 = ("adam", "adamw", "prodigy", "hypergradient-adam")
WITH_BETA2 = (*WITH_BETA1, "schedule-free-adamw")
CYCLING = ("cyclical", "one-cycle")
WITH_CYCLES = ("cyclical", "cosine-restarts")
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
NOT_CYCLING = tuple(name for name in SCHEDULES if name not in CYCLING)
