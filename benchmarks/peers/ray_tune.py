"""The same load with Ray Tune, with actors reused. Runs in an environment of its own: `make bench-peers` makes it.

    python benchmarks/peers/ray_tune.py CPUS TRIALS

Prints the seconds that the trials took, from when Ray is up.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import ray
from ray import tune

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.loss import loss_of


class Noop(tune.Trainable):  # type: ignore[misc]
    """One step without training; the actor is kept for the next trial."""

    def setup(self, config: dict[str, Any]) -> None:
        self.params = config

    def step(self) -> dict[str, Any]:
        return {"loss": loss_of(self.params), "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep; Ray asks when an actor is handed on."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.params = new_config
        return True


def main() -> None:
    cpus, trials = int(sys.argv[1]), int(sys.argv[2])
    sys.path.insert(0, str(Path(__file__).parents[2]))
    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}},
    )
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(Noop, {"cpu": 1}),
            param_space={
                "learning_rate": tune.loguniform(1e-5, 1.0),
                "batch_size": tune.choice([16, 32, 64, 128]),
                "epochs": tune.randint(2, 21),
                "momentum": tune.uniform(0.0, 0.99),
            },
            tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True, metric="loss", mode="min"),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        started = time.perf_counter()
        results = tuner.fit()
        took = time.perf_counter() - started
        assert len(results) == trials
        assert not results.errors
    print(took)


if __name__ == "__main__":
    main()
