"""The optimizers and schedules that other parameters depend on."""

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
NOT_CYCLING = tuple(name for name in SCHEDULES if name not in CYCLING)
