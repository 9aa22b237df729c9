"""An answer's document in which as little is known as may be."""

from typing import Any

LITTLE_KNOWN: dict[str, Any] = {
    "job": "8d8a199b-1d62-4654-a5f0-e5312a20323e",
    "training_seed": None,
    "learning_rate": None,
    "params": {},
    "interval": None,
    "interval_at_params": None,
    "safe_range": None,
    "safe_range_retuned": None,
    "expected": None,
    "divergence_edge": None,
    "divergence_edges": [],
    "metric": "loss",
    "at_edge": None,
    "evidence": {"trials": 4, "infeasible": 0, "pruned": 0, "hopeless": 0, "seeds": 1},
    "best_trial": None,
    "confirmed": None,
    "by_batch_size": [],
    "curve": [],
    "verdict": "needs more trials",
    "because": "only 4 trials",
    "importance": [{"parameter": "learning_rate", "alone": 0.7, "total": 0.9}],
    "further_trials": 12,
}
