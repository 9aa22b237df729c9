"""The training of model.py as a plain loop under stock Optuna: model_stock.py STORAGE TRIALS EPOCHS."""

import sys

import optuna
import torch
from torch.nn.functional import cross_entropy

from benchmarks.own.model import data, model
from benchmarks.own.optuna_script import measure


def objective(trial: optuna.Trial) -> float:
    torch.set_num_threads(1)
    (x, y), (x_val, y_val), _ = data()
    net = model()
    optimizer = torch.optim.SGD(net.parameters(), lr=trial.suggest_float("learning_rate", 1e-5, 1.0, log=True))
    loss = 0.0
    for epoch in range(1, trial.suggest_int("steps", 1, 100_000) + 1):
        for places in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            cross_entropy(net(x[places]), y[places]).backward()
            optimizer.step()
        with torch.inference_mode():
            outputs = net(x_val)
            loss = cross_entropy(outputs, y_val).item()
            (outputs.argmax(dim=1) == y_val).float().mean().item()
        trial.report(loss, epoch)
    return loss


if __name__ == "__main__":
    measure(objective, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
