"""What a user of Optuna alone would run: a script, as many processes of it as workers, one PostgreSQL.

    python -m benchmarks.peers.stock_optuna URL PROCESSES TRIALS

Prints the seconds that the trials took, from when all processes are ready.
"""

import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier
from uuid import uuid4

import optuna

from benchmarks.loss import loss_of


def objective(trial: optuna.Trial) -> float:
    """The same space as ours."""
    params = {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1.0, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [16, 32, 64, 128]),
        "epochs": trial.suggest_int("epochs", 2, 20),
        "momentum": trial.suggest_float("momentum", 0.0, 0.99),
    }
    loss = loss_of(params)
    trial.report(loss, 1)
    return loss


def work(url: str, name: str, seed: int, trials: int, ready: Barrier) -> None:
    """One process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler(seed=seed))
    ready.wait()
    study.optimize(objective, n_trials=trials)


def main() -> None:
    url, processes, trials = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = str(uuid4())
    optuna.create_study(study_name=name, storage=optuna.storages.RDBStorage(url))
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes + 1)
    workers = [context.Process(target=work, args=(url, name, seed, trials // processes, ready)) for seed in range(processes)]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
