"""A network that learns Friedman's function of ten numbers from noisy examples, trained by a loop of our own."""

import optuna
import torch
from sklearn.datasets import make_friedman1
from torch import nn

SEEN = 900
"""Examples to train on; the others are left for validation."""


def load():
    x, y = make_friedman1(n_samples=1200, noise=1.0, random_state=0)
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return 2 * x - 1, (y - y.mean()) / y.std()


def train(trial, batch_size=32, epochs=20):
    x, y = load()
    net = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=trial.suggest_float("lr", 1e-5, 1.0, log=True), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for batch in torch.randperm(SEEN).split(batch_size):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(net(x[batch]).squeeze(1), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        net.eval()
        with torch.no_grad():
            validation_loss = nn.functional.mse_loss(net(x[SEEN:]).squeeze(1), y[SEEN:]).item()
        trial.report(validation_loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return validation_loss


if __name__ == "__main__":
    study = optuna.load_study(study_name="friedman", storage="sqlite:///study.db")
    study.optimize(train, n_trials=8)
    print(study.best_params, study.best_value)
