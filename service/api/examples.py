"""Example requests, shown at /docs. Each can be sent as it is."""

from fastapi.openapi.models import Example

JOBS: dict[str, Example] = {
    "shortest": {
        "summary": "All defaults",
        "description": "32 trials of TPE (tree-structured Parzen estimator) over the objective's default space.",
        "value": {"objective": {"name": "image-classification"}},
    },
    "grid": {
        "summary": "A grid of learning rates",
        "value": {
            "name": "nine rates",
            "objective": {"name": "image-classification"},
            "search_space": {
                "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "points": 9},
                "epochs": 5,
            },
            "strategy": "grid",
        },
    },
    "whole": {
        "summary": "All fields given",
        "value": {
            "name": "digits, what learning rate?",
            "objective": {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}},
            "search_space": {
                "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
                "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
                "epochs": {"type": "int", "low": 2, "high": 20},
                "momentum": 0.9,
            },
            "strategy": {"type": "bayesian", "sampler": "tpe"},
            "pruner": {"type": "successive_halving"},
            "budget": {"trials": 64, "seconds": 600, "target": 0.05, "failures": 5},
            "try_first": [{"learning_rate": 0.1}],
            "training_seed": "per_trial",
            "replicates": 2,
            "metric": "validation_loss",
            "max_parallel": 8,
            "max_attempts": 3,
            "priority": 0,
            "seed": 7,
            "labels": {"team": "vision"},
        },
    },
}
